/** What follows from an attempt that failed: whether another may be made, and what it cost. */
import { backoffMs } from '../../core/duration.js';
import type { OutboardError } from '../../core/errors.js';
import { anotherTakeMayHelp } from './bounce.js';
import { isOpen, type JobRow } from './journal/jobs.js';

/** What no attempt is to blame for: it is tried again for as long as it takes. */
const BLAMELESS: ReadonlySet<string> = new Set([
  'take.aborted',
  'trust.missing',
  'trust.clock',
  'rig.mode',
  'audio.gone',
  'audio.closed',
  'audio.busy',
  'audio.denied',
  'audio.driver',
  'audio.late',
  'audio.latency',
  'audio.sync',
  // Before a take there is only a flush that a fault of the stream can spoil.
  'take.spoiled',
]);
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;

/** True for what no job and no attempt is to blame for. */
export function isBlameless({ code }: OutboardError): boolean {
  return BLAMELESS.has(code);
}

/** How often a job was tried. */
export interface Tries {
  recallFailures: number;
  /** Attempts that ended before they rolled, whoever was to blame. */
  tries: number;
}

/**
 * `settled`: the journal has its outcome, or gets it from who withdrew the job. `end`: it ends with the error. `again`: it waits for another
 * attempt, which `rolled` says was spent or not.
 */
export type Sequel = 'settled' | 'end' | (Tries & { rolled: boolean; retryInMs: number });

/** @param job as it stands in the journal, which alone knows how far it had come */
export function sequelOf(job: JobRow, { recallFailures, tries }: Tries, error: OutboardError): Sequel {
  if (!isOpen(job) || job.state === 'sealed' || job.state === 'delivered') return 'settled';
  // The caller of `withdraw` commits what the job ends as.
  if (error.code === 'job.cancelled') return 'settled';
  const rolled = job.state === 'rolling';
  const blameless = !rolled && isBlameless(error);
  const hopeful = blameless || error.code === 'take.aborted' || anotherTakeMayHelp(error);
  const failures = recallFailures + (rolled || blameless ? 0 : 1);
  const spent = job.attempt >= job.maxAttempts || failures >= job.maxAttempts;
  if (!hopeful || (spent && (rolled || failures > 0))) return 'end';
  const retryInMs = rolled ? 0 : backoffMs(tries, RETRY_BASE_MS, RETRY_MAX_MS);
  return { rolled, retryInMs, tries: tries + 1, recallFailures: failures };
}
