/** Measuring how late an insert is: a burst of noise, and where it is found in what comes back. To the engine that is a take like any other. */
import { measureDelay } from '../../../calibration/dsp/delay.js';
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import type { SampleBlock, SampleSink, SampleSource, TakeSpec } from './spec.js';
import { SyncSequence } from './sync-sequence.js';

export interface LatencyProbeSpec {
  insert: string;
  sends: number[];
  returns: number[];
  levelDbfs: number;
  /** The longest delay looked for, beyond the loop latency of the interface. */
  mostFrames: number;
  signal?: AbortSignal;
}

/** Of one channel. The loop latency of the interface is not in it. */
export interface InsertLatency {
  frames: number;
  /** By how much it is really longer, in frames. */
  fraction: number;
  inverted: boolean;
  /** Height of the found peak over the rest; under 12 it may be noise. */
  prominence: number;
}

const BURST_FRAMES = 16_384;

export function probeTake(spec: LatencyProbeSpec): { take: TakeSpec; delays: () => InsertLatency[] } {
  const { insert, sends, returns, levelDbfs, mostFrames, signal } = spec;
  const words = new Int32Array(BURST_FRAMES);
  new SyncSequence(levelDbfs).fill(0, words);
  const sink = new MemorySink();
  const take: TakeSpec = {
    channels: sends.length,
    hops: [{ insert, sends, returns, latencyFrames: 0, driveDb: 0 }],
    source: new Burst(words, sends.length),
    sink,
    regionFrames: BURST_FRAMES,
    tailFrames: mostFrames,
    sourceStartFrame: 0,
    ...(signal ? { signal } : {}),
  };
  const delays = (): InsertLatency[] => {
    const played = Float64Array.from(words, (word) => word / FULL_SCALE_INT32);
    return returns.map((_, channel) => measureDelay(played, sink.channel(channel, returns.length), mostFrames));
  };
  return { take, delays };
}

/** The same words on every channel. */
class Burst implements SampleSource {
  readonly encodingBits = 24;
  readonly #words: Int32Array;
  readonly #channels: number;
  #at = 0;

  constructor(words: Int32Array, channels: number) {
    this.#words = words;
    this.#channels = channels;
  }

  get ended(): boolean {
    return this.#at === this.#words.length;
  }

  read(maxFrames: number): SampleBlock | null {
    const part = this.#words.subarray(this.#at, this.#at + maxFrames);
    this.#at += part.length;
    const channels = this.#channels;
    const block = new Int32Array(part.length * channels);
    for (let i = 0; i < block.length; i++) block[i] = part[Math.floor(i / channels)]!;
    return block.length > 0 ? block : null;
  }

  async ready(): Promise<void> {}
}

class MemorySink implements SampleSink {
  readonly room = true;
  readonly #blocks: Int32Array[] = [];

  write(samples: Int32Array): void {
    this.#blocks.push(samples.slice());
  }

  async drained(): Promise<void> {}

  /** One channel, full scale 1. */
  channel(index: number, channels: number): Float64Array {
    const length = this.#blocks.reduce((sum, block) => sum + block.length, 0) / channels;
    const samples = new Float64Array(length);
    let at = 0;
    for (const block of this.#blocks)
      for (let i = index; i < block.length; i += channels) samples[at++] = block[i]! / FULL_SCALE_INT32;
    return samples;
  }
}
