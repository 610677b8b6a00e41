/**
 * The connection to the broker, kept up: sessions one after the other, with back-off and jitter between them.
 *
 * Certificates are read again for each session, and a session is renewed at least every 12 hours, because brokers do not drop one
 * whose certificate was revoked or has expired. The session at the broker persists, so that what is sent meanwhile is kept there.
 */

import { MAX_LIFETIME_SECONDS } from '../core/contract/envelope.js';
import { backoffMs, delay } from '../core/duration.js';
import { OutboardError } from '../core/errors.js';
import { asBrokerError, BrokerSession, type MqttProtocol, type PublishOptions } from './broker-session.js';
import type { InboundHandler } from './inbound-window.js';
import { type Logger, silentLogger } from './logger.js';
import { certificateExpires, commonName, type TlsLoader } from './tls-files.js';

export interface BrokerClientOptions {
  /** `mqtts://host:port`. */
  url: string;
  /** The certificate's common name: a rig id or `role.name`. */
  name: string;
  tls: TlsLoader;
  /** Topics, subscribed with QoS 1 at every connect. */
  subscriptions: string[];
  handler: InboundHandler;
  will?: { topic: string; payload: string };
  logger?: Logger;
  /** Messages that may be open at the handler at the same time. */
  inboundWindow?: number;
  outboundWindow?: number;
  keepaliveSeconds?: number;
  connectTimeoutMs?: number;
  publishTimeoutMs?: number;
  /** A session is renewed after at most this long. */
  maxConnectionMs?: number;
  backoff?: { baseMs: number; maxMs: number };
}

/** What is known of the connection. */
export interface BrokerLink {
  broker: 'connected' | 'connecting' | 'refused';
  protocol: MqttProtocol | null;
  /** Seconds since the epoch. */
  certificateExpires: number | null;
  problem: OutboardError | null;
}

const STEADY_MS = 10_000;
const TWELVE_HOURS_MS = 12 * 3600 * 1000;

export class BrokerClient {
  readonly #options: BrokerClientOptions;
  readonly #logger: Logger;
  readonly #linkListeners = new Set<(link: BrokerLink) => void>();
  #link: BrokerLink = { broker: 'connecting', protocol: null, certificateExpires: null, problem: null };
  #session: BrokerSession | null = null;
  #stopping: AbortController | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: BrokerClientOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
  }

  get link(): BrokerLink {
    return this.#link;
  }

  get connected(): boolean {
    return this.#session !== null;
  }

  /** Calls the listener at every change of the link; returns how to stop that. */
  onLink(listener: (link: BrokerLink) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  /** Begins to connect, and goes on until `stop`. It does not wait for the broker: see `ready`. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#stopping || signal?.aborted) return;
    this.#stopping = new AbortController();
    signal?.addEventListener('abort', () => void this.stop(), { once: true });
    this.#loop = this.#run(this.#stopping.signal);
  }

  /** Disconnects in good order (the will is not published) and ends. */
  async stop(): Promise<void> {
    if (!this.#stopping) return;
    this.#stopping.abort(new OutboardError('broker.unreachable', 'the connection was stopped'));
    await this.#loop;
  }

  /** Resolves once connected and subscribed. Rejects with the signal's reason, or when the client is stopped. */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.#session) return;
    const stopped = this.#stopping?.signal;
    const both = AbortSignal.any([signal, stopped].filter((s) => s !== undefined));
    both.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const abort = () => settle(() => reject(both.reason));
      const off = this.onLink((link) => {
        if (link.broker === 'connected') settle(resolve);
      });
      const settle = (how: () => void) => {
        off();
        both.removeEventListener('abort', abort);
        how();
      };
      both.addEventListener('abort', abort, { once: true });
    });
  }

  /**
   * Publishes on the connection of now; QoS 1 resolves with the PUBACK. It never waits for a connection to come.
   *
   * @throws OutboardError broker.unreachable | broker.refused
   */
  async publish(topic: string, payload: string, options: PublishOptions): Promise<void> {
    if (!this.#session) throw new OutboardError('broker.unreachable', 'there is no connection to the broker');
    await this.#session.publish(topic, payload, options);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    const { baseMs, maxMs } = this.#options.backoff ?? { baseMs: 500, maxMs: 30_000 };
    let failures = 0;
    while (!stopped.aborted) {
      let session: BrokerSession | null = null;
      let planned = false;
      let connectedAt = Number.POSITIVE_INFINITY;
      try {
        session = await this.#open(stopped);
        if (stopped.aborted) break;
        await session.subscribe(this.#options.subscriptions);
        connectedAt = performance.now();
        this.#logger.info({ broker: this.#options.url, protocol: session.protocol }, 'connected to the broker');
        this.#session = session;
        this.#setLink({ broker: 'connected', protocol: session.protocol, problem: null });
        planned = (await this.#lifetime(session, stopped)) === 'planned';
        if (!planned && !stopped.aborted) throw await session.ended;
      } catch (error) {
        const problem = asBrokerError(error);
        if (!stopped.aborted) {
          this.#logger.warn({ broker: this.#options.url, code: problem.code, failures }, problem.message);
          this.#setLink({
            broker: problem.code === 'broker.refused' ? 'refused' : 'connecting',
            protocol: null,
            problem,
          });
        }
      } finally {
        this.#session = null;
        await session?.end();
      }
      // A broker that lets us in and throws us out again (two of one name) is not asked again at once.
      if (performance.now() - connectedAt > STEADY_MS) failures = 0;
      if (planned) this.#setLink({ broker: 'connecting', protocol: null, problem: null });
      else if (!stopped.aborted) await delay(backoffMs(failures++, baseMs, maxMs), stopped).catch(() => undefined);
    }
    this.#setLink({ broker: 'connecting', protocol: null, problem: null });
  }

  async #open(signal: AbortSignal): Promise<BrokerSession> {
    const options = this.#options;
    const tls = await options.tls();
    const name = commonName(tls.cert);
    if (name !== options.name)
      throw new OutboardError('config.key', `the certificate is for ${name}, not for ${options.name}`);
    this.#link = { ...this.#link, certificateExpires: certificateExpires(tls.cert) };
    return await BrokerSession.open(
      {
        url: options.url,
        name,
        tls,
        will: options.will,
        handler: options.handler,
        inboundWindow: options.inboundWindow ?? 1024,
        outboundWindow: options.outboundWindow ?? 32,
        keepaliveSeconds: options.keepaliveSeconds ?? 30,
        connectTimeoutMs: options.connectTimeoutMs ?? 15_000,
        publishTimeoutMs: options.publishTimeoutMs ?? 30_000,
        sessionExpirySeconds: MAX_LIFETIME_SECONDS,
      },
      signal,
    );
  }

  /** Waits until the session ends, is due for renewal, or we stop. Not all clients of one broker renew in the same minute. */
  async #lifetime(session: BrokerSession, stopped: AbortSignal): Promise<'planned' | 'over'> {
    const longest = this.#options.maxConnectionMs ?? TWELVE_HOURS_MS;
    const ended = new AbortController();
    const renewal = delay(longest * (0.9 + Math.random() * 0.1), AbortSignal.any([stopped, ended.signal])).then(
      () => 'planned' as const,
      () => 'over' as const,
    );
    session.ended.then(() => ended.abort());
    return await renewal;
  }

  #setLink(change: Partial<BrokerLink>): void {
    this.#link = { ...this.#link, ...change };
    for (const listener of [...this.#linkListeners]) listener(this.#link);
  }
}
