/** What a technician sees of the returns while a measurement goes on: levels since the last look, and the spectrum of the loudest channel. */
import { SpectrumAnalyzer } from '../../../calibration/dsp/spectrum.js';
import { makeWindow, WINDOWS } from '../../../calibration/dsp/windows.js';
import type { CalibrationNews } from '../../../core/contract/index.js';
import { FULL_SCALE_INT32 } from '../../../core/units.js';

export type LiveNews = Extract<CalibrationNews, { news: 'live' }>;

const SPECTRUM_FRAMES = 8192;
const BANDS = 40;
const LOWEST_HZ = 20;
const HIGHEST_HZ = 20_000;
/** Eyes and terminals follow no faster. */
const EVERY_MS = 125;

export class LiveView {
  readonly #channels: number;
  readonly #show: (news: LiveNews) => void;
  readonly #recent: Float64Array[];
  readonly #peaks: Float64Array;
  readonly #squares: Float64Array;
  readonly #ordered = new Float64Array(SPECTRUM_FRAMES);
  readonly #analyzer: SpectrumAnalyzer;
  readonly #edgesHz: number[];
  #frames = 0;
  #at = 0;
  #shownMs = Number.NEGATIVE_INFINITY;

  /** @param channels those of the insert; they come first in what is watched */
  constructor(channels: number, rate: number, show: (news: LiveNews) => void) {
    this.#channels = channels;
    this.#show = show;
    this.#recent = Array.from({ length: channels }, () => new Float64Array(SPECTRUM_FRAMES));
    this.#peaks = new Float64Array(channels);
    this.#squares = new Float64Array(channels);
    this.#analyzer = new SpectrumAnalyzer(makeWindow(WINDOWS.hann, SPECTRUM_FRAMES), rate);
    const highest = Math.min(HIGHEST_HZ, rate / 2);
    this.#edgesHz = Array.from({ length: BANDS }, (_, i) => LOWEST_HZ * (highest / LOWEST_HZ) ** ((i + 1) / BANDS));
  }

  /** @param width channels of the block, of which the first ones are looked at */
  watch(interleaved: Int32Array, width: number): void {
    const frames = interleaved.length / width;
    for (let channel = 0; channel < this.#channels; channel++) {
      const recent = this.#recent[channel]!;
      let peak = this.#peaks[channel]!;
      let squares = 0;
      for (let n = 0; n < frames; n++) {
        const value = interleaved[n * width + channel]! / FULL_SCALE_INT32;
        recent[(this.#at + n) % SPECTRUM_FRAMES] = value;
        squares += value * value;
        peak = Math.max(peak, Math.abs(value));
      }
      this.#peaks[channel] = peak;
      this.#squares[channel]! += squares;
    }
    this.#at += frames;
    this.#frames += frames;
    const now = performance.now();
    if (now - this.#shownMs < EVERY_MS) return;
    this.#shownMs = now;
    this.#show({ news: 'live', levels: this.#levels(), spectrum: this.#spectrum() });
    this.#frames = 0;
    this.#peaks.fill(0);
    this.#squares.fill(0);
  }

  /** AES17-2020 3.12: the RMS of a full-scale sine is 0 dBFS. */
  #levels(): LiveNews['levels'] {
    return Array.from(this.#squares, (squares, channel) => ({
      rmsDbfs: decibels((2 * squares) / this.#frames),
      peakDbfs: decibels(this.#peaks[channel]! ** 2),
    }));
  }

  #spectrum(): LiveNews['spectrum'] {
    if (this.#at < SPECTRUM_FRAMES) return null;
    const loudest = this.#squares.indexOf(Math.max(...this.#squares));
    const recent = this.#recent[loudest]!;
    const oldest = this.#at % SPECTRUM_FRAMES;
    this.#ordered.set(recent.subarray(oldest));
    this.#ordered.set(recent.subarray(0, oldest), SPECTRUM_FRAMES - oldest);
    const { power, binHz } = this.#analyzer.analyze(this.#ordered);
    let from = Math.round(LOWEST_HZ / binHz);
    const dbfs = this.#edgesHz.map((hz) => {
      const to = Math.min(power.length - 1, Math.round(hz / binHz));
      let sum = power[to]!;
      for (let bin = from; bin < to; bin++) sum += power[bin]!;
      from = Math.max(from, to + 1);
      return decibels(2 * sum);
    });
    return { channel: loudest + 1, hz: this.#edgesHz, dbfs };
  }
}

/** JSON has no infinity: silence is null. */
function decibels(power: number): number | null {
  return power > 0 ? 10 * Math.log10(power) : null;
}
