/** Sealing a source: each gets an age identity of its own, so that a grant opens one song and no other. */
import { createReadStream } from 'node:fs';
import { sealToFile } from '../certs/seal-thread.js';
import { generateIdentity } from '../certs/sealing.js';
import type { Source, SourceFormat } from '../core/contract/grant.js';
import { OutboardError } from '../core/errors.js';

export interface SealedSource {
  /** What goes into the grant. */
  source: Source;
  /** The ciphertext. */
  file: string;
  /** `AGE-SECRET-KEY-1…`, for the tenant's own archive. */
  identity: string;
  /** The same identity, 32 raw bytes, for `makeGrant`. */
  raw: Uint8Array;
  /** `age1…` */
  recipient: string;
}

export interface SealOptions {
  signal?: AbortSignal;
  onProgress?(bytes: number): void;
}

/**
 * Seals a WAV file as it is, byte for byte, to a new age file.
 *
 * @param format what the WAV is; the rig compares it with what it finds, so it must come from the file itself
 * @throws OutboardError file.unreadable | file.exists | file.write
 */
export async function sealSource(
  input: string,
  output: string,
  format: SourceFormat,
  options: SealOptions = {},
): Promise<SealedSource> {
  const { identity, raw, recipient } = await generateIdentity();
  const writer = await sealToFile(output, [recipient], options.signal ? { signal: options.signal } : {});
  try {
    let bytes = 0;
    for await (const chunk of readable(input)) {
      const { length } = chunk;
      await writer.write(chunk);
      bytes += length;
      options.onProgress?.(bytes);
    }
    const sealed = await writer.finish();
    return { source: { ...sealed, format }, file: output, identity, raw, recipient };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Chunks that own their memory, because the sealing thread takes them over. */
async function* readable(file: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }))
      yield new Uint8Array(chunk as Buffer);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${file}: cannot be read (${code})`, { cause });
  }
}
