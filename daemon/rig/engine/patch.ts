/** The way from one insert's returns to the next one's sends: the same samples, at the level that the next insert is driven with. */
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import { Quantizer } from './quantize.js';
import type { Hop } from './spec.js';

export class Patch {
  readonly #quantizer: Quantizer;
  readonly #channels: number;
  #picked = new Int32Array(0);
  #numbers = new Float64Array(0);

  /** @param to the insert that is fed */
  constructor(to: Hop) {
    this.#channels = to.sends.length;
    this.#quantizer = new Quantizer({ channels: to.sends.length, gainDb: to.driveDb, sourceBits: 24 });
  }

  get dithered(): boolean {
    return this.#quantizer.dithered;
  }

  /** Room for captured frames; it is used again at the next call. */
  buffer(frames: number): Int32Array {
    const samples = frames * this.#channels;
    if (this.#picked.length < samples) this.#picked = new Int32Array(samples);
    return this.#picked.subarray(0, samples);
  }

  /** Converts in place, bit for bit at 0 dB. @throws OverFullScale */
  convert(samples: Int32Array): Int32Array {
    if (!this.#quantizer.dithered) return samples;
    if (this.#numbers.length < samples.length) this.#numbers = new Float64Array(samples.length);
    const numbers = this.#numbers.subarray(0, samples.length);
    for (let i = 0; i < samples.length; i++) numbers[i] = samples[i]! / FULL_SCALE_INT32;
    this.#quantizer.quantize(numbers, samples);
    return samples;
  }
}
