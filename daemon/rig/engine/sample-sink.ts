/**
 * Stands between the engine, which hands over what it recorded and never waits, and the consumer, which does (it encodes, encrypts and
 * writes). The slices of the stream are gathered to chunks, which are consumed one after another, in order. The buffer is bounded: `room`
 * says when it is full.
 */
import type { SampleSink } from './spec.js';

export interface SinkOptions {
  channels: number;
  /** How many frames may wait. At a realtime clock this is the longest stall of the consumer that a take survives. */
  maxFrames: number;
  /** The chunk is interleaved, left-justified int32, and used again when the promise is settled; then the next one comes. */
  consume: (samples: Int32Array) => Promise<void>;
}

/** A chunk costs the consumer a message to a worker or a turn of the thread pool: few of them are cheaper than many. */
const CHUNK_FRAMES = 16_384;

export class BufferedSink implements SampleSink {
  readonly #o: SinkOptions;
  readonly #chunks: Int32Array[] = [];
  readonly #chunkSamples: number;
  /** Garbage of this size is collected late. */
  readonly #spare: Int32Array[] = [];
  #growing: Int32Array;
  #grown = 0;
  #frames = 0;
  #busy = false;
  #failure: { error: unknown } | null = null;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(options: SinkOptions) {
    this.#o = options;
    this.#chunkSamples = Math.max(1, Math.min(CHUNK_FRAMES, Math.floor(options.maxFrames / 4))) * options.channels;
    this.#growing = new Int32Array(this.#chunkSamples);
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
    this.#frames += samples.length / this.#o.channels;
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + this.#chunkSamples - this.#grown);
      this.#growing.set(part, this.#grown);
      this.#grown += part.length;
      at += part.length;
      if (this.#grown === this.#chunkSamples) this.#handOver();
    }
  }

  drained(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    if (this.#grown > 0) this.#handOver();
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  #handOver(): void {
    this.#chunks.push(this.#growing.subarray(0, this.#grown));
    this.#growing = this.#spare.pop() ?? new Int32Array(this.#chunkSamples);
    this.#grown = 0;
    if (!this.#busy) void this.#consume();
  }

  async #consume(): Promise<void> {
    this.#busy = true;
    try {
      for (let chunk = this.#chunks.shift(); chunk; chunk = this.#chunks.shift()) {
        const frames = chunk.length / this.#o.channels;
        await this.#o.consume(chunk);
        this.#frames -= frames;
        this.#spare.push(new Int32Array(chunk.buffer));
      }
      for (const { resolve } of this.#waiting) resolve();
    } catch (error) {
      this.#failure = { error };
      this.#chunks.length = 0;
      this.#grown = 0;
      this.#frames = 0;
      for (const { reject } of this.#waiting) reject(error);
    } finally {
      this.#waiting = [];
      this.#busy = false;
    }
  }
}
