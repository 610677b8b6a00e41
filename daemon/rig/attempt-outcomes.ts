/**
 * What becomes of a job whose attempt failed, into the journal: it waits for another attempt, or ends. A commit that did not work (a full disk)
 * leaves the job where it is, until that is tried again.
 */
import type { OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import { sequelOf } from './failed-attempt.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import { type WaitingJob, waitingJob } from './waiting-job.js';

export interface AttemptOutcomesOptions {
  journal: Journal;
  log: Logger;
  /** By the job's id; a job that ended is taken out, one that waits again is put in. */
  waiting: Map<number, WaitingJob>;
  /** An outcome could not be noted: `settleAgain` is to be called in a while. */
  onUnsettled(): void;
}

export class AttemptOutcomes {
  readonly #o: AttemptOutcomesOptions;
  readonly #unsettled = new Map<number, { job: JobRow; waiting: WaitingJob; error: OutboardError }>();

  constructor(options: AttemptOutcomesOptions) {
    this.#o = options;
  }

  /** @param waiting as the job stood before the attempt */
  settle(job: JobRow, waiting: WaitingJob, error: OutboardError): void {
    try {
      this.#afterFailure(job, waiting, error);
    } catch (cause) {
      this.#unsettled.set(job.id, { job, waiting, error });
      this.#o.log.error({ job: job.jti, err: cause }, 'the end of an attempt could not be noted; it is tried again');
      this.#o.onUnsettled();
    }
  }

  /** Notes what could not be noted before. */
  settleAgain(): void {
    for (const [id, { job, waiting, error }] of [...this.#unsettled]) {
      this.#unsettled.delete(id);
      this.settle(job, waiting, error);
    }
  }

  /** The job ends with this error. @throws what the journal throws */
  end(job: JobRow, error: OutboardError): void {
    const state = error.code === 'envelope.expired' || error.code === 'job.expired' ? 'expired' : 'failed';
    this.#o.journal.jobs.transition(job.id, state, { problem: error.toJSON() });
  }

  #afterFailure(before: JobRow, was: WaitingJob, error: OutboardError): void {
    const { journal, log, waiting } = this.#o;
    const job = journal.jobs.get(before.id);
    const { jti, state, attempt } = job;
    const { code, message: detail, cause: err } = error;
    log.warn({ job: jti, state, attempt, code, detail, err }, 'an attempt failed');
    waiting.delete(job.id);
    const sequel = sequelOf(job, was, error);
    if (sequel === 'settled') return;
    if (sequel === 'end') return this.end(job, error);
    if (sequel.rolled) journal.jobs.transition(job.id, 'ready', { problem: error.toJSON() });
    waiting.set(job.id, waitingJob(was.plan, sequel, sequel.retryInMs));
  }
}
