/** The way from one insert's returns to the next one's sends: the same samples, at the level that the next insert is driven with. */
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import { Quantizer, refusalOf } from './quantize.js';
import type { Hop } from './spec.js';

export class Patch {
  readonly #quantizer: Quantizer;
  readonly #channels: number;
  readonly #insert: string;
  #picked = new Int32Array(0);
  #numbers = new Float64Array(0);

  /** @param to the insert that is fed */
  constructor(to: Hop) {
    this.#channels = to.sends.length;
    this.#insert = to.insert;
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

  /**
   * Converts in place, bit for bit at 0 dB.
   * @param sourceFrame the frame of the source's file that the first one belongs to
   * @throws OutboardError source.full-scale
   */
  convert(samples: Int32Array, sourceFrame: number): void {
    if (!this.#quantizer.dithered) return;
    if (this.#numbers.length < samples.length) this.#numbers = new Float64Array(samples.length);
    const numbers = this.#numbers.subarray(0, samples.length);
    for (let i = 0; i < samples.length; i++) numbers[i] = samples[i]! / FULL_SCALE_INT32;
    try {
      this.#quantizer.quantize(numbers, samples);
    } catch (error) {
      throw refusalOf(error, sourceFrame, this.#insert);
    }
  }
}
