/**
 * A whole rig for a few seconds: what `outboard init` makes in a temporary folder, broker and store in this process, and the two real
 * processes as children. Nothing of it is left when it is stopped.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { type TlsLoader, tlsFiles } from '../../client/tls-files.js';
import { StatusAnswer } from '../../core/contract/local-api.js';
import { delay } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';
import { LocalClient } from '../local-client.js';
import { DemoBroker } from './demo-broker.js';
import { DemoStore } from './demo-store.js';
import { readText, replaceFile } from './files.js';
import { type InitResult, initRig } from './init-rig.js';
import { loadParties, type Parties } from './parties.js';
import { readServerTls } from './server-tls.js';
import { SpawnedProcess } from './spawned-process.js';
import { waitForReady } from './wait-for-ready.js';

const RIG = 'rig-01';
const READY_MS = 30_000;
/** The passphrase is made up and thrown away: guessing it would open keys that are gone in a few seconds. */
const CHEAP_SCRYPT = 10;

export interface DemoRigOptions {
  /** Rates that the simulated interface runs. */
  rates: number[];
  onStage?: (what: string) => void;
}

export class DemoRig {
  readonly #options: DemoRigOptions;
  /** What has been started, to be stopped in reverse order. */
  readonly #started: (() => Promise<void>)[] = [];
  readonly #children: SpawnedProcess[] = [];
  #folder = '';
  #parties: Parties | undefined;
  #protocol: string | null = null;
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: DemoRigOptions) {
    this.#options = options;
  }

  get parties(): Parties {
    if (!this.#parties) throw new OutboardError('internal', 'the demo rig is not started');
    return this.#parties;
  }

  /** What the courier speaks with the broker, in its own words. */
  get courierProtocol(): string | null {
    return this.#protocol;
  }

  /** A folder for the caller's own files; goes with the rest. */
  get workDir(): string {
    return join(this.#folder, 'work');
  }

  /** The tenant's age identity, as \`age-keygen\` writes it. */
  get identityFile(): string {
    return join(this.#folder, 'tree/tenant/identity.txt');
  }

  /** Resolves when the rig itself has said that it is ready. @throws OutboardError demo.process | rig.unreachable | … */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    const stage = (what: string) => {
      signal.throwIfAborted();
      this.#options.onStage?.(what);
    };
    this.#folder = await mkdtemp(join(tmpdir(), 'outboard-demo-'));
    this.#started.push(() => rm(this.#folder, { recursive: true, force: true }));
    await mkdir(this.workDir, { mode: 0o700 });

    stage('making keys, certificates and a trust bundle');
    const tree = join(this.#folder, 'tree');
    const made = await initRig({
      dir: tree,
      rig: RIG,
      passphrase: randomBytes(24).toString('base64url'),
      scryptWorkFactor: CHEAP_SCRYPT,
      rigConfig: { interface: { rates: this.#options.rates } },
    });
    await chmod(this.#folder, 0o700);

    stage('starting broker, store, rig and courier');
    const urls = await this.#startServers(tree, made);
    for (const file of [made.files.courier, made.files.client]) await pointTo(file, urls);
    this.#parties = await loadParties(made.files.client);
    const rig = await this.#startChild('outboardd', '../rig/main.js', made.files.rig);
    const courier = await this.#startChild('outboard-courier', '../courier/main.js', made.files.courier);
    await this.#ready(made, signal, [rig, courier]);
  }

  /** Ends the children, the servers and the folder, whatever has been started of them. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    for (const stop of this.#started.splice(0).reverse()) await stop().catch(() => undefined);
  }

  /** At once and without waiting, for a second Ctrl-C. */
  abandon(): void {
    for (const child of this.#children) child.kill();
    if (this.#folder !== '') rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startServers(tree: string, made: InitResult): Promise<{ broker: string; store: string }> {
    const acl = await readText(made.files.acl);
    const broker = new DemoBroker({ tls: await readServerTls(join(tree, 'broker/tls')), acl });
    this.#started.push(() => broker.stop());
    await broker.start();
    const store = new DemoStore({
      tls: await readServerTls(join(tree, 'store/tls')),
      folder: join(this.#folder, 'blobs'),
    });
    this.#started.push(() => store.stop());
    await store.start();
    return { broker: broker.url, store: store.url };
  }

  async #startChild(name: string, script: string, config: string): Promise<SpawnedProcess> {
    const child = new SpawnedProcess({
      name,
      script: processScript(script),
      args: ['--config', config, '--log-level', 'warn'],
      logFile: join(this.#folder, `${name}.log`),
    });
    this.#children.push(child);
    this.#started.push(() => child.stop());
    await child.start();
    return child;
  }

  async #ready(made: InitResult, signal: AbortSignal, children: SpawnedProcess[]): Promise<void> {
    const over = new AbortController();
    const limit = AbortSignal.any([signal, over.signal, AbortSignal.timeout(READY_MS)]);
    const tls: TlsLoader = tlsFiles({
      ca: join(made.dir, 'monitor/tls/ca.pem'),
      cert: join(made.dir, 'monitor/tls/cert.pem'),
      key: join(made.dir, 'monitor/tls/key.pem'),
    });
    const { broker, trust } = this.parties;
    const ready = waitForReady(
      { rig: made.rig, name: made.names.monitor, broker: { url: broker.url, tls }, trust },
      limit,
    );
    try {
      await Promise.race([ready, ...children.map((child) => child.ended())]);
      this.#protocol = await courierProtocol(join(made.dir, 'rig/run/control.sock'), limit);
    } catch (error) {
      if ((error as Error).name === 'TimeoutError')
        throw new OutboardError('rig.unreachable', `the rig was not ready within ${READY_MS / 1000} s`, {
          cause: error,
        });
      throw error;
    } finally {
      over.abort(new Error('over'));
      await ready.catch(() => undefined);
    }
  }
}

/** The two processes, by their main files: nothing else of theirs is touched here. */
function processScript(script: string): URL {
  if (script === '../rig/main.js') return new URL('../rig/main.js', import.meta.url);
  return new URL('../courier/main.js', import.meta.url);
}

/** The ports are known only now: free ones, chosen by the system. */
async function pointTo(file: string, urls: { broker: string; store: string }): Promise<void> {
  const document = parseDocument(await readText(file));
  document.setIn(['broker', 'url'], urls.broker);
  document.setIn(['store', 'url'], urls.store);
  await replaceFile(file, document.toString(), 0o644);
}

/** The courier tells the rig what its link is, and the rig tells us; a moment may pass between the two. */
async function courierProtocol(socketPath: string, signal: AbortSignal): Promise<string | null> {
  const client = new LocalClient({ socketPath });
  try {
    for (;;) {
      const { link } = await client.get('/status', StatusAnswer, { signal });
      if (link?.protocol) return link.protocol;
      await delay(50, signal);
    }
  } finally {
    client.close();
  }
}
