/** A stream that runs on an ALSA device, or has ended with a fault: its two rings, and the account of what was lost. */
import { hrtime } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboardError } from '../../../core/errors.js';
import type { Fault, Position, StreamRequest, Tally } from '../port.js';
import { BEYOND, UNTOLD } from './native.js';
import { type NativeThread, nanoseconds, type RawFault } from './native-thread.js';
import { StarvedFrames } from './starved-frames.js';

const DRAIN_POLL_MS = 5;
/** A write that is late by more than this may be told of a second time. */
const REMEMBERED_SECONDS = 60;

export interface AlsaStreamOptions {
  thread: NativeThread;
  request: StreamRequest;
  ringFrames: number;
  /** Tells every fault that is known, this stream's by way of `account`. */
  tellAll: () => void;
  /** Tells one. */
  deliver: (fault: Fault) => void;
}

export class AlsaStream {
  readonly request: StreamRequest;
  readonly #o: AlsaStreamOptions;
  readonly #numbers = new Float64Array(8);
  readonly #mask = new Uint32Array(4);
  readonly #starved = new StarvedFrames();
  #writtenEnd = 0;
  #xruns = 0;
  #dropped = 0;

  constructor(options: AlsaStreamOptions) {
    this.request = options.request;
    this.#o = options;
  }

  arm(channels: readonly number[], from: number, to: number): void {
    this.#setMask(channels);
    checkFrame(from);
    checkFrame(to);
    if (from < to) this.#order(from, to);
  }

  disarm(channels: readonly number[], from: number): void {
    this.#setMask(channels);
    checkFrame(from);
    this.#order(from, -1);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    this.#checkOutputs(firstChannel, channelCount);
    checkFrame(atFrame);
    const frames = block.length / channelCount;
    if (!Number.isInteger(frames)) throw new RangeError(`${block.length} samples of ${channelCount} channels`);
    if (frames === 0) return;
    const { thread, ringFrames } = this.#o;
    const late = thread.native.write(thread.handle, atFrame, firstChannel - 1, channelCount, block);
    if (late === UNTOLD) {
      this.#o.tellAll();
      throw new OutboardError('audio.closed', 'The stream has ended with a fault.');
    }
    if (late === BEYOND) {
      const end = this.position().played + ringFrames;
      throw new RangeError(`frames ${atFrame} to ${atFrame + frames} are beyond the ring, which ends at ${end}`);
    }
    this.#writtenEnd = Math.max(this.#writtenEnd, atFrame + frames);
    if (late <= 0) return;
    const channels = Array.from({ length: channelCount }, (_, i) => firstChannel + i);
    this.#starve(atFrame, atFrame + late, channels, hrtime.bigint());
  }

  read(into: Int32Array): number {
    if (into.length < this.request.inChannels) return 0;
    const { thread, tellAll } = this.#o;
    for (;;) {
      const frames = thread.native.read(thread.handle, into);
      if (frames !== UNTOLD) return frames;
      tellAll();
    }
  }

  position(): Position {
    const { thread, tellAll } = this.#o;
    const numbers = this.#numbers;
    const untold = thread.native.position(thread.handle, numbers);
    const position: Position = {
      captured: numbers[0]!,
      played: numbers[1]!,
      earliestWrite: numbers[2]!,
      monotonicNs: nanoseconds(numbers[3]!, numbers[4]!),
    };
    if (untold !== 0) tellAll();
    return position;
  }

  get tally(): Tally {
    const { captured, played } = this.position();
    const { frames: starved } = this.#starved;
    return { captured, played, xruns: this.#xruns, starved, dropped: this.#dropped };
  }

  /** Puts down what the addon has found, and delivers what of it is new. */
  account(raw: RawFault): void {
    const { kind, atFrame, frames, monotonicNs, channels } = raw;
    if (kind === 'starved') {
      const { outChannels } = this.request;
      this.#starve(
        atFrame!,
        atFrame! + frames!,
        channels.filter((channel) => channel <= outChannels),
        monotonicNs,
      );
      return;
    }
    if (kind === 'dropped') this.#dropped += frames!;
    if (kind === 'xrun-in' || kind === 'xrun-out') this.#xruns++;
    this.#o.deliver({ kind, atFrame, frames, monotonicNs });
  }

  /** Waits until everything that was written has been played, while `runs`. */
  async drain(runs: () => boolean): Promise<void> {
    while (runs() && this.position().played < this.#writtenEnd) await sleep(DRAIN_POLL_MS);
  }

  #starve(from: number, to: number, channels: readonly number[], monotonicNs: bigint): void {
    const runs = this.#starved.add(from, to, channels);
    this.#starved.forgetBefore(from - REMEMBERED_SECONDS * this.request.rate);
    for (const run of runs) {
      const { from: atFrame, channels: missing } = run;
      this.#o.deliver({ kind: 'starved', atFrame, frames: run.to - atFrame, monotonicNs, channels: missing });
    }
  }

  #order(from: number, to: number): void {
    const { thread } = this.#o;
    if (thread.native.order(thread.handle, this.#mask, from, to)) return;
    throw new RangeError('too many ranges were armed or disarmed at once');
  }

  #setMask(channels: readonly number[]): void {
    this.#mask.fill(0);
    for (const channel of channels) {
      this.#checkOutputs(channel, 1);
      this.#mask[(channel - 1) >> 5]! |= 1 << ((channel - 1) & 31);
    }
  }

  #checkOutputs(firstChannel: number, channelCount: number): void {
    const outputs = this.request.outChannels;
    const whole = Number.isInteger(firstChannel) && Number.isInteger(channelCount);
    if (!whole || firstChannel < 1 || channelCount < 1 || firstChannel + channelCount - 1 > outputs) {
      throw new RangeError(`${channelCount} channels from ${firstChannel} on, of ${outputs} outputs`);
    }
  }
}

function checkFrame(frame: number): void {
  if (!Number.isSafeInteger(frame) || frame < 0) throw new RangeError(`frame ${frame}`);
}
