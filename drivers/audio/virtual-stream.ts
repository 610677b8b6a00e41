/**
 * One running stream of the virtual interface: the rings, the converters, the clock and the account of what was lost.
 *
 * Played and captured frames are counted by one clock. `fast`: time passes only while somebody reads (or drains), only over frames
 * that are declared and there, and stands still otherwise, so it never starves. `realtime`: every call first catches up with the
 * monotonic clock; what is then armed and not written is starved, what no longer fits into the capture ring is dropped.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CaptureRing } from './capture-ring.js';
import { DelayLine } from './delay-line.js';
import { FrameSet } from './frame-set.js';
import { PlaybackRing } from './playback-ring.js';
import type { FaultKind, Position, StreamRequest, Tally } from './port.js';
import { ANALOG_BLOCK_FRAMES, type VirtualAnalog } from './virtual-analog.js';

/** Asks for a fault; for tests of what stands on the port. */
export interface Injection {
  kind: FaultKind;
  /** The frame at which it happens; without it, now. */
  atFrame?: number;
  /** How many frames are lost (xrun-in, xrun-out, starved, dropped); 1 when not said. */
  frames?: number;
}

export interface VirtualStreamOptions {
  request: StreamRequest;
  bufferFrames: number;
  loopLatencyFrames: number;
  clock: 'realtime' | 'fast';
  analog: VirtualAnalog;
  now: () => bigint;
  /** Called at once, before any frame past the gap can be read. */
  onFault: (kind: FaultKind, atFrame: number | null, frames: number | null) => void;
}

/** While it drains, the realtime clock is looked at this often at least. */
const DRAIN_POLL_MS = 20;
const INT24_SCALE = 2 ** 23;
const INT24_MAX = 2 ** 23 - 1;
const INT24_MIN = -(2 ** 23);
/** Adding it leaves a double no room for a fraction: what remains is the nearest integer. */
const ROUNDER = 1.5 * 2 ** 52;

export class VirtualStream {
  readonly startedAtNs: bigint;
  readonly #o: VirtualStreamOptions;
  readonly #playback: PlaybackRing;
  readonly #capture: CaptureRing;
  readonly #sends: Float64Array[] = [];
  readonly #returns: Float64Array[] = [];
  readonly #usedSends: number[] = [];
  readonly #usedReturns: number[] = [];
  /** The latency of the converters, per input. */
  readonly #latency: DelayLine[] = [];
  readonly #starvedAlready = new FrameSet();
  readonly #injections: Required<Injection>[] = [];
  #xruns = 0;
  #starved = 0;
  #dropped = 0;
  #clock = 0;
  #standing = false;
  #advancing = false;
  #draining = false;
  #silentUntil = 0;
  #dropUntil = 0;

  constructor(o: VirtualStreamOptions) {
    const { inChannels, outChannels, rate } = o.request;
    this.#o = o;
    this.#playback = new PlaybackRing(outChannels, o.bufferFrames);
    this.#capture = new CaptureRing(inChannels, o.bufferFrames);
    for (let c = 0; c < outChannels; c++) {
      this.#sends.push(new Float64Array(ANALOG_BLOCK_FRAMES));
      if (o.analog.usesSend(c)) this.#usedSends.push(c);
    }
    for (let c = 0; c < inChannels; c++) {
      this.#returns.push(new Float64Array(ANALOG_BLOCK_FRAMES));
      this.#latency.push(new DelayLine());
      if (o.analog.usesReturn(c)) this.#usedReturns.push(c);
    }
    o.analog.prepare(rate);
    this.startedAtNs = o.now();
  }

  get tally(): Tally {
    const frames = this.#clock;
    return { captured: frames, played: frames, xruns: this.#xruns, starved: this.#starved, dropped: this.#dropped };
  }

  arm(channels: readonly number[], from: number, to: number): void {
    this.catchUp();
    // Nobody can vouch for what was played before it was declared: it counts as missing.
    for (const channel of channels) this.#playback.arm(channel - 1, Math.max(from, this.#clock), to);
    if (from < this.#clock) this.#starve(from, Math.min(to, this.#clock));
  }

  disarm(channels: readonly number[], from: number): void {
    this.catchUp();
    for (const channel of channels) this.#playback.disarm(channel - 1, from);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    this.catchUp();
    const end = atFrame + block.length / channelCount;
    const limit = this.#clock + this.#o.bufferFrames;
    if (end > limit) throw new RangeError(`frames ${atFrame} to ${end} are beyond the ring, which ends at ${limit}`);
    const from = Math.max(atFrame, this.#clock);
    for (let c = 0; c < channelCount && from < end; c++) {
      this.#playback.write(firstChannel - 1 + c, from, end, block, atFrame, c, channelCount);
    }
    if (atFrame < this.#clock) this.#starve(atFrame, Math.min(end, this.#clock));
  }

  read(into: Int32Array): number {
    const frames = Math.floor(into.length / this.#o.request.inChannels);
    if (this.#o.clock === 'fast') {
      const wanted = Math.min(frames - this.#capture.available, this.#capture.room);
      if (wanted > 0) this.#advanceTo(Math.min(this.#due(), this.#clock + wanted));
    } else {
      this.catchUp();
    }
    return this.#capture.read(into, frames);
  }

  position(): Position {
    this.catchUp();
    const frame = this.#clock;
    return { captured: frame, played: frame, earliestWrite: frame, monotonicNs: this.#o.now() };
  }

  /** Plays what was written. Ends early when the stream comes to stand. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#o.clock === 'fast') {
      this.#advanceTo(this.#playback.firstMissing(this.#clock, this.#playback.writtenEnd));
      return;
    }
    for (;;) {
      this.catchUp();
      const left = this.#playback.writtenEnd - this.#clock;
      if (left <= 0 || this.#standing) return;
      await sleep(Math.min(DRAIN_POLL_MS, Math.ceil((1000 * left) / this.#o.request.rate)));
    }
  }

  /** The clock stands for ever. */
  halt(): void {
    this.#standing = true;
  }

  inject(injection: Injection): void {
    this.catchUp();
    const { kind, atFrame = this.#clock, frames = 1 } = injection;
    this.#injections.push({ kind, atFrame, frames });
    this.#injections.sort((a, b) => a.atFrame - b.atFrame);
    if (!this.#advancing) this.#fireInjections();
  }

  /** Realtime: goes to where the monotonic clock is. */
  catchUp(): void {
    if (this.#o.clock !== 'realtime' || this.#standing || this.#advancing) return;
    const elapsedNs = this.#o.now() - this.startedAtNs;
    const target = Number((elapsedNs * BigInt(this.#o.request.rate)) / 1_000_000_000n);
    if (target > this.#clock) this.#advanceTo(target);
  }

  /** Fast: how far time may pass. */
  #due(): number {
    return this.#playback.firstMissing(this.#clock, this.#playback.armedEnd);
  }

  #advanceTo(target: number): void {
    // A listener may call back in while a fault is delivered; time passes in one place only.
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#clock < target && !this.#standing) {
        this.#fireInjections();
        if (this.#standing) return;
        const nextInjection = this.#injections[0]?.atFrame ?? target;
        this.#step(Math.min(target, nextInjection));
      }
    } finally {
      this.#advancing = false;
    }
  }

  /** One block at most, as short as the next edge of a ring or of a fault asks. */
  #step(target: number): void {
    const size = this.#playback.sizeFrames;
    let frames = Math.min(target - this.#clock, ANALOG_BLOCK_FRAMES, size - (this.#clock % size));
    if (this.#silentUntil > this.#clock) frames = Math.min(frames, this.#silentUntil - this.#clock);
    if (this.#dropUntil > this.#clock) frames = Math.min(frames, this.#dropUntil - this.#clock);
    const stored = this.#draining ? 0 : this.#capture.contiguousRoom;
    if (stored > 0) frames = Math.min(frames, stored);
    else if (!this.#draining && this.#dropUntil <= this.#clock && this.#skipSilence(target)) return;

    const from = this.#clock;
    if (this.#o.clock === 'realtime') this.#reportStarved(from, from + frames);
    this.#render(from, frames);
    this.#playback.zeroBehind(from, frames);
    this.#starvedAlready.removeBefore(from - size);
    this.#clock = from + frames;
    if (this.#draining) return;
    if (this.#dropUntil > from) return; // its fault was delivered when it was injected
    if (stored > 0) this.#digitise(frames);
    else this.#drop(from, frames);
  }

  /**
   * Nobody has read for as long as the ring is, nothing is left to play, and the analog side has had time to forget: the rest passes
   * at once. Without it, a stream that was left alone for a day would be rendered for minutes at the next call.
   */
  #skipSilence(target: number): boolean {
    const from = this.#clock;
    const forgets = Math.ceil(this.#o.analog.forgetsAfterFrames) + this.#o.loopLatencyFrames;
    if (target - from <= forgets) return false;
    if (this.#playback.writtenEnd > from || this.#playback.armedEnd > from) return false;
    const skipped = target - from - forgets;
    this.#clock = from + skipped;
    this.#drop(from, skipped);
    return true;
  }

  #render(from: number, frames: number): void {
    const { analog, loopLatencyFrames } = this.#o;
    for (const c of this.#usedSends) {
      if (this.#silentUntil > from) this.#sends[c]!.fill(0, 0, frames);
      else this.#playback.convert(c, from, frames, this.#sends[c]!);
    }
    analog.process(this.#sends, this.#returns, frames);
    for (const c of this.#usedReturns) this.#latency[c]!.process(this.#returns[c]!, frames, loopLatencyFrames);
  }

  /** Rounds to 24 bits and clamps at full scale, like a converter; left-justified. */
  #digitise(frames: number): void {
    const { samples, writeIndex } = this.#capture;
    const channels = this.#o.request.inChannels;
    samples.fill(0, writeIndex, writeIndex + frames * channels);
    for (const c of this.#usedReturns) digitise(this.#returns[c]!, frames, samples, writeIndex + c, channels);
    this.#capture.commit(frames);
  }

  #reportStarved(from: number, to: number): void {
    for (let at = this.#playback.firstMissing(from, to); at < to; at = this.#playback.firstMissing(at, to)) {
      const end = this.#playback.missingEnd(at, to);
      this.#starve(at, end);
      at = end;
    }
  }

  /** Reports frames of playback that were not there in time, each once. */
  #starve(from: number, to: number): void {
    for (let at = this.#starvedAlready.firstMissing(from, to); at < to; ) {
      const end = this.#starvedAlready.firstPresent(at, to);
      this.#starvedAlready.add(at, end);
      this.#starved += end - at;
      this.#o.onFault('starved', at, end - at);
      at = this.#starvedAlready.firstMissing(end, to);
    }
  }

  #drop(from: number, frames: number): void {
    this.#dropped += frames;
    this.#capture.markGap();
    this.#o.onFault('dropped', from, frames);
  }

  #fireInjections(): void {
    while (!this.#standing && this.#injections.length > 0 && this.#injections[0]!.atFrame <= this.#clock) {
      this.#fire(this.#injections.shift()!);
    }
  }

  #fire({ kind, frames }: Required<Injection>): void {
    const at = this.#clock;
    switch (kind) {
      case 'starved':
        this.#silentUntil = at + frames;
        this.#starve(at, at + frames);
        return;
      case 'dropped':
        this.#dropUntil = at + frames;
        this.#drop(at, frames);
        return;
      case 'xrun-in':
      case 'xrun-out':
        this.#standing = true;
        this.#xruns++;
        this.#o.onFault(kind, at, frames);
        return;
      case 'stalled':
      case 'lost':
      case 'claim-lost':
        this.#standing = true;
        this.#o.onFault(kind, null, null);
        return;
    }
  }
}

function digitise(analog: Float64Array, frames: number, into: Int32Array, at: number, stride: number): void {
  for (let i = 0, p = at; i < frames; i++, p += stride) {
    let value = analog[i]! * INT24_SCALE + ROUNDER - ROUNDER;
    if (value > INT24_MAX) value = INT24_MAX;
    else if (value < INT24_MIN) value = INT24_MIN;
    into[p] = value << 8;
  }
}
