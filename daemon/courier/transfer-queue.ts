/**
 * Blobs on their way, in one direction: what the rig lists is carried, a few at a time, each digest once at a time.
 *
 * The list is the rig's and comes again with every poll. After a failure a digest rests for a while, longer each time, unless bytes
 * have moved; whether to go on at all is the rig's decision, which it makes from the reports.
 */
import type { TransferReport } from '../../core/contract/local-api.js';
import { backoffMs, delay } from '../../core/duration.js';
import { asOutboardError, type OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import { keepGoing, type Pause } from './keep-going.js';

export interface TransferItem {
  digest: string;
  bytes: number;
}

export interface TransferQueueOptions<Item extends TransferItem> {
  name: string;
  logger: Logger;
  /** Long poll for what is wanted now. */
  list(waitSeconds: number, signal: AbortSignal): Promise<Item[]>;
  /** Carries one blob; calls `moved` when bytes have arrived at the other side. */
  carry(item: Item, signal: AbortSignal, moved: () => void): Promise<void>;
  /** What the rig shall hear of a failure; null when it is the rig's own and needs no report. */
  explain(error: OutboardError): TransferReport | null;
  report(digest: string, report: TransferReport, signal: AbortSignal): Promise<void>;
  concurrency: number;
  pause: Pause;
}

interface Rest {
  failures: number;
  /** On the monotonic clock. */
  untilMs: number;
}

const WAIT_SECONDS = 25;
/** How often the list is looked at while what is on it is under way or resting. */
const LOOK_MS = 300;

export class TransferQueue<Item extends TransferItem> {
  readonly #options: TransferQueueOptions<Item>;
  readonly #active = new Map<string, Promise<void>>();
  readonly #resting = new Map<string, Rest>();

  constructor(options: TransferQueueOptions<Item>) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { logger, name } = this.#options;
    await keepGoing(signal, logger, name, { baseMs: 100, maxMs: 2000 }, () => this.#step(signal));
    await Promise.all(this.#active.values());
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { concurrency, list } = this.#options;
    if (this.#active.size >= concurrency) await Promise.race(this.#active.values());
    signal.throwIfAborted();
    const items = await list(WAIT_SECONDS, signal);
    this.#forgetUnlisted(items);
    const now = performance.now();
    let begun = 0;
    for (const item of items) {
      if (this.#active.size >= concurrency) break;
      if (this.#active.has(item.digest) || (this.#resting.get(item.digest)?.untilMs ?? 0) > now) continue;
      begun += 1;
      this.#active.set(
        item.digest,
        this.#one(item, signal).finally(() => this.#active.delete(item.digest)),
      );
    }
    if (begun === 0) await Promise.race([delay(LOOK_MS, signal), ...this.#active.values()]);
  }

  async #one(item: Item, signal: AbortSignal): Promise<void> {
    const { carry, explain, report, logger, name, pause } = this.#options;
    const { digest } = item;
    const begun = performance.now();
    let moved = false;
    try {
      await carry(item, signal, () => {
        moved = true;
      });
      this.#resting.delete(digest);
      logger.info({ what: name, digest, bytes: item.bytes, ms: Math.round(performance.now() - begun) }, 'carried');
    } catch (error) {
      if (signal.aborted) return;
      const problem = asOutboardError(error);
      const failures = moved ? 0 : (this.#resting.get(digest)?.failures ?? 0);
      this.#resting.set(digest, {
        failures: failures + 1,
        untilMs: performance.now() + backoffMs(failures, pause.baseMs, pause.maxMs),
      });
      logger.warn({ what: name, digest, code: problem.code, failures: failures + 1 }, problem.message);
      const answer = explain(problem);
      if (answer) await report(digest, answer, signal).catch(() => undefined); // the next try will tell
    }
  }

  #forgetUnlisted(items: Item[]): void {
    const listed = new Set(items.map((item) => item.digest));
    for (const digest of this.#resting.keys()) if (!listed.has(digest)) this.#resting.delete(digest);
  }
}
