/**
 * The spool: ciphertext on its way in and out, in a folder that only the rig can read (0700). A source is hashed while it is written, only
 * digests that a job asked for are taken, and never more than the granted bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, rmSync, statfsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { OutboardError } from '../../core/errors.js';

/** Stays free of blobs. */
export const DISK_MARGIN_BYTES = 16 * 1024 * 1024;
const CHUNK_SYNC_BYTES = 64 * 1024 * 1024;

/** How far an upload has come. */
interface Progress {
  hash: Hash;
  bytes: number;
  /** True when a part of it was read from a file that another process wrote. */
  found: boolean;
}

export class Spool {
  readonly #dir: string;
  readonly #ballastBytes: number;
  /** Hash states of uploads that paused, so that resuming does not read the file again. */
  readonly #hashes = new Map<string, Progress>();
  readonly #writing = new Set<string>();

  constructor(options: { dir: string; ballastBytes: number }) {
    this.#dir = options.dir;
    this.#ballastBytes = options.ballastBytes;
  }

  async open(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    if (this.freeBytes() < DISK_MARGIN_BYTES) await this.releaseBallast();
    else await this.restoreBallast();
  }

  /** Bytes that files can still take on the spool's disk. */
  freeBytes(): number {
    const fs = statfsSync(this.#dir);
    return Number(fs.bavail) * Number(fs.bsize);
  }

  /** A file that is given up when the disk is full: a full disk refuses even what would free it. */
  async restoreBallast(): Promise<void> {
    const path = join(this.#dir, 'ballast');
    const present = await stat(path).catch(() => null);
    if (present?.size === this.#ballastBytes || this.freeBytes() < this.#ballastBytes * 3) return;
    await writeFile(path, Buffer.alloc(this.#ballastBytes), { mode: 0o600 }).catch(() => rm(path, { force: true }));
  }

  async releaseBallast(): Promise<void> {
    await rm(join(this.#dir, 'ballast'), { force: true });
  }

  sourcePath(digest: string): string {
    return join(this.#dir, `${hex(digest)}.source`);
  }

  resultPath(digest: string): string {
    return join(this.#dir, `${hex(digest)}.result`);
  }

  /** Where a result grows until its digest is known. */
  growingPath(jobId: number, attempt: number): string {
    return join(this.#dir, `${jobId}-${attempt}.growing`);
  }

  #partPath(digest: string): string {
    return join(this.#dir, `${hex(digest)}.part`);
  }

  /** Bytes of a source that are there: what HEAD answers. */
  async offset(digest: string): Promise<number> {
    const whole = await stat(this.sourcePath(digest)).catch(() => null);
    if (whole) return whole.size;
    return (await stat(this.#partPath(digest)).catch(() => null))?.size ?? 0;
  }

  async hasSource(digest: string, bytes: number): Promise<boolean> {
    return (await stat(this.sourcePath(digest)).catch(() => null))?.size === bytes;
  }

  /**
   * Appends a body to a source. Resolves to true when the source is whole and its digest right; false when more is to come.
   *
   * @throws OutboardError blob.offset | source.size | source.digest | rig.disk-full. After source.size and source.digest nothing is kept.
   */
  async receive(digest: string, grantedBytes: number, offset: number, body: Readable): Promise<boolean> {
    if (this.#writing.has(digest)) throw new OutboardError('blob.offset', 'another upload of this blob is under way');
    this.#writing.add(digest);
    try {
      if (await this.hasSource(digest, grantedBytes)) {
        body.resume();
        return true;
      }
      return await this.#append(digest, grantedBytes, offset, body);
    } finally {
      this.#writing.delete(digest);
    }
  }

  async #append(digest: string, grantedBytes: number, offset: number, body: Readable): Promise<boolean> {
    const path = this.#partPath(digest);
    const have = await this.offset(digest);
    // What is left belongs to the journal: the commits that end jobs are what frees the disk.
    if (this.freeBytes() < DISK_MARGIN_BYTES)
      throw new OutboardError('rig.disk-full', "the spool's disk is almost full");
    if (offset !== have) throw new OutboardError('blob.offset', `the upload continues at ${have}, not at ${offset}`);
    const progress = await this.#hashSoFar(digest, path, have);
    const file = await open(path, 'a', 0o600);
    let unsynced = 0;
    try {
      // Left half read, the body would be destroyed and its connection, which is used again, would stand still for ever.
      for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (progress.bytes + chunk.length > grantedBytes)
          throw new OutboardError('source.size', `more than the granted ${grantedBytes} bytes came`);
        await file.appendFile(chunk);
        progress.hash.update(chunk);
        progress.bytes += chunk.length;
        unsynced += chunk.length;
        // Small dirty pages at a time: one sync of gigabytes would stall the takes that share the disk.
        if (unsynced >= CHUNK_SYNC_BYTES) {
          await file.datasync();
          unsynced = 0;
          if (this.freeBytes() < DISK_MARGIN_BYTES) throw Object.assign(new Error('almost full'), { code: 'ENOSPC' });
        }
      }
      await file.sync();
    } catch (error) {
      body.resume();
      await file.close();
      return await this.#broken(error, digest, path, progress);
    }
    await file.close();
    if (progress.bytes < grantedBytes) {
      this.#hashes.set(digest, progress);
      return false;
    }
    this.#hashes.delete(digest);
    if (`sha256:${progress.hash.digest('hex')}` !== digest) {
      await rm(path, { force: true });
      // What was found after a restart may have been damaged by it; that is no word about the store.
      if (progress.found)
        throw new OutboardError('blob.offset', 'what was kept of this upload is damaged: begin again at 0');
      throw new OutboardError('source.digest', 'the bytes that came are not what the grant names');
    }
    await rename(path, this.sourcePath(digest));
    await this.#syncDir();
    return true;
  }

  async #broken(error: unknown, digest: string, path: string, progress: Progress): Promise<false> {
    if (error instanceof OutboardError) {
      this.#hashes.delete(digest);
      await rm(path, { force: true });
      throw error;
    }
    // The hash may be ahead of the file after a failed write: read the file again when the upload resumes.
    this.#hashes.delete(digest);
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
      throw new OutboardError('rig.disk-full', `the spool's disk is full after ${progress.bytes} bytes`, {
        cause: error,
      });
    return false;
  }

  async #hashSoFar(digest: string, path: string, bytes: number): Promise<Progress> {
    const kept = this.#hashes.get(digest);
    if (kept?.bytes === bytes) return kept;
    const hash = createHash('sha256');
    if (bytes > 0) for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return { hash, bytes, found: bytes > 0 };
  }

  /** Gives a finished result its name and syncs the folder; before this the file itself was synced. */
  async adopt(growing: string, digest: string): Promise<void> {
    await rename(growing, this.resultPath(digest));
    await this.#syncDir();
  }

  removeSource(digest: string): void {
    this.#hashes.delete(digest);
    rmSync(this.sourcePath(digest), { force: true });
    rmSync(this.#partPath(digest), { force: true });
  }

  removeResult(digest: string): void {
    rmSync(this.resultPath(digest), { force: true });
  }

  /** Removes whatever belongs to no open job: after a crash only the journal says what counts. */
  async sweep(keep: { sources: Set<string>; results: Set<string> }): Promise<string[]> {
    const removed: string[] = [];
    for (const name of await readdir(this.#dir)) {
      if (name === 'ballast') continue;
      const [stem, kind] = name.split('.');
      const digest = `sha256:${stem}`;
      const wanted = kind === 'result' ? keep.results.has(digest) : kind !== 'growing' && keep.sources.has(digest);
      if (wanted) continue;
      await rm(join(this.#dir, name), { force: true });
      removed.push(name);
    }
    return removed;
  }

  async #syncDir(): Promise<void> {
    const dir = await open(this.#dir, 'r');
    try {
      await dir.sync();
    } finally {
      await dir.close();
    }
  }
}

function hex(digest: string): string {
  return digest.slice('sha256:'.length);
}
