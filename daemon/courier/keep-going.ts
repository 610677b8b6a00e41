/** A loop that nothing ends but its signal: an error is logged once per kind, and followed by a pause that grows. */
import { backoffMs, delay } from '../../core/duration.js';
import { asOutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';

export interface Pause {
  baseMs: number;
  maxMs: number;
}

export async function keepGoing(
  signal: AbortSignal,
  logger: Logger,
  what: string,
  pause: Pause,
  step: () => Promise<void>,
): Promise<void> {
  let failures = 0;
  let said = '';
  while (!signal.aborted) {
    try {
      await step();
      if (failures > 0) logger.info({ what }, 'works again');
      failures = 0;
      said = '';
    } catch (error) {
      if (signal.aborted) return;
      const problem = asOutboardError(error);
      if (problem.code !== said) logger.warn({ what, code: problem.code, err: problem }, problem.message);
      said = problem.code;
      await delay(backoffMs(failures++, pause.baseMs, pause.maxMs), signal).catch(() => undefined);
    }
  }
}
