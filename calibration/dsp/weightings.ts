/**
 * Weighting curves as magnitudes over frequency, from their formulas. They are applied to the bins of a spectrum, so that no bilinear
 * transform bends them near half the rate.
 */

/** Hz, IEC 61672-1 Annex E. */
const A_POLES = [20.598997, 107.652649, 737.862231, 12_194.217148] as const;

function aShape(hz: number): number {
  const [f1, f2, f3, f4] = A_POLES;
  const f = hz * hz;
  return (f4 ** 2 * f * f) / ((f + f1 ** 2) * Math.sqrt((f + f2 ** 2) * (f + f3 ** 2)) * (f + f4 ** 2));
}

const A_REFERENCE = aShape(1000);

/** A-weighting, IEC 61672-1 Annex E; 1 at 1 kHz. */
export function aWeighting(hz: number): number {
  return aShape(hz) / A_REFERENCE;
}

/** ITU-R BS.468-4; 1 at 1 kHz. */
export function bs468(hz: number): number {
  const f = hz;
  const h1 = -4.737338981378384e-24 * f ** 6 + 2.043828333606125e-15 * f ** 4 - 1.363894795463638e-7 * f ** 2 + 1;
  const h2 = 1.306612257412824e-19 * f ** 5 - 2.118150887518656e-11 * f ** 3 + 5.559488023498642e-4 * f;
  return (1.246332637532143e-4 * 8.16457831116944 * f) / Math.hypot(h1, h2);
}

const CCIR_RMS_OFFSET = 10 ** (-5.63 / 20);

/** CCIR-RMS, AES17-2015 5.2.7: BS.468-4 less 5.63 dB, with a true RMS detector. */
export function ccirRms(hz: number): number {
  return bs468(hz) * CCIR_RMS_OFFSET;
}

const kept = new Map<(hz: number) => number, Float64Array & { binHz?: number }>();

/** Squared magnitudes for the bins of a spectrum. The last ones of each curve are kept: making them takes longer than using them. */
export function weightsFor(curve: (hz: number) => number, bins: number, binHz: number): Float64Array {
  const before = kept.get(curve);
  if (before?.length === bins && before.binHz === binHz) return before;
  const weights = new Float64Array(bins) as Float64Array & { binHz?: number };
  for (let k = 0; k < bins; k++) weights[k] = curve(k * binHz) ** 2;
  weights.binHz = binHz;
  kept.set(curve, weights);
  return weights;
}
