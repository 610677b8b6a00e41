/**
 * A headless Chromium with one page, spoken to over the pipe of its DevTools protocol (chromedevtools.github.io/devtools-protocol): it sees a page
 * as people do, in any size and medium, and tells of every request and every complaint.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { scratch } from './scratch.js';

const TIMEOUT_MS = 60_000;

interface Message {
  id?: number;
  method?: string;
  params?: { [key: string]: unknown };
  result?: { [key: string]: unknown };
  error?: { message: string };
  sessionId?: string;
}

export interface Medium {
  scheme: 'light' | 'dark';
  media: 'screen' | 'print';
  width: number;
}

export class Chromium {
  /** Addresses that the page asked for, itself included. */
  readonly requests: string[] = [];
  /** What stands in the console: errors, warnings, violations of the page's own policy. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, { resolve(m: Message): void; reject(error: Error): void }>();
  readonly #events = new Map<string, () => void>();
  #session: string | undefined;
  #nextId = 1;
  #rest = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(t: { after(end: () => unknown): void }): Promise<Chromium> {
    const profile = await scratch(t);
    const child = spawn(
      'chromium',
      [
        '--headless=new',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking',
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        `--user-data-dir=${profile}`,
        '--remote-debugging-pipe',
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const peer = new Chromium(child);
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.once('close', () => {
      for (const { reject } of peer.#answers.values()) reject(new Error('chromium has ended'));
    });
    t.after(async () => {
      child.kill('SIGKILL');
      await gone;
      // Its helpers may still write as they go.
      await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    });
    child.stdio[4]!.on('data', (chunk: Buffer) => peer.#heard(chunk.toString()));
    const { targetInfos } = (await peer.#ask('Target.getTargets')) as {
      targetInfos: { type: string; targetId: string }[];
    };
    const { targetId } = targetInfos.find(({ type }) => type === 'page')!;
    const { sessionId } = await peer.#ask('Target.attachToTarget', { targetId, flatten: true });
    peer.#session = sessionId as string;
    for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await peer.#ask(`${domain}.enable`);
    return peer;
  }

  /** Opens the address and waits until all of it is there. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.#events.set('Page.loadEventFired', resolve));
    await this.#ask('Page.navigate', { url });
    await loaded;
  }

  async see({ scheme, media, width }: Medium): Promise<void> {
    await this.#ask('Emulation.setEmulatedMedia', {
      media,
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    });
    const size = { width, height: 900, deviceScaleFactor: 1, mobile: false };
    await this.#ask('Emulation.setDeviceMetricsOverride', size);
  }

  /** The value of an expression in the page. @throws what it throws there */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.#ask('Runtime.evaluate', { expression, returnByValue: true })) as {
      result: { value: T };
      exceptionDetails?: { text: string };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.value;
  }

  async #ask(method: string, params: object = {}): Promise<{ [key: string]: unknown }> {
    const id = this.#nextId++;
    const { result, error } = await new Promise<Message>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`chromium does not answer ${method}`)), TIMEOUT_MS);
      const settle = (then: () => void) => {
        clearTimeout(late);
        this.#answers.delete(id);
        then();
      };
      this.#answers.set(id, {
        resolve: (message) => settle(() => resolve(message)),
        reject: (reason) => settle(() => reject(reason)),
      });
      const message = { id, method, params, ...(this.#session !== undefined && { sessionId: this.#session }) };
      (this.#child.stdio[3] as NodeJS.WritableStream).write(`${JSON.stringify(message)}\0`);
    });
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #heard(text: string): void {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop()!;
    for (const message of messages) this.#take(JSON.parse(message) as Message);
  }

  #take(message: Message): void {
    if (message.id !== undefined) {
      this.#answers.get(message.id)?.resolve(message);
      return;
    }
    const { method = '', params = {} } = message;
    if (method === 'Network.requestWillBeSent') this.requests.push((params['request'] as { url: string }).url);
    if (method === 'Log.entryAdded') this.complaints.push((params['entry'] as { text: string }).text);
    if (method === 'Runtime.exceptionThrown' || method === 'Runtime.consoleAPICalled')
      this.complaints.push(JSON.stringify(params));
    this.#events.get(method)?.();
  }
}
