/**
 * Reads what was captured and keeps count of it: which frame of the stream every frame is. A gap that a fault has told of is stepped
 * over in the count, so that the frames behind it keep their places.
 */
import type { Claim } from '../../../drivers/audio/port.js';
import { BLOCK_FRAMES } from './lane.js';

export class CaptureReader {
  readonly #claim: Claim;
  readonly #block: Int32Array;
  #at = 0;
  #gaps: { at: number; frames: number }[] = [];

  constructor(claim: Claim, inChannels: number) {
    this.#claim = claim;
    this.#block = new Int32Array(BLOCK_FRAMES * inChannels);
  }

  /** The frame of the stream that is read next. */
  get at(): number {
    return this.#at;
  }

  /** Reads a block, which `deliver` must then be called with; returns how many frames it has. */
  read(): number {
    return this.#claim.read(this.#block);
  }

  /** Notes a gap. False when it cannot be counted: it has no place or length, or lies before what was read or noted already. */
  skip(atFrame: number | null, frames: number | null): boolean {
    const counted = this.#gaps.reduce((end, gap) => Math.max(end, gap.at + gap.frames), this.#at);
    if (atFrame === null || frames === null || atFrame < counted) return false;
    const last = this.#gaps.at(-1);
    if (last && atFrame === last.at + last.frames) last.frames += frames;
    else this.#gaps.push({ at: atFrame, frames });
    return true;
  }

  /** Gives the frames just read to `take`, in pieces whose frames follow each other: block, first frame in it, frames, stream frame. */
  deliver(frames: number, take: (block: Int32Array, first: number, frames: number, at: number) => void): void {
    let first = 0;
    while (first < frames) {
      let gap = this.#gaps[0];
      while (gap && gap.at <= this.#at) {
        this.#at += gap.frames;
        this.#gaps.shift();
        gap = this.#gaps[0];
      }
      const count = gap ? Math.min(frames - first, gap.at - this.#at) : frames - first;
      take(this.#block, first, count, this.#at);
      first += count;
      this.#at += count;
    }
  }
}
