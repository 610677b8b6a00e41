/** Whether the wall clock may be believed. Tokens and trust live by it, so an unsynchronised clock means no new jobs. */
import { existsSync } from 'node:fs';
import type { HealthCheck } from '../core/contract/index.js';

/** systemd-timesyncd touches this file once it has synchronised (systemd-timesyncd.service(8), "FILES"). */
const TIMESYNCD_SYNCHRONIZED = '/run/systemd/timesync/synchronized';

export interface ClockSync {
  /** True when new jobs may be taken. */
  trusted(): boolean;
  check(): HealthCheck;
}

export function createClockSync(sync: 'timesyncd' | 'unchecked', path: string = TIMESYNCD_SYNCHRONIZED): ClockSync {
  if (sync === 'unchecked')
    return {
      trusted: () => true,
      check: () => ({
        name: 'clock',
        status: 'degraded',
        detail: 'nobody checks that the clock is right (clock.sync: unchecked)',
      }),
    };
  return {
    trusted: () => existsSync(path),
    check: () =>
      existsSync(path)
        ? { name: 'clock', status: 'ok', detail: 'systemd-timesyncd has synchronised the clock' }
        : {
            name: 'clock',
            status: 'failed',
            detail: `systemd-timesyncd has not synchronised the clock: ${path} is missing`,
          },
  };
}
