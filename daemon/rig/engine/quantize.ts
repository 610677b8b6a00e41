/**
 * From a source's numbers to the interface's words: Float64 (full scale 1.0) to left-justified int32 with 24 exact bits.
 *
 * A source of at most 24 bits at a gain of exactly 0 dB is carried over bit for bit. Everything else is reduced to 24 bits with TPDF
 * dither; the declared encoding decides, not the samples. A sample that is over full scale (above 1 - 2^-23 after the gain, or below
 * -1) is an error with its place, never a clamped sample. Dither alone is not refused: where it would carry a legal sample past the
 * last step, that sample is rounded without it.
 */
import { OutboardError } from '../../../core/errors.js';
import { dbToRatio, FULL_SCALE_INT32 } from '../../../core/units.js';
import { TriangularDither } from './dither.js';
import type { SampleBlock } from './spec.js';

/** The ends of a 24-bit converter. */
export const MAX_INT24 = 0x7fffff;
export const MIN_INT24 = -0x800000;
const STEPS = 2 ** 23;

/** Where in a block a sample was found that no converter can play. `frame` counts from the block's start, `channel` from 1. */
export class OverFullScale extends Error {
  readonly frame: number;
  readonly channel: number;
  readonly value: number;

  constructor(frame: number, channel: number, value: number) {
    super(`sample ${value} is over full scale`);
    this.frame = frame;
    this.channel = channel;
    this.value = value;
  }
}

export class Quantizer {
  readonly channels: number;
  /** True when words are shortened: the encoding has more than 24 bits, or a gain is not 0 dB. */
  readonly dithered: boolean;
  /** Per channel. */
  readonly #ratios: Float64Array;
  readonly #dither: TriangularDither;

  /** @param o.gainDb of all channels, or of each */
  constructor(o: {
    channels: number;
    gainDb: number | readonly number[];
    sourceBits: number | 'float';
    dither?: TriangularDither;
  }) {
    const gains = typeof o.gainDb === 'number' ? new Array<number>(o.channels).fill(o.gainDb) : o.gainDb;
    if (gains.length !== o.channels) throw new RangeError(`${gains.length} gains for ${o.channels} channels`);
    this.channels = o.channels;
    this.dithered = gains.some((gain) => gain !== 0) || o.sourceBits === 'float' || o.sourceBits > 24;
    this.#ratios = Float64Array.from(gains, (gain) => (gain === 0 ? 1 : dbToRatio(gain)));
    this.#dither = o.dither ?? new TriangularDither();
  }

  /**
   * Fills `into` with as many samples as `source` has (interleaved, whole frames).
   * @throws OverFullScale also for what is not a number.
   */
  quantize(source: SampleBlock, into: Int32Array): void {
    if (this.dithered) this.#shorten(source, into);
    else if (source instanceof Int32Array) into.set(source);
    else this.#carry(source, into);
  }

  #carry(source: Float64Array, into: Int32Array): void {
    for (let i = 0; i < source.length; i++) {
      const steps = source[i]! * STEPS;
      if (!(steps <= MAX_INT24 && steps >= MIN_INT24)) this.#refuse(i, source[i]!);
      into[i] = steps << 8;
    }
  }

  #shorten(source: SampleBlock, into: Int32Array): void {
    const fullScale = source instanceof Int32Array ? FULL_SCALE_INT32 : 1;
    const dither = this.#dither;
    const channels = this.channels;
    for (let channel = 0; channel < channels; channel++) {
      const scale = (STEPS / fullScale) * this.#ratios[channel]!;
      for (let i = channel; i < source.length; i += channels) {
        const steps = source[i]! * scale;
        if (!(steps <= MAX_INT24 && steps >= MIN_INT24)) this.#refuseFirst(source, fullScale);
        let word = Math.floor(steps + dither.next() + 0.5);
        if (word > MAX_INT24 || word < MIN_INT24) word = Math.floor(steps + 0.5);
        into[i] = word << 8;
      }
    }
  }

  /** The first in time is named, whichever channel it is on. */
  #refuseFirst(source: SampleBlock, fullScale: number): never {
    for (let i = 0; ; i++) {
      const scale = (STEPS / fullScale) * this.#ratios[i % this.channels]!;
      const steps = source[i]! * scale;
      if (!(steps <= MAX_INT24 && steps >= MIN_INT24)) this.#refuse(i, steps / STEPS);
    }
  }

  #refuse(index: number, value: number): never {
    throw new OverFullScale(Math.floor(index / this.channels), (index % this.channels) + 1, value);
  }
}

/** An OverFullScale as the refusal of the job; any other error unchanged. @param blockFrame the block's first frame in the source's file */
export function refusalOf(error: unknown, blockFrame: number, insert: string): unknown {
  if (!(error instanceof OverFullScale)) return error;
  const frame = blockFrame + error.frame;
  const { channel, value } = error;
  const message = `frame ${frame}, channel ${channel}: ${value} is over full scale into insert ${insert}`;
  return new OutboardError('source.full-scale', message, { cause: error, details: { frame, channel, value, insert } });
}

/** As `refusalOf`, for what came back: its trim carries it over full scale. @param resultFrame the block's first frame in the result */
export function trimRefusalOf(error: unknown, resultFrame: number, insert: string): unknown {
  if (!(error instanceof OverFullScale)) return error;
  const frame = resultFrame + error.frame;
  const { channel, value } = error;
  const message = `frame ${frame}, channel ${channel}: ${value} is over full scale behind the trim of insert ${insert}`;
  return new OutboardError('take.full-scale', message, { cause: error, details: { frame, channel, value, insert } });
}
