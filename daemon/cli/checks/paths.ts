/** Paths that the daemons need: sockets and the state folder. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutboardError } from '../../../core/errors.js';
import { formatBytes } from '../output.js';
import type { Finding } from './report.js';

/** sun_path has 108 bytes, the last of which is NUL (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/** @throws OutboardError config.invalid for a path that the kernel would cut off */
export function socketPathFinding(path: string): Finding {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES)
    throw new OutboardError(
      'config.invalid',
      `${path}: has ${bytes} bytes, a unix socket's path at most ${MAX_SOCKET_PATH_BYTES}`,
    );
  return path;
}

/** The state folder is the rig's alone, and there is room for the spool. @throws OutboardError config.invalid */
export async function stateDirFinding(dir: string, spoolBytes: number): Promise<Finding> {
  const found = await stat(dir).catch(() => undefined);
  if (found && !found.isDirectory()) throw new OutboardError('config.invalid', `${dir}: is no folder`);
  if (found && (found.mode & 0o077) !== 0)
    throw new OutboardError('config.invalid', `${dir}: mode is 0${(found.mode & 0o777).toString(8)}, 0700 is needed`);
  const disk = await statfs(found ? dir : dirname(dir)).catch(() => undefined);
  if (!disk) throw new OutboardError('config.invalid', `${dir}: neither it nor its folder is there`);
  const free = disk.bavail * disk.bsize;
  const text = `${dir}${found ? '' : ' (will be made)'}, ${formatBytes(free)} free`;
  return free < spoolBytes ? { warn: `${text}: less than limits.spoolBytes (${formatBytes(spoolBytes)})` } : text;
}
