/** The way from one insert's returns to the next one's sends: the same samples, at the level that the next insert is driven with. */
import { patchGainsDb } from './gains.js';
import { Quantizer, refusalOf } from './quantize.js';
import type { Hop } from './spec.js';

export class Patch {
  readonly #quantizer: Quantizer;
  readonly #insert: string;

  /** @param to the insert that is fed */
  constructor(from: Hop, to: Hop) {
    this.#insert = to.insert;
    this.#quantizer = new Quantizer({ channels: to.sends.length, gainDb: patchGainsDb(from, to), sourceBits: 24 });
  }

  get dithered(): boolean {
    return this.#quantizer.dithered;
  }

  /**
   * Converts in place, bit for bit at 0 dB.
   * @param sourceFrame the frame of the source's file that the first one belongs to
   * @throws OutboardError source.full-scale
   */
  convert(samples: Int32Array, sourceFrame: number): void {
    if (!this.#quantizer.dithered) return;
    try {
      this.#quantizer.quantize(samples, samples);
    } catch (error) {
      throw refusalOf(error, sourceFrame, this.#insert);
    }
  }
}
