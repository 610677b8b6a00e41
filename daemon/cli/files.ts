/** Small files that the commands read and replace. New ones are made by certs/durable-file.ts, which never overwrites. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { OutboardError } from '../../core/errors.js';

/** @throws OutboardError file.unreadable */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${path}: cannot be read (${reason})`, { cause, details: { path } });
  }
}

/** A command looks before it works for minutes; the file is created exclusively all the same. @throws OutboardError file.exists */
export async function refuseExistingFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found) throw new OutboardError('file.exists', `${path}: is there already`, { details: { path } });
}

/** Puts a whole, synced file at `path`, over the one that may be there. @throws OutboardError file.write */
export async function replaceFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    await rm(temporary, { force: true });
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.write', `${path}: cannot be written (${reason})`, { cause, details: { path } });
  }
}
