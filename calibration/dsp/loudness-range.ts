/** Loudness range, EBU Tech 3342: how far the short-term loudness spreads, without its quietest tenth and its loudest twentieth. */

const ABSOLUTE_GATE_LUFS = -70;
const RELATIVE_GATE_LU = -20;
const LOW = 0.1;
const HIGH = 0.95;

/**
 * @param shortTerm LUFS of windows of 3 s
 * @returns LU, or null where none is over the gates
 */
export function loudnessRange(shortTerm: Float64Array): number | null {
  const loud = shortTerm.filter((lufs) => lufs > ABSOLUTE_GATE_LUFS);
  const energy = loud.reduce((sum, lufs) => sum + 10 ** (lufs / 10), 0) / loud.length;
  const gate = 10 * Math.log10(energy) + RELATIVE_GATE_LU;
  const used = loud.filter((lufs) => lufs > gate).sort();
  if (used.length === 0) return null;
  const at = (part: number): number => used[Math.round((used.length - 1) * part)]!;
  return at(HIGH) - at(LOW);
}
