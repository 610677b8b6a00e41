/** What the courier may carry out now: due rows of the outbox, signed as they leave, and progress, which nobody relies upon. */
import { randomUUID } from 'node:crypto';
import type { Signer } from '../../certs/keys.js';
import type { EventPayload, OutboxItem } from '../../core/contract/index.js';
import { asOutboardError, type OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import { Waiters } from './waiters.js';

const BATCH = 100;
/** A row handed out is not handed out again for this long unless the courier reports it or begins anew. */
const LEASE_MS = 15_000;
const PROGRESS_EVERY_MS = 1000;
const MAX_PROGRESS = 200;

export class Outgoing {
  readonly #journal: Journal;
  readonly #signer: Signer;
  readonly #rig: string;
  readonly #leases = new Map<string, number>();
  readonly #progress = new Map<string, EventPayload>();
  readonly #lastProgress = new Map<number, number>();
  readonly #present = new Map<number, { phase: string; percent: number }>();
  readonly #waiters = new Waiters();

  constructor(options: { journal: Journal; signer: Signer; rig: string }) {
    this.#journal = options.journal;
    this.#signer = options.signer;
    this.#rig = options.rig;
  }

  start(): void {
    this.#waiters.begin();
    this.#journal.outbox.onChange(() => this.#waiters.wake());
    this.#journal.jobs.onChange((job) => {
      if (['rolling', 'ready', 'accepted'].includes(job.state)) return;
      this.#present.delete(job.id);
      this.#lastProgress.delete(job.id);
    });
  }

  stop(): void {
    this.#waiters.end();
  }

  /** The last word of a running job, for `outboard status`. */
  progressOf(jobId: number): { phase: string; percent: number } | null {
    return this.#present.get(jobId) ?? null;
  }

  /** Kept to one document a second and job; the newest replaces what was not carried out yet. */
  progress(job: JobRow, phase: string, percent: number): void {
    const before = this.#present.get(job.id);
    this.#present.set(job.id, { phase, percent });
    const now = performance.now();
    const last = this.#lastProgress.get(job.id) ?? Number.NEGATIVE_INFINITY;
    if (before?.phase === phase && now - last < PROGRESS_EVERY_MS) return;
    this.#lastProgress.set(job.id, now);
    if (this.#progress.size >= MAX_PROGRESS && !this.#progress.has(job.jti)) return;
    this.#progress.set(job.jti, {
      iss: this.#rig,
      aud: job.dispatcher,
      jti: randomUUID(),
      iat: nowSeconds(),
      job: job.jti,
      type: 'progress',
      progress: { phase, percent: Math.round(percent * 10) / 10 },
    });
    this.#waiters.wake();
  }

  /** Due documents; waits up to `waitMs` for one. */
  async take(waitMs: number, signal: AbortSignal): Promise<OutboxItem[]> {
    const until = performance.now() + waitMs;
    for (;;) {
      const items = await this.#collect();
      const left = until - performance.now();
      if (items.length > 0 || left <= 0 || signal.aborted || this.#waiters.ended) return items;
      const nextDue = this.#journal.outbox.nextDueAt();
      const dueInMs = nextDue === null ? left : Math.max(200, (nextDue - nowSeconds()) * 1000);
      await this.#waiters.wait(Math.min(left, dueInMs), signal);
    }
  }

  async #collect(): Promise<OutboxItem[]> {
    const now = performance.now();
    for (const [id, until] of this.#leases) if (until <= now) this.#leases.delete(id);
    const rows = this.#journal.outbox.due(BATCH, new Set(this.#leases.keys()));
    for (const row of rows) this.#leases.set(row.jti, now + LEASE_MS);
    const durable = rows.map(async (row): Promise<OutboxItem | null> => {
      const channel =
        row.kind === 'event' ? ({ kind: 'event', dispatcher: row.dispatcher! } as const) : ({ kind: 'alert' } as const);
      try {
        const token = await this.#signer.sign(
          row.kind === 'event' ? 'event' : 'state',
          JSON.parse(row.payload) as object,
        );
        return { id: row.jti, channel, durable: true, token };
      } catch (cause) {
        this.#unsayable(row.jti, asOutboardError(cause));
        return null;
      }
    });
    const progress = [...this.#progress.values()];
    this.#progress.clear();
    const fleeting = progress.map(async (payload): Promise<OutboxItem> => {
      const token = await this.#signer.sign('event', payload);
      return { id: payload.jti, channel: { kind: 'event', dispatcher: payload.aud }, durable: false, token };
    });
    const items = await Promise.all([...durable, ...fleeting]);
    return items.filter((item) => item !== null);
  }

  /** One document that cannot be signed must not stand in the way of all others: it is closed, and everybody is told. */
  #unsayable(jti: string, error: OutboardError): void {
    this.#journal.db.commit('outbox.closed', () => {
      this.#journal.outbox.close(jti);
      this.#journal.outbox.putAlert('critical', error.toJSON());
      this.#journal.audit.append('outbox.closed', { event: jti, code: error.code });
    });
  }

  published(ids: readonly string[]): void {
    this.#journal.outbox.published(ids);
    for (const id of ids) this.#leases.delete(id);
  }

  /** The courier began anew: whatever it was given before may be lost. */
  courierBegan(): void {
    this.#leases.clear();
    this.#waiters.wake();
  }
}
