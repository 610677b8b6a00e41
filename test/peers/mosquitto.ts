/** A real mosquitto for a test: its own folder, an ephemeral loopback port, mutual TLS 1.3; ended by its own process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';

export interface Mosquitto {
  port: number;
  /** `mqtts://127.0.0.1:port` */
  url: string;
  pid(): number;
  /** What it has written so far. */
  log(): string;
  /** SIGTERM: it saves its database. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** On the same port, with the same folder. */
  start(): Promise<void>;
}

export interface MosquittoOptions {
  /** Holds ca.pem, cert.pem, key.pem (see pki.ts), unless `config` has a listener of its own. */
  dir: string;
  /** More lines, or a whole configuration with PORT where the port goes. */
  config?: string;
}

/** Room for bursts: by default mosquitto drops what is over 1000 messages, acknowledged or not. */
const LIMITS = `max_queued_messages 0
max_queued_bytes 268435456
max_inflight_messages 100
max_packet_size 65536
set_tcp_nodelay true
persistence true
autosave_interval 1800
log_type all
log_dest stderr
user root
`;

const READY_MS = 10_000;

export async function startMosquitto(options: MosquittoOptions): Promise<Mosquitto> {
  const port = await freePort();
  const data = join(options.dir, 'data');
  await mkdir(data, { recursive: true });
  const file = join(options.dir, 'mosquitto.test.conf');
  const own = /^listener /m.test(options.config ?? '');
  const text = own ? options.config! : generated(options.dir, data) + (options.config ?? '');
  await writeFile(file, text.replaceAll('PORT', String(port)));

  let child: ChildProcess | null = null;
  let log = '';
  const start = async () => {
    const started = spawn('mosquitto', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    child = started;
    started.stderr!.on('data', (chunk) => {
      log += chunk;
    });
    await listening(port, started, () => log);
  };
  const end = async (signal: NodeJS.Signals) => {
    const ending = child;
    child = null;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    await exited;
  };
  await start();
  return {
    port,
    url: `mqtts://127.0.0.1:${port}`,
    pid: () => child!.pid!,
    log: () => log,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
  };
}

function generated(dir: string, data: string): string {
  return `${LIMITS}persistence_location ${data}/
listener PORT 127.0.0.1
cafile ${dir}/ca.pem
certfile ${dir}/cert.pem
keyfile ${dir}/key.pem
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
`;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Connects until somebody listens. */
async function listening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const until = performance.now() + READY_MS;
  while (performance.now() < until) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}: ${log()}`);
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`mosquitto does not listen on ${port}: ${log()}`);
}
