/**
 * The `fmt ` chunk: what its fields mean, which of them contradict each other, and which encodings are taken.
 *
 * Sources: Microsoft "Multiple Channel Audio Data and WAVE Files" (2007) for WAVE_FORMAT_EXTENSIBLE, EBU Tech 3306 and
 * ITU-R BS.2088 for RF64 and BW64.
 */
import type { SourceEncoding, SourceFormat } from '../../core/contract/grant.js';
import { OutboardError } from '../../core/errors.js';

export const WAVE_FORMAT_PCM = 0x0001;
export const WAVE_FORMAT_IEEE_FLOAT = 0x0003;
export const WAVE_FORMAT_EXTENSIBLE = 0xfffe;

/** KSDATAFORMAT_SUBTYPE_* without its first two bytes, which are the format tag: 0000-0000-0010-8000-00AA00389B71. */
export const SUBFORMAT_TAIL = Uint8Array.of(0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71);

/** Names of the tags that are met in the wild, for the message of a refusal. */
const TAG_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0002, 'Microsoft ADPCM'],
  [0x0006, 'A-law'],
  [0x0007, 'mu-law'],
  [0x0011, 'IMA ADPCM'],
  [0x0031, 'GSM 6.10'],
  [0x0050, 'MPEG audio'],
  [0x0055, 'MP3'],
  [0x0092, 'Dolby AC-3'],
  [0x00ff, 'AAC'],
]);

const MAX_CHANNELS = 64;
const MIN_RATE_HZ = 8000;
const MAX_RATE_HZ = 768_000;

export type SampleLayout = Omit<SourceFormat, 'frames'>;

/** Bytes that one sample takes in the data chunk. */
export function bytesPerSample(encoding: SourceEncoding): number {
  switch (encoding) {
    case 'pcm16':
      return 2;
    case 'pcm24':
      return 3;
    case 'pcm32':
    case 'float32':
      return 4;
    case 'float64':
      return 8;
  }
}

export function malformed(message: string, details: Record<string, unknown> = {}): OutboardError {
  return new OutboardError('wav.malformed', message, { details });
}

export function unsupported(message: string, details: Record<string, unknown> = {}): OutboardError {
  return new OutboardError('wav.unsupported', message, { details });
}

/**
 * Reads the body of a `fmt ` chunk (16, 18 or at least 40 bytes).
 * @throws OutboardError wav.malformed for fields that contradict each other, wav.unsupported for encodings that are not taken
 */
export function parseFormat(body: Uint8Array): SampleLayout {
  if (body.length < 16) throw malformed(`The fmt chunk has ${body.length} bytes; 16 are the least.`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const tag = view.getUint16(0, true);
  const channels = view.getUint16(2, true);
  const rate = view.getUint32(4, true);
  const byteRate = view.getUint32(8, true);
  const blockAlign = view.getUint16(12, true);
  const bits = view.getUint16(14, true);

  const encoding = encodingOf(tag === WAVE_FORMAT_EXTENSIBLE ? subFormat(view, body, bits) : tag, bits);
  if (channels === 0) throw malformed('The fmt chunk says 0 channels.');
  if (rate === 0) throw malformed('The fmt chunk says a rate of 0 Hz.');
  if (channels > MAX_CHANNELS) throw unsupported(`${channels} channels; at most ${MAX_CHANNELS} are taken.`);
  if (rate < MIN_RATE_HZ || rate > MAX_RATE_HZ) {
    throw unsupported(`A rate of ${rate} Hz; ${MIN_RATE_HZ} to ${MAX_RATE_HZ} Hz are taken.`);
  }
  const frameBytes = channels * bytesPerSample(encoding);
  if (blockAlign !== frameBytes) {
    throw malformed(
      `The fmt chunk says blockAlign ${blockAlign}; ${channels} channels of ${encoding} are ${frameBytes}.`,
    );
  }
  if (byteRate !== rate * frameBytes) {
    throw malformed(`The fmt chunk says ${byteRate} bytes per second; its other fields make ${rate * frameBytes}.`);
  }
  return { rate, channels, encoding };
}

/** The format tag inside an extensible `fmt `, once the parts around it agree. */
function subFormat(view: DataView, body: Uint8Array, bits: number): number {
  if (body.length < 40 || view.getUint16(16, true) < 22) {
    throw malformed('The fmt chunk says WAVE_FORMAT_EXTENSIBLE but is too short for it.');
  }
  for (let i = 0; i < SUBFORMAT_TAIL.length; i++) {
    if (body[26 + i] !== SUBFORMAT_TAIL[i])
      throw unsupported('The extensible subformat is not PCM and not IEEE float.');
  }
  const tag = view.getUint16(24, true);
  const validBits = view.getUint16(18, true);
  if (validBits === 0 || validBits > bits) {
    throw malformed(`The fmt chunk says ${validBits} valid bits in a container of ${bits}.`);
  }
  if (tag === WAVE_FORMAT_IEEE_FLOAT && validBits !== bits) {
    throw malformed(`The fmt chunk says ${validBits} valid bits of a ${bits}-bit float.`);
  }
  return tag;
}

function encodingOf(tag: number, bits: number): SourceEncoding {
  if (tag === WAVE_FORMAT_PCM) {
    if (bits === 16) return 'pcm16';
    if (bits === 24) return 'pcm24';
    if (bits === 32) return 'pcm32';
    throw unsupported(`Integer samples of ${bits} bits; 16, 24 and 32 are taken.`, { bits });
  }
  if (tag === WAVE_FORMAT_IEEE_FLOAT) {
    if (bits === 32) return 'float32';
    if (bits === 64) return 'float64';
    throw unsupported(`Float samples of ${bits} bits; 32 and 64 are taken.`, { bits });
  }
  const name = TAG_NAMES.get(tag);
  const number = `0x${tag.toString(16).padStart(4, '0')}`;
  throw unsupported(`Samples of format ${name === undefined ? number : `${name} (${number})`}.`, { formatTag: tag });
}

/** @throws OutboardError source.format that names every field of `actual` that differs from `expect` */
export function checkExpected(actual: SourceFormat, expect: SourceFormat): void {
  const differences: { field: string; signed: unknown; file: unknown }[] = [];
  for (const field of ['rate', 'channels', 'encoding', 'frames'] as const) {
    if (actual[field] !== expect[field]) differences.push({ field, signed: expect[field], file: actual[field] });
  }
  if (differences.length === 0) return;
  const list = differences.map((d) => `${d.field} is ${d.file}, signed was ${d.signed}`).join('; ');
  throw new OutboardError('source.format', `The WAV is not of the format that was signed: ${list}.`, {
    details: { differences },
  });
}
