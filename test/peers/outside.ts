/** Somebody else at the broker: plain mqtt.js, what it has received and what stands retained. */
import { EventEmitter, once } from 'node:events';
import mqtt, { type MqttClient } from 'mqtt';
import type { TlsMaterial } from '../../client/tls-files.js';

export interface Received {
  topic: string;
  text: string;
  retain: boolean;
}

export class Outside {
  readonly received: Received[] = [];
  readonly client: MqttClient;
  readonly #changes = new EventEmitter().setMaxListeners(0);

  constructor(client: MqttClient) {
    this.client = client;
    client.on('message', (topic, payload, packet) => {
      this.received.push({ topic, text: payload.toString(), retain: packet.retain });
      this.#changes.emit('change');
    });
  }

  static async connect(url: string, name: string, tls: TlsMaterial, version: 4 | 5 = 5): Promise<Outside> {
    const client = mqtt.connect(url, {
      ...tls,
      clientId: name,
      username: name,
      protocolVersion: version,
      clean: false,
      reconnectPeriod: 200,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
    });
    client.on('error', () => undefined); // it tries again
    await new Promise<void>((resolve) => client.once('connect', () => resolve()));
    return new Outside(client);
  }

  async subscribe(topic: string): Promise<void> {
    await this.client.subscribeAsync(topic, { qos: 1 });
  }

  async publish(topic: string, text: string, options: { retain?: boolean; qos?: 0 | 1 } = {}): Promise<void> {
    await this.client.publishAsync(topic, text, { qos: 1, ...options });
  }

  on(topic: string): string[] {
    return this.received.filter((message) => message.topic === topic).map((message) => message.text);
  }

  /** Resolves when the condition holds; it is looked at after each message. */
  async until(condition: () => boolean, timeoutMs = 15_000): Promise<void> {
    const limit = AbortSignal.timeout(timeoutMs);
    while (!condition()) await once(this.#changes, 'change', { signal: limit });
  }

  async close(): Promise<void> {
    await this.client.endAsync(true);
  }
}
