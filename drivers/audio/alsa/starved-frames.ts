/**
 * Which frames of which outputs were called missing already. The same frame can be found missing twice: by the device's thread when it was due,
 * and by the write that brought it too late.
 */
import { FrameSet } from '../frame-set.js';

export interface StarvedRun {
  from: number;
  to: number;
  /** From 1, ascending. */
  channels: number[];
}

export class StarvedFrames {
  readonly #known = new Map<number, FrameSet>();
  readonly #any = new FrameSet();
  #frames = 0;

  /** Frames on which any channel was missing. */
  get frames(): number {
    return this.#frames;
  }

  /** Adds a run; returns what of it is new, front to back, in runs of which every frame lacks the same channels. */
  add(from: number, to: number, channels: readonly number[]): StarvedRun[] {
    for (let at = this.#any.firstMissing(from, to); at < to; at = this.#any.firstMissing(at, to)) {
      const end = this.#any.firstPresent(at, to);
      this.#any.add(at, end);
      this.#frames += end - at;
    }
    const runs: StarvedRun[] = [];
    for (let at = from; at < to; ) {
      let end = to;
      const fresh = channels.filter((channel) => {
        const known = this.#set(channel);
        const missing = known.firstMissing(at, end);
        if (missing > at) end = Math.min(end, missing);
        else end = known.firstPresent(at, end);
        return missing === at;
      });
      if (fresh.length > 0) runs.push({ from: at, to: end, channels: fresh });
      at = end;
    }
    for (const channel of channels) this.#set(channel).add(from, to);
    return runs;
  }

  /** Nobody asks about frames before this one any more. */
  forgetBefore(frame: number): void {
    this.#any.removeBefore(frame);
    for (const known of this.#known.values()) known.removeBefore(frame);
  }

  #set(channel: number): FrameSet {
    const known = this.#known.get(channel) ?? new FrameSet();
    this.#known.set(channel, known);
    return known;
  }
}
