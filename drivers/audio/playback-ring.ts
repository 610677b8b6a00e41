/**
 * What was written and not yet played, channel by channel, with the account of which frames must be there and which are. It is zero
 * wherever nobody wrote, and zeroed behind the converter.
 */
import { FrameSet } from './frame-set.js';

const DAC_SCALE = 1 / 2 ** 31;

interface Channel {
  /** Made at the first write: an output that nobody uses costs nothing. */
  samples: Int32Array | null;
  armed: FrameSet;
  written: FrameSet;
}

/** Frames [from, to) of these channels, which count from 1. */
export interface ChannelRange {
  channels: number[];
  from: number;
  to: number;
}

export class PlaybackRing {
  readonly sizeFrames: number;
  readonly #channels: Channel[] = [];

  constructor(channels: number, sizeFrames: number) {
    this.sizeFrames = sizeFrames;
    for (let c = 0; c < channels; c++) {
      this.#channels.push({ samples: null, armed: new FrameSet(), written: new FrameSet() });
    }
  }

  arm(channel: number, from: number, to: number): void {
    this.#channels[channel]!.armed.add(from, to);
  }

  disarm(channel: number, from: number): void {
    this.#channels[channel]!.armed.removeFrom(from);
  }

  /** Takes frames [from, to) of one channel out of a block that begins with frame `blockFrom`. */
  write(
    channel: number,
    from: number,
    to: number,
    block: Int32Array,
    blockFrom: number,
    at: number,
    stride: number,
  ): void {
    const target = this.#channels[channel]!;
    target.samples ??= new Int32Array(this.sizeFrames);
    const { samples } = target;
    let ring = from % this.sizeFrames;
    let index = (from - blockFrom) * stride + at;
    for (let frame = from; frame < to; frame++) {
      samples[ring] = block[index]!;
      index += stride;
      if (++ring === this.sizeFrames) ring = 0;
    }
    target.written.add(from, to);
  }

  /** Converts `frames` frames that begin at `from` (they do not wrap) and zeroes them. Digital full scale becomes 1.0. */
  convert(channel: number, from: number, frames: number, into: Float64Array): void {
    const { samples, written } = this.#channels[channel]!;
    if (samples === null || written.firstPresent(from, from + frames) === from + frames) {
      into.fill(0, 0, frames);
      return;
    }
    const at = from % this.sizeFrames;
    for (let i = 0; i < frames; i++) into[i] = samples[at + i]! * DAC_SCALE;
  }

  /** Zeroes what was played and forgets its account. */
  zeroBehind(from: number, frames: number): void {
    const at = from % this.sizeFrames;
    for (const channel of this.#channels) {
      const end = from + frames;
      if (channel.samples !== null && channel.written.firstPresent(from, end) < end) {
        channel.samples.fill(0, at, at + frames);
      }
      channel.written.removeBefore(end);
      channel.armed.removeBefore(end);
    }
  }

  /** One past the last frame that anybody wrote; 0 when nothing is left to play. */
  get writtenEnd(): number {
    let end = 0;
    for (const { written } of this.#channels) end = Math.max(end, written.end);
    return end;
  }

  /** One past the last frame that is armed; 0 when none is. */
  get armedEnd(): number {
    let end = 0;
    for (const { armed } of this.#channels) end = Math.max(end, armed.end);
    return end;
  }

  /** The first frame of [from, to) that is armed and not written on some channel; `to` when there is none. */
  firstMissing(from: number, to: number): number {
    let first = to;
    for (const { armed, written } of this.#channels) {
      for (let at = from; at < first; ) {
        const due = armed.firstPresent(at, first);
        if (due >= first) break;
        const missing = written.firstMissing(due, first);
        if (missing < first && armed.firstPresent(missing, first) === missing) first = missing;
        at = missing + 1;
      }
    }
    return first;
  }

  /** The first frame of (from, to) at which nothing is missing, `from` being one that is; `to` when there is none. */
  missingEnd(from: number, to: number): number {
    let at = from;
    for (;;) {
      let furthest = at;
      for (const { armed, written } of this.#channels) {
        if (armed.firstPresent(at, to) !== at || written.firstPresent(at, at + 1) === at) continue;
        furthest = Math.max(furthest, Math.min(armed.firstMissing(at, to), written.firstPresent(at, to)));
      }
      if (furthest === at || furthest >= to) return Math.min(furthest, to);
      at = furthest;
    }
  }

  /** Copies `frames` frames that begin at `from`, all channels interleaved, into a block that is zero. */
  interleave(from: number, frames: number, into: Int32Array): void {
    const stride = this.#channels.length;
    for (let c = 0; c < stride; c++) {
      const { samples, written } = this.#channels[c]!;
      if (samples === null || written.firstPresent(from, from + frames) === from + frames) continue;
      let ring = from % this.sizeFrames;
      for (let i = 0, p = c; i < frames; i++, p += stride) {
        into[p] = samples[ring]!;
        if (++ring === this.sizeFrames) ring = 0;
      }
    }
  }

  /** What of [from, to) is armed. */
  armedRanges(from: number, to: number): ChannelRange[] {
    return this.#ranges(from, to, ({ armed }, at) => {
      const start = armed.firstPresent(at, to);
      return [start, armed.firstMissing(start, to)];
    });
  }

  /** What of [from, to) is armed and not written. */
  missingRanges(from: number, to: number): ChannelRange[] {
    return this.#ranges(from, to, ({ armed, written }, at) => {
      for (let start = at; start < to; ) {
        const due = armed.firstPresent(start, to);
        const missing = written.firstMissing(due, to);
        const still = armed.firstPresent(missing, to);
        if (still === missing)
          return [missing, Math.min(armed.firstMissing(missing, to), written.firstPresent(missing, to))];
        start = still;
      }
      return [to, to];
    });
  }

  /** Ranges of all channels in order, as `next` finds them; channels with the same range share an entry. */
  #ranges(from: number, to: number, next: (channel: Channel, at: number) => [number, number]): ChannelRange[] {
    const found = new Map<string, ChannelRange>();
    for (let c = 0; c < this.#channels.length; c++) {
      for (let at = from; at < to; ) {
        const [start, end] = next(this.#channels[c]!, at);
        if (start >= to) break;
        const same = found.get(`${start}-${end}`);
        if (same) same.channels.push(c + 1);
        else found.set(`${start}-${end}`, { channels: [c + 1], from: start, to: end });
        at = end;
      }
    }
    return [...found.values()].sort((a, b) => a.from - b.from);
  }
}
