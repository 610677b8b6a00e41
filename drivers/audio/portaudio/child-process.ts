/** The parent's side of the child process: it is started, asked, fed, watched, and killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { within } from '../../../core/duration.js';
import {
  type ChunkFrame,
  type Command,
  FrameReader,
  jsonFrame,
  type Notice,
  type Reply,
  type Said,
} from './protocol.js';

/** Nothing heard for this long: the process hangs. */
const SILENT_MS = 2000;
const WATCH_MS = 250;
const KEPT_LINES = 8;
const MAX_LINE = 300;
/** So many complaints of PortAudio while a stream runs: it cannot go on, and says so some 60,000 times a second. */
const FLOOD_LINES = 40;

type CommandBody = Command extends infer C ? (C extends { id: number } ? Omit<C, 'id'> : never) : never;

export interface ChildListener {
  notice(notice: Notice): void;
  /** `samples` is valid during the call. */
  chunk(index: number, timeNs: bigint, samples: Int32Array): void;
  /** PortAudio complains without end: its device is gone. */
  flood(line: string): void;
  /** Once, when the process has ended. */
  ended(how: string): void;
}

export class PortaudioChild {
  readonly #listener: ChildListener;
  #child: ChildProcess | null = null;
  #socket: Duplex | null = null;
  #ended: Promise<void> = Promise.resolve();
  #running = false;
  #nextId = 1;
  readonly #asked = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  #hello: () => void = () => {};
  #watch: NodeJS.Timeout | undefined;
  #quietMs = 0;
  #lines: string[] = [];
  #complaints = 0;
  #flooded = false;

  constructor(listener: ChildListener) {
    this.#listener = listener;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  /** The last lines of stderr: why it did not work. */
  get lastWords(): string {
    return this.#lines.join(' | ');
  }

  /** Resolves when it listens. @throws Error when it ends before, or does not say so in time */
  async start(timeoutMs: number): Promise<void> {
    const script = fileURLToPath(new URL('./main.js', import.meta.url));
    const child = spawn(process.execPath, [script], {
      // naudiodon prints to stdout what nobody needs.
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      // Where it stands must not matter, and nothing can be written there.
      cwd: '/proc',
    });
    this.#child = child;
    this.#running = true;
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => this.#end(error.message, resolve));
      child.once('exit', (code, signal) => this.#end(signal ?? `status ${code}`, resolve));
    });
    this.#socket = child.stdio[3] as Duplex;
    this.#listen(this.#socket);
    this.#hear(child.stderr!);
    const hello = new Promise<void>((resolve) => {
      this.#hello = resolve;
    });
    const early = this.#ended.then(() => Promise.reject(new Error(`it ended at once: ${this.lastWords}`)));
    early.catch(() => {});
    await within(timeoutMs, Promise.race([hello, early]), () => new Error('it does not answer'));
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
  }

  /** @throws Error when the process ends before it answers, or does not answer in time */
  ask(body: CommandBody, timeoutMs: number): Promise<Reply> {
    if (!this.#running) return Promise.reject(new Error('the process has ended'));
    const id = this.#nextId++;
    const answer = new Promise<Reply>((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    this.#socket!.write(jsonFrame({ ...body, id } as Command));
    return within(timeoutMs, answer, () => new Error(`no answer to ${body.do} within ${timeoutMs} ms`)).finally(() =>
      this.#asked.delete(id),
    );
  }

  /** @param sent called when the frame can be filled again */
  send(frame: ChunkFrame, sent: () => void): void {
    if (this.#running) this.#socket!.write(frame.bytes, sent);
  }

  /** From now on complaints count from 0. */
  forgive(): void {
    this.#complaints = 0;
    this.#flooded = false;
  }

  /** Ends it, whatever it does; resolves when it is gone, or after `timeoutMs`. */
  async kill(timeoutMs: number): Promise<void> {
    if (!this.#running) return;
    this.#child!.kill('SIGKILL');
    await this.gone(timeoutMs);
  }

  /** Resolves to true when the process has ended, to false after `timeoutMs`. */
  async gone(timeoutMs: number): Promise<boolean> {
    await within(timeoutMs, this.#ended, () => new Error('late')).catch(() => {});
    return !this.#running;
  }

  #listen(socket: Duplex): void {
    const reader = new FrameReader({
      json: (message) => this.#json(message as Said),
      chunk: (index, timeNs, samples) => this.#listener.chunk(index, timeNs, samples),
    });
    socket.on('data', (piece: Buffer) => {
      this.#quietMs = 0;
      try {
        reader.push(piece);
      } catch {
        // What it says cannot be read: nothing that follows can be either.
        this.#child!.kill('SIGKILL');
      }
    });
    // A process that ends takes its socket along; its end is told by `exit`.
    socket.on('error', () => {});
  }

  #json(message: Said): void {
    if ('id' in message) this.#asked.get(message.id)?.resolve(message);
    else if (message.say === 'hello') this.#hello();
    else if (message.say !== 'alive') this.#listener.notice(message);
  }

  /** Reads what it complains of: keeps a little, counts the rest, and hears no more of a flood. */
  #hear(stderr: Readable): void {
    let rest = '';
    stderr.setEncoding('utf8');
    stderr.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!.slice(-MAX_LINE);
      for (const line of lines) {
        this.#lines.push(line.slice(0, MAX_LINE));
        if (this.#lines.length > KEPT_LINES) this.#lines.shift();
        if (line.startsWith('Expression ')) this.#complaints++;
      }
      if (this.#complaints < FLOOD_LINES || this.#flooded) return;
      this.#flooded = true;
      this.#listener.flood(lines.find((line) => line.startsWith('Expression ')) ?? '');
    });
    stderr.on('error', () => {});
  }

  /**
   * Counts the turns in which nothing was heard, not the time: after a blocked event loop the timer comes first and what was said
   * meanwhile is read next.
   */
  #look(): void {
    this.#quietMs += WATCH_MS;
    if (this.#quietMs >= SILENT_MS) this.#child!.kill('SIGKILL');
  }

  #end(how: string, resolve: () => void): void {
    if (!this.#running) return;
    this.#running = false;
    clearInterval(this.#watch);
    this.#socket?.destroy();
    this.#child?.stderr?.destroy();
    for (const { reject } of this.#asked.values()) reject(new Error(`the process ended (${how})`));
    this.#asked.clear();
    resolve();
    this.#listener.ended(how);
  }
}
