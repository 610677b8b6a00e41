/**
 * What the rig has to say goes out: events to their dispatchers, alerts to everybody.
 *
 * The rig's outbox is the memory; this is a pump. Each batch is published in order per channel, with a bounded number under way, and
 * what the broker has taken is reported. While the broker is away nothing is asked for, so nothing can be lost here.
 */
import type { BrokerClient } from '../../client/broker-client.js';
import type { OutboxItem } from '../../core/contract/local-api.js';
import { topics } from '../../core/contract/topics.js';
import { delay } from '../../core/duration.js';
import { asOutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import { keepGoing } from './keep-going.js';
import type { RigApi } from './rig-api.js';

const WAIT_SECONDS = 25;
const UNDER_WAY = 16;
const MAX_IDS = 1000;
/** After a batch of which nothing could be published. */
const FRUITLESS_MS = 1000;
/** A poll that comes back empty earlier than this did not wait. */
const HASTY_MS = 50;

export class Outbox {
  readonly #rigId: string;
  readonly #rig: RigApi;
  readonly #broker: BrokerClient;
  readonly #logger: Logger;
  /** Taken by the broker, not yet known to the rig: reported with the next batch and not published twice meanwhile. */
  readonly #unreported = new Set<string>();

  constructor(rigId: string, rig: RigApi, broker: BrokerClient, logger: Logger) {
    this.#rigId = rigId;
    this.#rig = rig;
    this.#broker = broker;
    this.#logger = logger;
  }

  async run(signal: AbortSignal): Promise<void> {
    await keepGoing(signal, this.#logger, 'outbox', { baseMs: 100, maxMs: 2000 }, () => this.#step(signal));
  }

  async #step(signal: AbortSignal): Promise<void> {
    await this.#broker.ready(signal);
    const asked = performance.now();
    const items = await this.#rig.outbox(this.#unreported.size > 0 ? 0 : WAIT_SECONDS, signal);
    const published = await this.#publish(items.filter((item) => !this.#unreported.has(item.id)));
    await this.#reportPublished(signal);
    if (items.length > 0 && published === 0) await delay(FRUITLESS_MS, signal);
    else if (items.length === 0 && performance.now() - asked < HASTY_MS) await delay(HASTY_MS, signal);
  }

  /** @returns how many were published */
  async #publish(items: OutboxItem[]): Promise<number> {
    const channels = new Map<string, OutboxItem[]>();
    for (const item of items) {
      const topic = this.#topicOf(item);
      const channel = channels.get(topic);
      if (channel) channel.push(item);
      else channels.set(topic, [item]);
    }
    const counts = await Promise.all([...channels].map(([topic, channel]) => this.#publishInOrder(topic, channel)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Several are under way at once; the broker keeps the order in which they were sent. After a failure, the rest waits. */
  async #publishInOrder(topic: string, items: OutboxItem[]): Promise<number> {
    let count = 0;
    let failed = false;
    const underWay = new Set<Promise<void>>();
    for (const item of items) {
      if (underWay.size >= UNDER_WAY) await Promise.race(underWay);
      if (failed) break;
      const one: Promise<void> = this.#broker
        .publish(topic, item.token, { qos: item.durable ? 1 : 0, retain: false })
        .then(
          () => {
            count += 1;
            if (item.durable) this.#unreported.add(item.id);
          },
          (error) => {
            if (!failed)
              this.#logger.warn({ topic, code: asOutboardError(error).code }, asOutboardError(error).message);
            failed = true;
          },
        )
        .finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await Promise.all(underWay);
    return count;
  }

  async #reportPublished(signal: AbortSignal): Promise<void> {
    while (this.#unreported.size > 0) {
      const ids = [...this.#unreported].slice(0, MAX_IDS);
      await this.#rig.published(ids, signal);
      for (const id of ids) this.#unreported.delete(id);
    }
  }

  #topicOf(item: OutboxItem): string {
    const { channel } = item;
    return channel.kind === 'event' ? topics(this.#rigId).event(channel.dispatcher) : topics(this.#rigId).alert;
  }
}
