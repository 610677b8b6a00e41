/**
 * Who rolls next. Tenants take turns; inserts are held exclusively; takes of different tenants roll together only where isolation allows it;
 * jobs of one rate are grouped, and the stream changes its rate only when nothing rolls. The next job of an insert is prepared while the
 * present one rolls.
 */
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import { AttemptOutcomes } from './attempt-outcomes.js';
import type { Bounce, PreparedBounce } from './bounce.js';
import type { Engine } from './engine/engine.js';
import { isBlameless } from './failed-attempt.js';
import { forgetOldest, pickNext } from './fairness.js';
import { type IsolationRules, type IsolationSubject, mayRollTogether } from './isolation.js';
import type { JobPlan } from './job-rules.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import { RateTurn } from './rate-turn.js';
import { type WaitingJob, waitingJob } from './waiting-job.js';

export interface SchedulerOptions {
  journal: Journal;
  bounce: Bounce;
  isolation: IsolationRules;
  log: Logger;
  /** The plan of a ready job, or the error for which it can never run. */
  planOf(job: JobRow): Promise<JobPlan>;
  /** The running engine at a rate; called only while nothing rolls when the rate changes. */
  engineAt(rate: number): Promise<Engine>;
  /** Of the stream that runs, Hz; null when there is none. */
  streamRate(): number | null;
  /** False in every mode but `ready`. */
  mayStart(): boolean;
  /** True also while the rig drains: what was begun may end. */
  mayRoll(): boolean;
  unitsReady(processors: readonly string[]): boolean;
  /** Inserts that must forget before this take may begin: its own, and those from which a strange echo could leak into it. */
  toFlush(plan: JobPlan): string[];
  /** Brings a chain's processors into their safe state after an attempt that failed or was cancelled. */
  makeSafe(processors: readonly string[]): Promise<void>;
  /** How long a job may be overtaken, ms. */
  patienceMs?: number;
}

interface Active {
  job: JobRow;
  plan: JobPlan;
  /** Held like the take's own inserts. */
  flush: readonly string[];
  abort: AbortController;
  /** Resolves when the attempt is over and its outcome committed. */
  over: Promise<void>;
  holdsInserts: boolean;
  /** True once the gear may have been touched. */
  ran: boolean;
}

/** At most this many sources are open ahead of their turn, so that memory stays bounded whatever the queue. */
const MAX_PREPARED = 4;
/** A job that was overtaken for this long is not overtaken any more. */
const PATIENCE_MS = 60_000;
/** After a look that failed, or a job whose plan cannot be made now. */
const LOOK_AGAIN_MS = 2000;

export class Scheduler {
  readonly #o: SchedulerOptions;
  readonly #active = new Map<number, Active>();
  readonly #waiting = new Map<number, WaitingJob>();
  readonly #lastServed = new Map<string, number>();
  readonly #withdrawing = new Set<number>();
  readonly #rateTurn: RateTurn;
  readonly #outcomes: AttemptOutcomes;
  /** Sources that are open for jobs which have not begun. */
  get #prepared(): number {
    let count = 0;
    for (const entry of this.#waiting.values()) if (entry.prepared && ++count >= MAX_PREPARED) break;
    return count;
  }

  #turn = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = true;
  #timer: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: SchedulerOptions) {
    this.#o = options;
    this.#rateTurn = new RateTurn(this.#patienceMs);
    const { journal, log } = options;
    this.#outcomes = new AttemptOutcomes({
      journal,
      log,
      waiting: this.#waiting,
      onUnsettled: () => this.#lookLater(),
    });
  }

  get #patienceMs(): number {
    return this.#o.patienceMs ?? PATIENCE_MS;
  }

  async start(): Promise<void> {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#unsubscribe = this.#o.journal.jobs.onChange((job) => {
      // Only what may start now, or has a time by which it must have started, is news here.
      if (job.state === 'ready' || (job.state === 'accepted' && job.startBy !== null)) this.poke();
    });
    this.poke();
  }

  /** Ends every take (outputs ramp down) and waits until its outcome is in the journal. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#unsubscribe?.();
    clearTimeout(this.#timer);
    clearTimeout(this.#later);
    await this.abortAll('the rig is stopping');
    for (const id of [...this.#waiting.keys()]) await this.#forget(id);
    await this.#running;
  }

  /** Forgets what was planned and prepared of jobs that wait: they are planned anew. */
  async replan(): Promise<void> {
    const waiting = [...this.#waiting.keys()].filter((id) => !this.#active.has(id));
    await Promise.all(waiting.map((id) => this.#forget(id)));
    this.poke();
  }

  /** Inserts that takes hold, and those that are made to forget for them. */
  get inserts(): ReadonlySet<string> {
    const holding = [...this.#active.values()].filter(({ holdsInserts }) => holdsInserts);
    return new Set(holding.flatMap(({ plan, flush }) => [...plan.hops.map(({ insert }) => insert), ...flush]));
  }

  get rolling(): number {
    return this.#active.size;
  }

  /** Resolves when no insert is held: a drain. New takes are held back by `mayStart`. Rejects at once when the signal is aborted. */
  async drained(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    aborted.catch(() => undefined);
    while (this.#active.size > 0 && !signal.aborted)
      await Promise.race([aborted, ...[...this.#active.values()].map((active) => active.over)]);
    signal.throwIfAborted();
  }

  async abortAll(reason: string): Promise<void> {
    const ending = [...this.#active.values()];
    for (const active of ending) active.abort.abort(new OutboardError('take.aborted', reason));
    await Promise.all(ending.map((active) => active.over));
  }

  /** Ends a job that is not sealed yet; resolves when nothing of it plays any more. The caller says what it ends as. */
  async withdraw(job: JobRow, reason: OutboardError): Promise<void> {
    const active = this.#active.get(job.id);
    this.#withdrawing.add(job.id);
    try {
      active?.abort.abort(reason);
      await active?.over;
      await this.#forget(job.id);
    } finally {
      // The caller commits in the same turn in which this resolves.
      setImmediate(() => this.#withdrawing.delete(job.id));
    }
  }

  /** Looks again, soon. Cheap; called whenever anything changed that could let a job start. */
  poke(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = this.#look()
      .catch((error) => {
        this.#o.log.error({ err: error }, 'the scheduler failed to look');
        this.#lookLater();
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#again) {
          this.#again = false;
          this.poke();
        }
      });
  }

  #lookLater(): void {
    clearTimeout(this.#later);
    if (!this.#stopped) this.#later = setTimeout(() => this.poke(), LOOK_AGAIN_MS);
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#outcomes.settleAgain();
    const ready = await this.#readyJobs();
    let wakeAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    const candidates = ready.filter(({ id }) => {
      const waiting = this.#waiting.get(id);
      if (!waiting) return false;
      if (waiting.retryAt > now) wakeAt = Math.min(wakeAt, waiting.retryAt);
      return waiting.retryAt <= now;
    });
    forgetOldest(this.#lastServed);
    const order = this.#rateTurn.order(
      pickNext(candidates, this.#lastServed),
      ({ id }) => {
        const { plan, blockedSince } = this.#waiting.get(id)!;
        return { rate: plan.rate, blockedSince };
      },
      this.#rate,
      now,
    );
    const impatient: JobPlan[] = [];
    for (const job of order) {
      if (this.#stopped) return;
      const { plan } = this.#waiting.get(job.id)!;
      const flush = this.#couldStart(plan) ? this.#o.toFlush(plan) : null;
      if (
        flush &&
        this.#isFree(plan, flush) &&
        impatient.every((earlier) => this.#compatible(held(plan, flush), held(earlier, [])))
      ) {
        this.#begin(job, flush);
        continue;
      }
      this.#lose(job, flush !== null, now, impatient);
      this.#prepareAhead(job);
    }
    this.#expire();
    wakeAt = Math.min(wakeAt, now + this.#nextExpiryMs());
    if (Number.isFinite(wakeAt) && !this.#stopped)
      this.#timer = setTimeout(() => this.poke(), Math.max(10, Math.min(wakeAt - now, 60_000)));
  }

  /** Ready jobs that are not active, each with its plan; one that can never run fails here. */
  async #readyJobs(): Promise<JobRow[]> {
    const { journal } = this.#o;
    const jobs: JobRow[] = [];
    for (const job of journal.jobs.inState('ready')) {
      if (this.#active.has(job.id) || this.#withdrawing.has(job.id)) continue;
      if (!this.#waiting.has(job.id)) {
        try {
          this.#waiting.set(job.id, waitingJob(await this.#o.planOf(job)));
        } catch (cause) {
          const error = asOutboardError(cause);
          // A cancel may have ended it meanwhile.
          if (isBlameless(error)) this.#lookLater();
          else if (journal.jobs.get(job.id).state === 'ready') this.#outcomes.end(job, error);
          continue;
        }
        if (journal.jobs.get(job.id).state !== 'ready') continue;
      }
      jobs.push(job);
    }
    const ids = new Set(jobs.map((job) => job.id));
    for (const id of [...this.#waiting.keys()]) if (!ids.has(id) && !this.#active.has(id)) await this.#forget(id);
    return jobs;
  }

  /** A job that only other takes keep waiting becomes impatient; one whose units are away must not hold up the others. */
  #lose(job: JobRow, couldStart: boolean, now: number, impatient: JobPlan[]): void {
    const waiting = this.#waiting.get(job.id)!;
    waiting.blockedSince = couldStart ? (waiting.blockedSince ?? now) : null;
    if (waiting.blockedSince !== null && now - waiting.blockedSince > this.#patienceMs) impatient.push(waiting.plan);
  }

  /** The rate that counts now: of what holds inserts, for which the stream may be about to change, or else of the stream. */
  get #rate(): number | null {
    for (const active of this.#active.values()) if (active.holdsInserts) return active.plan.rate;
    return this.#o.streamRate();
  }

  #couldStart(plan: JobPlan): boolean {
    return this.#o.mayStart() && this.#o.unitsReady([...plan.hops.map((hop) => hop.processor), ...plan.patchbays]);
  }

  #isFree(plan: JobPlan, flush: readonly string[]): boolean {
    return [...this.#active.values()]
      .filter((active) => active.holdsInserts)
      .every((other) => this.#compatible(held(plan, flush), held(other.plan, other.flush)));
  }

  /** One stream has one rate; one insert has one take; tenants do not hear each other. */
  #compatible(a: Held, b: Held): boolean {
    return a.rate === b.rate && mayRollTogether(a, b, this.#o.isolation);
  }

  #prepareAhead(job: JobRow): void {
    const waiting = this.#waiting.get(job.id)!;
    if (waiting.prepared || this.#prepared >= MAX_PREPARED || !this.#o.mayStart()) return;
    if (job.startBy !== null && job.startBy < nowSeconds()) return;
    waiting.prepared = this.#o.bounce.prepare(job, waiting.abort.signal);
    // Its error is looked at when its turn comes.
    waiting.prepared.catch(() => undefined);
  }

  #begin(job: JobRow, flush: readonly string[]): void {
    if (job.attempt === 0 && job.startBy !== null && job.startBy < nowSeconds()) return;
    const waiting = this.#waiting.get(job.id)!;
    const active: Active = {
      job,
      plan: waiting.plan,
      flush,
      abort: waiting.abort,
      over: Promise.resolve(),
      holdsInserts: true,
      ran: false,
    };
    this.#active.set(job.id, active);
    this.#lastServed.set(waiting.plan.tenant, ++this.#turn);
    active.over = this.#attempt(active, waiting).finally(() => {
      this.#active.delete(job.id);
      this.poke();
    });
  }

  async #attempt(active: Active, waiting: WaitingJob): Promise<void> {
    const { job, abort } = active;
    let prepared: PreparedBounce | undefined;
    try {
      prepared = await (waiting.prepared ?? this.#o.bounce.prepare(job, abort.signal));
      const release = () => {
        active.holdsInserts = false;
        this.poke();
      };
      const engine = () => this.#o.engineAt(active.plan.rate);
      const begins = () => {
        if (!this.#o.mayRoll()) throw new OutboardError('rig.mode', 'the rig takes no job now');
      };
      active.ran = true;
      await this.#o.bounce.run(prepared, { signal: abort.signal, engine, begins, flush: active.flush, release });
      this.#waiting.delete(job.id);
    } catch (cause) {
      // The next tenant must not find this one's settings.
      if (active.ran && active.holdsInserts) await this.#o.makeSafe(active.plan.hops.map((hop) => hop.processor));
      this.#outcomes.settle(job, waiting, asOutboardError(abort.signal.aborted ? abort.signal.reason : cause));
    } finally {
      await prepared?.dispose().catch(() => undefined);
    }
  }

  /** startBy counts until the first attempt. */
  #expire(): void {
    for (const job of this.#o.journal.jobs.startByBefore(nowSeconds()))
      if (!this.#active.has(job.id)) {
        void this.#forget(job.id);
        this.#outcomes.end(
          job,
          new OutboardError('job.expired', 'startBy passed before the first attempt could begin'),
        );
      }
  }

  #nextExpiryMs(): number {
    const next = this.#o.journal.jobs.nextStartBy(nowSeconds());
    return next === null ? Number.POSITIVE_INFINITY : (next - nowSeconds() + 1) * 1000;
  }

  async #forget(id: number): Promise<void> {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (!waiting?.prepared) return;
    waiting.abort.abort(new OutboardError('take.aborted', 'the job no longer waits'));
    await waiting.prepared.then((prepared) => prepared.dispose()).catch(() => undefined);
  }
}

interface Held extends IsolationSubject {
  rate: number;
}

function held(plan: JobPlan, flush: readonly string[]): Held {
  const own = new Set(plan.inserts.map((insert) => insert.name));
  const others = flush.filter((name) => !own.has(name)).map((name) => ({ name, loudDb: 0, amplifyDb: 0 }));
  return { tenant: plan.tenant, rate: plan.rate, inserts: [...plan.inserts, ...others] };
}
