/**
 * The dispatcher: offers jobs, follows their events, cancels, acknowledges.
 *
 * MQTT says nothing about what became of a message, so everything is asked for again until the rig has answered: an offer under the
 * same `jti` until there is a verdict, a cancel until there is an outcome, the acknowledgement of a result until the job is closed.
 * The rig does the same with its events until they are acknowledged. What comes twice is recognised by its `jti`.
 */
import { randomUUID } from 'node:crypto';
import { type EnvelopePurpose, verifyEnvelope } from '../certs/envelope.js';
import type { Signer } from '../certs/keys.js';
import { type TrustBundle, verifyTrust } from '../certs/trust-bundle.js';
import type { AckPayload } from '../core/contract/control.js';
import type { BounceJob } from '../core/contract/job.js';
import { TRUST_TOPIC, topics } from '../core/contract/topics.js';
import type { Roots } from '../core/contract/trust.js';
import { delay } from '../core/duration.js';
import { asOutboardError, OutboardError } from '../core/errors.js';
import { nowSeconds } from '../core/units.js';
import { Acknowledgements } from './acknowledgements.js';
import { BrokerClient, type BrokerLink } from './broker-client.js';
import type { MqttProtocol } from './broker-session.js';
import type { InboundMessage } from './inbound-window.js';
import { type Logger, silentLogger } from './logger.js';
import { isFinal, type JobEvent, OfferedJob } from './offered-job.js';
import { RecentSet } from './recent-set.js';
import type { TlsLoader } from './tls-files.js';

export interface DispatcherOptions {
  /** The rig that is meant where none is named; one dispatcher serves many. */
  rig: string;
  /** `role.name`, as in the trust bundle and in the certificate. */
  signer: Signer;
  broker: { url: string; tls: TlsLoader };
  /** The bundle in force; newer ones are taken from the broker. */
  trust: TrustBundle;
  roots: Roots;
  logger?: Logger;
  /** Called for each event, one at a time, before it is acknowledged: when it rejects, the event comes again. */
  onEvent?: (event: JobEvent) => void | Promise<void>;
  /** First pause before something is asked for again; it doubles up to a minute. */
  repeatMs?: number;
}

export interface Offer {
  /** The job's `jti`, for which the keeper made the grant: see `newJobId`. */
  id: string;
  job: BounceJob;
  rig?: string;
  lifetimeSeconds?: number;
  /** Not valid before, seconds since the epoch. */
  nbf?: number;
}

export interface ResultReceipt {
  digest: string;
  bytes: number;
  /** What was read back from the store; `missing` has the rig deliver again. */
  outcome: 'stored' | 'missing';
}

const HOUR_SECONDS = 3600;
const MAX_REPEAT_MS = 60_000;
const REMEMBERED_EVENTS = 50_000;
const FLUSH_MS = 2000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #logger: Logger;
  readonly #broker: BrokerClient;
  readonly #acknowledgements: Acknowledgements;
  readonly #jobs = new Map<string, OfferedJob>();
  readonly #seen = new RecentSet(REMEMBERED_EVENTS);
  #trust: TrustBundle;
  #inOrder: Promise<void> = Promise.resolve();
  #stopping: AbortController | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#trust = options.trust;
    this.#acknowledgements = new Acknowledgements((rig, events) => this.#acknowledge(rig, { events }));
    this.#broker = new BrokerClient({
      url: options.broker.url,
      name: options.signer.name,
      tls: options.broker.tls,
      subscriptions: [topics('+').event(options.signer.name), TRUST_TOPIC],
      handler: (message) => this.#received(message),
      logger: this.#logger,
    });
  }

  /** What this connection speaks; null while there is none. */
  get protocol(): MqttProtocol | null {
    return this.#broker.link.protocol;
  }

  get link(): BrokerLink {
    return this.#broker.link;
  }

  /** The trust bundle in force. */
  get trust(): TrustBundle {
    return this.#trust;
  }

  newJobId(): string {
    return randomUUID();
  }

  /** Begins to connect; offers may be made at once. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#stopping || signal?.aborted) return;
    this.#stopping = new AbortController();
    signal?.addEventListener('abort', () => void this.stop(), { once: true });
    this.#acknowledgements.start(this.#stopping.signal);
    await this.#broker.start();
  }

  /** Resolves when connected and subscribed. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#broker.ready(signal);
  }

  /** Sends the acknowledgements that wait, disconnects; whoever still waits for an event gets bounce.timeout. */
  async stop(): Promise<void> {
    const stopping = this.#stopping;
    if (!stopping) return;
    if (!stopping.signal.aborted) {
      const limit = AbortSignal.timeout(FLUSH_MS);
      if (this.#broker.connected) await Promise.race([this.#flush(), aborted(limit)]).catch(() => undefined);
      const error = new OutboardError('bounce.timeout', 'the dispatcher was stopped before the rig had answered');
      stopping.abort(error);
      for (const job of this.#jobs.values()) job.fail(error);
    }
    await this.#broker.stop();
  }

  /**
   * Signs an offer and publishes it, again and again with the same `jti`, until there is a verdict or the token has expired.
   * Resolves once it is signed; what became of it shows in the job.
   *
   * @throws OutboardError envelope.*
   */
  async offer(offer: Offer): Promise<OfferedJob> {
    const rig = offer.rig ?? this.#options.rig;
    const signed = await this.#sign(
      'job',
      rig,
      { job: offer.job },
      offer.lifetimeSeconds ?? HOUR_SECONDS,
      offer.id,
      offer.nbf,
    );
    const job = new OfferedJob(offer.id, rig, signed.token);
    this.#jobs.set(job.id, job);
    this.#repeat(topics(rig).offer, signed, job.verdict).catch((error) => job.fail(asOutboardError(error)));
    return job;
  }

  /** The events of a job that was offered earlier, for instance before a restart of this program. */
  follow(id: string, rig = this.#options.rig): OfferedJob {
    const known = this.#jobs.get(id);
    if (known) return known;
    const job = new OfferedJob(id, rig, null);
    this.#jobs.set(id, job);
    return job;
  }

  /**
   * Asks for the end of a job until the rig has answered: `cancelled`, `too-late` or another final event.
   *
   * @throws OutboardError bounce.timeout
   */
  async cancel(id: string, rig?: string): Promise<JobEvent> {
    const job = this.follow(id, rig);
    const signed = await this.#sign('cancel', job.rig, { cancel: { job: id } }, HOUR_SECONDS);
    const outcome = job.until('cancelled', 'too-late');
    await this.#repeat(topics(job.rig).control, signed, outcome);
    return await outcome;
  }

  /**
   * Tells the rig what was read back from the store, until the job is closed; `missing`, until it was delivered again.
   *
   * @throws OutboardError bounce.timeout
   */
  async ackResult(id: string, receipt: ResultReceipt, rig?: string): Promise<JobEvent> {
    const job = this.follow(id, rig);
    const answer = receipt.outcome === 'stored' ? job.final : job.next('delivered');
    const signed = await this.#sign(
      'ack',
      job.rig,
      { ack: { events: [], result: { job: id, ...receipt } } },
      HOUR_SECONDS,
    );
    await this.#repeat(topics(job.rig).control, signed, answer);
    return await answer;
  }

  async #flush(): Promise<void> {
    await this.#inOrder;
    await this.#acknowledgements.flush();
  }

  async #acknowledge(rig: string, ack: AckPayload['ack']): Promise<void> {
    const { token } = await this.#sign('ack', rig, { ack }, HOUR_SECONDS);
    await this.#broker.publish(topics(rig).control, token, { qos: 1, retain: false });
  }

  async #sign(
    purpose: EnvelopePurpose,
    rig: string,
    body: object,
    lifetimeSeconds: number,
    jti: string = randomUUID(),
    nbf?: number,
  ): Promise<{ token: string; expires: number }> {
    const iat = nowSeconds();
    const expires = iat + lifetimeSeconds;
    const claims = {
      iss: this.#options.signer.name,
      aud: rig,
      jti,
      iat,
      exp: expires,
      ...(nbf === undefined ? {} : { nbf }),
    };
    return { token: await this.#options.signer.sign(purpose, { ...claims, ...body }), expires };
  }

  /** Publishes until `answer` has settled. @throws OutboardError bounce.timeout */
  async #repeat(topic: string, signed: { token: string; expires: number }, answer: Promise<unknown>): Promise<void> {
    if (!this.#stopping) throw new OutboardError('bounce.timeout', 'the dispatcher is not started');
    const answered = new AbortController();
    answer.catch(() => undefined).finally(() => answered.abort());
    const signal = AbortSignal.any([answered.signal, this.#stopping.signal]);
    let pauseMs = this.#options.repeatMs ?? 5000;
    while (!signal.aborted) {
      const leftMs = signed.expires * 1000 - Date.now();
      if (leftMs <= 0) throw new OutboardError('bounce.timeout', 'the rig did not answer before the token expired');
      try {
        // Without a connection the token's own end is the limit, so that the caller hears of it.
        await this.#broker.ready(AbortSignal.any([signal, AbortSignal.timeout(Math.min(leftMs, MAX_REPEAT_MS))]));
        await this.#broker.publish(topic, signed.token, { qos: 1, retain: false });
        await delay(Math.min(pauseMs, leftMs), signal);
        pauseMs = Math.min(MAX_REPEAT_MS, pauseMs * 2);
      } catch (error) {
        if (signal.aborted || (error as Error).name === 'TimeoutError') continue;
        this.#logger.warn({ topic, code: asOutboardError(error).code }, 'could not publish, trying again');
        await delay(Math.min(1000, leftMs), signal).catch(() => undefined);
      }
    }
  }

  /** One at a time: events stay in order, and `onEvent` never runs beside itself. */
  #received(message: InboundMessage): Promise<void> {
    const next = this.#inOrder.then(() => this.#take(message));
    this.#inOrder = next.catch(() => undefined);
    return next;
  }

  /** What is no good is logged and acknowledged to the broker: coming again would not make it better, and the rig keeps its events. */
  async #take(message: InboundMessage): Promise<void> {
    const text = message.payload.toString('utf8');
    try {
      if (message.topic === TRUST_TOPIC)
        this.#trust = await verifyTrust(text, this.#options.roots, nowSeconds(), this.#trust);
      else await this.#takeEvent(message.topic, text);
    } catch (error) {
      const { code, message: reason } = asOutboardError(error);
      this.#logger.warn({ topic: message.topic, code }, reason);
    }
  }

  async #takeEvent(topic: string, token: string): Promise<void> {
    const { payload } = await verifyEnvelope(token, ['event'], {
      trust: this.#trust,
      now: nowSeconds(),
      aud: this.#options.signer.name,
    });
    if (topic !== topics(payload.iss).event(this.#options.signer.name))
      throw new OutboardError('envelope.issuer', `an event of ${payload.iss} came on ${topic}`);
    const job = this.#jobs.get(payload.job);
    if (job && job.rig !== payload.iss)
      throw new OutboardError('envelope.issuer', `${payload.iss} speaks of a job that was offered to ${job.rig}`);
    if (!this.#seen.has(payload.jti)) {
      const event: JobEvent = { payload, token };
      await this.#options.onEvent?.(event);
      this.#seen.add(payload.jti);
      job?.push(event);
      if (isFinal(payload.type)) this.#jobs.delete(payload.job);
    }
    // Again, too: the rig has not heard of the first one. Progress is said once and not kept.
    if (payload.type !== 'progress') this.#acknowledgements.add(payload.iss, payload.jti);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
