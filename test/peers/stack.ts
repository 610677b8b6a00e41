/**
 * Everything around a bounce, for real: `outboard init`'s own tree, mosquitto with the configuration that it wrote, a store, and the two
 * processes as children. A test can end and start each of them.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Dispatcher } from '../../client/dispatcher.js';
import { StatusAnswer } from '../../core/contract/index.js';
import { within } from '../../core/duration.js';
import { DemoStore } from '../../daemon/cli/demo-store.js';
import { type InitResult, initRig } from '../../daemon/cli/init-rig.js';
import { loadParties, type Parties } from '../../daemon/cli/parties.js';
import type { RigConfigOverrides } from '../../daemon/cli/rig-yaml.js';
import { LocalClient } from '../../daemon/local-client.js';
import { freePort } from './mosquitto.js';
import { scratch } from './scratch.js';
import { type StorePeer, startStore } from './store.js';
import { whatItDoes } from './what-it-does.js';

const ROOT = join(import.meta.dirname, '../..');
export const RIG_MAIN = join(ROOT, 'daemon/rig/main.js');
export const COURIER_MAIN = join(ROOT, 'daemon/courier/main.js');
export const KILLABLE_RIG = join(ROOT, 'test/peers/killable-rig.js');
export const CLI_MAIN = join(ROOT, 'daemon/cli/main.js');

/** A stop recalls safe states and finishes files; it does not take this long. */
const END_MS = 40_000;

/** A child process and all that it wrote. */
export class Child {
  readonly process: ChildProcess;
  output = '';
  /** What a program would read, without what is for people. */
  stdout = '';

  constructor(command: string, args: string[], env: Record<string, string> = {}) {
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    for (const stream of [this.process.stdout!, this.process.stderr!])
      stream.on('data', (chunk) => {
        this.output += chunk;
        if (stream === this.process.stdout) this.stdout += chunk;
      });
  }

  get pid(): number {
    return this.process.pid!;
  }

  get over(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async exit(): Promise<number | NodeJS.Signals> {
    if (!this.over) await once(this.process, 'exit');
    return this.process.exitCode ?? this.process.signalCode!;
  }

  /** @throws when it does not end: a test that waits for ever says nothing */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.over) this.process.kill(signal);
    const late = () => new Error(`the process did not end by ${signal}: ${this.output}\n${whatItDoes(this.pid)}`);
    await within(END_MS, this.exit(), late).catch((error) => {
      this.process.kill('SIGKILL');
      throw error;
    });
  }
}

/** Every rig of the suite runs in a network namespace that has no interface, wherever the one who tests may make one. */
export const NO_NETWORK: readonly string[] = spawnSync('unshare', ['-n', 'true']).status === 0 ? ['unshare', '-n'] : [];

export interface StackOptions {
  rigConfig?: RigConfigOverrides;
  /** Prefix of the rig's command; a network namespace of its own when absent. */
  rigPrefix?: readonly string[];
  /** A store that keeps its blobs on the disk, for those that are too large for a test's memory. It has no faults to inject. */
  diskStore?: boolean;
}

export class Stack {
  readonly dir: string;
  readonly init: InitResult;
  readonly parties: Parties;
  /** A test may put another one in its place. */
  store: StorePeer;
  readonly #brokerPort: number;
  readonly #rigPrefix: readonly string[];
  broker: Child | undefined;
  rig: Child | undefined;
  courier: Child | undefined;
  readonly #dispatchers: Dispatcher[] = [];

  private constructor(o: {
    dir: string;
    init: InitResult;
    parties: Parties;
    store: StorePeer;
    brokerPort: number;
    rigPrefix: readonly string[];
  }) {
    this.dir = o.dir;
    this.init = o.init;
    this.parties = o.parties;
    this.store = o.store;
    this.#brokerPort = o.brokerPort;
    this.#rigPrefix = o.rigPrefix;
  }

  /** The tree, broker and store; the processes are for the test to start. */
  static async make(t: Pick<TestContext, 'after'>, options: StackOptions = {}): Promise<Stack> {
    const dir = join(await scratch(t), 'tree');
    const brokerPort = await freePort();
    const storePort = await freePort();
    const init = await initRig({
      dir,
      rig: 'rig-01',
      passphrase: 'correct horse battery staple',
      scryptWorkFactor: 4,
      brokerPort,
      storePort,
      ...(options.rigConfig ? { rigConfig: options.rigConfig } : {}),
    });
    const store = await (options.diskStore
      ? storeOnDisk(dir, storePort)
      : startStore(join(dir, 'store/tls'), storePort));
    const stack = new Stack({
      dir,
      init,
      parties: await loadParties(init.files.client),
      store,
      brokerPort,
      rigPrefix: options.rigPrefix ?? NO_NETWORK,
    });
    t.after(() => stack.close());
    await stack.startBroker();
    return stack;
  }

  async startBroker(): Promise<void> {
    this.broker = new Child('mosquitto', ['-c', this.init.files.mosquitto]);
    await until(async () => {
      if (this.broker!.over) throw new Error(`mosquitto ended: ${this.broker!.output}`);
      return await new Promise<boolean>((resolve) => {
        const socket = connect(this.#brokerPort, '127.0.0.1', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => resolve(false));
      });
    });
  }

  /** Starts the rig and waits for its socket. `main` is KILLABLE_RIG for one with a failpoint. */
  async startRig(options: { env?: Record<string, string>; main?: string; ready?: boolean } = {}): Promise<void> {
    const main = options.main ?? RIG_MAIN;
    const args =
      main === RIG_MAIN ? [main, '--config', this.init.files.rig, '--log-level', 'warn'] : [main, this.init.files.rig];
    const [command, ...rest] = [...this.#rigPrefix, process.execPath, ...args];
    this.rig = new Child(command!, rest, options.env);
    if (options.ready !== false)
      await until(async () => {
        // A test that means a rig to die at its start says `ready: false`; every other one would wait for ever.
        if (this.rig!.over && main === RIG_MAIN) throw new Error(`the rig ended: ${this.rig!.output}`);
        return this.rig!.over || ((await this.status().catch(() => null))?.state.mode ?? 'starting') !== 'starting';
      });
  }

  async startCourier(): Promise<void> {
    this.courier = new Child(process.execPath, [COURIER_MAIN, '--config', this.init.files.courier]);
    await writeFile(this.courierPidFile, String(this.courier.pid));
  }

  get courierPidFile(): string {
    return join(this.dir, 'courier.pid');
  }

  get controlSocket(): string {
    return join(this.dir, 'rig/run/control.sock');
  }

  async status(): Promise<StatusAnswer> {
    const client = new LocalClient({ socketPath: this.controlSocket });
    try {
      return await client.get('/status', StatusAnswer);
    } finally {
      client.close();
    }
  }

  async dispatcher(): Promise<Dispatcher> {
    const { parties } = this;
    const dispatcher = new Dispatcher({
      rig: parties.rig,
      signer: parties.dispatcher,
      broker: parties.broker,
      trust: parties.trust,
      roots: parties.roots,
      repeatMs: 1000,
    });
    this.#dispatchers.push(dispatcher);
    await dispatcher.start();
    await dispatcher.ready(AbortSignal.timeout(20_000));
    return dispatcher;
  }

  async close(): Promise<void> {
    for (const dispatcher of this.#dispatchers) await dispatcher.stop().catch(() => undefined);
    for (const child of [this.courier, this.rig, this.broker]) await child?.end('SIGKILL');
    await this.store.close().catch(() => undefined);
  }

  /**
   * A test's work, which must not hold up the tests after it: when it is late, the processes are ended, and the error says what they were doing.
   */
  async timely<T>(work: Promise<T>, limitMs = 120_000): Promise<T> {
    const children = () => [this.rig, this.courier].filter((child) => child !== undefined && !child.over);
    const late = () => {
      const doing = children().map((child) => whatItDoes(child!.pid));
      return new Error(`not within ${limitMs} ms: ${[this.logs(), ...doing].join('\n')}`);
    };
    try {
      return await within(limitMs, work, late);
    } catch (error) {
      for (const child of children()) await child!.end('SIGKILL');
      throw error;
    }
  }

  logs(): string {
    return `--- rig\n${this.rig?.output ?? ''}\n--- courier\n${this.courier?.output ?? ''}`;
  }
}

async function storeOnDisk(dir: string, port: number): Promise<StorePeer> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(dir, 'store/tls', name), 'utf8')),
  );
  const store = new DemoStore({
    tls: { ca: ca!, cert: cert!, key: key! },
    folder: join(dir, 'store/blobs'),
    port,
    host: '127.0.0.1',
  });
  await store.start();
  return { url: store.url, blobs: new Map(), requests: [], faults: [], mostAtOnce: 0, close: () => store.stop() };
}

/** Looks again and again until it holds; not a sleep: it goes on as soon as it does. */
export async function until(holds: () => Promise<boolean> | boolean, timeoutMs = 30_000, what = 'it'): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} did not come to hold within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}
