/**
 * MIDI messages out of a stream of bytes. A message is whole or it is nothing: a system exclusive counts only from F0 to F7, whatever pieces it
 * came in, and one that is too long, pauses or is broken into by another message is dropped. Running status is written out; real-time bytes
 * (clock, active sensing) may stand anywhere and are left out.
 */
import type { Framer } from './framer.js';

export interface MidiFramerLimits {
  /** Longest system exclusive in bytes, F0 and F7 included. */
  readonly maxBytes: number;
  /** Longest pause inside of a message. */
  readonly gapMs: number;
}

const SYSEX = 0xf0;
const SYSEX_END = 0xf7;
const REAL_TIME = 0xf8;

/** Bytes of a message that begins with this status; undefined for one that no message begins with. */
function lengthOf(status: number): number | undefined {
  if (status >= 0x80 && status < 0xf0) return status >= 0xc0 && status < 0xe0 ? 2 : 3;
  return { 241: 2, 242: 3, 243: 2, 246: 1 }[status];
}

export class MidiFramer implements Framer {
  readonly #limits: MidiFramerLimits;
  /** The message so far; empty between two. */
  #partial = '';
  /** Of a channel message: what data bytes without a status of their own belong to. */
  #running: number | undefined;
  #lastByteAtMs = Number.NEGATIVE_INFINITY;
  /** Messages that were dropped since the framer was made. */
  dropped = 0;

  constructor(limits: MidiFramerLimits) {
    this.#limits = limits;
  }

  push(bytes: Uint8Array, nowMs: number): string[] {
    if (bytes.length === 0) return [];
    if (this.#partial !== '' && nowMs - this.#lastByteAtMs > this.#limits.gapMs) this.#drop();
    this.#lastByteAtMs = nowMs;
    const messages: string[] = [];
    for (const byte of bytes) {
      const message = byte >= REAL_TIME ? undefined : byte >= 0x80 ? this.#status(byte) : this.#data(byte);
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  get isBegun(): boolean {
    return this.#partial !== '';
  }

  reset(): void {
    this.#partial = '';
    this.#running = undefined;
  }

  #status(byte: number): string | undefined {
    if (byte === SYSEX_END && this.#partial.charCodeAt(0) === SYSEX) return this.#done(byte);
    if (this.#partial !== '') this.#drop();
    this.#running = byte < SYSEX ? byte : undefined;
    if (byte === SYSEX) this.#partial = String.fromCharCode(byte);
    const length = lengthOf(byte);
    if (length === 1) return String.fromCharCode(byte);
    if (length !== undefined) this.#partial = String.fromCharCode(byte);
    return undefined;
  }

  #data(byte: number): string | undefined {
    if (this.#partial === '') {
      // After something that was dropped nobody knows what this belongs to.
      if (this.#running === undefined) return undefined;
      this.#partial = String.fromCharCode(this.#running);
    }
    const status = this.#partial.charCodeAt(0);
    if (status !== SYSEX) {
      if (this.#partial.length + 1 === lengthOf(status)) return this.#done(byte);
      this.#partial += String.fromCharCode(byte);
    } else if (this.#partial.length + 2 > this.#limits.maxBytes) this.#drop();
    else this.#partial += String.fromCharCode(byte);
    return undefined;
  }

  #done(last: number): string {
    const message = this.#partial + String.fromCharCode(last);
    this.#partial = '';
    return message;
  }

  #drop(): void {
    this.dropped++;
    this.reset();
  }
}
