/**
 * Walks the chunks of a RIFF, RF64 or BW64 WAVE file while it streams past, and holds every size that the file states against the
 * others and against the end of the file.
 *
 * Strict where a lie could hide (a chunk longer than its file, a second end), lenient only where writers are known to differ and
 * nothing can be misread: the pad byte of the last chunk may be missing, or not counted in the RIFF size, and zeros may follow.
 */
import { OutboardError } from '../../core/errors.js';
import type { ByteStream } from './byte-stream.js';
import { malformed } from './wav-format.js';

const UINT32_MAX = 0xffff_ffff;
/** What a ds64 with a table of 1024 long chunks takes; nothing known writes more than one entry. */
const MAX_DS64_BYTES = 28 + 12 * 1024;
const MAX_CHUNKS = 4096;
const MAX_PADDING_BYTES = 64 * 1024;

export interface Chunk {
  id: string;
  /** Bytes of the body, without the pad byte. */
  bytes: number;
}

export class RiffWalker {
  readonly #stream: ByteStream;
  readonly #head = new Uint8Array(12);
  #riffEnd = 0;
  /** Sizes from ds64, by chunk id; null for plain RIFF. */
  #longSizes: Map<string, number> | null = null;
  #chunks = 0;
  #bodyEnd = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * Reads the head of the file, and ds64 where there must be one.
   * @throws OutboardError wav.malformed | wav.truncated | wav.unsupported
   */
  async begin(): Promise<void> {
    const got = await this.#stream.take(this.#head);
    if (got === 0) throw malformed('The file is empty: not a WAV.');
    const magic = fourCc(this.#head, 0).slice(0, got);
    const known = ['RIFF', 'RF64', 'BW64'].some((m) => m.startsWith(magic));
    if (magic === 'RIFX') throw new OutboardError('wav.unsupported', 'A big-endian WAV (RIFX); RIFF is taken.');
    if (!known) throw malformed('Not a WAV: the file does not begin with RIFF, RF64 or BW64.');
    if (got < 12) throw truncated('The file ends inside its first header.');
    if (fourCc(this.#head, 8) !== 'WAVE') throw malformed('A RIFF file, but not a WAVE.');
    const size = u32(this.#head, 4);
    if (magic === 'RIFF') {
      if (size === UINT32_MAX)
        throw malformed('The RIFF size is 0xFFFFFFFF; only RF64 and BW64 with a ds64 chunk may say so.');
      this.#setEnd(size);
      return;
    }
    await this.#readDs64(size);
  }

  /**
   * The header of the next chunk, or null at the end of the file, once nothing but padding was found there. The body of the chunk
   * before must have been consumed.
   * @throws OutboardError wav.malformed | wav.truncated
   */
  async next(): Promise<Chunk | null> {
    await this.#skipPadByte();
    const left = this.#riffEnd - this.#stream.position;
    if (left < 8) {
      await this.#expectPadding();
      return null;
    }
    const got = await this.#stream.take(this.#head, 0, 8);
    if (got < 8) throw truncated(`The file ends ${left - got} bytes before its RIFF size says.`);
    const id = fourCc(this.#head, 0);
    let bytes = u32(this.#head, 4);
    if (id === '\0\0\0\0' && bytes === 0) {
      await this.#expectPadding();
      return null;
    }
    if (!/^[\x20-\x7e]{4}$/.test(id)) throw malformed(`No chunk begins at byte ${this.#stream.position - 8}.`);
    if (id === 'ds64' && this.#longSizes !== null) throw malformed('A second ds64 chunk.');
    if (++this.#chunks > MAX_CHUNKS) throw malformed(`More than ${MAX_CHUNKS} chunks.`);
    if (bytes === UINT32_MAX) {
      const long = this.#longSizes?.get(id);
      if (long === undefined)
        throw malformed(`The ${name(id)} chunk says 0xFFFFFFFF bytes and no ds64 gives its size.`);
      bytes = long;
    }
    this.#openBody(id, bytes);
    return { id, bytes };
  }

  /** The whole body of a small chunk. */
  async body(chunk: Chunk, maxBytes: number): Promise<Uint8Array> {
    if (chunk.bytes > maxBytes)
      throw malformed(`The ${name(chunk.id)} chunk has ${chunk.bytes} bytes; ${maxBytes} are the most.`);
    const body = new Uint8Array(chunk.bytes);
    if ((await this.#stream.take(body)) < chunk.bytes)
      throw truncated(`The file ends inside the ${name(chunk.id)} chunk.`);
    return body;
  }

  /** Forgets a body as it streams past, whatever its size. */
  async skip(chunk: Chunk): Promise<void> {
    if ((await this.#stream.skip(chunk.bytes)) < chunk.bytes)
      throw truncated(`The file ends inside the ${name(chunk.id)} chunk.`);
  }

  #setEnd(riffBytes: number): void {
    if (riffBytes < 4) throw malformed(`A RIFF size of ${riffBytes}.`);
    this.#riffEnd = 8 + riffBytes;
    this.#bodyEnd = this.#stream.position;
  }

  #openBody(id: string, bytes: number): void {
    const left = this.#riffEnd - this.#stream.position;
    if (bytes > left) {
      throw malformed(
        `The ${name(id)} chunk says ${bytes} bytes, but by its RIFF size the file has only ${left} left.`,
      );
    }
    this.#bodyEnd = this.#stream.position + bytes;
  }

  /** EBU Tech 3306: ds64 is the first chunk of an RF64; its sizes count where the 32-bit ones are 0xFFFFFFFF. */
  async #readDs64(riffBytes: number): Promise<void> {
    const head = new Uint8Array(8);
    if ((await this.#stream.take(head)) < 8) throw truncated('The file ends before its ds64 chunk.');
    if (fourCc(head, 0) !== 'ds64') throw malformed('An RF64 or BW64 file whose first chunk is not ds64.');
    const bytes = u32(head, 4);
    if (bytes < 28 || bytes > MAX_DS64_BYTES) throw malformed(`The ds64 chunk has ${bytes} bytes.`);
    const body = await this.body({ id: 'ds64', bytes }, MAX_DS64_BYTES);
    const entries = u32(body, 24);
    if (28 + 12 * entries > bytes)
      throw malformed(`The ds64 chunk says ${entries} table entries, which it cannot hold.`);
    this.#longSizes = new Map([['data', u64(body, 8)]]);
    for (let i = 0; i < entries; i++) {
      const at = 28 + 12 * i;
      const id = fourCc(body, at);
      if (this.#longSizes.has(id)) throw malformed('The ds64 chunk gives two sizes for one chunk.');
      this.#longSizes.set(id, u64(body, at + 4));
    }
    this.#setEnd(riffBytes === UINT32_MAX ? u64(body, 0) : riffBytes);
    if (this.#stream.position > this.#riffEnd) throw malformed('The ds64 chunk ends after the RIFF size does.');
  }

  /** Chunks begin at even places; the pad byte counts in no chunk's size. */
  async #skipPadByte(): Promise<void> {
    if (this.#bodyEnd % 2 === 0 || this.#stream.position >= this.#riffEnd) return;
    if (this.#stream.position !== this.#bodyEnd) return;
    if ((await this.#stream.skip(1)) < 1) throw truncated('The file ends before its RIFF size says.');
  }

  /** Nothing but zeros to the end of the RIFF, which must be there, and on to the end of the file, which need not. */
  async #expectPadding(): Promise<void> {
    const stream = this.#stream;
    const from = stream.position;
    while (await stream.fill()) {
      const { chunk, offset, available } = stream;
      for (let i = 0; i < available; i++) {
        if (chunk[offset + i] !== 0) throw malformed(`Bytes that belong to no chunk at byte ${stream.position + i}.`);
      }
      stream.advance(available);
      if (stream.position - from > MAX_PADDING_BYTES)
        throw malformed(`More than ${MAX_PADDING_BYTES} bytes of padding.`);
    }
    if (stream.position < this.#riffEnd) {
      throw truncated(`The file ends ${this.#riffEnd - stream.position} bytes before its RIFF size says.`);
    }
  }
}

export function truncated(message: string): OutboardError {
  return new OutboardError('wav.truncated', message);
}

/** A chunk's id as it can be shown: `fmt ` without its space. */
function name(id: string): string {
  return id.trim();
}

function fourCc(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function u64(bytes: Uint8Array, at: number): number {
  const value = u32(bytes, at + 4) * 2 ** 32 + u32(bytes, at);
  if (!Number.isSafeInteger(value)) throw malformed('The ds64 chunk gives a size that no file can have.');
  return value;
}
