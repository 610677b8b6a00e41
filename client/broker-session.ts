/**
 * One connection to the broker, from CONNECT to its end; the next connection is another object, so nothing stale survives.
 *
 * mqtt.js reconnects by itself and sends unacknowledged publishes again; both are off here. What must not be lost is in the rig's
 * journal or with the dispatcher, and every publish that is not acknowledged in time is reported as failed.
 */
import { setMaxListeners } from 'node:events';
import type { TLSSocket } from 'node:tls';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { within } from '../core/duration.js';
import { asOutboardError, OutboardError } from '../core/errors.js';
import { type InboundHandler, type InboundMessage, InboundWindow } from './inbound-window.js';
import { Semaphore } from './semaphore.js';
import type { TlsMaterial } from './tls-files.js';

export type MqttProtocol = 'MQTT 5' | 'MQTT 3.1.1';

export interface PublishOptions {
  qos: 0 | 1;
  retain: boolean;
}

export interface SessionOptions {
  url: string;
  /** User name and client id: the certificate's common name. */
  name: string;
  tls: TlsMaterial;
  will?: { topic: string; payload: string } | undefined;
  handler: InboundHandler;
  inboundWindow: number;
  outboundWindow: number;
  keepaliveSeconds: number;
  connectTimeoutMs: number;
  publishTimeoutMs: number;
  sessionExpirySeconds: number;
}

/** CONNACK codes that mean "not this protocol version": 3.1.1 section 3.2.2.3 and 5.0 section 3.2.2.2. */
const WRONG_VERSION = [1, 132];
/** A packet is a token or a trust bundle and its topic; a broker does not send more than we say. */
const MAX_PACKET_BYTES = 128 * 1024;
const DISCONNECT_MS = 3000;
const HOLD_MS = 5000;
/**
 * Less than the window holds: mosquitto 2.0.11 was seen to send 99 messages at a Receive Maximum of 64, and a full window
 * pauses reading, the broker's PUBACKs for what we publish included.
 */
const RECEIVE_MAXIMUM = 64;

export class BrokerSession {
  readonly protocol: MqttProtocol;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly ended: Promise<OutboardError>;
  readonly #client: MqttClient;
  readonly #publishTimeoutMs: number;
  readonly #window: Semaphore;
  readonly #pending = new Set<(error: OutboardError) => void>();
  #over: OutboardError | null = null;

  private constructor(
    client: MqttClient,
    protocol: MqttProtocol,
    options: SessionOptions,
    ended: Promise<OutboardError>,
  ) {
    this.#client = client;
    this.protocol = protocol;
    this.#publishTimeoutMs = options.publishTimeoutMs;
    // The broker's own limit counts: a client that sends more is disconnected with reason 147.
    const limit = client.serverProperties?.receiveMaximum ?? options.outboundWindow;
    this.#window = new Semaphore(Math.max(1, Math.min(limit, options.outboundWindow)));
    this.ended = ended;
    ended.then((error) => {
      this.#over = error;
      this.#window.refuseAll(error);
      for (const fail of [...this.#pending]) fail(error);
    });
  }

  /**
   * Connects with MQTT 5, or with 3.1.1 when the broker refuses 5.
   *
   * @throws OutboardError broker.unreachable | broker.refused (details.reason: the CONNACK code or the TLS alert)
   */
  static async open(options: SessionOptions, signal?: AbortSignal): Promise<BrokerSession> {
    try {
      return await BrokerSession.#attempt(options, 5, signal);
    } catch (error) {
      const reason = error instanceof OutboardError ? error.details['reason'] : undefined;
      if (!WRONG_VERSION.includes(reason as number)) throw error;
      return await BrokerSession.#attempt(options, 4, signal);
    }
  }

  static async #attempt(options: SessionOptions, version: 4 | 5, signal?: AbortSignal): Promise<BrokerSession> {
    signal?.throwIfAborted();
    const client = mqtt.connect(options.url, clientOptions(options, version));
    const over = new AbortController();
    setMaxListeners(0, over.signal); // each open message listens
    // Acknowledgements are small: held back by Nagle's algorithm they would halve the rate.
    (client.stream as unknown as TLSSocket).setNoDelay(true);
    let fault: Error | null = null;
    const inbound = new InboundWindow({
      size: options.inboundWindow,
      holdMs: Math.min(HOLD_MS, options.keepaliveSeconds * 250),
      handler: options.handler,
      signal: over.signal,
      acknowledge: (messageId) => client.stream.write(puback(messageId)),
      renew: () => client.stream.destroy(),
    });
    client.handleMessage = (packet, callback) => {
      const message: InboundMessage = {
        topic: packet.topic,
        payload: Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload),
        retain: packet.retain,
        qos: packet.qos,
        dup: packet.dup,
      };
      // With an error, mqtt.js reads on and sends no PUBACK: ours follows when the handler is done.
      inbound.take(message, packet.qos === 0 ? null : (packet.messageId ?? null), () => callback(UNACKNOWLEDGED));
    };
    client.on('error', (error) => {
      fault ??= error;
    });
    client.on('disconnect', (packet) => {
      fault ??= new Error(`the broker disconnected with reason ${packet.reasonCode ?? 0}`);
    });
    const ended = new Promise<OutboardError>((resolve) => {
      client.once('close', () => {
        const error = brokerError(fault);
        over.abort(error);
        inbound.close();
        resolve(error);
      });
    });
    const connected = new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', (error) => reject(brokerError(error)));
      ended.then(reject);
    });
    const abort = () => client.stream.destroy();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await within(options.connectTimeoutMs, connected, () => brokerError(new Error('no answer to CONNECT in time')));
    } catch (error) {
      client.end(true);
      client.stream.destroy();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return new BrokerSession(client, version === 5 ? 'MQTT 5' : 'MQTT 3.1.1', options, ended);
  }

  /** Subscribes with QoS 1. @throws OutboardError broker.refused */
  async subscribe(topics: string[]): Promise<void> {
    if (topics.length === 0) return;
    // As published: a retained offer is recognised also when it arrives live.
    const map = Object.fromEntries(
      topics.map((topic) => [topic, this.protocol === 'MQTT 5' ? { qos: 1 as const, rap: true } : { qos: 1 as const }]),
    );
    try {
      const granted = await within(this.#publishTimeoutMs, this.#client.subscribeAsync(map), () =>
        brokerError(new Error('no answer to SUBSCRIBE in time')),
      );
      const refused = granted.find((grant) => grant.qos >= 128);
      if (refused) throw new Error(`the broker refuses the subscription of ${refused.topic}`);
    } catch (error) {
      if (this.#over) throw this.#over;
      const reason = error instanceof Error ? error.message : String(error);
      throw new OutboardError('broker.refused', `the broker refuses a subscription: ${reason}`, { cause: error });
    }
  }

  /**
   * Publishes; QoS 1 resolves with the broker's PUBACK, which says only that the broker has it.
   *
   * @throws OutboardError broker.unreachable (gone, or no PUBACK in time) | broker.refused (details.reason, for instance 135: the ACL)
   */
  async publish(topic: string, payload: string, options: PublishOptions): Promise<void> {
    if (this.#over) throw this.#over;
    const limit = this.#client.serverProperties?.maximumPacketSize;
    if (limit !== undefined && Buffer.byteLength(payload) + Buffer.byteLength(topic) + 16 > limit)
      throw new OutboardError('broker.refused', `the broker takes packets of at most ${limit} bytes`, {
        details: { topic, limit },
      });
    if (options.qos === 0) return await this.#send(topic, payload, options);
    await this.#window.acquire();
    try {
      await this.#send(topic, payload, options);
    } finally {
      this.#window.release();
    }
  }

  #send(topic: string, payload: string, options: PublishOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      const settle = (error?: OutboardError) => {
        clearTimeout(timer);
        this.#pending.delete(settle);
        if (error) reject(error);
        else resolve();
      };
      // Silence on one publish means that the session is broken (an oversize one never settles): begin a new one.
      const timer = setTimeout(() => {
        settle(brokerError(new Error(`no PUBACK within ${this.#publishTimeoutMs} ms`)));
        this.drop();
      }, this.#publishTimeoutMs);
      this.#pending.add(settle);
      this.#client.publish(topic, payload, options, (error) => settle(error ? publishError(error, topic) : undefined));
    });
  }

  /** Ends the connection without a word; the broker publishes the will. */
  drop(): void {
    this.#client.stream.destroy();
  }

  /** Says DISCONNECT (no will), waiting a little for what is on its way. */
  async end(): Promise<void> {
    if (this.#over) return;
    const silent = () => brokerError(new Error('the broker did not take the DISCONNECT in time'));
    await within(DISCONNECT_MS, this.#client.endAsync(), silent).catch(() => undefined);
    this.#client.stream.destroy();
    await this.ended;
  }
}

const UNACKNOWLEDGED = new Error('acknowledged later');

/** MQTT 3.1.1 section 3.4 and 5.0 section 3.4 (no reason code: success). */
function puback(messageId: number): Buffer {
  return Buffer.from([0x40, 0x02, messageId >> 8, messageId & 0xff]);
}

function clientOptions(options: SessionOptions, version: 4 | 5): IClientOptions {
  return {
    protocolVersion: version,
    clientId: options.name,
    username: options.name,
    clean: false,
    keepalive: options.keepaliveSeconds,
    connectTimeout: options.connectTimeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ca: options.tls.ca,
    cert: options.tls.cert,
    key: options.tls.key,
    rejectUnauthorized: true,
    ...({ minVersion: 'TLSv1.3' } as IClientOptions), // goes to tls.connect as it is
    ...(version === 5
      ? {
          properties: {
            sessionExpiryInterval: options.sessionExpirySeconds,
            receiveMaximum: Math.min(RECEIVE_MAXIMUM, options.inboundWindow),
            maximumPacketSize: MAX_PACKET_BYTES,
          },
        }
      : {}),
    ...(options.will
      ? {
          will: {
            topic: options.will.topic,
            payload: Buffer.from(options.will.payload),
            qos: 1 as const,
            retain: true,
          },
        }
      : {}),
  };
}

function brokerError(error: Error | null): OutboardError {
  if (error instanceof OutboardError) return error;
  const code: unknown = (error as { code?: unknown } | null)?.code;
  const message = error === null ? 'the connection ended' : error.message || String(code);
  const refused = typeof code === 'number' || (typeof code === 'string' && /^ERR_SSL_.*ALERT/.test(code));
  if (!refused)
    return new OutboardError('broker.unreachable', `the broker cannot be reached: ${message}`, { cause: error });
  return new OutboardError('broker.refused', `the broker refuses: ${message}`, {
    cause: error,
    details: { reason: code },
  });
}

function publishError(error: Error, topic: string): OutboardError {
  const mapped = brokerError(error);
  return new OutboardError(mapped.code, mapped.message, { cause: error, details: { ...mapped.details, topic } });
}

/** Any error of a session as one of ours. */
export function asBrokerError(error: unknown): OutboardError {
  return error instanceof Error ? brokerError(error) : asOutboardError(error);
}
