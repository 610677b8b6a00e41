/** What the courier shall fetch and deliver, and what becomes of its reports. The rig believes digests, not reports. */
import type { Readable } from 'node:stream';
import type { DeliveryItem, FetchItem, TransferReport } from '../../core/contract/index.js';
import { backoffMs } from '../../core/duration.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import { forgetOldest, pickNext } from './fairness.js';
import { isOpen, type JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import type { Spool } from './spool.js';
import { Waiters } from './waiters.js';

const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A store that cannot give a source for this long will not: the job fails and can be offered again. */
const FETCH_PATIENCE_MS = 15 * 60_000;
const FETCHES_AT_ONCE = 4;
const MANY_TRIES = 20;

interface Patience {
  since: number;
  tries: number;
  retryAt: number;
}

export class Transfers {
  readonly #journal: Journal;
  readonly #spool: Spool;
  readonly #log: Logger;
  readonly #waiters = new Waiters();
  readonly #patience = new Map<string, Patience>();
  readonly #lastFetched = new Map<string, number>();
  #turn = 0;
  /** The store's standing as the courier last saw it. */
  lastProblem: string | null = null;

  constructor(options: { journal: Journal; spool: Spool; log: Logger }) {
    this.#journal = options.journal;
    this.#spool = options.spool;
    this.#log = options.log;
  }

  start(): void {
    this.#waiters.begin();
    this.#journal.jobs.onChange((job) => {
      if (isOpen(job)) return this.#waiters.wake();
      // Nobody's patience outlives the jobs that had it.
      for (const digest of [job.sourceDigest, job.resultDigest])
        if (
          digest &&
          this.#journal.jobs.openBySource(digest).length + this.#journal.jobs.openByResult(digest).length === 0
        )
          this.#patience.delete(digest);
    });
  }

  stop(): void {
    this.#waiters.end();
  }

  /** Sources of accepted jobs, tenants in turn, without those whose next try is not due. */
  async fetches(waitMs: number, signal: AbortSignal): Promise<FetchItem[]> {
    return await this.#poll(waitMs, signal, async () => {
      forgetOldest(this.#lastFetched);
      const items: FetchItem[] = [];
      for (const job of pickNext(this.#journal.jobs.inState('accepted'), this.#lastFetched)) {
        const digest = job.sourceDigest!;
        if (!this.#due(digest) || items.some((item) => item.digest === digest)) continue;
        if (await this.#spool.hasSource(digest, job.sourceBytes!)) {
          this.#whole(digest, job.sourceBytes!);
          continue;
        }
        this.#lastFetched.set(job.tenant ?? '', ++this.#turn);
        items.push({ digest, bytes: job.sourceBytes!, offset: await this.#spool.offset(digest) });
        if (items.length === FETCHES_AT_ONCE) break;
      }
      return items;
    });
  }

  async deliveries(waitMs: number, signal: AbortSignal): Promise<DeliveryItem[]> {
    return await this.#poll(waitMs, signal, async () =>
      this.#journal.jobs
        .inState('sealed')
        .filter((job) => this.#due(job.resultDigest!))
        .map((job) => ({ digest: job.resultDigest!, bytes: job.resultBytes! })),
    );
  }

  async #poll<T>(waitMs: number, signal: AbortSignal, look: () => Promise<T[]>): Promise<T[]> {
    const until = performance.now() + waitMs;
    for (;;) {
      const items = await look();
      const left = until - performance.now();
      if (items.length > 0 || left <= 0 || signal.aborted || this.#waiters.ended) return items;
      const soonest = Math.min(
        ...[...this.#patience.values()].map((entry) => entry.retryAt - performance.now()).filter((ms) => ms > 0),
      );
      await this.#waiters.wait(Math.min(left, Math.max(50, soonest)), signal);
    }
  }

  #due(digest: string): boolean {
    return (this.#patience.get(digest)?.retryAt ?? 0) <= performance.now();
  }

  /** The bytes that an asked-for source still lacks, or an error when nobody asked for it. */
  async head(digest: string): Promise<number> {
    this.#wanted(digest);
    return await this.#spool.offset(digest);
  }

  #wanted(digest: string): JobRow {
    const job = this.#journal.jobs.openBySource(digest).find((row) => row.state === 'accepted');
    if (!job) throw new OutboardError('blob.unexpected', 'no job waits for this blob');
    return job;
  }

  /**
   * Takes bytes of a source. A wrong digest or too many bytes fail the jobs that wait for it: the store holds what nobody granted.
   *
   * @throws OutboardError blob.unexpected | blob.offset | source.size | source.digest | rig.disk-full
   */
  async receive(digest: string, offset: number, body: Readable): Promise<boolean> {
    const bytes = this.#wanted(digest).sourceBytes!;
    try {
      const whole = await this.#spool.receive(digest, bytes, offset, body);
      // A store that gave something is a store that gives.
      if ((await this.#spool.offset(digest)) > offset) this.#patience.delete(digest);
      if (whole) this.#whole(digest, bytes);
      return whole;
    } catch (cause) {
      const error = asOutboardError(cause);
      if (isOutboardError(error, 'source.digest', 'source.size')) this.#failSource(digest, bytes, error);
      if (error.code === 'rig.disk-full') {
        await this.#spool.releaseBallast();
        this.#postpone(digest, error);
      }
      throw error;
    }
  }

  /** The source is there: jobs that were granted this size are ready, and those granted another one were granted something else. */
  #whole(digest: string, bytes: number): void {
    this.#patience.delete(digest);
    this.lastProblem = null;
    for (const job of this.#accepted(digest)) {
      if (job.sourceBytes === bytes) this.#journal.jobs.transition(job.id, 'ready');
      else this.#fail(job, new OutboardError('source.size', `the source has ${bytes} bytes, not ${job.sourceBytes}`));
    }
  }

  #failSource(digest: string, bytes: number, error: OutboardError): void {
    this.#patience.delete(digest);
    for (const job of this.#accepted(digest)) if (job.sourceBytes === bytes) this.#fail(job, error);
  }

  #accepted(digest: string): JobRow[] {
    return this.#journal.jobs.openBySource(digest).filter((job) => job.state === 'accepted');
  }

  #fail(job: JobRow, error: OutboardError): void {
    this.#journal.jobs.transition(job.id, 'failed', { problem: error.toJSON() });
  }

  #postpone(digest: string, error: OutboardError): Patience {
    const now = performance.now();
    const before = this.#patience.get(digest) ?? { since: now, tries: 0, retryAt: 0 };
    const entry = {
      since: before.since,
      tries: before.tries + 1,
      retryAt: now + backoffMs(before.tries, RETRY_BASE_MS, RETRY_MAX_MS),
    };
    this.#patience.set(digest, entry);
    this.lastProblem = error.message;
    this.#log.warn({ digest, code: error.code, tries: entry.tries }, 'a transfer did not work; it is tried again');
    return entry;
  }

  /** Only what the rig asked for counts, and what it says of it are its own words: the courier's are in the courier's log. */
  fetchReport(digest: string, report: TransferReport): void {
    const jobs = this.#accepted(digest);
    if (report.outcome === 'done' || jobs.length === 0) {
      this.lastProblem = null;
      return;
    }
    const store = storeCode(report.problem.code);
    const code = store === 'store.size' ? 'source.size' : 'source.unavailable';
    const error = new OutboardError(code, `the courier could not fetch the source; it says ${store}`, {
      details: { store },
    });
    const entry = this.#postpone(digest, error);
    if (!report.final && performance.now() - entry.since < FETCH_PATIENCE_MS) return;
    this.#patience.delete(digest);
    for (const job of jobs) this.#fail(job, error);
  }

  /** A delivery is never given up: the sealed file is the client's, and stays until somebody has it. */
  deliveryReport(digest: string, report: TransferReport): void {
    const jobs = this.#journal.jobs.openByResult(digest).filter((job) => job.state === 'sealed');
    if (jobs.length === 0) return;
    if (report.outcome === 'failed') {
      const store = storeCode(report.problem.code);
      const error = new OutboardError(store, 'the courier could not deliver a result; it is tried again', {
        details: { digest },
      });
      const { tries } = this.#postpone(digest, error);
      // Once at the first word that trying again cannot help, and once when it has not helped for long.
      if ((report.final && tries === 1) || tries === MANY_TRIES)
        this.#journal.db.commit('alert', () => this.#journal.outbox.putAlert('critical', error.toJSON()));
      return;
    }
    this.#patience.delete(digest);
    this.lastProblem = null;
    for (const job of jobs) this.#journal.jobs.transition(job.id, 'delivered');
  }

  /** A sealed result that may be read; only while somebody waits for it. */
  result(digest: string): { path: string; bytes: number } {
    const job = this.#journal.jobs.openByResult(digest)[0];
    if (!job) throw new OutboardError('blob.unexpected', 'no open job has this result');
    return { path: this.#spool.resultPath(digest), bytes: job.resultBytes! };
  }
}

const STORE_CODES = [
  'source.unavailable', // it answers that it does not hold it
  'store.status',
  'store.redirect',
  'store.slow',
  'store.size',
  'store.digest',
  'store.unreachable',
] as const;

/** The courier's word for what the store did, if it is one of ours. */
function storeCode(code: string): (typeof STORE_CODES)[number] {
  return STORE_CODES.find((known) => known === code) ?? 'store.unreachable';
}
