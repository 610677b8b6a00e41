/** Somebody at the broker with a certificate of the tree and a plain MQTT client: it publishes whatever it is given and reads what it may. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { verifyEnvelope } from '../../certs/envelope.js';
import { type AlertPayload, type EventPayload, topics } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import { type Stack, until } from './stack.js';

async function connected(stack: Stack, role: 'dispatcher' | 'monitor'): Promise<MqttClient> {
  const tls = join(stack.dir, role, 'tls');
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(tls, name))));
  const name = stack.init.names[role];
  const options = {
    protocolVersion: 5,
    clientId: name,
    username: name,
    clean: true,
    reconnectPeriod: 0,
    ca,
    cert,
    key,
  };
  return await connectAsync(stack.init.urls.broker, options as never);
}

/** The dispatcher's certificate without the dispatcher's program: the broker lets only one of them be connected. */
export class RawDispatcher {
  /** Every event that came, as often as it came. */
  readonly events: EventPayload[] = [];
  readonly #stack: Stack;
  readonly #client: MqttClient;
  #failure: unknown = null;

  private constructor(stack: Stack, client: MqttClient) {
    this.#stack = stack;
    this.#client = client;
  }

  /** Acknowledges each event as it comes. */
  static async connect(stack: Stack): Promise<RawDispatcher> {
    const client = await connected(stack, 'dispatcher');
    const raw = new RawDispatcher(stack, client);
    client.on('message', (_topic, message) => {
      raw.#received(message).catch((error) => {
        raw.#failure ??= error;
      });
    });
    await client.subscribeAsync(topics(stack.parties.rig).event(stack.parties.dispatcher.name), { qos: 1 });
    return raw;
  }

  async #received(message: Uint8Array): Promise<void> {
    const { trust, dispatcher } = this.#stack.parties;
    const { payload } = await verifyEnvelope(message, ['event'], { trust, now: nowSeconds(), aud: dispatcher.name });
    this.events.push(payload);
    if (payload.type !== 'progress') await this.control({ ack: { events: [payload.jti] } });
  }

  /** Resolves when the broker has it. */
  async offer(token: string, retain = false): Promise<void> {
    await this.#client.publishAsync(topics(this.#stack.parties.rig).offer, token, { qos: 1, retain });
  }

  /** Signs and publishes a cancel or an acknowledgement. */
  async control(body: object): Promise<void> {
    const { dispatcher, rig } = this.#stack.parties;
    const iat = nowSeconds();
    const claims = { iss: dispatcher.name, aud: rig, jti: randomUUID(), iat, exp: iat + 600 };
    const purpose = 'cancel' in body ? 'cancel' : 'ack';
    const token = await dispatcher.sign(purpose, { ...claims, ...body });
    await this.#client.publishAsync(topics(rig).control, token, { qos: 1 });
  }

  /** Without progress; with repetitions. */
  of(job: string): EventPayload[] {
    return this.events.filter((event) => event.job === job && event.type !== 'progress');
  }

  async event(job: string, type: EventPayload['type']): Promise<EventPayload> {
    await this.until(() => this.of(job).some((event) => event.type === type), `an event ${type}`);
    return this.of(job).find((event) => event.type === type)!;
  }

  /** The first word about a job. */
  async verdict(job: string): Promise<EventPayload> {
    await this.until(() => this.of(job).length > 0, 'a verdict');
    return this.of(job)[0]!;
  }

  async until(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
    await until(
      async () => {
        if (this.#failure) throw this.#failure;
        return await holds();
      },
      30_000,
      what,
    );
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** Alerts as they come, verified; the monitor's certificate may read them. */
export async function watchAlerts(stack: Stack): Promise<{ alerts: AlertPayload[]; close(): Promise<void> }> {
  const { trust, rig } = stack.parties;
  const client = await connected(stack, 'monitor');
  const alerts: AlertPayload[] = [];
  client.on('message', (_topic, message) => {
    void verifyEnvelope(message, ['state'], { trust, now: nowSeconds() }).then(({ payload }) => {
      if ('alert' in payload) alerts.push(payload);
    });
  });
  await client.subscribeAsync(topics(rig).alert, { qos: 1 });
  return { alerts, close: () => client.endAsync(true) };
}

/** Documents that still wait for an acknowledgement, as the rig's health says. */
export async function waitingDocuments(stack: Stack): Promise<number | undefined> {
  const { health } = await stack.status();
  return health.flatMap((part) => part.checks).find((check) => check.name === 'outbox')?.value;
}
