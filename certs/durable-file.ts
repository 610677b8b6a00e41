/** A file that is either there whole or not there: written to a temporary name, synced, then given its name; nothing is overwritten. */
import { randomBytes } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { OutboardError } from '../core/errors.js';

/** The error of a failed write: a full disk has a code of its own, because a job can be repeated after it. */
export function writeError(path: string, cause: unknown): OutboardError {
  const reason = (cause as NodeJS.ErrnoException | undefined)?.code;
  const details = reason === undefined ? undefined : { reason };
  const message = `${basename(path)}: ${reason ?? (cause instanceof Error ? cause.message : String(cause))}`;
  if (reason === 'EEXIST') return new OutboardError('file.exists', `${path}: is there already`, { cause, details });
  if (reason === 'ENOSPC' || reason === 'EDQUOT')
    return new OutboardError('rig.disk-full', `no space left for ${message}`, { cause, details });
  return new OutboardError('file.write', `cannot write ${message}`, { cause, details });
}

/**
 * Creates `path` with these bytes and this mode, durably.
 *
 * @throws OutboardError file.exists | rig.disk-full | file.write
 */
export async function writeNewFile(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.chmod(mode); // the umask may have taken bits away
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    // link, not rename: rename would replace a file that another process has put there meanwhile.
    await link(temporary, path);
    await unlink(temporary);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw writeError(path, cause);
  }
}
