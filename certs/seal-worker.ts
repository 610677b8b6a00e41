/**
 * The thread that seals or opens one file, so that encryption never holds up the thread that plays and records. It reads and writes
 * the file itself, synchronously: nothing else runs here. Started by seal-thread.ts only.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname } from 'node:path';
import { ReadableStream } from 'node:stream/web';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { asOutboardError, OutboardError } from '../core/errors.js';
import { writeError } from './durable-file.js';
import { CHUNK_BYTES, type FromThread, OPEN_WINDOW_CHUNKS, type Task, type ToThread } from './seal-protocol.js';
import { openStream, sealStream } from './sealing.js';

/** Nice value, of this thread alone (setpriority(2): on Linux, who = 0 is the thread that calls). */
const BEHIND_THE_ENGINE = 10;
try {
  setPriority(0, BEHIND_THE_ENGINE);
} catch {
  // Where it may not be lowered, it works all the same.
}

/** Something to wait for, again and again. */
class Bell {
  #ring: (() => void) | null = null;
  ring(): void {
    this.#ring?.();
    this.#ring = null;
  }
  heard(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }
}

function say(port: MessagePort, message: FromThread, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

function fileStream(fd: number): ReadableStream<Uint8Array> {
  let position = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const block = new Uint8Array(CHUNK_BYTES);
        let bytes: number;
        try {
          bytes = readSync(fd, block, 0, block.length, position);
        } catch (cause) {
          const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
          throw new OutboardError('file.unreadable', `reading failed at byte ${position} (${reason})`, { cause });
        }
        position += bytes;
        if (bytes === 0) controller.close();
        else controller.enqueue(bytes === block.length ? block : block.subarray(0, bytes));
      },
    },
    { highWaterMark: 0 },
  );
}

async function open(port: MessagePort, task: Extract<Task, { kind: 'open' }>): Promise<void> {
  let credit = OPEN_WINDOW_CHUNKS;
  const bell = new Bell();
  port.on('message', (message: ToThread) => {
    if ('take' in message) {
      credit += message.take;
      bell.ring();
    }
  });
  const send = async (block: Uint8Array<ArrayBuffer>): Promise<void> => {
    while (credit === 0) await bell.heard();
    credit--;
    say(port, { chunk: block }, [block.buffer]);
  };
  let block = new Uint8Array(CHUNK_BYTES);
  let used = 0;
  for await (const plain of await openStream(fileStream(task.fd), task.identity)) {
    let from = 0;
    while (from < plain.length) {
      const count = Math.min(plain.length - from, block.length - used);
      block.set(plain.subarray(from, from + count), used);
      used += count;
      from += count;
      if (used === block.length) {
        await send(block);
        block = new Uint8Array(CHUNK_BYTES);
        used = 0;
      }
    }
  }
  if (used > 0) await send(block.slice(0, used));
  say(port, { done: { digest: '', bytes: 0 } });
}

/** Chunks as they come from the owner, one at a time, each reported as consumed when it is taken. */
function chunksFromOwner(port: MessagePort): ReadableStream<Uint8Array> {
  const queue: Uint8Array[] = [];
  let finished = false;
  const bell = new Bell();
  port.on('message', (message: ToThread) => {
    if ('chunk' in message) queue.push(message.chunk);
    else if ('finish' in message) finished = true;
    bell.ring();
  });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (queue.length === 0 && !finished) await bell.heard();
        const chunk = queue.shift();
        if (chunk === undefined) return controller.close();
        controller.enqueue(chunk);
        say(port, { consumed: chunk.length });
      },
    },
    { highWaterMark: 0 },
  );
}

async function seal(port: MessagePort, task: Extract<Task, { kind: 'seal' }>): Promise<void> {
  const hash = createHash('sha256');
  const block = new Uint8Array(CHUNK_BYTES);
  let used = 0;
  let bytes = 0;
  const flush = (): void => {
    hash.update(block.subarray(0, used));
    for (let from = 0; from < used; ) from += guarded(() => writeSync(task.fd, block, from, used - from, bytes + from));
    bytes += used;
    used = 0;
  };
  const guarded = <T>(step: () => T): T => {
    try {
      return step();
    } catch (cause) {
      throw writeError(task.path, cause);
    }
  };
  for await (const sealed of await sealStream(chunksFromOwner(port), task.recipients)) {
    for (let from = 0; from < sealed.length; ) {
      const count = Math.min(sealed.length - from, block.length - used);
      block.set(sealed.subarray(from, from + count), used);
      used += count;
      from += count;
      if (used === block.length) flush();
    }
  }
  flush();
  guarded(() => {
    fsyncSync(task.fd);
    // The name is durable only when the folder is.
    const folder = openSync(dirname(task.path), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  });
  say(port, { done: { digest: `sha256:${hash.digest('hex')}`, bytes } });
}

const port = parentPort;
if (port !== null) {
  const task = workerData as Task;
  try {
    await (task.kind === 'open' ? open(port, task) : seal(port, task));
  } catch (error) {
    const { code, message, details } = asOutboardError(error);
    say(port, { failed: { code, message, details } });
  }
  port.close();
}
