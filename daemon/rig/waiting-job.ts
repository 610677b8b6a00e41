/** A job that waits for its next attempt, with what was prepared of it. */
import type { PreparedBounce } from './bounce.js';
import type { Tries } from './failed-attempt.js';
import type { JobPlan } from './job-rules.js';

export interface WaitingJob extends Tries {
  plan: JobPlan;
  prepared?: Promise<PreparedBounce>;
  abort: AbortController;
  /** On the monotonic clock, ms. */
  retryAt: number;
  /** Since when it was ready to start but for other takes. */
  blockedSince: number | null;
}

export function waitingJob(
  plan: JobPlan,
  { tries, recallFailures }: Tries = { tries: 0, recallFailures: 0 },
  retryInMs = 0,
): WaitingJob {
  const retryAt = performance.now() + retryInMs;
  return { plan, abort: new AbortController(), retryAt, tries, recallFailures, blockedSince: null };
}
