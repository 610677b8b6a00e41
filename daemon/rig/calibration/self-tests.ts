/**
 * The rig's own checks between jobs. They begin only when the rig was idle for the configured time, one insert after the other, the one first
 * whose last whole check is the oldest. A job that arrives ends them, and waits for nothing of them but the end of their sound: it recalls its
 * units itself. Inserts on which it would have to wait are left out: one that remembers would have to be flushed, and crosspoints of a patchbay to be
 * freed.
 */
import type { RigConfig } from '../../../core/contract/index.js';
import { nowSeconds } from '../../../core/units.js';
import type { Logger } from '../../log.js';
import type { Journal } from '../journal/journal.js';
import type { ModeKeeper } from '../mode.js';
import type { HistoryArchive } from './history-archive.js';
import type { CalibrationRuns } from './runs.js';

export interface SelfTestsOptions {
  config: Pick<RigConfig, 'inserts' | 'selfTest'>;
  journal: Journal;
  mode: ModeKeeper;
  archive: Pick<HistoryArchive, 'runs'>;
  runs: Pick<CalibrationRuns, 'selfTest' | 'abort' | 'active'>;
  /** How long an insert remembers, s. */
  memorySeconds(insert: string): number;
  /** False where a stream or a unit is away. */
  ready(insert: string): boolean;
  log: Logger;
}

/** Jobs that want the gear, now or soon. */
const WAITING = ['accepted', 'ready', 'rolling'] as const;
/** After a check that was not made, and between looks at a rig where all is checked. */
const LOOK_MS = 60_000;
/** Until an insert that could not be checked is tried again. */
const AGAIN_MS = 15 * 60_000;

export class SelfTests {
  readonly #o: SelfTestsOptions;
  #busyAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void)[] = [];
  #testing: Promise<void> | null = null;
  /** The check that goes on was ended for something else. */
  #brokenOff = false;
  /** Of inserts whose check did not come to its end by itself, monotonic. */
  readonly #notBeforeMs = new Map<string, number>();

  constructor(options: SelfTestsOptions) {
    this.#o = options;
  }

  /** Does nothing where none are configured. */
  start(): void {
    const { config, journal, mode } = this.#o;
    if (!config.selfTest || this.#unsubscribe.length > 0) return;
    this.#unsubscribe = [
      journal.jobs.onChange(() => this.#busy('a job has come in')),
      mode.onChange((now) => {
        if (now !== 'ready') this.#busy(`the rig is ${now}`);
      }),
    ];
    this.#busyAtMs = performance.now();
    this.#lookIn(config.selfTest.idleSeconds * 1000);
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    clearTimeout(this.#timer);
    await this.#end('the rig is stopping');
  }

  #busy(why: string): void {
    this.#busyAtMs = performance.now();
    void this.#end(why);
  }

  async #end(why: string): Promise<void> {
    if (!this.#testing) return;
    this.#brokenOff = true;
    void this.#o.runs.abort(why);
    await this.#testing;
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    // Node's timers hold no more than this.
    this.#timer = setTimeout(() => this.#look(), Math.min(ms, 2 ** 30));
  }

  /** A history or a journal that cannot be read now is no reason to end. */
  #look(): void {
    try {
      this.#next();
    } catch (error) {
      this.#o.log.error({ err: error }, 'what is to be checked could not be read');
      this.#lookIn(LOOK_MS);
    }
  }

  #next(): void {
    const { config, mode, journal, runs } = this.#o;
    const idleMs = performance.now() - this.#busyAtMs;
    const waitMs = config.selfTest!.idleSeconds * 1000 - idleMs;
    if (waitMs > 0) return this.#lookIn(waitMs);
    const wanted = WAITING.some((state) => journal.jobs.inState(state).length > 0);
    const insert = mode.mode === 'ready' && !wanted && !runs.active ? this.#due() : null;
    if (insert === null) return this.#lookIn(LOOK_MS);
    this.#testing = this.#test(insert);
  }

  /** The insert that nobody has looked at for the longest time, if it is time. */
  #due(): string | null {
    const { config, archive, memorySeconds, ready } = this.#o;
    const latest = nowSeconds() - config.selfTest!.everySeconds;
    const due = Object.keys(config.inserts)
      .filter((insert) => memorySeconds(insert) === 0 && !config.inserts[insert]!.via && ready(insert))
      .filter((insert) => performance.now() >= (this.#notBeforeMs.get(insert) ?? 0))
      .map((insert) => ({
        insert,
        at: archive.runs({ insert, kind: 'self-test', whole: true, limit: 1 })[0]?.endedAt ?? 0,
      }))
      .filter(({ at }) => at <= latest)
      .sort((a, b) => a.at - b.at);
    return due[0]?.insert ?? null;
  }

  async #test(insert: string): Promise<void> {
    const { runs, log } = this.#o;
    let wellDone = false;
    this.#brokenOff = false;
    try {
      const document = await runs.selfTest(insert, 'the rig was idle');
      wellDone = document !== null && document.problem === undefined;
    } catch (error) {
      log.error({ insert, err: error }, 'a self-test could not begin');
    } finally {
      this.#testing = null;
      // One insert that cannot be checked must not keep the others from it.
      if (!wellDone && !this.#brokenOff) this.#notBeforeMs.set(insert, performance.now() + AGAIN_MS);
      if (this.#unsubscribe.length > 0) this.#lookIn(wellDone || this.#brokenOff ? 0 : LOOK_MS);
    }
  }
}
