/**
 * Reads a region of a source ahead of its playback. The reader waits (for a disk, for a worker that decrypts); the engine never does,
 * so between them stands a buffer of bounded length.
 */
import { OutboardError } from '../../../core/errors.js';
import type { WavReader } from '../../../drivers/audio/wav-reader.js';
import type { SampleBlock, SampleSource } from './spec.js';

/** What a WAV reader is to the engine. Blocks are interleaved, and theirs who read them; null is the end. */
export interface FrameReader {
  read(maxFrames: number): Promise<SampleBlock | null>;
  skip(frames: number): Promise<unknown>;
}

/** A WAV as the engine likes it best: words where the file holds such, numbers otherwise. */
export function framesOf(wav: WavReader): FrameReader {
  return {
    read: (maxFrames) => (wav.hasWords ? wav.readWords(maxFrames) : wav.read(maxFrames)),
    skip: (frames) => wav.skip(frames),
  };
}

export interface PrefetchOptions {
  reader: FrameReader;
  channels: number;
  encodingBits: number | 'float';
  /** The part of the source that is played. */
  region: { start: number; frames: number };
  /**
   * The region ends where the source does: before its last frames are given, the reader must have found the end, and with it whatever
   * is wrong behind the samples.
   */
  endsSource?: boolean;
  /** How many frames are read ahead at most (and one block of the reader). */
  lookAheadFrames: number;
}

const CHUNK_FRAMES = 16_384;

export class PrefetchSource implements SampleSource {
  readonly encodingBits: number | 'float';
  readonly #o: PrefetchOptions;
  readonly #blocks: SampleBlock[] = [];
  #buffered = 0;
  /** Frames of the region that were not asked for yet. */
  #remaining: number;
  #filling = false;
  #skipped = false;
  #stopped = false;
  #failure: { error: unknown } | null = null;
  #waiting: { frames: number; resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(options: PrefetchOptions) {
    this.#o = options;
    this.encodingBits = options.encodingBits;
    this.#remaining = options.region.frames;
  }

  get ended(): boolean {
    return this.#buffered === 0 && this.#remaining === 0;
  }

  /** Frames that can be read now. */
  get bufferedFrames(): number {
    return this.#buffered;
  }

  read(maxFrames: number): SampleBlock | null {
    const head = this.#blocks[0];
    if (!head) {
      if (this.#failure) throw this.#failure.error;
      this.#fill();
      return null;
    }
    const { channels } = this.#o;
    const frames = Math.min(maxFrames, head.length / channels);
    if (frames * channels === head.length) this.#blocks.shift();
    else this.#blocks[0] = head.subarray(frames * channels);
    this.#buffered -= frames;
    this.#fill();
    return head.subarray(0, frames * channels);
  }

  ready(minFrames: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frames: minFrames, resolve, reject });
      this.#fill();
      this.#wake();
    });
  }

  /** Reads no further and forgets what is buffered. The reader is the caller's to close. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#failure ??= { error: new OutboardError('take.aborted', 'the source was stopped') };
    this.#blocks.length = 0;
    this.#buffered = 0;
    this.#wake();
  }

  #fill(): void {
    if (!this.#filling && this.#hungry()) void this.#readOn();
  }

  #hungry(): boolean {
    return !this.#stopped && !this.#failure && this.#remaining > 0 && this.#buffered < this.#o.lookAheadFrames;
  }

  async #readOn(): Promise<void> {
    this.#filling = true;
    try {
      const { reader, region } = this.#o;
      if (!this.#skipped && region.start > 0) await reader.skip(region.start);
      this.#skipped = true;
      while (this.#hungry()) {
        const block = await reader.read(Math.min(CHUNK_FRAMES, this.#remaining));
        if (this.#o.endsSource && block && block.length >= this.#remaining * this.#o.channels) await this.#expectEnd();
        if (!this.#stopped) this.#keep(block);
        this.#wake();
      }
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#filling = false;
      this.#wake();
    }
  }

  async #expectEnd(): Promise<void> {
    const beyond = await this.#o.reader.read(1);
    if (beyond !== null)
      throw new OutboardError('source.format', 'the source has more frames than it was said to have');
  }

  #keep(block: SampleBlock | null): void {
    if (block === null) {
      const missing = `the source ended ${this.#remaining} frames before the end of the region`;
      throw new OutboardError('wav.truncated', missing, { details: { missingFrames: this.#remaining } });
    }
    const { channels } = this.#o;
    const frames = Math.min(block.length / channels, this.#remaining);
    if (frames === 0) return;
    this.#blocks.push(block.subarray(0, frames * channels));
    this.#buffered += frames;
    this.#remaining -= frames;
  }

  #wake(): void {
    const complete = this.#remaining === 0 || this.#buffered >= this.#o.lookAheadFrames;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wish of waiting) {
      if (complete || this.#buffered >= wish.frames) wish.resolve();
      else if (this.#failure) wish.reject(this.#failure.error);
      else this.#waiting.push(wish);
    }
  }
}
