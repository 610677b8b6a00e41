/**
 * Stands between the engine, which hands over what it recorded and never waits, and the consumer, which does (it encodes, encrypts and
 * writes). Blocks are consumed one after another, in order. The buffer is bounded: `room` says when it is full.
 */
import type { SampleSink } from './spec.js';

export interface SinkOptions {
  channels: number;
  /** How many frames may wait. At a realtime clock this is the longest stall of the consumer that a take survives. */
  maxFrames: number;
  /** Takes ownership of the block: interleaved, left-justified int32. The next one comes when this one is through. */
  consume: (samples: Int32Array) => Promise<void>;
}

export class BufferedSink implements SampleSink {
  readonly #o: SinkOptions;
  readonly #blocks: Int32Array[] = [];
  #frames = 0;
  #busy = false;
  #failure: { error: unknown } | null = null;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(options: SinkOptions) {
    this.#o = options;
  }

  /** True also after a failure: the next write tells it. */
  get room(): boolean {
    return this.#frames < this.#o.maxFrames || this.#failure !== null;
  }

  /** Frames that wait for the consumer. */
  get bufferedFrames(): number {
    return this.#frames;
  }

  write(samples: Int32Array): void {
    if (this.#failure) throw this.#failure.error;
    this.#blocks.push(samples);
    this.#frames += samples.length / this.#o.channels;
    if (!this.#busy) void this.#consume();
  }

  drained(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  async #consume(): Promise<void> {
    this.#busy = true;
    try {
      for (let block = this.#blocks.shift(); block; block = this.#blocks.shift()) {
        const frames = block.length / this.#o.channels;
        await this.#o.consume(block);
        this.#frames -= frames;
      }
      for (const { resolve } of this.#waiting) resolve();
    } catch (error) {
      this.#failure = { error };
      this.#blocks.length = 0;
      this.#frames = 0;
      for (const { reject } of this.#waiting) reject(error);
    } finally {
      this.#waiting = [];
      this.#busy = false;
    }
  }
}
