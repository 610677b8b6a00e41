/**
 * The sends of one insert during one take: frames go into the playback ring in order, and what is ahead in the ring is remembered, so
 * that an aborted take can be ramped down instead of cut.
 */
import type { Claim, Fault } from '../../../drivers/audio/port.js';
import { type ChannelRun, runsOf } from './channels.js';
import { spoiled } from './faults.js';

export const BLOCK_FRAMES = 4096;

export class SendLane {
  readonly sends: readonly number[];
  readonly #claim: Claim;
  readonly #timePasses: boolean;
  readonly #runs: ChannelRun[];
  readonly #ahead: Int32Array;
  readonly #aheadFrames: number;
  readonly #scratch: Int32Array;
  readonly #silence: Int32Array;
  #from: number;
  #to: number;
  #written: number;

  /**
   * @param o.from first frame, and `o.to` one past the last, counted from where the take will be placed
   * @param o.aheadFrames how far ahead of the first frame that can still be written the lane is ever written
   */
  constructor(o: {
    claim: Claim;
    timePasses: boolean;
    sends: readonly number[];
    from: number;
    to: number;
    aheadFrames: number;
  }) {
    const width = o.sends.length;
    this.sends = o.sends;
    this.#from = o.from;
    this.#to = o.to;
    this.#claim = o.claim;
    this.#timePasses = o.timePasses;
    this.#runs = runsOf(o.sends);
    this.#aheadFrames = o.aheadFrames;
    this.#ahead = new Int32Array(o.aheadFrames * width);
    this.#scratch = new Int32Array(BLOCK_FRAMES * width);
    this.#silence = new Int32Array(BLOCK_FRAMES * width);
    this.#written = o.from;
  }

  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  /** One past the last frame written: everything from `from` to here is in the ring or was played. */
  get written(): number {
    return this.#written;
  }

  /** Places the lane into the stream: from now on a missing frame is a fault. */
  arm(playFrom: number): void {
    this.#from += playFrom;
    this.#to += playFrom;
    this.#written = this.#from;
    this.#claim.arm({ channels: [...this.sends], from: this.from, to: this.to });
  }

  /** Appends whole frames, at most BLOCK_FRAMES. @throws OutboardError take.spoiled when they came too late */
  write(block: Int32Array): void {
    const at = this.#written;
    this.#remember(at, block);
    this.#put(at, block);
    this.#written = at + block.length / this.sends.length;
    if (this.#timePasses) this.#expectInTime(at, this.#claim.position().earliestWrite);
  }

  /** Appends zeros up to frame `until`, at most BLOCK_FRAMES; returns how many. */
  writeSilence(until: number): number {
    const frames = Math.min(BLOCK_FRAMES, until - this.#written);
    this.write(this.#silence.subarray(0, frames * this.sends.length));
    return frames;
  }

  /**
   * Appends what lets the sound of before frame `soundTo` end: its last frame, held under half a cosine that falls to zero in `rampFrames`.
   * Up to frame `until`, at most BLOCK_FRAMES; returns how many.
   */
  writeFall(soundTo: number, rampFrames: number, until: number): number {
    const width = this.sends.length;
    const at = this.#written;
    const frames = Math.min(BLOCK_FRAMES, soundTo + rampFrames - at, until - at);
    if (frames <= 0) return 0;
    const place = ((soundTo - 1) % this.#aheadFrames) * width;
    const last = this.#ahead.slice(place, place + width);
    const block = this.#scratch.subarray(0, frames * width);
    for (let frame = 0; frame < frames; frame++) {
      const fall = 0.5 + 0.5 * Math.cos((Math.PI * (at + frame - soundTo + 1)) / rampFrames);
      for (let i = 0; i < width; i++) block[frame * width + i] = ((last[i]! >> 8) * fall) << 8;
    }
    this.write(block);
    return frames;
  }

  /** @throws OutboardError take.spoiled when the playback has come past what is written */
  expectAheadOf(earliestWrite: number): void {
    if (this.#written < this.to) this.#expectInTime(this.#written, earliestWrite);
  }

  /**
   * Ends the lane: nothing is expected any more; from frame `from` on what is ahead falls to zero along half a cosine of `rampFrames`
   * (where less is ahead, its last frame is held under the ramp), and the rest is overwritten with zeros.
   */
  rampDown(earliestWrite: number, from: number, rampFrames: number): void {
    this.#claim.disarm({ channels: [...this.sends], from: earliestWrite });
    const width = this.sends.length;
    const written = this.#written;
    if (written === this.from || written < from) return;
    const quietFrom = from + rampFrames;
    for (let at = from; at < quietFrom; ) {
      const frames = Math.min(BLOCK_FRAMES, quietFrom - at);
      const block = this.#scratch.subarray(0, frames * width);
      for (let frame = 0; frame < frames; frame++) {
        const fall = 0.5 + 0.5 * Math.cos((Math.PI * (at + frame - from + 1)) / rampFrames);
        const place = (Math.min(at + frame, written - 1) % this.#aheadFrames) * width;
        for (let i = 0; i < width; i++) block[frame * width + i] = ((this.#ahead[place + i]! >> 8) * fall) << 8;
      }
      this.#put(at, block);
      at += frames;
    }
    for (let at = quietFrom; at < written; ) {
      const frames = Math.min(BLOCK_FRAMES, written - at);
      this.#put(at, this.#silence.subarray(0, frames * width));
      at += frames;
    }
  }

  #expectInTime(at: number, earliestWrite: number): void {
    if (at >= earliestWrite) return;
    const fault: Fault = {
      kind: 'starved',
      atFrame: at,
      frames: earliestWrite - at,
      monotonicNs: process.hrtime.bigint(),
    };
    throw spoiled([fault]);
  }

  #put(at: number, block: Int32Array): void {
    const width = this.sends.length;
    const single = this.#runs.length === 1;
    for (const run of this.#runs) {
      let part = block;
      if (!single) {
        const frames = block.length / width;
        part = new Int32Array(frames * run.count);
        for (let frame = 0; frame < frames; frame++)
          for (let i = 0; i < run.count; i++) part[frame * run.count + i] = block[frame * width + run.index + i]!;
      }
      this.#claim.write(at, run.firstChannel, run.count, part);
    }
  }

  #remember(at: number, block: Int32Array): void {
    const width = this.sends.length;
    const place = (at % this.#aheadFrames) * width;
    const fits = Math.min(block.length, this.#ahead.length - place);
    this.#ahead.set(block.subarray(0, fits), place);
    this.#ahead.set(block.subarray(fits), 0);
  }
}
