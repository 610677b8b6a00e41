/** WAV files made byte by byte, so that the reader is not tested against the project's own writer. */

export interface FormatFields {
  tag: number;
  channels: number;
  rate: number;
  bits: number;
  blockAlign?: number;
  byteRate?: number;
  /** With it the chunk is extensible, and `tag` is the subformat's. */
  validBits?: number;
  subFormat?: Uint8Array;
}

const GUID_TAIL = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function le(value: number | bigint, bytes: 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(bytes);
  let rest = BigInt(value);
  for (let i = 0; i < bytes; i++) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** A chunk with its pad byte; `size` overrides what its header says. */
export function chunk(id: string, body: Uint8Array, size: number = body.length): Uint8Array {
  return concat(ascii(id), le(size, 4), body, new Uint8Array(body.length % 2));
}

export function fmt(f: FormatFields): Uint8Array {
  const blockAlign = f.blockAlign ?? (f.channels * f.bits) / 8;
  const byteRate = f.byteRate ?? f.rate * ((f.channels * f.bits) / 8);
  const extensible = f.validBits !== undefined;
  const head = [le(extensible ? 0xfffe : f.tag, 2), le(f.channels, 2), le(f.rate, 4), le(byteRate, 4)];
  head.push(le(blockAlign, 2), le(f.bits, 2));
  if (f.validBits !== undefined) {
    head.push(le(22, 2), le(f.validBits, 2), le(0, 4), f.subFormat ?? concat(le(f.tag, 2), Uint8Array.from(GUID_TAIL)));
  }
  return chunk('fmt ', concat(...head));
}

/** `size` overrides what the RIFF header says. */
export function riff(chunks: Uint8Array[], size?: number): Uint8Array {
  const body = concat(ascii('WAVE'), ...chunks);
  return concat(ascii('RIFF'), le(size ?? body.length, 4), body);
}

/** An RF64 (or BW64) whose data chunk says 0xFFFFFFFF; the chunks come after ds64. */
export function rf64(
  chunks: Uint8Array[],
  o: { dataBytes: number; riffBytes?: number; magic?: string; table?: [string, number][] },
): Uint8Array {
  const table = (o.table ?? []).map(([id, size]) => concat(ascii(id), le(size, 8)));
  const tail = concat(...chunks);
  const riffBytes = o.riffBytes ?? 4 + 8 + 28 + 12 * table.length + tail.length;
  const ds64 = concat(le(riffBytes, 8), le(o.dataBytes, 8), le(0, 8), le(table.length, 4), ...table);
  return concat(ascii(o.magic ?? 'RF64'), le(0xffff_ffff, 4), ascii('WAVE'), chunk('ds64', ds64), tail);
}

export async function* inChunks(bytes: Uint8Array, ...sizes: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
