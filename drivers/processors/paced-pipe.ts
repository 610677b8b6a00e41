/**
 * One direction of a cable, at its pace: bytes come out when they would have arrived, a few milliseconds' worth at a time. A timer alone is too
 * coarse for that (1 ms, rounded up, at each message), so the last of the waiting is done in turns of the event loop.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { WirePace } from './wire-pace.js';

/** As much as a UART hands over at a time. */
const SLICE_SECONDS = 0.004;
/** How early a timer is asked for. */
const EARLY_MS = 1.5;

export interface PacedPipeOptions {
  bytesPerSecond: number;
  /** Messages come out whole, when their last byte has arrived. */
  whole?: boolean;
  deliver(bytes: Uint8Array): void;
}

export class PacedPipe {
  readonly #options: PacedPipeOptions;
  readonly #pace: WirePace;
  readonly #slice: number;
  readonly #queue: { bytes: Uint8Array; atMs: number }[] = [];
  #running = false;
  #closed = false;

  constructor(options: PacedPipeOptions) {
    this.#options = options;
    this.#pace = new WirePace(options.bytesPerSecond);
    this.#slice = Math.max(1, Math.floor(options.bytesPerSecond * SLICE_SECONDS));
  }

  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    const step = this.#options.whole ? Math.max(1, bytes.length) : this.#slice;
    for (let at = 0; at < bytes.length; at += step) {
      const slice = bytes.slice(at, at + step);
      this.#queue.push({ bytes: slice, atMs: this.#pace.push(slice.length) });
    }
    if (!this.#running) void this.#run();
  }

  /** What is still on its way is lost. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const earlyMs = next.atMs - performance.now() - EARLY_MS;
      if (earlyMs > 0) await sleep(earlyMs);
      while (performance.now() < next.atMs && !this.#closed) await turn();
      if (this.#queue[0] !== next) continue;
      this.#queue.shift();
      this.#options.deliver(next.bytes);
    }
    this.#running = false;
  }
}
