/**
 * Writes WAV files whose every byte follows from their samples: no date, no name, no software tag, no LIST or bext.
 *
 * A file is `wavHeader`, then `encodeFrames` block after block, then `wavTrailer`. Above 4 GiB it is RF64 (EBU Tech 3306). The
 * extensible `fmt ` is used where Microsoft's specification asks for it: more than two channels, or integers of more than 16 bits.
 */
import type { OutputEncoding } from '../../core/contract/job.js';
import { SUBFORMAT_TAIL, WAVE_FORMAT_EXTENSIBLE, WAVE_FORMAT_IEEE_FLOAT, WAVE_FORMAT_PCM } from './wav-format.js';

export interface WavLayout {
  rate: number;
  channels: number;
  encoding: OutputEncoding;
  frames: number;
}

const UINT32_MAX = 0xffff_ffff;
const INT24_SCALE = 1 / 2 ** 23;
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** SPEAKER_FRONT_CENTER for mono, front left and right for stereo; wider results have no positions of their own. */
function channelMask(channels: number): number {
  if (channels === 1) return 0x4;
  return channels === 2 ? 0x3 : 0;
}

interface Plan {
  sampleBytes: number;
  extensible: boolean;
  formatBytes: number;
  /** The `fact` chunk: the specification wants it for everything that is not PCM. */
  fact: boolean;
  dataBytes: number;
  padBytes: 0 | 1;
  rf64: boolean;
  headerBytes: number;
  riffBytes: number;
}

function plan(o: WavLayout): Plan {
  if (!Number.isInteger(o.channels) || o.channels < 1 || o.channels > 0xffff) {
    throw new RangeError(`channels: ${o.channels}`);
  }
  if (!Number.isInteger(o.rate) || o.rate < 1 || o.rate > UINT32_MAX) throw new RangeError(`rate: ${o.rate}`);
  const sampleBytes = o.encoding === 'pcm24' ? 3 : 4;
  const dataBytes = o.frames * o.channels * sampleBytes;
  if (!Number.isInteger(o.frames) || o.frames < 0 || !Number.isSafeInteger(dataBytes)) {
    throw new RangeError(`frames: ${o.frames}`);
  }
  const extensible = o.encoding === 'pcm24' || o.channels > 2;
  const formatBytes = extensible ? 40 : 18;
  const fact = o.encoding === 'float32';
  const padBytes = dataBytes % 2 === 0 ? 0 : 1;
  const chunkBytes = 8 + formatBytes + (fact ? 12 : 0) + 8;
  const rf64 = 4 + chunkBytes + dataBytes + padBytes >= UINT32_MAX;
  const headerBytes = 12 + (rf64 ? 36 : 0) + chunkBytes;
  const riffBytes = headerBytes - 8 + dataBytes + padBytes;
  return { sampleBytes, extensible, formatBytes, fact, dataBytes, padBytes, rf64, headerBytes, riffBytes };
}

/**
 * Everything before the first sample. RF64 with ds64 where the size does not fit into 32 bits.
 * @throws RangeError for a layout that no WAV can have
 */
export function wavHeader(o: WavLayout): Uint8Array {
  const p = plan(o);
  const bytes = new Uint8Array(p.headerBytes);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const id = (name: string) => {
    for (let i = 0; i < 4; i++) bytes[at++] = name.charCodeAt(i);
  };
  const u16 = (value: number) => {
    view.setUint16(at, value, true);
    at += 2;
  };
  const u32 = (value: number) => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const u64 = (value: number) => {
    view.setBigUint64(at, BigInt(value), true);
    at += 8;
  };

  id(p.rf64 ? 'RF64' : 'RIFF');
  u32(p.rf64 ? UINT32_MAX : p.riffBytes);
  id('WAVE');
  if (p.rf64) {
    id('ds64');
    u32(28);
    u64(p.riffBytes);
    u64(p.dataBytes);
    u64(o.frames);
    u32(0); // no table: only data is this long
  }
  const tag = o.encoding === 'pcm24' ? WAVE_FORMAT_PCM : WAVE_FORMAT_IEEE_FLOAT;
  const blockAlign = o.channels * p.sampleBytes;
  id('fmt ');
  u32(p.formatBytes);
  u16(p.extensible ? WAVE_FORMAT_EXTENSIBLE : tag);
  u16(o.channels);
  u32(o.rate);
  u32(o.rate * blockAlign);
  u16(blockAlign);
  u16(8 * p.sampleBytes);
  if (p.extensible) {
    u16(22);
    u16(8 * p.sampleBytes);
    u32(channelMask(o.channels));
    u16(tag);
    bytes.set(SUBFORMAT_TAIL, at);
    at += SUBFORMAT_TAIL.length;
  } else {
    u16(0);
  }
  if (p.fact) {
    id('fact');
    u32(4);
    u32(p.rf64 ? UINT32_MAX : o.frames);
  }
  id('data');
  u32(p.rf64 ? UINT32_MAX : p.dataBytes);
  return bytes;
}

/** What follows the last sample: the pad byte where the data chunk is odd, otherwise nothing. */
export function wavTrailer(o: WavLayout): Uint8Array {
  return new Uint8Array(plan(o).padBytes);
}

/** Length of the whole file. */
export function wavBytes(o: WavLayout): number {
  const p = plan(o);
  return p.headerBytes + p.dataBytes + p.padBytes;
}

/**
 * Encodes interleaved samples, left-justified in int32 with the top 24 bits in use: `pcm24` writes these 24 bits, `float32` writes
 * their value over 2^23, which is exact.
 */
export function encodeFrames(samples: Int32Array, encoding: OutputEncoding): Uint8Array {
  const count = samples.length;
  if (encoding === 'pcm24') return encode24(samples);
  const floats = new Float32Array(count);
  for (let i = 0; i < count; i++) floats[i] = (samples[i]! >> 8) * INT24_SCALE;
  const bytes = new Uint8Array(floats.buffer);
  if (!LITTLE_ENDIAN) Buffer.from(floats.buffer).swap32();
  return bytes;
}

/** Four samples make three words. */
function encode24(samples: Int32Array): Uint8Array {
  const count = samples.length;
  const bytes = new Uint8Array(count * 3);
  const whole = LITTLE_ENDIAN ? count - (count % 4) : 0;
  const words = new Int32Array(bytes.buffer, 0, (whole / 4) * 3);
  for (let i = 0, w = 0; i < whole; i += 4, w += 3) {
    const second = samples[i + 1]! >>> 8;
    const third = samples[i + 2]! >>> 8;
    words[w] = (samples[i]! >>> 8) | (second << 24);
    words[w + 1] = (second >>> 8) | (third << 16);
    words[w + 2] = (third >>> 16) | (samples[i + 3]! & 0xffff_ff00);
  }
  for (let i = whole, at = whole * 3; i < count; i++, at += 3) {
    const value = samples[i]!;
    bytes[at] = value >> 8;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 24;
  }
  return bytes;
}
