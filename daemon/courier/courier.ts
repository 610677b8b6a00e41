/**
 * The courier: the side that has the network. It carries envelopes and ciphertext between the broker, the store and the rig's
 * socket, understands neither, and keeps nothing: it can be killed at any instant.
 */
import { setMaxListeners } from 'node:events';
import { BrokerClient } from '../../client/broker-client.js';
import { StoreClient } from '../../client/store-client.js';
import type { TlsLoader } from '../../client/tls-files.js';
import { topics } from '../../core/contract/topics.js';
import { OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import type { Pulse } from '../service-manager.js';
import { Broadcast, unreachable } from './broadcast.js';
import type { Pause } from './keep-going.js';
import { LinkReporter } from './link-report.js';
import { type OfferCounters, Offers } from './offers.js';
import { Outbox } from './outbox.js';
import { RigApi } from './rig-api.js';
import { deliveries, fetches } from './transfers.js';

export interface CourierOptions {
  rig: string;
  /** Path of the rig's `courier.sock`. */
  socket: string;
  broker: { url: string; tls: TlsLoader };
  store: { url: string; tls: TlsLoader; minBytesPerSecond: number; stallSeconds: number };
  logger: Logger;
  /** Pauses between tries; the defaults are for a real network. */
  brokerPause?: Pause;
  transferPause?: Pause;
  maxConnectionMs?: number;
}

/** In each direction. */
const TRANSFERS = 2;
const FAREWELL_MS = 2000;
/** A long poll of the rig ends after 15 s at the latest, answered or not, and the next begins within two. */
const STALE_ROUND_MS = 60_000;

export class Courier {
  readonly #options: CourierOptions;
  readonly #rig: RigApi;
  readonly #broker: BrokerClient;
  readonly #offers: Offers;
  readonly #outbox: Outbox;
  readonly #broadcast: Broadcast;
  readonly #link: LinkReporter;
  #stopping: AbortController | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(options: CourierOptions) {
    const { rig, logger } = options;
    this.#options = options;
    this.#rig = new RigApi(options.socket);
    this.#offers = new Offers(rig, this.#rig, logger);
    this.#broker = new BrokerClient({
      url: options.broker.url,
      name: rig,
      tls: options.broker.tls,
      subscriptions: this.#offers.topics,
      handler: (message, signal) => this.#offers.handle(message, signal),
      will: { topic: topics(rig).state, payload: unreachable(rig) },
      logger,
      ...(options.brokerPause ? { backoff: options.brokerPause } : {}),
      ...(options.maxConnectionMs ? { maxConnectionMs: options.maxConnectionMs } : {}),
    });
    this.#outbox = new Outbox(rig, this.#rig, this.#broker, logger);
    this.#broadcast = new Broadcast(rig, this.#rig, this.#broker, logger);
    this.#link = new LinkReporter(this.#rig, logger);
  }

  get counters(): Readonly<OfferCounters> {
    return this.#offers.counters;
  }

  /** For the service manager. A rig, a broker or a store that is away is waited for; only a conversation that hangs calls for a new process. */
  pulse(): Pulse {
    const { report } = this.#link;
    const rig = this.#broadcast.rigUp ? 'answers' : 'does not answer';
    return {
      status: `broker ${report.broker}, store ${report.store}, rig ${rig}`,
      well: this.#broadcast.sinceRoundMs < STALE_ROUND_MS,
    };
  }

  /** Begins; neither the rig nor the broker nor the store needs to be there. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#stopping || signal?.aborted) return;
    this.#stopping = new AbortController();
    signal?.addEventListener('abort', () => void this.stop(), { once: true });
    const stopping = this.#stopping.signal;
    setMaxListeners(0, stopping); // every request and every pause listens
    const { store, logger } = this.#options;
    const transfers = {
      rig: this.#rig,
      store: new StoreClient(store),
      logger,
      onStore: (reachable: boolean) => this.#link.store(reachable),
      concurrency: TRANSFERS,
      pause: this.#options.transferPause ?? { baseMs: 1000, maxMs: 60_000 },
    };
    this.#broker.onLink((link) => this.#link.broker(link));
    this.#broadcast.onRig((up) => this.#link.rig(up));
    this.#running = Promise.all([
      this.#broadcast.run(stopping),
      this.#link.run(stopping),
      this.#outbox.run(stopping),
      fetches(transfers).run(stopping),
      deliveries(transfers).run(stopping),
    ]);
    await this.#broker.start();
  }

  /** Stops carrying, says `unreachable`, disconnects. May be called twice. */
  async stop(): Promise<void> {
    const stopping = this.#stopping;
    if (!stopping) return;
    this.#stopped ??= (async () => {
      stopping.abort(new OutboardError('broker.unreachable', 'the courier stops'));
      await this.#running;
      await this.#broadcast.farewell(FAREWELL_MS);
      await this.#broker.stop();
      this.#rig.close();
    })();
    await this.#stopped;
  }
}
