/**
 * The retained documents: the rig's signed state, health and calibration, or the courier's only word of its own, `unreachable`.
 *
 * The rig's long poll is also how the courier knows that the rig lives: the poll ends the moment its process does. What shall stand
 * at the broker and what stands there are compared, so that a reconnect, a lost publish or a quick change all end in the same state.
 */
import type { BrokerClient } from '../../client/broker-client.js';
import { Subsystem, type UnreachableDocument } from '../../core/contract/health.js';
import type { BroadcastAnswer } from '../../core/contract/local-api.js';
import { topics } from '../../core/contract/topics.js';
import { delay } from '../../core/duration.js';
import { asOutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import { keepGoing } from './keep-going.js';
import type { RigApi } from './rig-api.js';

/** Short, because a rig that hangs without closing its socket is noticed only when a poll is overdue. */
const WAIT_SECONDS = 10;
const HASTY_MS = 50;
const AGAIN_MS = 1000;

export function unreachable(rig: string): string {
  return JSON.stringify({ unreachable: rig } satisfies UnreachableDocument);
}

export class Broadcast {
  readonly #rigId: string;
  readonly #rig: RigApi;
  readonly #broker: BrokerClient;
  readonly #logger: Logger;
  readonly #wanted = new Map<string, string>();
  readonly #standing = new Map<string, string>();
  readonly #rigListeners = new Set<(up: boolean) => void>();
  #seq = 0;
  #up: boolean | null = null;
  #roundMs = performance.now();
  #wake: (() => void) | null = null;

  constructor(rigId: string, rig: RigApi, broker: BrokerClient, logger: Logger) {
    this.#rigId = rigId;
    this.#rig = rig;
    this.#broker = broker;
    this.#logger = logger;
  }

  get rigUp(): boolean {
    return this.#up === true;
  }

  /** How long ago a long poll of the rig ended, well or not, in milliseconds. */
  get sinceRoundMs(): number {
    return performance.now() - this.#roundMs;
  }

  /** Called when the rig answers for the first time, comes back, or goes away. */
  onRig(listener: (up: boolean) => void): void {
    this.#rigListeners.add(listener);
  }

  async run(signal: AbortSignal): Promise<void> {
    // After a reconnect the will may stand there, or an older document of another session: all is said again.
    const off = this.#broker.onLink(({ broker }) => {
      this.#standing.clear();
      if (broker === 'connected') this.#wake?.();
    });
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    const publishing = this.#publishWanted(signal);
    await keepGoing(signal, this.#logger, 'broadcast', { baseMs: 100, maxMs: 2000 }, async () => {
      const asked = performance.now();
      const answer = await this.#rig
        .broadcast(this.#seq, WAIT_SECONDS, signal)
        .catch((error) => {
          if (!signal.aborted) this.#rigGone();
          throw error;
        })
        .finally(() => {
          this.#roundMs = performance.now();
        });
      const news = answer.seq !== this.#seq;
      this.#rigSays(answer);
      if (!news && performance.now() - asked < HASTY_MS) await delay(HASTY_MS, signal);
    });
    await publishing;
    off();
  }

  /** The last word of a courier that stops. */
  async farewell(timeoutMs: number): Promise<void> {
    if (!this.#broker.connected) return;
    const said = this.#broker.publish(topics(this.#rigId).state, unreachable(this.#rigId), { qos: 1, retain: true });
    await Promise.race([said, delay(timeoutMs, undefined, { unref: true })]).catch(() => undefined);
  }

  #rigSays(answer: BroadcastAnswer): void {
    this.#setUp(true);
    if (answer.seq === this.#seq) return;
    this.#seq = answer.seq;
    const at = topics(this.#rigId);
    this.#wanted.set(at.state, answer.state);
    for (const { subsystem, token } of answer.health) {
      const known = Subsystem.safeParse(subsystem);
      if (known.success) this.#wanted.set(at.health(known.data), token);
      else this.#logger.warn({ subsystem }, 'the rig names a subsystem that has no topic');
    }
    for (const { insert, token } of answer.calibration) this.#wanted.set(at.calibration(insert), token);
    this.#wake?.();
  }

  #rigGone(): void {
    this.#setUp(false);
    this.#seq = 0; // so that whatever it says next is news
    this.#wanted.set(topics(this.#rigId).state, unreachable(this.#rigId));
    this.#wake?.();
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#logger[up ? 'info' : 'warn']({ rig: this.#rigId }, up ? 'the rig answers' : 'the rig does not answer');
    for (const listener of this.#rigListeners) listener(up);
  }

  async #publishWanted(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = this.#broker.connected
        ? [...this.#wanted].find(([topic, payload]) => this.#standing.get(topic) !== payload)
        : undefined;
      if (!next) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
        continue;
      }
      const [topic, payload] = next;
      try {
        await this.#broker.publish(topic, payload, { qos: 1, retain: true });
        this.#standing.set(topic, payload);
      } catch (error) {
        const problem = asOutboardError(error);
        this.#logger.warn({ topic, code: problem.code }, problem.message);
        await delay(AGAIN_MS, signal).catch(() => undefined);
      }
    }
  }
}
