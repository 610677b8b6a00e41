/**
 * The sine fit of IEEE Std 1057 / 1241 (four parameters: amplitude, phase, offset and frequency, by least squares, the frequency refined
 * step by step), with as many harmonics of the same frequency as are asked for. Below -150 dB this sees what no window does.
 */

import { solveCholesky } from './cholesky.js';

export interface SineFit {
  readonly hz: number;
  /** Peak of harmonic k at index k - 1, linear; 0 for those above half the rate. */
  readonly amplitudes: Float64Array;
  /** Radians, of a cosine at the first sample, of each. */
  readonly phases: Float64Array;
  readonly offset: number;
  /** RMS of what is left. */
  readonly residualRms: number;
  readonly iterations: number;
}

const MOST_ITERATIONS = 12;
const CONVERGED = 1e-13;

/**
 * @param guessHz within half a bin (rate / length) of the frequency
 * @param harmonics how many are fitted together, the fundamental included
 * @throws RangeError for fewer than 16 samples a harmonic, or a guess that is no frequency of this rate
 */
export function fitSine(samples: Float64Array, rate: number, guessHz: number, harmonics = 1): SineFit {
  const { length } = samples;
  if (!(length >= 16 * harmonics)) throw new RangeError(`${length} samples for ${harmonics} harmonics`);
  if (!(guessHz > 0 && guessHz < rate / 2)) throw new RangeError(`${guessHz} Hz at ${rate} Hz`);
  const count = Math.min(harmonics, Math.ceil(rate / 2 / guessHz) - 1);
  // Time is counted from the middle, so that the frequency's column is nearly orthogonal to the others.
  const middle = (length - 1) / 2;
  let w = (2 * Math.PI * guessHz) / rate;
  let found = new Float64Array(2 * count + 1);
  let iterations = 0;
  for (; iterations < MOST_ITERATIONS; iterations++) {
    const bends = iterations > 0;
    const normal = new NormalEquations(2 * count + 1 + (bends ? 1 : 0));
    for (let n = 0; n < length; n++) {
      const slope = fill(normal.row, found, count, w, n - middle);
      // Scaled to the length: the equations stay well conditioned.
      if (bends) normal.row[2 * count + 1] = slope / length;
      normal.add(samples[n]!);
    }
    const next = normal.solve();
    found = next.slice(0, 2 * count + 1);
    if (!bends) continue;
    const step = next[2 * count + 1]! / length;
    w += step;
    if (Math.abs(step) < CONVERGED * w) break;
  }
  const amplitudes = new Float64Array(harmonics);
  const phases = new Float64Array(harmonics);
  for (let k = 1; k <= count; k++) {
    const [a, b] = [found[2 * k - 1]!, found[2 * k]!];
    amplitudes[k - 1] = Math.hypot(a, b);
    phases[k - 1] = Math.atan2(-b, a) - k * w * middle;
  }
  const residualRms = residual(samples, found, count, w, middle);
  return { hz: (w * rate) / (2 * Math.PI), amplitudes, phases, offset: found[0]!, residualRms, iterations };
}

/** Offset, then a cosine and a sine for each harmonic. @returns the derivative of what is fitted by w */
function fill(row: Float64Array, found: Float64Array, count: number, w: number, t: number): number {
  let slope = 0;
  row[0] = 1;
  for (let k = 1; k <= count; k++) {
    const cos = Math.cos(k * w * t);
    const sin = Math.sin(k * w * t);
    row[2 * k - 1] = cos;
    row[2 * k] = sin;
    slope += k * t * (found[2 * k]! * cos - found[2 * k - 1]! * sin);
  }
  return slope;
}

function residual(samples: Float64Array, found: Float64Array, count: number, w: number, middle: number): number {
  const row = new Float64Array(found.length);
  let energy = 0;
  for (let n = 0; n < samples.length; n++) {
    fill(row, found, count, w, n - middle);
    let error = samples[n]!;
    for (let i = 0; i < row.length; i++) error -= found[i]! * row[i]!;
    energy += error * error;
  }
  return Math.sqrt(energy / samples.length);
}

/** Least squares, row by row: set `row`, then `add` what was observed, then `solve` once. */
class NormalEquations {
  readonly row: Float64Array;
  readonly #matrix: Float64Array;
  readonly #right: Float64Array;

  constructor(size: number) {
    this.row = new Float64Array(size);
    this.#matrix = new Float64Array(size * size);
    this.#right = new Float64Array(size);
  }

  add(observed: number): void {
    const { row } = this;
    const size = row.length;
    for (let i = 0; i < size; i++) {
      const x = row[i]!;
      for (let j = 0; j <= i; j++) this.#matrix[i * size + j] = this.#matrix[i * size + j]! + x * row[j]!;
      this.#right[i] = this.#right[i]! + x * observed;
    }
  }

  solve(): Float64Array {
    return solveCholesky(this.#matrix, this.#right);
  }
}
