/** What the courier shall fetch and deliver, and what becomes of its reports. The rig believes digests, not reports. */
import type { Readable } from 'node:stream';
import type { DeliveryItem, FetchItem, TransferReport } from '../../core/contract/index.js';
import { backoffMs } from '../../core/duration.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import type { Spool } from './spool.js';
import { Waiters } from './waiters.js';

const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A store that cannot give a source for this long will not: the job fails and can be offered again. */
const FETCH_PATIENCE_MS = 15 * 60_000;
const FETCHES_AT_ONCE = 4;

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
  /** The store's standing as the courier last saw it. */
  lastProblem: string | null = null;

  constructor(options: { journal: Journal; spool: Spool; log: Logger }) {
    this.#journal = options.journal;
    this.#spool = options.spool;
    this.#log = options.log;
  }

  start(): void {
    this.#waiters.begin();
    this.#journal.jobs.onChange(() => this.#waiters.wake());
  }

  stop(): void {
    this.#waiters.end();
  }

  /** Sources of accepted jobs, oldest first, without those whose next try is not due. */
  async fetches(waitMs: number, signal: AbortSignal): Promise<FetchItem[]> {
    return await this.#poll(waitMs, signal, async () => {
      const wanted = new Map<string, JobRow>();
      for (const job of this.#journal.jobs.inState('accepted'))
        if (!wanted.has(job.sourceDigest!)) wanted.set(job.sourceDigest!, job);
      const items: FetchItem[] = [];
      for (const [digest, job] of wanted) {
        if (!this.#due(digest)) continue;
        if (await this.#spool.hasSource(digest, job.sourceBytes!)) {
          this.#ready(digest);
          continue;
        }
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
    const job = this.#wanted(digest);
    try {
      const whole = await this.#spool.receive(digest, job.sourceBytes!, offset, body);
      if (whole) this.#ready(digest);
      return whole;
    } catch (cause) {
      const error = asOutboardError(cause);
      if (isOutboardError(error, 'source.digest', 'source.size')) this.#failSource(digest, error);
      if (error.code === 'rig.disk-full') {
        await this.#spool.releaseBallast();
        this.#postpone(digest, error);
      }
      throw error;
    }
  }

  #ready(digest: string): void {
    this.#patience.delete(digest);
    for (const job of this.#journal.jobs.openBySource(digest))
      if (job.state === 'accepted') this.#journal.jobs.transition(job.id, 'ready');
  }

  #failSource(digest: string, error: OutboardError): void {
    this.#patience.delete(digest);
    for (const job of this.#journal.jobs.openBySource(digest))
      if (job.state === 'accepted') this.#journal.jobs.transition(job.id, 'failed', { problem: error.toJSON() });
  }

  #postpone(digest: string, error: { code: string; message: string }): Patience {
    const now = performance.now();
    const before = this.#patience.get(digest) ?? { since: now, tries: 0, retryAt: 0 };
    const entry = {
      since: before.since,
      tries: before.tries + 1,
      retryAt: now + backoffMs(before.tries, RETRY_BASE_MS, RETRY_MAX_MS),
    };
    this.#patience.set(digest, entry);
    this.lastProblem = `${error.code}: ${error.message}`;
    this.#log.warn({ digest, code: error.code, tries: entry.tries }, 'a transfer did not work; it is tried again');
    return entry;
  }

  fetchReport(digest: string, report: TransferReport): void {
    if (report.outcome === 'done') {
      this.lastProblem = null;
      return;
    }
    const { problem, final } = report;
    const entry = this.#postpone(digest, problem);
    if (!final && performance.now() - entry.since < FETCH_PATIENCE_MS) return;
    const code = problem.code === 'store.size' ? 'source.size' : 'source.unavailable';
    this.#failSource(digest, new OutboardError(code, problem.message, { details: { store: problem.code } }));
  }

  /** A delivery is never given up: the sealed file is the client's, and stays until somebody has it. */
  deliveryReport(digest: string, report: TransferReport): void {
    if (report.outcome === 'failed') {
      const entry = this.#postpone(digest, report.problem);
      if (report.final || entry.tries === 20)
        this.#journal.db.commit('alert', () => this.#journal.outbox.putAlert('critical', report.problem));
      return;
    }
    this.#patience.delete(digest);
    this.lastProblem = null;
    for (const job of this.#journal.jobs.openByResult(digest))
      if (job.state === 'sealed') this.#journal.jobs.transition(job.id, 'delivered');
  }

  /** A sealed result that may be read; only while somebody waits for it. */
  result(digest: string): { path: string; bytes: number } {
    const job = this.#journal.jobs.openByResult(digest)[0];
    if (!job) throw new OutboardError('blob.unexpected', 'no open job has this result');
    return { path: this.#spool.resultPath(digest), bytes: job.resultBytes! };
  }
}
