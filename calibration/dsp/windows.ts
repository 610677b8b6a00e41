/**
 * Cosine-sum windows in their periodic form: w[n] = sum of (-1)^k a_k cos(2 pi k n / N). They are made once for a length and kept: making one
 * of 2^20 samples takes longer than the transform.
 */
import { isFastLength } from './real-fft.js';

export interface WindowShape {
  readonly name: string;
  /** a_0, a_1, … */
  readonly coefficients: readonly number[];
  /** Bins from a tone to its first null: its power lies within one more than these. */
  readonly halfWidth: number;
}

/** Harris 1978; Albrecht 2001 (7 terms); Heinzel, Ruediger, Schilling 2002 (HFT). */
export const WINDOWS = {
  rectangular: { name: 'rectangular', coefficients: [1], halfWidth: 1 },
  hann: { name: 'Hann', coefficients: [0.5, 0.5], halfWidth: 2 },
  blackmanHarris4: {
    name: 'Blackman-Harris 4 (92 dB)',
    coefficients: [0.35875, 0.48829, 0.14128, 0.01168],
    halfWidth: 4,
  },
  blackmanHarris7: {
    name: 'Blackman-Harris 7',
    coefficients: [
      0.27105140069342, 0.43329793923448, 0.21812299954311, 0.06592544638803, 0.01081174209837, 0.00077658482522,
      1.388721735e-5,
    ],
    halfWidth: 7,
  },
  hft248d: {
    name: 'HFT248D',
    coefficients: [
      1, 1.985844164102, 1.791176438506, 1.282075284005, 0.667777530266, 0.240160796576, 0.056656381764, 0.008134974479,
      0.00062454465, 1.9808998e-5, 1.32974e-7,
    ],
    halfWidth: 11,
  },
} as const satisfies Record<string, WindowShape>;

export interface Window {
  readonly shape: WindowShape;
  readonly samples: Float64Array;
  /** Mean of the samples. */
  readonly coherentGain: number;
  /** Sum of their squares. */
  readonly energy: number;
  /** Equivalent noise bandwidth, bins. */
  readonly enbwBins: number;
}

export function makeWindow(shape: WindowShape, size: number): Window {
  const { coefficients } = shape;
  const samples = new Float64Array(size);
  let sum = 0;
  let energy = 0;
  for (let n = 0; n < size; n++) {
    // Clenshaw's sum over the cosine of one angle: one cosine a sample.
    const x = -Math.cos((2 * Math.PI * n) / size);
    let [b1, b2] = [0, 0];
    for (let k = coefficients.length - 1; k > 0; k--) [b1, b2] = [coefficients[k]! + 2 * x * b1 - b2, b1];
    const w = coefficients[0]! + x * b1 - b2;
    samples[n] = w;
    sum += w;
    energy += w * w;
  }
  return { shape, samples, coherentGain: sum / size, energy, enbwBins: (size * energy) / (sum * sum) };
}

/** A window, and with it the transform, of more samples says nothing that these do not. */
const LONGEST = 2 ** 20;
const MOST_KEPT = 8;
const kept = new Map<number, Window>();

/** Blackman-Harris 7 for the largest fast length that fits into `length`. Windows are kept: making one takes longer than using it. */
export function windowFor(length: number): Window {
  let size = Math.min(LONGEST, length - (length % 2));
  while (!isFastLength(size)) size -= 2;
  let window = kept.get(size);
  if (!window) {
    window = makeWindow(WINDOWS.blackmanHarris7, size);
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!);
    kept.set(size, window);
  }
  return window;
}

/** Sum of w x over the sum of w: the mean, which a tone that has no whole number of periods in the record does not move. */
export function windowedMean(samples: Float64Array, { samples: w, coherentGain }: Window): number {
  let sum = 0;
  for (let n = 0; n < w.length; n++) sum += w[n]! * samples[n]!;
  return sum / (coherentGain * w.length);
}
