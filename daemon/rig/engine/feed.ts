/** The beginning of a take's way: samples of the source, level and word length made those of the interface, in blocks for the sends. */
import { OutboardError } from '../../../core/errors.js';
import { sendGainsDb } from './gains.js';
import { BLOCK_FRAMES } from './lane.js';
import { Quantizer, refusalOf } from './quantize.js';
import type { TakeSpec } from './spec.js';

export class Feed {
  readonly #spec: TakeSpec;
  readonly #insert: string;
  readonly #width: number;
  readonly #quantizer: Quantizer;
  readonly #block: Int32Array;
  /** The beginning, converted before the take had its place. */
  #prepared: Int32Array | null = null;
  #lead: Int32Array;
  #taken = 0;

  constructor(spec: TakeSpec) {
    const { insert, sends } = spec.hops[0]!;
    this.#spec = spec;
    this.#insert = insert;
    this.#width = sends.length;
    this.#quantizer = new Quantizer({
      channels: sends.length,
      gainDb: sendGainsDb(spec.hops[0]!),
      sourceBits: spec.source.encodingBits,
    });
    this.#block = new Int32Array(BLOCK_FRAMES * sends.length);
    this.#lead = new Int32Array(0);
  }

  get dithered(): boolean {
    return this.#quantizer.dithered;
  }

  /** Frames taken from the source so far. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * What is played before the first frame: silence, or where the region was cut out of its source, half a cosine from zero to where it
   * begins. Empty before `prepare`.
   */
  get lead(): Int32Array {
    return this.#lead;
  }

  /** Converts up to `mostFrames` of what the source has now, for the first `next`, and makes the lead. Errors as `next`. */
  prepare(mostFrames: number, leadFrames: number): void {
    const width = this.#width;
    const block = new Int32Array(Math.min(this.#spec.regionFrames, mostFrames) * width);
    let filled = 0;
    for (;;) {
      const frames = this.#convert(block.subarray(filled, filled + BLOCK_FRAMES * width));
      filled += frames * width;
      if (frames === 0 || filled === block.length) break;
    }
    if (filled > 0) this.#prepared = block.subarray(0, filled);
    this.#lead = new Int32Array(leadFrames * width);
    const cut = this.#spec.sourceStartFrame > 0;
    for (let frame = 0; cut && filled > 0 && frame < leadFrames; frame++) {
      const rise = 0.5 - 0.5 * Math.cos((Math.PI * (frame + 1)) / (leadFrames + 1));
      for (let c = 0; c < width; c++) this.#lead[frame * width + c] = ((block[c]! >> 8) * rise) << 8;
    }
  }

  /**
   * The next block, of at most `mostFrames` frames; null when there is none now. It is used again by the call after this one.
   * @throws OutboardError source.full-scale, wav.truncated, and what the source throws
   */
  next(mostFrames: number): Int32Array | null {
    const prepared = this.#prepared;
    if (prepared !== null) {
      if (prepared.length > mostFrames * this.#width) return null;
      this.#prepared = null;
      return prepared;
    }
    const frames = this.#convert(this.#block.subarray(0, mostFrames * this.#width));
    return frames === 0 ? null : this.#block.subarray(0, frames * this.#width);
  }

  #convert(into: Int32Array): number {
    const { source, sourceStartFrame, regionFrames } = this.#spec;
    const samples = source.read(into.length / this.#width);
    if (samples === null || samples.length === 0) {
      if (!source.ended) return 0;
      throw new OutboardError('wav.truncated', `the source ended after ${this.#taken} of ${regionFrames} frames`, {
        details: { frames: this.#taken, expected: regionFrames },
      });
    }
    try {
      this.#quantizer.quantize(samples, into);
    } catch (error) {
      throw refusalOf(error, sourceStartFrame + this.#taken, this.#insert);
    }
    const frames = samples.length / this.#width;
    this.#taken += frames;
    return frames;
  }
}
