/** What a measurement plays, as a source of the engine: one array a send, with dither where there is sound and nothing where there is none. */
import { FULL_SCALE_INT32, LSB24_IN_INT32 } from '../../../core/units.js';
import { TriangularDither } from '../engine/dither.js';
import { MAX_INT24, MIN_INT24 } from '../engine/quantize.js';
import type { SampleSource } from '../engine/spec.js';

/** Linear, full scale 1, one for each send; null is silence. */
export type Sends = readonly (Float64Array | null)[];

const STEPS = FULL_SCALE_INT32 / LSB24_IN_INT32;
const BLOCK_FRAMES = 4096;

export interface StimulusOptions {
  /** Begins again after its last sample, for ever. */
  repeat?: boolean;
  /** Before it is at its level, under half a cosine. */
  riseFrames?: number;
  /** After the last sample, which is held under half a cosine: a step would be a click in the gear. */
  fallFrames?: number;
  /** How many frames may have been taken by now; everything when absent. */
  allowedFrames?: () => number;
}

export class StimulusSource implements SampleSource {
  readonly encodingBits = 24;
  readonly #sends: Sends;
  readonly #o: StimulusOptions;
  readonly #frames: number;
  readonly #dither = new TriangularDither();
  readonly #block: Int32Array;
  #at = 0;

  /** @param sends those that are not null are of one length, and none of them is over full scale */
  constructor(sends: Sends, options: StimulusOptions = {}) {
    this.#sends = sends;
    this.#o = options;
    this.#frames = stimulusFrames(sends);
    this.#block = new Int32Array(BLOCK_FRAMES * sends.length);
  }

  get ended(): boolean {
    return !this.#o.repeat && this.#at >= this.#frames + (this.#o.fallFrames ?? 0);
  }

  read(maxFrames: number): Int32Array | null {
    const allowed = this.#o.allowedFrames ? this.#o.allowedFrames() - this.#at : Number.POSITIVE_INFINITY;
    const frames = Math.min(maxFrames, BLOCK_FRAMES, allowed);
    if (frames < 1 || this.ended) return null;
    const width = this.#sends.length;
    const block = this.#block.subarray(0, frames * width);
    this.#sends.forEach((samples, channel) => {
      for (let n = 0; n < frames; n++) block[n * width + channel] = samples ? this.#word(samples, this.#at + n) : 0;
    });
    this.#at += frames;
    return block;
  }

  async ready(): Promise<void> {}

  /** Silence stays digital silence, so that what is heard beside a stimulus is the path's own noise. */
  #word(samples: Float64Array, at: number): number {
    const value = this.#value(samples, at);
    if (value === 0) return 0;
    const step = Math.floor(value * STEPS + this.#dither.next() + 0.5);
    return Math.max(MIN_INT24, Math.min(MAX_INT24, step)) * LSB24_IN_INT32;
  }

  #value(samples: Float64Array, at: number): number {
    const { riseFrames = 0 } = this.#o;
    const risen = at < riseFrames ? 0.5 - 0.5 * Math.cos((Math.PI * at) / riseFrames) : 1;
    if (this.#o.repeat || at < this.#frames) return risen * samples[at % this.#frames]!;
    const fallFrames = this.#o.fallFrames ?? 0;
    const behind = at - this.#frames + 1;
    if (behind >= fallFrames) return 0;
    return samples[this.#frames - 1]! * (0.5 + 0.5 * Math.cos((Math.PI * behind) / fallFrames));
  }
}

/** Of the arrays that are not silence; 0 where all are. @throws RangeError when they differ, or one is empty */
export function stimulusFrames(sends: Sends): number {
  const lengths = sends.flatMap((samples) => (samples ? [samples.length] : []));
  const [frames = 0] = lengths;
  if (lengths.some((length) => length !== frames || length === 0))
    throw new RangeError(`stimuli of ${lengths.join(' and ')} frames`);
  return frames;
}
