/** Blobs between a file and the store: the digest of what was stored or fetched is always computed here, never believed. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutboardError } from '../core/errors.js';
import type { StoreClient } from './store-client.js';

export interface Blob {
  /** `sha256:<hex>` of the ciphertext. */
  digest: string;
  bytes: number;
}

/**
 * Stores a ciphertext file under its digest.
 *
 * @throws OutboardError what StoreClient.put throws | source.digest: the file is not (any more) what the digest says
 */
export async function uploadFile(
  store: StoreClient,
  blob: Blob & { file: string },
  signal?: AbortSignal,
  onProgress?: (bytes: number) => void,
): Promise<{ existed: boolean }> {
  async function* body(offset: number): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    let sent = 0;
    let held: Uint8Array | null = null;
    // One chunk behind: the last one leaves only when the digest is right, so a changed file is never complete at the store.
    for await (const chunk of createReadStream(blob.file, { highWaterMark: 256 * 1024 })) {
      hash.update(chunk as Buffer);
      if (held) yield held.subarray(Math.max(0, offset - sent + held.length));
      sent += (chunk as Buffer).length;
      held = chunk as Buffer;
      onProgress?.(sent);
    }
    checkDigest(hash.digest('hex'), blob, blob.file);
    if (held) yield held;
  }
  return await store.put(blob.digest, blob.bytes, body, signal);
}

export interface DownloadOptions {
  signal?: AbortSignal;
  onProgress?(bytes: number): void;
}

/**
 * Fetches a blob into a new file: written under a temporary name, checked, synced, then given its name.
 *
 * @throws OutboardError what StoreClient.get throws | store.digest: the bytes are others | file.exists | file.write
 */
export async function downloadFile(
  store: StoreClient,
  blob: Blob,
  file: string,
  options: DownloadOptions = {},
): Promise<void> {
  const hash = createHash('sha256');
  async function* checked(): AsyncGenerator<Uint8Array> {
    let seen = 0;
    for await (const chunk of store.get(blob.digest, { bytes: blob.bytes, signal: options.signal })) {
      hash.update(chunk);
      seen += chunk.length;
      yield chunk;
      options.onProgress?.(seen);
    }
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual !== blob.digest)
      throw new OutboardError('store.digest', `the store sent ${actual} under the name ${blob.digest}`, {
        details: { digest: blob.digest, actual },
      });
  }
  await writeNewStream(file, checked());
}

/**
 * Writes a file that does not exist yet: temporary name, fsync, link (which refuses an existing name), fsync of the folder.
 *
 * @throws OutboardError file.exists | file.write, and whatever the chunks throw; nothing is left behind then
 */
export async function writeNewStream(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, 'wx', 0o600).catch((cause) => {
    throw new OutboardError('file.write', `${file}: cannot be written (${cause.code})`, { cause });
  });
  try {
    try {
      for await (const chunk of chunks) await writeAll(handle, chunk, file);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, file).catch((cause) => {
      const exists = cause.code === 'EEXIST';
      const message = exists ? `${file} is there already` : `${file}: cannot be written (${cause.code})`;
      throw new OutboardError(exists ? 'file.exists' : 'file.write', message, { cause });
    });
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
  const folder = await open(dirname(file), 'r');
  await folder.sync().finally(() => folder.close());
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Uint8Array, file: string): Promise<void> {
  try {
    for (let written = 0; written < chunk.length; )
      written += (await handle.write(chunk, written, chunk.length - written)).bytesWritten;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.write', `${file}: cannot be written (${code})`, { cause });
  }
}

/** SHA-256 of a file, as a blob's name, with its size. @throws OutboardError file.unreadable */
export async function digestOf(file: string): Promise<Blob> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${file}: cannot be read (${code})`, { cause });
  }
  return { digest: `sha256:${hash.digest('hex')}`, bytes };
}

function checkDigest(hex: string, blob: Blob, file: string): void {
  if (`sha256:${hex}` === blob.digest) return;
  throw new OutboardError('source.digest', `${file} is no longer ${blob.digest}`, { details: { digest: blob.digest } });
}
