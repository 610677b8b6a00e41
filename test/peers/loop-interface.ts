/**
 * A small audio interface for tests of what stands on the port: a perfect digital loop, out n wired to in n unless told otherwise, with
 * faults on demand. It checks its caller as strictly as the port's words allow. With clock 'realtime' its time passes only when the
 * test says so (`advance`), so that a test never sleeps; with 'fast' time runs while armed samples are there and room is left.
 */
import type {
  Claim,
  ClaimProof,
  ClaimState,
  Fault,
  Granted,
  Position,
  StreamRequest,
  Tally,
} from '../../drivers/audio/port.js';

export interface Wire {
  from: number;
  to: number;
  delayFrames: number;
  gain?: number;
}

export interface LoopOptions {
  clock: 'fast' | 'realtime';
  channels: number;
  loopLatencyFrames: number | null;
  ringFrames: number;
  wires?: Wire[];
  /** At most this many frames are given by one read. */
  readFrames?: number;
  /** At most this many frames pass at one look (fast). */
  stepFrames?: number;
  /** Keeps everything that was played, for `played`. */
  record?: boolean;
}

export class LoopClaim implements Claim {
  readonly proof: ClaimProof = { exclusive: true, device: 'loop', detail: 'test peer', checks: [] };
  state: ClaimState = 'idle';
  /** Everything that the outputs did, per channel from 0, with `record`. */
  readonly heard: number[][];
  /** Frames after which a write is too late, beyond `played`. */
  leadFrames = 0;
  /** When not 0: after a read that found nothing, the next one lets this many frames pass first (realtime). */
  turnFrames = 0;
  /** While a frame is read, so many pass (realtime): a caller that is slow. */
  readingShare = 0;
  /** So many frames pass before something is armed (realtime): a caller that is slow. */
  slowFrames = 0;
  #dry = false;
  readonly #o: LoopOptions;
  readonly #wires: Wire[];
  readonly #listeners = new Set<(fault: Fault) => void>();
  readonly #ring: Int32Array;
  readonly #mark: Uint8Array;
  #armed: { channel: number; from: number; to: number }[] = [];
  readonly #past: Int32Array;
  readonly #pastFrames: number;
  readonly #captured: Int32Array;
  #now = 0;
  #capturedTo = 0;
  #readFrom = 0;
  #lost = 0;
  #losing: { frames: number } | null = null;
  #slip: { at: number; frames: number; told: (at: number) => void } | null = null;
  /** By how much less everything is late since frames vanished. */
  #vanished = 0;
  #tally: Tally = { captured: 0, played: 0, xruns: 0, starved: 0, dropped: 0 };
  stops = 0;

  constructor(options: LoopOptions) {
    const { channels, ringFrames } = options;
    this.#o = options;
    this.#wires =
      options.wires ?? Array.from({ length: channels }, (_, i) => ({ from: i + 1, to: i + 1, delayFrames: 0 }));
    this.#ring = new Int32Array(ringFrames * channels);
    this.#mark = new Uint8Array(ringFrames * channels);
    this.#captured = new Int32Array(ringFrames * channels);
    this.#pastFrames = 1 + (options.loopLatencyFrames ?? 0) + Math.max(...this.#wires.map((wire) => wire.delayFrames));
    this.#past = new Int32Array(this.#pastFrames * channels);
    this.heard = Array.from({ length: channels }, () => []);
  }

  async start(request: StreamRequest): Promise<Granted> {
    if (request.inChannels !== this.#o.channels || request.outChannels !== this.#o.channels)
      throw new Error('other width');
    this.state = 'running';
    this.#now = 0;
    this.#capturedTo = 0;
    this.#readFrom = 0;
    this.#lost = 0;
    this.#vanished = 0;
    this.#armed = [];
    this.#ring.fill(0);
    this.#mark.fill(0);
    this.#past.fill(0);
    for (const channel of this.heard) channel.length = 0;
    const { clock, ringFrames, loopLatencyFrames } = this.#o;
    return {
      ...request,
      startedAtNs: process.hrtime.bigint(),
      loopLatencyFrames,
      startsTogether: true,
      ringFrames,
      clock,
    };
  }

  arm(range: { channels: number[]; from: number; to: number }): void {
    if (this.slowFrames > 0) this.advance(this.slowFrames);
    for (const channel of range.channels) this.#armed.push({ channel, from: range.from, to: range.to });
  }

  disarm(range: { channels: number[]; from: number }): void {
    for (const armed of this.#armed)
      if (range.channels.includes(armed.channel)) armed.to = Math.min(armed.to, range.from);
    this.#armed = this.#armed.filter((armed) => armed.to > armed.from);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    const frames = block.length / channelCount;
    const { ringFrames, channels } = this.#o;
    if (!Number.isInteger(frames) || firstChannel < 1 || firstChannel + channelCount - 1 > channels)
      throw new RangeError('shape');
    if (atFrame + frames > this.#now + ringFrames) throw new RangeError('beyond the ring');
    if (atFrame < this.#earliest()) {
      this.fault({ kind: 'starved', atFrame, frames: Math.min(frames, this.#earliest() - atFrame) });
      return;
    }
    for (let frame = 0; frame < frames; frame++) {
      const place = ((atFrame + frame) % ringFrames) * channels + firstChannel - 1;
      for (let i = 0; i < channelCount; i++) {
        this.#ring[place + i] = block[frame * channelCount + i]!;
        this.#mark[place + i] = 1;
      }
    }
  }

  read(into: Int32Array): number {
    if (this.#dry && this.turnFrames > 0) this.advance(this.turnFrames);
    this.#run();
    const { ringFrames, channels, readFrames } = this.#o;
    const most = Math.floor(into.length / channels);
    const frames = Math.min(most, this.#capturedTo - this.#readFrom, readFrames ?? most);
    for (let frame = 0; frame < frames; frame++) {
      const place = ((this.#readFrom + frame) % ringFrames) * channels;
      for (let i = 0; i < channels; i++) into[frame * channels + i] = this.#captured[place + i]!;
    }
    this.#readFrom += frames;
    this.#dry = frames === 0;
    if (this.readingShare > 0) this.advance(Math.ceil(frames * this.readingShare));
    return frames;
  }

  position(): Position {
    this.#run();
    return {
      captured: this.#capturedTo + this.#lost,
      played: this.#now,
      earliestWrite: this.#earliest(),
      monotonicNs: process.hrtime.bigint(),
    };
  }

  async stop(): Promise<Tally> {
    this.stops++;
    this.state = 'idle';
    return { ...this.#tally, captured: this.#capturedTo, played: this.#now };
  }

  async close(): Promise<void> {
    this.state = 'closed';
  }

  async verifyClaim(): Promise<ClaimProof> {
    return this.proof;
  }

  onFault(listener: (fault: Fault) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Lets `frames` pass (realtime): armed samples that are not there starve, captured ones that nobody read are dropped. */
  advance(frames: number): void {
    if (this.#o.clock !== 'realtime') throw new Error('a fast clock turns by itself');
    for (let i = 0; i < frames && this.state === 'running'; i++) {
      const missing = this.#armedNow().some((channel) => !this.#isWritten(channel));
      if (missing) this.fault({ kind: 'starved', atFrame: this.#now, frames: 1 });
      this.#pass();
    }
  }

  /** The next `frames` captured frames are lost. */
  lose(frames: number): void {
    this.#losing = { frames };
  }

  /** When capture frame `at` is due, `frames` frames vanish before it, and nothing is told: what comes later comes earlier. */
  slipAt(at: number, frames: number, told: (at: number) => void = () => {}): void {
    this.#slip = { at, frames, told };
  }

  fault(fault: Omit<Fault, 'monotonicNs'>, state?: ClaimState): void {
    if (state) this.state = state;
    for (const listener of [...this.#listeners]) listener({ ...fault, monotonicNs: process.hrtime.bigint() });
  }

  /** What is still to be played on a channel (from 1), up to the end of the ring. */
  ahead(channel: number): number[] {
    const { ringFrames, channels } = this.#o;
    return Array.from(
      { length: ringFrames },
      (_, i) => this.#ring[((this.#now + i) % ringFrames) * channels + channel - 1]!,
    );
  }

  get now(): number {
    return this.#now;
  }

  #earliest(): number {
    return this.#now + this.leadFrames;
  }

  #run(): void {
    if (this.#o.clock !== 'fast' || this.state !== 'running') return;
    const until = this.#now + (this.#o.stepFrames ?? Number.POSITIVE_INFINITY);
    this.#armed = this.#armed.filter((armed) => armed.to > this.#now);
    while (this.#now < until && this.#armed.some((armed) => armed.to > this.#now)) {
      if (this.#capturedTo - this.#readFrom >= this.#o.ringFrames) return;
      for (const armed of this.#armed)
        if (armed.from <= this.#now && this.#now < armed.to && !this.#isWritten(armed.channel)) return;
      this.#pass();
    }
  }

  #armedNow(): number[] {
    return this.#armed.filter(({ from, to }) => from <= this.#now && this.#now < to).map(({ channel }) => channel);
  }

  #isWritten(channel: number): boolean {
    return this.#mark[(this.#now % this.#o.ringFrames) * this.#o.channels + channel - 1] === 1;
  }

  /** One frame is played and one is captured. */
  #pass(): void {
    const { channels, ringFrames, loopLatencyFrames, record } = this.#o;
    const place = (this.#now % ringFrames) * channels;
    const past = (this.#now % this.#pastFrames) * channels;
    for (let i = 0; i < channels; i++) {
      const sample = this.#ring[place + i]!;
      this.#past[past + i] = sample;
      if (record) this.heard[i]!.push(sample);
      this.#ring[place + i] = 0;
      this.#mark[place + i] = 0;
    }
    if (this.#losing) {
      const frames = this.#losing.frames;
      if (frames === 1) this.#losing = null;
      else this.#losing.frames--;
      this.fault({ kind: 'dropped', atFrame: this.#now, frames: 1 });
      this.#lost++;
    } else if (this.#capturedTo - this.#readFrom >= ringFrames) {
      this.fault({ kind: 'dropped', atFrame: this.#now, frames: 1 });
      this.#lost++;
    } else {
      if (this.#slip?.at === this.#now) {
        this.#vanished += this.#slip.frames;
        this.#slip.told(this.#now);
        this.#slip = null;
      }
      const to = (this.#capturedTo % ringFrames) * channels;
      this.#captured.fill(0, to, to + channels);
      for (const wire of this.#wires) {
        const from = this.#now + this.#vanished - (loopLatencyFrames ?? 0) - wire.delayFrames;
        if (from < 0) continue;
        const sample = this.#past[(from % this.#pastFrames) * channels + wire.from - 1]!;
        this.#captured[to + wire.to - 1] = sample * (wire.gain ?? 1);
      }
      this.#capturedTo++;
    }
    this.#now++;
  }
}
