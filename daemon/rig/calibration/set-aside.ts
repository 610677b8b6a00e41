/** A file that cannot be read is kept for whoever can mend it: out of the way, and never over an older one. */
import { existsSync, renameSync } from 'node:fs';

/** What SQLite keeps beside a file; without it the last commits would be lost to whoever looks at it. */
const BESIDE = ['-wal', '-shm'];

/** @returns where it is now: `FILE.broken`, `FILE.broken-2` … */
export function setAside(file: string): string {
  let aside = `${file}.broken`;
  for (let n = 2; existsSync(aside); n++) aside = `${file}.broken-${n}`;
  renameSync(file, aside);
  for (const end of BESIDE) if (existsSync(file + end)) renameSync(file + end, aside + end);
  return aside;
}
