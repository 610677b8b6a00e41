/** A real terminal of the kernel with us at the other end of it, by socat: what is written here is read at `path`, and the other way round. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { within } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';

export interface Pty {
  /** Of the terminal, such as /dev/pts/3; gone when the pty is closed. */
  readonly path: string;
  /** Bytes for whoever has the terminal open. */
  write(bytes: Uint8Array): void;
  /** Pulls the cable: the terminal goes away. May be called twice. */
  close(): Promise<void>;
}

const START_MS = 10_000;

/**
 * @param received bytes that were written to the terminal
 * @throws OutboardError processor.port where socat is not installed
 */
export async function openPty(received: (bytes: Uint8Array) => void): Promise<Pty> {
  const socat = spawn('socat', ['-d', '-d', 'PTY,rawer', 'STDIO'], { stdio: 'pipe' });
  const ended = new Promise<void>((resolve) => {
    socat.once('close', () => resolve());
    socat.once('error', () => resolve());
  });
  // A write to a socat that has just ended fails here and not in whoever wrote.
  socat.stdin.on('error', () => undefined);
  socat.stdout.on('data', received);
  try {
    const path = await within(START_MS, pathFrom(socat), () => new Error('socat does not say which terminal it has'));
    // When the last one closes the terminal, socat ends: we stay, so that the unit can come and go.
    const held = await open(path, constants.O_RDWR | constants.O_NOCTTY);
    return new SocatPty(path, socat, held, ended);
  } catch (cause) {
    socat.kill('SIGKILL');
    throw new OutboardError('processor.port', `no pty: ${(cause as Error).message} (is socat installed?)`, { cause });
  }
}

/** From `socat -d -d`: "… N PTY is /dev/pts/3". */
function pathFrom(socat: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    socat.once('error', reject);
    socat.once('close', () => reject(new Error(`socat ended: ${said.slice(-500)}`)));
    socat.stderr.setEncoding('latin1').on('data', (text: string) => {
      said = (said + text).slice(-4000);
      const path = /PTY is (\/dev\/\S+)\n/.exec(said)?.[1];
      if (path !== undefined) resolve(path);
    });
  });
}

class SocatPty implements Pty {
  readonly path: string;
  readonly #socat: ChildProcessWithoutNullStreams;
  readonly #held: FileHandle;
  readonly #ended: Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(path: string, socat: ChildProcessWithoutNullStreams, held: FileHandle, ended: Promise<void>) {
    this.path = path;
    this.#socat = socat;
    this.#held = held;
    this.#ended = ended;
  }

  write(bytes: Uint8Array): void {
    if (this.#socat.stdin.writable) this.#socat.stdin.write(bytes);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shut();
    return this.#closed;
  }

  async #shut(): Promise<void> {
    this.#socat.kill('SIGKILL');
    await this.#ended;
    await this.#held.close();
  }
}
