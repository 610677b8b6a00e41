/**
 * What comes in by MQTT goes to the rig: offers, cancels and acknowledgements, trust bundles.
 *
 * The broker's copy is let go only when the rig has answered: 200 means committed (or discarded for good), 4xx means that it will
 * never be taken. While the rig is down or answers 5xx, the message stays with the broker. The courier understands nothing of it.
 */
import type { InboundMessage } from '../../client/inbound-window.js';
import { TRUST_TOPIC, topics } from '../../core/contract/topics.js';
import { backoffMs, delay } from '../../core/duration.js';
import { problemOf } from '../local-client.js';
import type { Logger } from '../log.js';
import type { Inlet, RigApi } from './rig-api.js';

export interface OfferCounters {
  /** Answered by the rig. */
  forwarded: number;
  /** Retained offers (the rig refuses them, so that their dispatcher hears of it) and controls (discarded here). */
  retained: number;
  /** Refused by the rig with 4xx. */
  refused: number;
  /** Let go because the rig failed on it again and again while it took others. */
  poisoned: number;
}

/** 4xx that say "later", not "never": RFC 9110 section 15.5.9, RFC 6585 section 4. */
const LATER = [408, 425, 429];
const PAUSE = { baseMs: 100, maxMs: 5000 };
/** A message on which the rig fails for so long, while it answers others, would stand in the way of all that follow. */
const POISON = { tries: 12, ms: 30_000 };

export class Offers {
  readonly counters: OfferCounters = { forwarded: 0, retained: 0, refused: 0, poisoned: 0 };
  readonly #rig: RigApi;
  readonly #logger: Logger;
  readonly #inlets: ReadonlyMap<string, Inlet>;
  readonly #poison: typeof POISON;
  #answered = 0;

  constructor(rig: string, api: RigApi, logger: Logger, poison = POISON) {
    this.#poison = poison;
    this.#rig = api;
    this.#logger = logger;
    this.#inlets = new Map([
      [topics(rig).offer, 'offers'],
      [topics(rig).control, 'control'],
      [TRUST_TOPIC, 'trust'],
    ]);
  }

  get topics(): string[] {
    return [...this.#inlets.keys()];
  }

  /** Resolves when the broker may forget the message; the signal ends with the connection that brought it. */
  async handle(message: InboundMessage, signal: AbortSignal): Promise<void> {
    const inlet = this.#inlets.get(message.topic);
    if (!inlet || message.payload.length === 0) return; // an empty one only clears what was retained
    if (message.retain && inlet !== 'trust') {
      // Nobody may leave one lying around: it would come again with each connect.
      this.counters.retained += 1;
      this.#logger.warn({ topic: message.topic, count: this.counters.retained }, 'a retained message is refused');
      if (inlet === 'control') return;
    }
    const begun = performance.now();
    const answeredBefore = this.#answered;
    for (let tries = 0; ; tries += 1) {
      const status = await this.#submit(inlet, message, signal);
      if (status === 'taken') return;
      const others = this.#answered > answeredBefore;
      if (status === 'failed' && others && this.#isPoison(tries, begun)) {
        this.counters.poisoned += 1;
        this.#logger.error({ topic: message.topic, tries }, 'the rig cannot take this message, it is discarded');
        return;
      }
      await delay(backoffMs(tries, PAUSE.baseMs, PAUSE.maxMs), signal);
    }
  }

  #isPoison(tries: number, begunMs: number): boolean {
    return tries >= this.#poison.tries && performance.now() - begunMs > this.#poison.ms;
  }

  async #submit(inlet: Inlet, message: InboundMessage, signal: AbortSignal): Promise<'taken' | 'failed' | 'gone'> {
    let status: number;
    try {
      const answer = await this.#rig.submit(inlet, message.payload, message.retain, signal);
      status = answer.status;
      if (status >= 400) {
        const problem = problemOf(answer);
        this.#logger.warn({ inlet, status, code: problem?.code }, problem?.message ?? 'the rig refuses a message');
      }
    } catch {
      signal.throwIfAborted();
      return 'gone'; // the broadcast says so, once
    }
    if (status >= 200 && status < 300) {
      this.counters.forwarded += 1;
      this.#answered += 1;
      return 'taken';
    }
    if (status >= 400 && status < 500 && !LATER.includes(status)) {
      this.counters.refused += 1;
      this.#answered += 1;
      return 'taken';
    }
    return 'failed';
  }
}
