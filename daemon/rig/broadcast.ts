/** The signed state, health and calibration that stand retained at the broker: said anew every 30 s and at each change, numbered over restarts. */

import type { Signer } from '../../certs/keys.js';
import {
  type CalibrationSummary,
  type HealthPayload,
  STATE_INTERVAL_SECONDS,
  STATE_TTL_SECONDS,
  type StatePayload,
} from '../../core/contract/index.js';
import { isOutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import { Waiters } from './waiters.js';

/** Changes closer together than this are said once. */
const SETTLE_MS = 250;

export interface BroadcastOptions {
  rig: string;
  log: Logger;
  journal: Journal;
  signer: Signer;
  state(): StatePayload['state'];
  health(): Promise<HealthPayload['health'][]>;
  /** Of every insert. */
  calibration(): CalibrationSummary[];
}

interface Said {
  seq: number;
  state: string;
  health: { subsystem: string; token: string }[];
  calibration: { insert: string; token: string }[];
}

export class Broadcast {
  readonly #o: BroadcastOptions;
  readonly #waiters = new Waiters();
  #said: Said | undefined;
  #interval: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #saying: Promise<void> = Promise.resolve();
  #roundMs = Number.NEGATIVE_INFINITY;

  constructor(options: BroadcastOptions) {
    this.#o = options;
  }

  async start(): Promise<void> {
    this.#waiters.begin();
    this.#interval = setInterval(() => this.#queue(), STATE_INTERVAL_SECONDS * 1000);
    this.#queue();
    await this.#saying;
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval);
    clearTimeout(this.#settling);
    this.#queue();
    await this.#saying;
    this.#waiters.end();
  }

  /** The health of this moment. */
  health(): Promise<HealthPayload['health'][]> {
    return this.#o.health();
  }

  /** How long ago the state and the health were last said, in milliseconds: this leads through clock, disk, journal, claim and keys. */
  get sinceRoundMs(): number {
    return performance.now() - this.#roundMs;
  }

  /** Something that the state or the health shows has changed. */
  changed(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#queue();
    }, SETTLE_MS);
  }

  #queue(): void {
    this.#saying = this.#saying
      .then(() => this.#say())
      .catch((error) => {
        // A new process would find the same disk just as full.
        if (isOutboardError(error, 'rig.disk-full')) this.#roundMs = performance.now();
        this.#o.log.error({ err: error }, 'the state could not be said; it is said again');
      });
  }

  async #say(): Promise<void> {
    const { journal, signer, rig } = this.#o;
    const seq = journal.db.commit('state.seq', () => {
      const next = Number(journal.meta('state.seq') ?? 0) + 1;
      journal.setMeta('state.seq', String(next));
      return next;
    });
    const common = { iss: rig, iat: nowSeconds(), seq, ttl: STATE_TTL_SECONDS };
    const health = await this.#o.health();
    const state: StatePayload = { ...common, state: this.#o.state() };
    this.#said = {
      seq,
      state: await signer.sign('state', state),
      health: await Promise.all(
        health.map(async (entry) => ({
          subsystem: entry.subsystem,
          token: await signer.sign('state', { ...common, health: entry }),
        })),
      ),
      calibration: await Promise.all(
        this.#o.calibration().map(async (summary) => ({
          insert: summary.insert,
          token: await signer.sign('state', { ...common, calibration: summary }),
        })),
      ),
    };
    this.#roundMs = performance.now();
    this.#waiters.wake();
  }

  /** The newest documents, once their number is above `after`. */
  async take(after: number, waitMs: number, signal: AbortSignal): Promise<Said> {
    const until = performance.now() + waitMs;
    const news = () => this.#said !== undefined && this.#said.seq > after;
    while (!news() && performance.now() < until && !signal.aborted && !this.#waiters.ended)
      await this.#waiters.wait(until - performance.now(), signal);
    await this.#saying;
    return this.#said!;
  }
}
