/** What the engine's tests share: a stream on the loop peer, sources and sinks that are plain arrays, and signals. */

import { createLogger } from '../../../../daemon/log.js';
import { Engine } from '../../../../daemon/rig/engine/engine.js';
import type { Hop, SampleSink, SampleSource, TakeSpec } from '../../../../daemon/rig/engine/spec.js';
import { LoopClaim, type LoopOptions } from '../../../peers/loop-interface.js';

export const STEP = 2 ** -23;

export class ArraySource implements SampleSource {
  readonly encodingBits: number | 'float';
  readonly #samples: Float64Array;
  readonly #channels: number;
  readonly #blockFrames: number;
  #at = 0;
  /** Frames after which it gives nothing for the time being. */
  stallAfter = Number.POSITIVE_INFINITY;

  constructor(samples: Float64Array, channels: number, o: { bits?: number | 'float'; blockFrames?: number } = {}) {
    this.#samples = samples;
    this.#channels = channels;
    this.#blockFrames = o.blockFrames ?? 100_000;
    this.encodingBits = o.bits ?? 24;
  }

  get ended(): boolean {
    return this.#at * this.#channels >= this.#samples.length;
  }

  read(maxFrames: number): Float64Array | null {
    const left = this.#samples.length / this.#channels - this.#at;
    const frames = Math.min(maxFrames, this.#blockFrames, left, this.stallAfter - this.#at);
    if (frames <= 0) return null;
    const from = this.#at * this.#channels;
    this.#at += frames;
    return this.#samples.subarray(from, from + frames * this.#channels);
  }

  async ready(): Promise<void> {}
}

export class ArraySink implements SampleSink {
  readonly blocks: Int32Array[] = [];
  room = true;
  frames = 0;
  readonly #channels: number;

  constructor(channels: number) {
    this.#channels = channels;
  }

  write(samples: Int32Array): void {
    this.blocks.push(samples.slice());
    this.frames += samples.length / this.#channels;
  }

  async drained(): Promise<void> {}

  get samples(): Int32Array {
    const all = new Int32Array(this.frames * this.#channels);
    let at = 0;
    for (const block of this.blocks) {
      all.set(block, at);
      at += block.length;
    }
    return all;
  }
}

export interface Bench {
  claim: LoopClaim;
  engine: Engine;
}

/** An engine on a running loop, at 48 kHz unless told otherwise. */
export async function bench(options: Partial<LoopOptions> = {}, rate = 48_000): Promise<Bench> {
  const claim = new LoopClaim({
    clock: 'fast',
    channels: 4,
    loopLatencyFrames: 64,
    ringFrames: 16_384,
    record: true,
    ...options,
  });
  const channels = options.channels ?? 4;
  const engine = new Engine({
    claim,
    inChannels: channels,
    outChannels: channels,
    logger: createLogger('test', 'silent'),
  });
  await engine.start({ rate });
  return { claim, engine };
}

/** 24-bit noise that differs in every sample; never at full scale. */
export function noise(frames: number, channels: number, seed = 1): Float64Array {
  let state = seed * 2_654_435_761;
  return Float64Array.from({ length: frames * channels }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >> 9) * STEP;
  });
}

export function toInt32(samples: Float64Array): Int32Array {
  return Int32Array.from(samples, (sample) => sample * 2 ** 31);
}

export function insert(name: string, channels: number[], o: Partial<Hop> = {}): Hop {
  return { insert: name, sends: channels, returns: channels, latencyFrames: 0, driveDb: 0, ...o };
}

/** A take of `samples` over `hops`, with what was recorded. */
export function takeOf(
  samples: Float64Array,
  hops: Hop[],
  o: Partial<TakeSpec> & { bits?: number | 'float'; blockFrames?: number } = {},
): TakeSpec & { sink: ArraySink; source: ArraySource } {
  const { bits, blockFrames, ...spec } = o;
  const channels = hops[0]!.sends.length;
  return {
    channels,
    hops,
    regionFrames: samples.length / channels,
    tailFrames: 0,
    sourceStartFrame: 0,
    ...spec,
    source: new ArraySource(samples, channels, {
      ...(bits === undefined ? {} : { bits }),
      ...(blockFrames === undefined ? {} : { blockFrames }),
    }),
    sink: new ArraySink(channels),
  };
}

/** What the result of a unity chain must be: the source, then `tail` frames of silence. */
export function expected(samples: Float64Array, tail: number, channels: number): Int32Array {
  const whole = new Int32Array(samples.length + tail * channels);
  whole.set(toInt32(samples));
  return whole;
}
