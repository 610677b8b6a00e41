/**
 * The broker of `outboard demo`: aedes behind mutual TLS 1.3, in this process, nothing kept. It speaks MQTT 3.1.1.
 *
 * As with the generated mosquitto configuration, a client is its certificate: the CN is user name and client id, so that nobody can take
 * over another one's session, and the access list is the very file that mosquitto would read.
 */
import type { AddressInfo } from 'node:net';
import { createServer, type Server, TLSSocket } from 'node:tls';
import { Aedes, type Client } from 'aedes';
import { type AccessList, parseAccessList } from './access-list.js';
import type { ServerTls } from './server-tls.js';

/** Like `max_packet_size` of the mosquitto configuration: nothing that outboard sends is larger. */
const MAX_PACKET_BYTES = 65_536;
const LOOPBACK = '127.0.0.1';

export interface DemoBrokerOptions {
  tls: ServerTls;
  /** A mosquitto access list. */
  acl: string;
  /** 0 or absent for one that is free. */
  port?: number;
  /** Told what was refused, for a log. */
  onRefused?: (what: string) => void;
}

export class DemoBroker {
  readonly #options: DemoBrokerOptions;
  readonly #access: AccessList;
  readonly #sockets = new Set<TLSSocket>();
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;

  /** @throws OutboardError config.invalid when the access list is not understood */
  constructor(options: DemoBrokerOptions) {
    this.#options = options;
    this.#access = parseAccessList(options.acl);
  }

  /** `mqtts://localhost:PORT`, known after `start`. */
  get url(): string {
    return `mqtts://localhost:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    if (this.#server) return;
    const broker = this.#makeBroker();
    this.#broker = broker;
    await broker.listen();
    const server = createServer({
      ...this.#options.tls,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      broker.handle(socket);
    });
    server.on('tlsClientError', (error) => this.#options.onRefused?.(`TLS: ${error.message}`));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.port ?? 0, LOOPBACK, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    const broker = this.#broker;
    this.#server = undefined;
    this.#broker = undefined;
    if (!server || !broker) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => broker.close(resolve));
    await closed;
  }

  #makeBroker(): Aedes {
    const broker = new Aedes({
      id: 'outboard-demo',
      authenticate: (client, username, _password, done) => {
        const name = commonName(client);
        const own = name !== undefined && client.id === name && (username === undefined || username === name);
        if (!own) this.#options.onRefused?.(`client id ${client.id}, certificate of ${name ?? 'nobody'}`);
        done(null, own);
      },
      authorizePublish: (client, packet, done) => {
        const name = client ? commonName(client) : undefined;
        const size = Buffer.byteLength(packet.payload);
        if (name !== undefined && size <= MAX_PACKET_BYTES && this.#access.mayWrite(name, packet.topic)) return done();
        this.#options.onRefused?.(`${name} publishes ${size} bytes to ${packet.topic}`);
        done(new Error('not allowed'));
      },
      authorizeSubscribe: (client, subscription, done) => {
        const name = commonName(client);
        if (name !== undefined && this.#access.mayRead(name, subscription.topic)) return done(null, subscription);
        this.#options.onRefused?.(`${name} subscribes to ${subscription.topic}`);
        done(null, null);
      },
    });
    broker.on('clientError', (client, error) => this.#options.onRefused?.(`${client.id}: ${error.message}`));
    broker.on('connectionError', (client, error) => this.#options.onRefused?.(`${client.id}: ${error.message}`));
    return broker;
  }
}

/** The name in the certificate that the client has shown; TLS has verified it. */
export function commonName(client: Client): string | undefined {
  if (!(client.conn instanceof TLSSocket)) return undefined;
  const name: string | string[] | undefined = client.conn.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : undefined;
}
