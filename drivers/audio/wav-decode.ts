/**
 * Sample decoders: bytes of a data chunk to Float64 with full scale 1.0.
 *
 * Every integer format and every float fits into a double, so nothing is rounded. The loops read bytes, not a DataView, and allocate
 * nothing; floats go through an aligned scratch buffer, because a chunk may begin anywhere.
 */
import type { SourceEncoding } from '../../core/contract/grant.js';
import { bytesPerSample } from './wav-format.js';

const INT32_SCALE = 1 / 2 ** 31;
const SCRATCH_BYTES = 64 * 1024;
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export class SampleDecoder {
  readonly sampleBytes: number;
  readonly #encoding: SourceEncoding;
  readonly #scratch: Uint8Array;
  readonly #floats: Float32Array | Float64Array;

  constructor(encoding: SourceEncoding) {
    this.sampleBytes = bytesPerSample(encoding);
    this.#encoding = encoding;
    const isFloat = encoding === 'float32' || encoding === 'float64';
    const buffer = new ArrayBuffer(isFloat ? SCRATCH_BYTES : 0);
    this.#scratch = new Uint8Array(buffer);
    this.#floats = encoding === 'float32' ? new Float32Array(buffer) : new Float64Array(buffer);
  }

  /**
   * Decodes `count` samples from `bytes[from…]` into `out[at…]`.
   * @returns the index (0 is the first of this call) of the first sample that is NaN or infinite, or -1
   */
  decode(bytes: Uint8Array, from: number, count: number, out: Float64Array, at: number): number {
    switch (this.#encoding) {
      case 'pcm16':
        decode16(bytes, from, count, out, at);
        return -1;
      case 'pcm24':
        decode24(bytes, from, count, out, at);
        return -1;
      case 'pcm32':
        decode32(bytes, from, count, out, at);
        return -1;
      case 'float32':
      case 'float64':
        return this.#decodeFloats(bytes, from, count, out, at);
    }
  }

  #decodeFloats(bytes: Uint8Array, from: number, count: number, out: Float64Array, at: number): number {
    const perTurn = SCRATCH_BYTES / this.sampleBytes;
    for (let done = 0; done < count; done += perTurn) {
      const now = Math.min(perTurn, count - done);
      const start = from + done * this.sampleBytes;
      this.#scratch.set(bytes.subarray(start, start + now * this.sampleBytes));
      if (!LITTLE_ENDIAN) this.#swap();
      const floats = this.#floats;
      // 0 * x is 0 for every number and NaN for NaN and the infinities: one test per turn instead of one per sample.
      let nonsense = 0;
      for (let i = 0; i < now; i++) {
        const value = floats[i]!;
        nonsense += value * 0;
        out[at + done + i] = value;
      }
      if (nonsense !== 0) {
        for (let i = 0; i < now; i++) if (!Number.isFinite(floats[i]!)) return done + i;
      }
    }
    return -1;
  }

  #swap(): void {
    const buffer = Buffer.from(this.#scratch.buffer);
    if (this.sampleBytes === 4) buffer.swap32();
    else buffer.swap64();
  }
}

function decode16(bytes: Uint8Array, from: number, count: number, out: Float64Array, at: number): void {
  for (let i = 0, p = from; i < count; i++, p += 2) {
    out[at + i] = ((bytes[p]! << 16) | (bytes[p + 1]! << 24)) * INT32_SCALE;
  }
}

function decode24(bytes: Uint8Array, from: number, count: number, out: Float64Array, at: number): void {
  for (let i = 0, p = from; i < count; i++, p += 3) {
    out[at + i] = ((bytes[p]! << 8) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 24)) * INT32_SCALE;
  }
}

function decode32(bytes: Uint8Array, from: number, count: number, out: Float64Array, at: number): void {
  for (let i = 0, p = from; i < count; i++, p += 4) {
    out[at + i] = (bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)) * INT32_SCALE;
  }
}
