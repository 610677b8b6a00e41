/** A day as people write it on a command line. */
import { InvalidArgumentError } from 'commander';

/** `2026-03-01` -> its first second in UTC, since the epoch. @throws InvalidArgumentError */
export function parseDay(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // 2026-02-31 is read as a day in March.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text || ms < 0)
    throw new InvalidArgumentError('a day is written YYYY-MM-DD');
  return ms / 1000;
}
