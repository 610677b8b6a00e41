/** Playing silence over an insert and hearing whether it has become quiet. To the engine that is a take like any other. */
import { FULL_SCALE_INT32, secondsToFrames } from '../../../core/units.js';
import type { FlushSpec, SampleSink, SampleSource, TakeSpec } from './spec.js';

const CHUNK_FRAMES = 4096;

/** The take that flushes, and the sink that hears. @throws RangeError when there is nothing to listen to */
export function flushTake(spec: FlushSpec, rateHz: number): { take: TakeSpec; sink: RmsSink } {
  const { sends, returns, seconds, listenSeconds, signal } = spec;
  const regionFrames = Math.max(1, secondsToFrames(seconds, rateHz));
  const tailFrames = secondsToFrames(listenSeconds, rateHz);
  if (tailFrames < 1) throw new RangeError(`listening for ${listenSeconds} s hears nothing`);
  const sink = new RmsSink(returns.length, regionFrames);
  const take: TakeSpec = {
    channels: sends.length,
    hops: [{ insert: 'flush', sends, returns, latencyFrames: 0, driveDb: 0 }],
    source: new SilentSource(sends.length),
    sink,
    regionFrames,
    tailFrames,
    sourceStartFrame: 0,
    ...(signal ? { signal } : {}),
  };
  return { take, sink };
}

/** Endless zeros. */
export class SilentSource implements SampleSource {
  readonly ended = false;
  readonly encodingBits = 24;
  readonly #zeros: Float64Array;
  readonly #channels: number;

  constructor(channels: number) {
    this.#channels = channels;
    this.#zeros = new Float64Array(CHUNK_FRAMES * channels);
  }

  read(maxFrames: number): Float64Array {
    return this.#zeros.subarray(0, Math.min(CHUNK_FRAMES, maxFrames) * this.#channels);
  }

  async ready(): Promise<void> {}
}

/** Keeps no sample, only the mean square of every channel, after the first `ignoreFrames`. */
export class RmsSink implements SampleSink {
  readonly room = true;
  readonly #squares: Float64Array;
  #ignoreFrames: number;
  #frames = 0;

  constructor(channels: number, ignoreFrames: number) {
    this.#squares = new Float64Array(channels);
    this.#ignoreFrames = ignoreFrames;
  }

  write(samples: Int32Array): void {
    const channels = this.#squares.length;
    const frames = samples.length / channels;
    const skipped = Math.min(frames, this.#ignoreFrames);
    this.#ignoreFrames -= skipped;
    this.#frames += frames - skipped;
    for (let i = skipped * channels; i < samples.length; i++) {
      const value = samples[i]! / FULL_SCALE_INT32;
      this.#squares[i % channels]! += value * value;
    }
  }

  async drained(): Promise<void> {}

  /** AES17-2020 3.12: the RMS of a full-scale sine is 0 dBFS. */
  get rmsDbfs(): number[] {
    return Array.from(this.#squares, (squares) => 10 * Math.log10((2 * squares) / this.#frames));
  }
}
