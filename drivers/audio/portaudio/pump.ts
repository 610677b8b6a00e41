/**
 * Keeps one duplex stream of naudiodon going, in the child process: chunks out, chunks in, one of each at a time. Each of them, and the end,
 * holds a thread of libuv's pool while it waits: three of the four.
 *
 * It plays silence, so that the device stays held, until `run`; then it plays the parent's chunks by their index, and silence in the
 * place of one that has not come, so that frame numbers go on. What PortAudio reports, or what a watch sees, ends the run; it never
 * goes on by itself.
 */
import { hrtime } from 'node:process';
import type { NativeStream } from './binding.js';
import { ClockWatch } from './clock-watch.js';
import type { DeviceFault, Opened } from './protocol.js';
import type { StatusWatch } from './status-watch.js';

const SAMPLE_BYTES = 3;
/** How much naudiodon has queued: what it plays although its parent has stopped, and how long this process may be held up. */
const QUEUED_SECONDS = 0.4;
const MIN_QUEUED_CHUNKS = 4;
/** With no more than this queued, the next chunk cannot be waited for. */
const LAST_CHUNKS = 2;
/** Between two runs: what the first one left in the device's buffers is not in the second one's first frames. */
const QUIET_CHUNKS = 3;

export interface PumpOptions {
  stream: NativeStream;
  opened: Opened;
  chunkFrames: number;
  watch: StatusWatch;
  /** A captured chunk of the run, packed 24-bit samples. */
  onChunk: (index: number, timeNs: bigint, packed: Buffer) => void;
  onMissed: (index: number) => void;
  onFault: (kind: DeviceFault, frames: number | null, detail: string) => void;
}

export class Pump {
  readonly #o: PumpOptions;
  readonly #depth: number;
  readonly #inBytes: number;
  readonly #silence: Buffer;
  /** The parent's chunks, by index. */
  readonly #queue = new Map<number, Buffer>();
  #clock: ClockWatch | null = null;
  #written = 0;
  #read = 0;
  #mode: 'silent' | 'running' = 'silent';
  /** The stream's chunk that is number 0 of the run. */
  #runFrom = 0;
  /** The first chunk behind the last that was not silence. */
  #quietFrom = 0;
  /** Something was lost since it was opened: its offset may not be what it was. */
  #dirty = false;
  #ending = false;
  #gone = false;
  #wake: () => void = () => {};
  #collected: Promise<void> = Promise.resolve();

  constructor(o: PumpOptions) {
    this.#o = o;
    this.#depth = Math.max(MIN_QUEUED_CHUNKS, Math.ceil((QUEUED_SECONDS * o.opened.rate) / o.chunkFrames));
    this.#inBytes = o.chunkFrames * o.opened.inChannels * SAMPLE_BYTES;
    this.#silence = Buffer.alloc(o.chunkFrames * o.opened.outChannels * SAMPLE_BYTES);
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  /** @throws Error with PortAudio's words */
  start(): void {
    void this.#feed();
    this.#o.stream.start();
    const { chunkFrames, opened } = this.#o;
    this.#clock = new ClockWatch({ chunkFrames, rate: opened.rate, startedNs: hrtime.bigint() });
    this.#collected = this.#collect();
    this.#o.watch.begin();
  }

  /** @returns about when the first frame is played */
  run(): bigint {
    this.#queue.clear();
    this.#runFrom = Math.max(this.#written, this.#quietFrom + QUIET_CHUNKS);
    this.#mode = 'running';
    this.#o.watch.begin();
    const { chunkFrames, opened } = this.#o;
    return hrtime.bigint() + BigInt(Math.round(((this.#runFrom - this.#read) * chunkFrames * 1e9) / opened.rate));
  }

  /** Silence; what is queued already is still played. */
  idle(): void {
    this.#mode = 'silent';
    this.#queue.clear();
  }

  put(index: number, packed: Buffer): void {
    if (this.#mode !== 'running' || this.#runFrom + index < this.#written) return;
    this.#queue.set(index, packed);
    this.#wake();
  }

  /** To be called now and then: a silent device calls nobody. */
  look(): void {
    if (this.#ending || this.#gone) return;
    this.#gone = this.#o.watch.gone();
    if (this.#gone) this.#fail('lost', null, 'the card is gone');
    else if (this.#clock?.stalled(hrtime.bigint())) this.#fail('stalled', null, 'no frame is captured any more');
  }

  /** Stops feeding, reads all returns, then gives the device back. Never settles where PortAudio hangs. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#wake();
    await this.#collected;
    await this.#o.stream.quit('WAIT');
  }

  async #feed(): Promise<void> {
    while (!this.#ending) {
      const packed = this.#written - this.#read < this.#depth ? this.#next() : null;
      if (packed === null) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#written++;
      const status = await this.#o.stream.write(packed).catch((error: Error) => error.message);
      if (status !== undefined) this.#status(status);
    }
  }

  /** The chunk that is number `#written`; null when it may still come. */
  #next(): Buffer | null {
    const index = this.#written - this.#runFrom;
    if (this.#mode === 'silent' || index < 0) return this.#silence;
    this.#quietFrom = this.#written + 1;
    const packed = this.#queue.get(index);
    if (packed !== undefined) {
      this.#queue.delete(index);
      return packed;
    }
    if (this.#written - this.#read > LAST_CHUNKS) return null;
    this.#o.onMissed(index);
    return this.#silence;
  }

  async #collect(): Promise<void> {
    // Behind the end, every chunk that was written has its return.
    while (!this.#ending || this.#read < this.#written) {
      const { err, buf, finished } = await this.#o.stream
        .read(this.#inBytes)
        .catch((error: Error) => ({ err: error.message, buf: undefined, finished: false }));
      if (finished) return;
      if (err !== undefined) this.#status(err);
      this.#take(buf);
      this.#read++;
      this.#wake();
    }
  }

  #take(packed: Buffer | undefined): void {
    const now = hrtime.bigint();
    const missing = this.#clock!.chunk(now);
    if (missing > 0) {
      // Which frame is which is not known any more: a fault alone would leave the takes after it in the wrong place.
      this.#fail('dropped', missing, 'fewer frames came than the clock says');
      this.#fail('xrun-in', null, 'the place of what follows is not known');
    }
    const index = this.#read - this.#runFrom;
    if (this.#mode !== 'running' || index < 0) return;
    const seen = this.#o.watch.check();
    if (seen !== null) this.#fail(seen.kind, null, seen.detail);
    else if (packed !== undefined) this.#o.onChunk(index, now, packed);
  }

  /** What PortAudio tells of a callback: it comes before the frames of that callback, and has no place. */
  #status(text: string): void {
    this.#fail(/output/.test(text) ? 'xrun-out' : 'xrun-in', null, text.trim());
  }

  #fail(kind: DeviceFault, frames: number | null, detail: string): void {
    const told = this.#mode === 'running' || kind === 'lost';
    this.#dirty = true;
    if (told) this.#o.onFault(kind, frames, detail);
    if (kind !== 'dropped') this.idle();
  }
}
