/**
 * The transfer function H = Y X* / |X|^2 of a path from its stimulus X and what came back, and its delay. The delay is that of the excess phase: what
 * the phase has beyond the minimum phase that belongs to the magnitude (Bode 1945), so that a filter's own phase is not taken for a latency.
 */
import { measureDelay } from './delay.js';
import { Fft } from './fft.js';
import { RealFft } from './real-fft.js';

export interface TransferPoint {
  re: number;
  im: number;
  /** |sum Y X*|^2 / (sum |X|^2 sum |Y|^2) of the bins that were taken together: 1 without noise. */
  coherence: number;
  /** Of the stimulus, in the bins that were taken together. */
  power: number;
}

/** Half of the bins that are taken together around a frequency: at least these, at most a part of it. */
const LEAST_REACH_BINS = 2;
const REACH = 0.0072;
/** Bins whose stimulus is weaker than this, as a power re its strongest, say nothing of the path. */
const LEAST_STIMULUS = 1e-8;
/** Of the minimum phase: cells from 0 Hz to the rate. */
const CELLS = 8192;
/** Of the rate. Below are couplings, above are the converters' filters: their phase is not the path's delay. */
const LOWEST = 0.01;
const HIGHEST = 0.4;

export class Transfer {
  readonly rate: number;
  /** Samples, with fraction. */
  readonly delay: number;
  /** Frames to the peak of the correlation. */
  readonly peakFrames: number;
  readonly inverted: boolean;
  /** Height of the correlation's peak over the rest of it: noise alone stays under 6 or so. */
  readonly prominence: number;
  readonly #size: number;
  readonly #x: Spectrum;
  readonly #y: Spectrum;
  readonly #strongest: number;

  /**
   * @param played the stimulus, @param captured from the frame on at which it began
   * @param rate Hz
   * @param mostFrames the longest delay that is looked for
   */
  constructor(played: Float64Array, captured: Float64Array, rate: number, mostFrames: number) {
    this.rate = rate;
    const long = new Float64Array(played.length + mostFrames);
    long.set(captured.subarray(0, long.length));
    const coarse = measureDelay(played, long, mostFrames);
    this.prominence = coarse.prominence;
    this.peakFrames = coarse.frames;
    this.#size = 2 ** Math.ceil(Math.log2(Math.max(long.length, captured.length)));
    const fft = new RealFft(this.#size);
    // What was cut off at the end of the capture must not be looked for in it.
    this.#x = spectrumOf(played.subarray(0, Math.max(1, captured.length - coarse.frames)), fft);
    this.#y = spectrumOf(captured, fft);
    let strongest = 0;
    for (let k = 1; k < fft.bins; k++) strongest = Math.max(strongest, this.#x.re[k]! ** 2 + this.#x.im[k]! ** 2);
    this.#strongest = strongest;
    const excess = this.#excess(coarse.frames);
    this.delay = coarse.frames + excess.frames;
    this.inverted = excess.inverted;
  }

  /** With the delay taken out; null where the stimulus has nothing. */
  at(hz: number): TransferPoint | null {
    const centre = (hz * this.#size) / this.rate;
    const reach = Math.max(LEAST_REACH_BINS, centre * REACH);
    return this.#over(Math.round(centre - reach), Math.round(centre + reach), this.delay, centre);
  }

  /** A straight line through the transfers of some bins, by least squares, at `centre`. */
  #over(from: number, to: number, delay: number, centre: number): TransferPoint | null {
    const [x, y] = [this.#x, this.#y];
    if (from < 1 || to >= x.re.length) return null;
    let [re, im, xx, yy] = [0, 0, 0, 0];
    let [slopeRe, slopeIm, moment, inertia] = [0, 0, 0, 0];
    for (let k = from; k <= to; k++) {
      const [xr, xi, yr, yi] = [x.re[k]!, x.im[k]!, y.re[k]!, y.im[k]!];
      const r = yr * xr + yi * xi;
      const i = yi * xr - yr * xi;
      const turns = (k * delay) / this.#size;
      const angle = 2 * Math.PI * (turns - Math.floor(turns));
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      const [turnedR, turnedI] = [r * c - i * s, r * s + i * c];
      const power = xr * xr + xi * xi;
      const off = k - centre;
      re += turnedR;
      im += turnedI;
      slopeRe += off * turnedR;
      slopeIm += off * turnedI;
      xx += power;
      moment += off * power;
      inertia += off * off * power;
      yy += yr * yr + yi * yi;
    }
    if (!(xx > LEAST_STIMULUS * this.#strongest * (to - from + 1))) return null;
    const coherence = yy > 0 ? (re * re + im * im) / (xx * yy) : 0;
    const det = xx * inertia - moment * moment;
    if (!(det > 1e-9 * xx * xx)) return { re: re / xx, im: im / xx, coherence, power: xx };
    return {
      re: (inertia * re - moment * slopeRe) / det,
      im: (inertia * im - moment * slopeIm) / det,
      coherence,
      power: xx,
    };
  }

  /** What is left of the delay, when `frames` are taken out, in the excess phase. */
  #excess(frames: number): { frames: number; inverted: boolean } {
    const half = CELLS / 2;
    const wide = this.#size / CELLS;
    const cells = Array.from({ length: half + 1 }, (_, cell) => {
      if (cell === 0 || cell === half) return null;
      const from = Math.round((cell - 0.5) * wide);
      return this.#over(from, Math.max(from, Math.round((cell + 0.5) * wide) - 1), frames, cell * wide);
    });
    const phases = minimumPhase(cells.map((cell) => (cell ? Math.hypot(cell.re, cell.im) : null)));
    // C is what remains of H without its minimum phase; each cell counts with the power that came back in it.
    const [re, im] = [new Float64Array(half + 1), new Float64Array(half + 1)];
    cells.forEach((cell, k) => {
      if (!cell || k < LOWEST * CELLS || k > HIGHEST * CELLS) return;
      const [c, s] = [Math.cos(phases[k]!), -Math.sin(phases[k]!)];
      const weight = cell.coherence * cell.power;
      re[k] = (cell.re * c - cell.im * s) * weight;
      im[k] = (cell.re * s + cell.im * c) * weight;
    });
    // First from the turn between neighbours, which needs no unwrapping.
    let [stepRe, stepIm] = [0, 0];
    for (let k = 1; k <= half; k++) {
      stepRe += re[k]! * re[k - 1]! + im[k]! * im[k - 1]!;
      stepIm += im[k]! * re[k - 1]! - re[k]! * im[k - 1]!;
    }
    let slope = Math.atan2(stepIm, stepRe);
    let inverted = false;
    // Then by least squares through the origin, twice: the second time around what the first one left.
    for (let round = 0; round < 2; round++) {
      const turned = (k: number) => {
        const [c, s] = [Math.cos(slope * k), -Math.sin(slope * k)];
        return { r: re[k]! * c - im[k]! * s, i: re[k]! * s + im[k]! * c };
      };
      let sum = 0;
      for (let k = 0; k <= half; k++) sum += turned(k).r;
      inverted = sum < 0;
      let [top, bottom] = [0, 0];
      for (let k = 0; k <= half; k++) {
        const { r, i } = turned(k);
        const weight = Math.hypot(r, i);
        top += weight * k * (inverted ? Math.atan2(-i, -r) : Math.atan2(i, r));
        bottom += weight * k * k;
      }
      if (bottom > 0) slope += top / bottom;
    }
    return { frames: (-slope * CELLS) / (2 * Math.PI), inverted };
  }
}

interface Spectrum {
  re: Float64Array;
  im: Float64Array;
}

function spectrumOf(samples: Float64Array, fft: RealFft): Spectrum {
  const padded = new Float64Array(fft.size);
  padded.set(samples.subarray(0, fft.size));
  const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(padded, null, re, im);
  return { re, im };
}

/**
 * The phase that belongs to a magnitude, by the cepstrum.
 * @param magnitudes from 0 Hz to half the rate; null is taken to be as the nearest that is known
 */
function minimumPhase(magnitudes: readonly (number | null)[]): Float64Array {
  const half = magnitudes.length - 1;
  const fft = new Fft(2 * half);
  const [re, im] = [new Float64Array(2 * half), new Float64Array(2 * half)];
  const known = magnitudes.map((m) => (m !== null && m > 0 ? Math.log(m) : null));
  let last = known.find((m) => m !== null) ?? 0;
  for (let k = 0; k <= half; k++) {
    last = known[k] ?? last;
    re[k] = last;
    if (k > 0 && k < half) re[2 * half - k] = last;
  }
  fft.inverse(re, im);
  for (let n = 1; n < half; n++) {
    re[n] = 2 * re[n]!;
    re[2 * half - n] = 0;
  }
  im.fill(0);
  fft.forward(re, im);
  return im.subarray(0, half + 1);
}
