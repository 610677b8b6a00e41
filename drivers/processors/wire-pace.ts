/**
 * When bytes have left, at the pace of the wire. The kernel takes a whole command at once and tells nobody when the last bit is out; waiting
 * for that (tcdrain) holds one of Node's few worker threads for as long as the slowest unit talks.
 */
import { performance } from 'node:perf_hooks';

export class WirePace {
  readonly #msPerByte: number;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number) {
    this.#msPerByte = 1000 / bytesPerSecond;
  }

  /** Counts `bytes` that are handed over now, behind those before them. Returns the monotonic time in ms at which the last one has left. */
  push(bytes: number, nowMs = performance.now()): number {
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + bytes * this.#msPerByte;
    return this.#freeAtMs;
  }
}

export type SerialFormat = `${7 | 8}${'N' | 'E' | 'O'}${1 | 2}`;

/** Bytes a second of an asynchronous line: start bit, data bits, parity and stop bits count. `format` as in 8N1. */
export function serialBytesPerSecond(baud: number, format: string): number {
  const [data, parity, stop] = format;
  return baud / (1 + Number(data) + (parity === 'N' ? 0 : 1) + Number(stop));
}
