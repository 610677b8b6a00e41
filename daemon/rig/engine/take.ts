/**
 * One take in the stream: it is placed at a playback frame, plays its source and then silence, patches its inserts together and
 * records what comes back. It knows nothing of other takes. Whatever goes wrong ends it: ramp down, zeros, an error.
 */
import { OutboardError } from '../../../core/errors.js';
import type { Fault } from '../../../drivers/audio/port.js';
import { gather } from './channels.js';
import { type Exposure, isStarvation, spoiled } from './faults.js';
import { Feed } from './feed.js';
import { returnGainsDb } from './gains.js';
import { BLOCK_FRAMES, SendLane } from './lane.js';
import { TakeMeter } from './meter.js';
import { Patch } from './patch.js';
import { Quantizer, trimRefusalOf } from './quantize.js';
import type { Take, TakeReport, TakeSpec } from './spec.js';
import type { Stream } from './stream.js';
import { type Timeline, timelineOf } from './timeline.js';

export class RollingTake implements Take, Exposure {
  readonly spec: TakeSpec;
  readonly started: Promise<{ playFrom: number; streamFrom: number }>;
  readonly done: Promise<TakeReport>;
  lanes: readonly SendLane[] = [];
  captures: readonly { from: number; to: number }[] = [];
  /** From this frame on its sends are silent, however it ended. */
  quietFrom = 0;
  /** Of a take that failed: the frames that it did not write, or may have rewritten too late. */
  abandoned: Exposure['lanes'] = [];
  readonly #stream: Stream;
  readonly #timeline: Timeline;
  readonly #onOver: (take: RollingTake) => void;
  readonly #feed: Feed;
  readonly #meter: TakeMeter;
  readonly #patches: Patch[];
  readonly #returnTrim: Quantizer;
  readonly #onAbort = (): void => this.abort(String(this.spec.signal?.reason ?? 'aborted'));
  #state: 'waiting' | 'rolling' | 'over' = 'waiting';
  #playFrom = 0;
  #startedAtNs = 0n;
  #recorded = 0;
  #starved = false;
  #picked = new Int32Array(0);
  #tellStarted!: { resolve(at: { playFrom: number; streamFrom: number }): void; reject(error: unknown): void };
  #tellDone!: { resolve(report: TakeReport): void; reject(error: unknown): void };

  constructor(spec: TakeSpec, stream: Stream, onOver: (take: RollingTake) => void) {
    this.spec = spec;
    this.#stream = stream;
    this.#onOver = onOver;
    const last = spec.hops.at(-1)!;
    this.#timeline = timelineOf(
      spec.hops,
      spec.regionFrames + spec.tailFrames,
      stream.loopLatencyFrames,
      stream.patchDelayFrames,
    );
    this.#feed = new Feed(spec);
    this.#meter = new TakeMeter(stream.rate, last.returns.length);
    this.#patches = spec.hops.slice(1).map((hop, i) => new Patch(spec.hops[i]!, hop));
    this.#returnTrim = new Quantizer({
      channels: last.returns.length,
      gainDb: returnGainsDb(last),
      sourceBits: 24,
    });
    this.started = new Promise((resolve, reject) => {
      this.#tellStarted = { resolve, reject };
    });
    this.done = new Promise((resolve, reject) => {
      this.#tellDone = { resolve, reject };
    });
    // Whoever waits hears of the error; that nobody waits for one of the two is no error of its own.
    this.started.catch(() => {});
    this.done.catch(() => {});
    spec.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (spec.signal?.aborted) this.#onAbort();
  }

  get sends(): number[] {
    return this.spec.hops.flatMap((hop) => hop.sends);
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  get rolling(): boolean {
    return this.#state === 'rolling';
  }

  /** Does beforehand what can be done before the take has a place, so that little time passes between choosing it and filling it. */
  prepare(): void {
    const { claim, timePasses, aheadFrames, prefillFrames, rampFrames } = this.#stream;
    const { hops, endFrame } = this.#timeline;
    this.lanes = this.spec.hops.map(({ sends }, i) => {
      const { sendFrom } = hops[i]!;
      const from = sendFrom - rampFrames;
      const to = Math.max(endFrame, sendFrom + this.#soundFrames(i) + (this.#falls(i) ? rampFrames : 0));
      return new SendLane({ claim, timePasses, sends, from, to, aheadFrames });
    });
    try {
      this.#feed.prepare(prefillFrames, rampFrames);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Places the take so that its first sample is playback frame `playFrom`, and arms every send of the chain to the end, from where its
   * ramp begins: the stream's ramp before the first sample.
   */
  begin(playFrom: number, monotonicNs: bigint): void {
    const { hops, resultFrames, totalFrames } = this.#timeline;
    this.#state = 'rolling';
    this.#playFrom = playFrom;
    this.#startedAtNs = monotonicNs;
    // What the next insert is fed with has the ramp in front of it; the result has not.
    this.captures = hops.map(({ captureFrom }, i) => {
      const from = playFrom + captureFrom;
      return { from: i < hops.length - 1 ? from - this.#stream.rampFrames : from, to: from + resultFrames };
    });
    this.#guard(() => {
      for (const lane of this.lanes) lane.arm(playFrom);
    });
    this.#tellStarted.resolve({ playFrom, streamFrom: playFrom + totalFrames });
  }

  /** Writes what can be written before frame `limit`; returns how many frames that was. */
  play(earliestWrite: number, limit: number): number {
    let frames = 0;
    this.#guard(() => {
      this.lanes.forEach((lane, i) => {
        if (this.#stream.timePasses && this.#state === 'rolling') lane.expectAheadOf(earliestWrite);
        const { rampFrames } = this.#stream;
        const soundTo = lane.from + rampFrames + this.#soundFrames(i);
        const fallTo = this.#falls(i) ? soundTo + rampFrames : soundTo;
        while (lane.written < limit && lane.written < lane.to) {
          // Past the first insert the sound comes from what was captured.
          if (lane.written < soundTo && i > 0) return;
          const now =
            lane.written < soundTo
              ? this.#playSource(lane, Math.min(limit, soundTo))
              : lane.written < fallTo
                ? lane.writeFall(soundTo, rampFrames, Math.min(limit, lane.to))
                : lane.writeSilence(Math.min(limit, lane.to));
          if (now === 0) return;
          frames += now;
        }
      });
    });
    return frames;
  }

  /** True of a take that was spoiled before a second of it was written: the host did not fill its beginning in time. */
  get beganLate(): boolean {
    const first = this.lanes[0];
    const short = first !== undefined && first.written < this.#playFrom + this.#stream.rate;
    return this.#starved && short;
  }

  /** True while the recording takes another block. */
  get room(): boolean {
    return this.spec.sink.room;
  }

  /** Hands in `frames` captured frames, which stand in `block` from frame `first` on and are the stream's from `at` on. */
  capture(block: Int32Array, first: number, frames: number, at: number): void {
    this.#guard(() => {
      this.captures.forEach((range, i) => {
        const from = Math.max(range.from, at);
        const to = Math.min(range.to, at + frames);
        if (from >= to) return;
        const { returns } = this.spec.hops[i]!;
        const patch = this.#patches[i];
        const picked = this.#buffer((to - from) * returns.length);
        gather(block, this.#stream.inChannels, first + from - at, to - from, returns, picked);
        if (patch) this.#replay(patch, this.lanes[i + 1]!, picked);
        else this.#record(picked, to - from, from);
      });
    });
    this.settle();
  }

  /** Ends the take when all of it is recorded and known to be in its place. */
  settle(): void {
    const { resultFrames } = this.#timeline;
    if (this.#state !== 'rolling' || this.#recorded < resultFrames) return;
    if (this.#stream.provenTo() >= this.captures.at(-1)!.to) this.#finish();
  }

  /** How many frames of sound an insert is sent: the region, and all that comes of it behind the first one. */
  #soundFrames(hop: number): number {
    return hop === 0 ? this.spec.regionFrames : this.#timeline.resultFrames;
  }

  /** Whether the sound of an insert ends where the recording does, so that it can fall behind it. What is recorded has no ramp in it. */
  #falls(hop: number): boolean {
    return hop > 0 || this.spec.tailFrames === 0;
  }

  abort(reason: string): void {
    if (this.#state === 'over') return;
    const framesRecorded = this.#recorded;
    this.fail(
      new OutboardError('take.aborted', `the take was ended: ${reason}`, { details: { reason, framesRecorded } }),
    );
  }

  /** Ends the take with an error: the outputs ramp down, then they are zero. */
  fail(error: unknown): void {
    if (this.#state === 'over') return;
    const wasRolling = this.#state === 'rolling';
    this.#starved = wasRolling && isStarvation(error);
    this.#state = 'over';
    if (wasRolling) this.#rampDown();
    this.#leave();
    this.#tellStarted.reject(error);
    this.#tellDone.reject(error);
  }

  /** Room for captured samples; it is used again at the next call. */
  #buffer(samples: number): Int32Array {
    if (this.#picked.length < samples) this.#picked = new Int32Array(samples);
    return this.#picked.subarray(0, samples);
  }

  #playSource(lane: SendLane, until: number): number {
    if (lane.written === lane.from && this.#feed.lead.length > 0) {
      lane.write(this.#feed.lead);
      return this.#stream.rampFrames;
    }
    const block = this.#feed.next(until - lane.written);
    if (block === null) return 0;
    lane.write(block);
    return block.length / lane.sends.length;
  }

  #replay(patch: Patch, lane: SendLane, picked: Int32Array): void {
    patch.convert(picked, this.spec.sourceStartFrame + lane.written - lane.from - this.#stream.rampFrames);
    const step = BLOCK_FRAMES * lane.sends.length;
    for (let i = 0; i < picked.length; i += step) lane.write(picked.subarray(i, i + step));
  }

  #record(picked: Int32Array, frames: number, at: number): void {
    const { sink, onProgress } = this.spec;
    if (this.#stream.timePasses && !sink.room) {
      const monotonicNs = process.hrtime.bigint();
      throw spoiled([{ kind: 'dropped', atFrame: at, frames, monotonicNs } satisfies Fault]);
    }
    if (this.#returnTrim.dithered) {
      try {
        this.#returnTrim.quantize(picked, picked);
      } catch (error) {
        throw trimRefusalOf(error, this.#recorded, this.spec.hops.at(-1)!.insert);
      }
    }
    this.#meter.add(picked);
    sink.write(picked);
    this.#recorded += frames;
    onProgress?.(this.#recorded);
  }

  #finish(): void {
    const { hops, onLastFrame } = this.spec;
    const { totalFrames, interfaceFrames, patchFrames } = this.#timeline;
    const streamFrom = this.#playFrom + totalFrames;
    const dithered = this.#feed.dithered || this.#returnTrim.dithered || this.#patches.some((patch) => patch.dithered);
    this.#state = 'over';
    this.quietFrom = Math.max(...this.lanes.map((lane) => lane.to));
    this.#leave();
    const report: TakeReport = {
      framesPlayed: this.#feed.taken + this.spec.tailFrames,
      framesRecorded: this.#recorded,
      streamFrom,
      streamTo: streamFrom + this.#recorded,
      xruns: 0,
      starvedFrames: 0,
      droppedFrames: 0,
      latency: {
        totalFrames,
        interfaceFrames,
        insertFrames: hops.map(({ insert, latencyFrames }) => ({ insert, frames: latencyFrames })),
        patchFrames,
      },
      dither: dithered ? 'tpdf-24' : 'none',
      peak: this.#meter.peak,
      clippedSamples: this.#meter.clippedSamples,
      integratedLufs: this.#meter.integratedLufs(),
      startedAtNs: this.#startedAtNs,
      endedAtNs: process.hrtime.bigint(),
    };
    try {
      onLastFrame?.();
      this.#tellDone.resolve(report);
    } catch (error) {
      this.#tellDone.reject(error);
    }
  }

  #rampDown(): void {
    const { claim, marginFrames, rampFrames } = this.#stream;
    if (claim.state !== 'running') return;
    try {
      // One look only: with a fast clock, looking lets time pass.
      const { earliestWrite } = claim.position();
      const from = earliestWrite + marginFrames;
      this.quietFrom = from + rampFrames;
      this.abandoned = this.lanes.map((lane) => {
        const to = Math.max(this.quietFrom, lane.written);
        return { from: lane.from, to, written: Math.min(lane.written, earliestWrite) };
      });
      for (const lane of this.lanes) lane.rampDown(earliestWrite, from, rampFrames);
    } catch {
      // The stream broke away under the ramp. Its own fault tells so; the error of this take stays what it was.
    }
  }

  #leave(): void {
    this.spec.signal?.removeEventListener('abort', this.#onAbort);
    this.#onOver(this);
  }

  #guard(work: () => void): void {
    if (this.#state !== 'rolling') return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }
}
