/** Bytes that arrive in chunks of any size, consumed in pieces of any other size: never more than one chunk is held. */

const EMPTY = new Uint8Array(0);

export class ByteStream {
  /** Bytes consumed so far. */
  position = 0;
  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #over = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** The chunk that is being consumed, valid until the next `fill`. */
  get chunk(): Uint8Array {
    return this.#chunk;
  }

  /** Index of the first byte of `chunk` that was not consumed. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of `chunk` that were not consumed. */
  get available(): number {
    return this.#chunk.length - this.#offset;
  }

  /** Makes at least one byte available; false at the end. Rejects with what the iterable throws. */
  async fill(): Promise<boolean> {
    while (this.available === 0) {
      if (this.#over) return false;
      const next = await this.#iterator.next();
      if (next.done === true) {
        this.#over = true;
        this.#chunk = EMPTY;
        this.#offset = 0;
        return false;
      }
      this.#chunk = next.value;
      this.#offset = 0;
    }
    return true;
  }

  /** Consumes bytes of the current chunk. */
  advance(bytes: number): void {
    this.#offset += bytes;
    this.position += bytes;
  }

  /** Fills `into[from…to)`; returns how many bytes there were before the end. */
  async take(into: Uint8Array, from = 0, to = into.length): Promise<number> {
    let at = from;
    while (at < to && (this.available > 0 || (await this.fill()))) {
      const now = Math.min(to - at, this.available);
      into.set(this.#chunk.subarray(this.#offset, this.#offset + now), at);
      this.advance(now);
      at += now;
    }
    return at - from;
  }

  /** Consumes and forgets; returns how many bytes there were before the end. */
  async skip(bytes: number): Promise<number> {
    let left = bytes;
    while (left > 0 && (this.available > 0 || (await this.fill()))) {
      const now = Math.min(left, this.available);
      this.advance(now);
      left -= now;
    }
    return bytes - left;
  }

  /** Tells the source that no more is wanted. May be called twice. */
  async close(): Promise<void> {
    this.#chunk = EMPTY;
    this.#offset = 0;
    if (this.#over) return;
    this.#over = true;
    await this.#iterator.return?.();
  }
}
