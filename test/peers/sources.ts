/** Sources that are not what they should be: WAV files made byte by byte, sealed honestly, and ciphertext that is not whole. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uploadFile } from '../../client/blobs.js';
import { type SealedSource, sealSource } from '../../client/source.js';
import type { SourceFormat } from '../../core/contract/index.js';
import { scratch } from './scratch.js';
import type { Stack } from './stack.js';

export interface FloatWav {
  /** Mono. */
  samples: Float32Array;
  rate?: number;
  /** What the header says of the data chunk, where it lies. */
  dataBytes?: number;
}

/** IEEE float, one channel, the 44-byte header that everybody knows (with a fact chunk left out, as many programs do). */
export function floatWav({ samples, rate = 48_000, dataBytes = samples.byteLength }: FloatWav): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(3, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 4, 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt16LE(32, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}

export function monoFloat(frames: number): SourceFormat {
  return { rate: 48_000, channels: 1, encoding: 'float32', frames };
}

type Suite = { after(fn: () => unknown): void };

/** Seals any bytes as a source that is said to be of a format. */
export async function sealedBytes(t: Suite, bytes: Uint8Array, format: SourceFormat): Promise<SealedSource> {
  const dir = await scratch(t);
  const file = join(dir, 'source.wav');
  await writeFile(file, bytes);
  return await sealSource(file, join(dir, 'source.age'), format);
}

/** The first bytes of a sealed source, under their own honest digest. */
export async function cutSource(t: Suite, sealed: SealedSource, bytes: number): Promise<SealedSource> {
  const head = (await readFile(sealed.file)).subarray(0, bytes);
  const file = join(await scratch(t), 'cut.age');
  await writeFile(file, head);
  const digest = `sha256:${createHash('sha256').update(head).digest('hex')}`;
  return { ...sealed, file, source: { ...sealed.source, digest, bytes } };
}

export async function stored(stack: Stack, sealed: SealedSource): Promise<SealedSource> {
  await uploadFile(stack.parties.store, { ...sealed.source, file: sealed.file });
  return sealed;
}
