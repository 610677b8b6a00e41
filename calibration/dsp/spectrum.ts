/**
 * Power spectra and what is read from them: tones by the sum of their lobe, bands by theirs. A tone's power is the sum over its lobe and is
 * right for any frequency; the highest bin alone would be up to 1.42 dB low with a Hann window.
 */
import { type RealFft, sharedFft } from './real-fft.js';
import type { Window } from './windows.js';

/** Mean-square of each bin, scaled so that the sum over a band is the band's mean square: linear, full scale 1. */
export interface PowerSpectrum {
  readonly power: Float64Array;
  readonly binHz: number;
  readonly rate: number;
  readonly window: Window;
}

/** Makes spectra of one length again and again without allocating; each one overwrites the one before. */
export class SpectrumAnalyzer {
  readonly #fft: RealFft;
  readonly #window: Window;
  readonly #spectrum: PowerSpectrum;

  /** @param rate Hz */
  constructor(window: Window, rate: number) {
    const size = window.samples.length;
    this.#fft = sharedFft(size);
    this.#window = window;
    this.#spectrum = { power: new Float64Array(this.#fft.bins), binHz: rate / size, rate, window };
  }

  /** Of the window's length of samples, from `from` on. The result is the analyzer's own until the next call. */
  analyze(samples: Float64Array, from = 0): PowerSpectrum {
    const { power } = this.#spectrum;
    const { samples: factors, energy } = this.#window;
    this.#fft.powers(samples, factors, 2 / (this.#fft.size * energy), power, from);
    // 0 Hz and half the rate stand once, every other frequency twice.
    power[0] = power[0]! / 2;
    if (this.#fft.size % 2 === 0) power[power.length - 1] = power.at(-1)! / 2;
    return this.#spectrum;
  }

  /**
   * The mean over the whole record, each spectrum three quarters over the one before it: of noise it is surer than one spectrum, whose window hears little
   * of the ends. As `analyze` where the record is no longer than the window.
   */
  average(samples: Float64Array): PowerSpectrum {
    const size = this.#window.samples.length;
    const hops = Math.max(0, Math.floor((4 * (samples.length - size)) / size));
    if (hops === 0) return this.analyze(samples);
    const sum = new Float64Array(this.#spectrum.power.length);
    for (let hop = 0; hop <= hops; hop++) {
      const { power } = this.analyze(samples, Math.round((hop * (samples.length - size)) / hops));
      for (let k = 0; k < sum.length; k++) sum[k] = sum[k]! + power[k]! / (hops + 1);
    }
    this.#spectrum.power.set(sum);
    return this.#spectrum;
  }
}

export interface Lobe {
  /** First and last bin. */
  readonly from: number;
  readonly to: number;
}

/** The bins that a tone at `hz` lights. */
export function lobeAt({ power, binHz, window }: PowerSpectrum, hz: number): Lobe {
  const centre = hz / binHz;
  const reach = window.shape.halfWidth + 1;
  return {
    from: Math.max(0, Math.round(centre) - reach),
    to: Math.min(power.length - 1, Math.round(centre) + reach),
  };
}

/** Mean square of the bins, the last one included. */
export function powerIn({ power }: PowerSpectrum, { from, to }: Lobe): number {
  let sum = 0;
  for (let k = from; k <= to; k++) sum += power[k]!;
  return sum;
}

/** Where the power of some bins has its centre, Hz: the frequency of a tone that lights them. Null for nothing. */
export function centreOf({ power, binHz }: PowerSpectrum, { from, to }: Lobe): number | null {
  let sum = 0;
  let moment = 0;
  for (let k = from; k <= to; k++) {
    sum += power[k]!;
    moment += k * power[k]!;
  }
  return sum > 0 ? (moment / sum) * binHz : null;
}

/** The bins of a band, its edges included; without 0 Hz and the lobe around it, where `lowHz` is above 0. */
export function band({ power, binHz }: PowerSpectrum, lowHz: number, highHz: number): Lobe {
  return {
    from: Math.max(0, Math.ceil(lowHz / binHz - 1e-9)),
    to: Math.min(power.length - 1, Math.floor(highHz / binHz + 1e-9)),
  };
}

/**
 * Mean square of a band without some lobes, each bin times a weighting. Under a removed lobe the noise is taken to be what it is beside it: the
 * mean of eight bins on either side.
 * @param weights squared magnitude for each bin, or null
 */
export function residualIn(
  { power }: PowerSpectrum,
  { from, to }: Lobe,
  removed: readonly Lobe[],
  weights: Float64Array | null = null,
): number {
  const gone = merged(removed);
  let sum = 0;
  let next = from;
  for (const lobe of gone) {
    if (lobe.to < from || lobe.from > to) continue;
    sum += weighted(power, next, lobe.from - 1, weights);
    next = Math.min(to, lobe.to) + 1;
    const beside = besides(power, lobe, gone);
    for (let k = Math.max(from, lobe.from); k < next; k++) sum += beside * (weights ? weights[k]! : 1);
  }
  return sum + weighted(power, next, to, weights);
}

/** What noise beside a lobe has in as many bins as the lobe. */
export function noiseUnder({ power }: PowerSpectrum, lobe: Lobe, removed: readonly Lobe[]): number {
  return besides(power, lobe, removed) * (lobe.to - lobe.from + 1);
}

function weighted(power: Float64Array, from: number, to: number, weights: Float64Array | null): number {
  let sum = 0;
  if (weights === null) for (let k = from; k <= to; k++) sum += power[k]!;
  else for (let k = from; k <= to; k++) sum += power[k]! * weights[k]!;
  return sum;
}

/** In order, and lobes that touch as one. */
export function merged(lobes: readonly Lobe[]): Lobe[] {
  const all: Lobe[] = [];
  for (const { from, to } of [...lobes].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last && from <= last.to + 1) all[all.length - 1] = { from: last.from, to: Math.max(last.to, to) };
    else all.push({ from, to });
  }
  return all;
}

const BESIDE_BINS = 8;

/** Mean of the nearest bins on either side that belong to no lobe. */
function besides(power: Float64Array, lobe: Lobe, removed: readonly Lobe[]): number {
  let sum = 0;
  let count = 0;
  for (const step of [-1, 1]) {
    let left = BESIDE_BINS;
    for (let k = step < 0 ? lobe.from - 1 : lobe.to + 1; k >= 1 && k < power.length && left > 0; k += step) {
      const hit = removed.find(({ from, to }) => k >= from && k <= to);
      if (hit) {
        k = step < 0 ? hit.from : hit.to;
        continue;
      }
      sum += power[k]!;
      count++;
      left--;
    }
  }
  return count > 0 ? sum / count : 0;
}
