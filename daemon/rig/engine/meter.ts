/**
 * What is said of a recording: sample peak per channel, clipped samples, loudness.
 *
 * A sample counts as clipped when it sits at an end of the 24-bit converter, 0x7FFFFF or -0x800000: an analog signal that is there may
 * have been higher, nobody can know. The peak is the largest magnitude, linear, full scale = 1 (so at most 1 - 2^-23 upwards and
 * exactly 1 downwards). Loudness is the gated programme loudness of ITU-R BS.1770-5.
 */
import { LoudnessMeter } from '../../../calibration/dsp/loudness.js';
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import { MAX_INT24, MIN_INT24 } from './quantize.js';

export class TakeMeter {
  readonly #channels: number;
  readonly #lowest: Int32Array;
  readonly #highest: Int32Array;
  readonly #loudness: LoudnessMeter;
  #clipped = 0;

  constructor(rateHz: number, channels: number) {
    this.#channels = channels;
    this.#lowest = new Int32Array(channels);
    this.#highest = new Int32Array(channels);
    this.#loudness = new LoudnessMeter(rateHz, channels);
  }

  /** A block of whole frames, interleaved, left-justified int32. */
  add(block: Int32Array): void {
    const channels = this.#channels;
    for (let channel = 0; channel < channels; channel++) {
      let low = 0;
      let high = 0;
      for (let i = channel; i < block.length; i += channels) {
        const sample = block[i]!;
        low = Math.min(low, sample);
        high = Math.max(high, sample);
      }
      if (high >> 8 === MAX_INT24 || low >> 8 === MIN_INT24) this.#countClipped(block, channel);
      if (low < this.#lowest[channel]!) this.#lowest[channel] = low;
      if (high > this.#highest[channel]!) this.#highest[channel] = high;
    }
    this.#loudness.add(block, block.length / channels);
  }

  #countClipped(block: Int32Array, channel: number): void {
    for (let i = channel; i < block.length; i += this.#channels) {
      const word = block[i]! >> 8;
      if (word === MAX_INT24 || word === MIN_INT24) this.#clipped++;
    }
  }

  get peak(): number[] {
    return Array.from(this.#lowest, (low, channel) => Math.max(-low, this.#highest[channel]!) / FULL_SCALE_INT32);
  }

  get clippedSamples(): number {
    return this.#clipped;
  }

  integratedLufs(): number | null {
    return this.#loudness.integratedLufs();
  }
}
