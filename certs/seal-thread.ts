/**
 * Long age files, opened and sealed in a thread of their own (seal-worker.ts). Plaintext is handed over by transfer, in a bounded
 * number of chunks; the side that is faster waits.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { OutboardError } from '../core/errors.js';
import { writeError } from './durable-file.js';
import { type FromThread, SEAL_WINDOW_BYTES, type Task, type ToThread } from './seal-protocol.js';
import { checkRecipients, type Identity } from './sealing.js';

export { CHUNK_BYTES } from './seal-protocol.js';

/** typage and its streams live in a few MiB; what is more is a leak, and shall end this thread and not the process. */
const LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 };

/** Starts the thread; `onMessage` and `onDeath` are called until `stop` is. */
function startThread(
  task: Task,
  on: { message: (message: FromThread) => void; death: (error: OutboardError) => void },
): { say(message: ToThread, transfer?: ArrayBuffer[]): void; stop(): Promise<void> } {
  const worker = new Worker(new URL('./seal-worker.js', import.meta.url), {
    name: `outboard-${task.kind}`,
    workerData: task,
    // Nothing of ours reaches it but the task.
    argv: [],
    env: {},
    execArgv: [],
    resourceLimits: LIMITS,
  });
  let live = true;
  const died = (cause: unknown, why: string): void => {
    if (!live) return;
    live = false;
    on.death(new OutboardError('internal', `the thread that had to ${task.kind} a file ended: ${why}`, { cause }));
  };
  worker.on('message', (message: FromThread) => {
    if (live) on.message(message);
  });
  worker.on('messageerror', (error) => died(error, error.message));
  worker.on('error', (error) => died(error, error.message));
  worker.on('exit', (code) => died(undefined, `exit status ${code}`));
  return {
    say: (message, transfer = []) => worker.postMessage(message, transfer),
    async stop() {
      live = false;
      await worker.terminate();
    },
  };
}

function failure(failed: Extract<FromThread, { failed: unknown }>['failed']): OutboardError {
  return new OutboardError(failed.code, failed.message, { details: failed.details });
}

/**
 * The plaintext of an age file, in chunks of 256 KiB (the last one is shorter), each with an ArrayBuffer of its own. At most 2 MiB
 * wait to be taken. Leaving the loop early, or the signal, ends the thread.
 *
 * A truncated file gives plaintext before its error: verify its digest and size first.
 *
 * @throws OutboardError file.unreadable | seal.open (another identity, changed or cut off) | seal.header
 */
export async function* openFile(
  path: string,
  identity: Identity,
  o: { signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  o.signal?.throwIfAborted();
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${path}: cannot be read (${reason})`, { cause });
  }
  const waiting: Uint8Array[] = [];
  let end: { error: unknown } | 'done' | null = null;
  let ring: (() => void) | null = null;
  const finish = (how: { error: unknown } | 'done'): void => {
    end ??= how;
    ring?.();
  };
  const thread = startThread(
    { kind: 'open', fd, identity },
    {
      message(message) {
        if ('chunk' in message) {
          waiting.push(message.chunk);
          ring?.();
        } else if ('failed' in message) finish({ error: failure(message.failed) });
        else finish('done');
      },
      death: (error) => finish({ error }),
    },
  );
  const onAbort = (): void => {
    waiting.length = 0;
    end = { error: o.signal?.reason };
    ring?.();
  };
  o.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        thread.say({ take: 1 });
        yield chunk;
        continue;
      }
      // Chunks that came before a fault are given out first: the caller learns how far it was good.
      if (end === 'done') return;
      if (end !== null) throw (end as { error: unknown }).error;
      await new Promise<void>((resolve) => {
        ring = resolve;
      });
      ring = null;
    }
  } finally {
    o.signal?.removeEventListener('abort', onAbort);
    await thread.stop();
    closeSync(fd);
  }
}

export interface Sealed {
  /** `sha256:<hex>` of the ciphertext. */
  digest: string;
  /** Length of the ciphertext. */
  bytes: number;
}

/** A file that is being sealed. Writes may overlap; they keep their order. Any failure is final and is thrown by every later call. */
export interface SealWriter {
  /**
   * Hands a chunk over. The memory goes with it where the chunk is the whole of its ArrayBuffer (it is empty afterwards), a part of
   * a larger one is copied. Resolves when there is room for more.
   *
   * @throws OutboardError rig.disk-full | file.write | grant.recipient, or the signal's reason
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the file; file and folder are synced when this resolves. */
  finish(): Promise<Sealed>;
  /** Stops and removes the file; does nothing to a file that is finished. May be called twice. */
  abort(): Promise<void>;
}

/**
 * Seals a new file for recipients, mode 0600. After a failure call `abort`, which removes what is there.
 *
 * @throws OutboardError at once: grant.recipient | file.exists | rig.disk-full | file.write
 */
export function sealToFile(path: string, recipients: readonly string[], o: { signal?: AbortSignal } = {}): SealWriter {
  o.signal?.throwIfAborted();
  checkRecipients(recipients);
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (cause) {
    throw writeError(path, cause);
  }
  try {
    return new ThreadSealWriter(path, fd, recipients, o.signal);
  } catch (cause) {
    closeSync(fd);
    unlinkSync(path);
    throw cause;
  }
}

class ThreadSealWriter implements SealWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #signal: AbortSignal | undefined;
  readonly #thread: ReturnType<typeof startThread>;
  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);
  #state: 'writing' | 'finishing' | 'finished' | 'failed' = 'writing';
  #error: unknown = null;
  #sealed: Sealed | null = null;
  #removed = false;
  #closing: Promise<void> | null = null;
  /** Bytes that the thread has not taken yet. */
  #inFlight = 0;
  #waiters: (() => void)[] = [];

  constructor(path: string, fd: number, recipients: readonly string[], signal: AbortSignal | undefined) {
    this.#path = path;
    this.#fd = fd;
    this.#signal = signal;
    this.#thread = startThread(
      { kind: 'seal', fd, path, recipients },
      { message: (message) => this.#hear(message), death: (error) => this.#fail(error) },
    );
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#failed()) throw this.#error;
    if (this.#state !== 'writing') throw new OutboardError('internal', 'written to after the end of a sealed file');
    if (chunk.length === 0) return;
    const whole = chunk.buffer instanceof ArrayBuffer && chunk.buffer.byteLength === chunk.byteLength;
    const block = whole ? new Uint8Array(chunk.buffer as ArrayBuffer) : new Uint8Array(chunk);
    this.#inFlight += block.length;
    this.#thread.say({ chunk: block }, [block.buffer]);
    while (this.#inFlight >= SEAL_WINDOW_BYTES && !this.#failed()) await this.#change();
    if (this.#failed()) throw this.#error;
  }

  async finish(): Promise<Sealed> {
    if (this.#state === 'writing') {
      this.#state = 'finishing';
      this.#thread.say({ finish: true });
    }
    while (this.#state === 'finishing') await this.#change();
    if (this.#state === 'failed') throw this.#error;
    await this.#close();
    return this.#sealed!;
  }

  async abort(): Promise<void> {
    if (this.#sealed !== null) return await this.#close();
    this.#fail(new OutboardError('take.aborted', 'sealing was ended on purpose'));
    await this.#close();
    if (this.#removed) return;
    this.#removed = true;
    try {
      unlinkSync(this.#path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw writeError(this.#path, cause);
    }
  }

  #hear(message: FromThread): void {
    if ('failed' in message) this.#fail(failure(message.failed));
    else if ('consumed' in message) this.#inFlight -= message.consumed;
    else if ('done' in message) {
      this.#sealed = message.done;
      this.#state = 'finished';
    }
    this.#wake();
  }

  #fail(error: unknown): void {
    if (this.#state === 'finished' || this.#state === 'failed') return;
    this.#state = 'failed';
    this.#error = error;
    void this.#close();
    this.#wake();
  }

  #failed(): boolean {
    return this.#state === 'failed';
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** The thread has to be gone before its descriptor is: the number would be given to another file. */
  #close(): Promise<void> {
    this.#closing ??= this.#thread.stop().then(() => {
      this.#signal?.removeEventListener('abort', this.#onAbort);
      try {
        closeSync(this.#fd);
      } catch {
        // What is wrong with the disk has shown at fsync; there is nothing more to learn or to do here.
      }
    });
    return this.#closing;
  }
}
