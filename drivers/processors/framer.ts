/**
 * Lines out of a stream of bytes, with limits: a line is at most so long, pauses at most so long, and what breaks a limit is dropped up to
 * the next end of line. The remainder of a broken line never passes for a line: `8.50` could be the tail of `-18.50`.
 */

/** Whole messages out of a stream of bytes in any pieces; each message is a latin1 string. */
export interface Framer {
  /** The messages that `bytes` completed. `nowMs` is monotonic. */
  push(bytes: Uint8Array, nowMs: number): string[];
  /** A message has begun, or is being dropped: the next byte may be in its middle. */
  readonly isBegun: boolean;
  /** Forgets everything: the next byte begins a message. For when the wire has been quiet. */
  reset(): void;
}

export interface FramerLimits {
  /** End of a line, latin1. */
  readonly end: string;
  /** Longest line in bytes, without its end. */
  readonly maxBytes: number;
  /** Longest pause inside of a line. */
  readonly gapMs: number;
}

export class LineFramer implements Framer {
  readonly #limits: FramerLimits;
  #partial = '';
  #skipping = false;
  #lastByteAtMs = Number.NEGATIVE_INFINITY;
  /** Lines that were dropped since the framer was made. */
  dropped = 0;

  constructor(limits: FramerLimits) {
    this.#limits = limits;
  }

  /** The whole lines, without their ends, that `bytes` completed. `nowMs` is monotonic. */
  push(bytes: Uint8Array, nowMs: number): string[] {
    const { end, maxBytes, gapMs } = this.#limits;
    if (bytes.length === 0) return [];
    if (this.#partial !== '' && nowMs - this.#lastByteAtMs > gapMs) this.#drop();
    this.#lastByteAtMs = nowMs;
    const lines: string[] = [];
    let text = this.#partial + latin1(bytes);
    for (let at = text.indexOf(end); at >= 0; at = text.indexOf(end)) {
      const line = text.slice(0, at);
      text = text.slice(at + end.length);
      if (this.#skipping) this.#skipping = false;
      else if (line.length > maxBytes) this.dropped++;
      else lines.push(line);
    }
    this.#partial = text;
    // A begun end of line does not count against the length.
    if (!this.#skipping && text.length > maxBytes + end.length - 1) this.#drop();
    if (this.#skipping) this.#partial = this.#begunEnd(text);
    return lines;
  }

  get isBegun(): boolean {
    return this.#skipping || this.#partial !== '';
  }

  /** Forgets everything: the next byte begins a line. For when the wire has been quiet. */
  reset(): void {
    this.#partial = '';
    this.#skipping = false;
  }

  #drop(): void {
    if (!this.#skipping) this.dropped++;
    this.#skipping = true;
    this.#partial = this.#begunEnd(this.#partial);
  }

  /** The longest tail of `text` with which the end of a line could begin. */
  #begunEnd(text: string): string {
    const { end } = this.#limits;
    for (let n = Math.min(end.length - 1, text.length); n > 0; n--)
      if (text.endsWith(end.slice(0, n))) return text.slice(-n);
    return '';
  }
}

/** Answers are short: going through a Buffer takes longer. */
function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
