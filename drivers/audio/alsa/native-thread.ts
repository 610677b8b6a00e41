/** The addon's thread of one claim: commands to it, answered one after the other, and what it has to tell. */
import type { FaultKind } from '../port.js';
import { FAULT_KINDS, type NativeAlsa, type NativeAnswer, type NativeHandle } from './native.js';

/** A fault as the addon tells it. */
export interface RawFault {
  kind: FaultKind;
  atFrame: number | null;
  /** Null for what ends the stream. */
  frames: number | null;
  monotonicNs: bigint;
  /** Output channels, from 1; empty but for `starved`. */
  channels: number[];
}

export class NativeThread {
  readonly native: NativeAlsa;
  readonly #onNews: () => void;
  readonly #numbers = new Float64Array(8);
  #handle: NativeHandle | null = null;
  #waiting: ((answer: NativeAnswer) => void) | null = null;
  #commands: Promise<unknown> = Promise.resolve();

  /** @param onNews called when `nextFault` may have something */
  constructor(native: NativeAlsa, onNews: () => void) {
    this.native = native;
    this.#onNews = onNews;
  }

  get opened(): boolean {
    return this.#handle !== null;
  }

  /** Only once `open` was called. */
  get handle(): NativeHandle {
    return this.#handle!;
  }

  /** Begins the thread; names of PCMs. */
  open(playback: string[], capture: string[]): Promise<NativeAnswer> {
    return this.#command(
      () => {
        this.#handle = this.native.open(playback, capture, () => this.#hearBell());
      },
      (answer) => answer,
    );
  }

  /** @param done is called before anything that the stream has to tell is told; its result is the promise's */
  start<T>(request: Float64Array, done: (answer: NativeAnswer) => T): Promise<T> {
    return this.#command(() => this.native.start(this.handle, request), done);
  }

  stop(): Promise<unknown> {
    return this.#command(
      () => this.native.stop(this.handle),
      () => {},
    );
  }

  /** Ends the thread: nothing may be asked afterwards. */
  close(): Promise<unknown> {
    return this.#command(
      () => this.native.close(this.handle),
      () => {},
    );
  }

  /** The next thing to be told; null when there is none. */
  nextFault(): RawFault | null {
    if (this.#handle === null) return null;
    const numbers = this.#numbers;
    const kind = FAULT_KINDS[this.native.fault(this.#handle, numbers)] ?? null;
    if (kind === null) return null;
    const channels: number[] = [];
    if (kind === 'starved') {
      for (let c = 0; c < 128; c++) if ((numbers[4 + (c >> 5)]! >>> (c & 31)) & 1) channels.push(c + 1);
    }
    return {
      kind,
      atFrame: numbers[0]! < 0 ? null : numbers[0]!,
      frames: kind === 'starved' || kind === 'dropped' ? numbers[1]! : null,
      monotonicNs: nanoseconds(numbers[2]!, numbers[3]!),
      channels,
    };
  }

  /** The addon takes one command at a time. */
  #command<T>(ask: () => void, done: (answer: NativeAnswer) => T): Promise<T> {
    const turn = this.#commands.then(
      () =>
        new Promise<T>((resolve, reject) => {
          this.#waiting = (answer) => {
            try {
              resolve(done(answer));
            } catch (error) {
              reject(error);
            }
          };
          try {
            ask();
          } catch (error) {
            this.#waiting = null;
            reject(error);
          }
        }),
    );
    this.#commands = turn.catch(() => {});
    return turn;
  }

  #hearBell(): void {
    const answer = this.native.answer(this.handle);
    if (answer !== null) {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting?.(answer);
    }
    this.#onNews();
  }
}

export function nanoseconds(seconds: number, rest: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
}
