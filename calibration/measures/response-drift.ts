/**
 * Two clocks, seen by an exponential sweep: every octave comes back later than the one below by the same. What a path does to the delay, it does around
 * some frequency, and not alike over three octaves.
 */
const OCTAVES_HZ = [1000, 2000, 4000, 8000];
/** Of the frequency, on either side. */
const REACH = 0.02;
/** Samples an octave; locked clocks give none. */
const LEAST_GROWTH = 0.3;
const ALIKE = 0.75;

/**
 * @param phaseDeg of the path without its bulk delay; null where the stimulus has nothing
 * @param rate Hz
 * @returns by how many samples the delay grows in each octave from 1 to 8 kHz, or null where it does not steadily do so
 */
export function delayGrowth(phaseDeg: (hz: number) => number | null, rate: number): number | null {
  const delays = OCTAVES_HZ.map((hz) => {
    const [low, high] = [phaseDeg(hz * (1 - REACH)), phaseDeg(hz * (1 + REACH))];
    if (low === null || high === null) return Number.NaN;
    const turns = (low - high) / 360;
    return ((turns - Math.round(turns)) * rate) / (2 * REACH * hz);
  });
  const growths = delays.slice(1).map((delay, i) => delay - delays[i]!);
  const sizes = growths.map(Math.abs);
  const steady = growths.every((one) => Math.sign(one) === Math.sign(growths[0]!));
  const least = Math.min(...sizes);
  return steady && least > LEAST_GROWTH && least > ALIKE * Math.max(...sizes)
    ? growths.reduce((sum, one) => sum + one, 0) / growths.length
    : null;
}
