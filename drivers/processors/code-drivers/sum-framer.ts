/**
 * Frames of the 9-pin protocol out of a stream of bytes: (group << 4 | n) command data[n] sum8. Nothing marks the beginning of a frame, so
 * after anything that cannot be one, all is dropped until the wire has paused: only silence says where the next frame begins.
 */
import type { Framer } from '../framer.js';

/** Header, command, fifteen bytes of data, checksum. */
export const LONGEST_FRAME = 18;

/** Lower eight bits of the sum of all characters. */
export function sum8(text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum += text.charCodeAt(i);
  return sum & 0xff;
}

export class SumFramer implements Framer {
  readonly #groups: readonly number[];
  readonly #gapMs: number;
  #partial = '';
  #skipping = false;
  #lastByteAtMs = Number.NEGATIVE_INFINITY;
  /** Frames that were dropped since the framer was made. */
  dropped = 0;

  /** `groups`: upper halves of the first bytes that this end may hear; `gapMs`: longest pause inside of a frame. */
  constructor(groups: readonly number[], gapMs: number) {
    this.#groups = groups;
    this.#gapMs = gapMs;
  }

  /** The whole frames, checksums included, that `bytes` completed. `nowMs` is monotonic. */
  push(bytes: Uint8Array, nowMs: number): string[] {
    if (bytes.length === 0) return [];
    if (nowMs - this.#lastByteAtMs > this.#gapMs) {
      if (this.#partial !== '') this.dropped++;
      this.reset();
    }
    this.#lastByteAtMs = nowMs;
    const frames: string[] = [];
    for (const byte of bytes) {
      if (this.#skipping) break;
      this.#partial += String.fromCharCode(byte);
      const header = this.#partial.charCodeAt(0);
      if (!this.#groups.includes(header >> 4)) this.#skip();
      else if (this.#partial.length === 3 + (header & 15)) {
        const frame = this.#partial;
        this.#partial = '';
        if (sum8(frame.slice(0, -1)) === byte) frames.push(frame);
        else this.#skip();
      }
    }
    return frames;
  }

  get isBegun(): boolean {
    return this.#skipping || this.#partial !== '';
  }

  /** Forgets everything: the next byte begins a frame. For when the wire has been quiet. */
  reset(): void {
    this.#partial = '';
    this.#skipping = false;
  }

  #skip(): void {
    this.dropped++;
    this.#partial = '';
    this.#skipping = true;
  }
}
