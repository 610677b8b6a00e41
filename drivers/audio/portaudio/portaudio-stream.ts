/**
 * One stream of the portaudio driver, on the side of the daemon: the rings, the account of what was declared, written and lost, and the
 * chunks that go to the child process and come back from it.
 *
 * Time passes in chunks. A chunk is composed when it is sent, about 0.9 s before it is played: what is then declared and not written is
 * starved. Chunk n of what was captured came with the callback that took chunk n of what is played.
 */
import { CaptureRing } from '../capture-ring.js';
import { FrameSet } from '../frame-set.js';
import { type ChannelRange, PlaybackRing } from '../playback-ring.js';
import type { FaultKind, Position, StreamRequest, Tally } from '../port.js';
import { ChunkFrame } from './protocol.js';

/** What may be sent and not yet have come back: it outlasts a daemon that is held up for half a second. */
const AHEAD_SECONDS = 0.85;
/** At least that, and what the child does not wait for: two chunks that are its last, one on its way, and the one in hand. */
const HELD_UP_SECONDS = 0.5;
const HELD_UP_CHUNKS = 4;
const SPARE_FRAMES = 4;

export interface PortaudioStreamOptions {
  request: StreamRequest;
  /** How long a reader may stay away. */
  ringSeconds: number;
  startedNs: bigint;
  send: (frame: ChunkFrame, sent: () => void) => void;
  /** Called at once, before any frame past the gap can be read. */
  onFault: (kind: FaultKind, atFrame: number | null, frames: number | null, channels?: number[]) => void;
}

export class PortaudioStream {
  readonly ringFrames: number;
  readonly #o: PortaudioStreamOptions;
  readonly #chunkFrames: number;
  readonly #aheadChunks: number;
  readonly #playback: PlaybackRing;
  readonly #capture: CaptureRing;
  readonly #spare: ChunkFrame[] = [];
  /** What was declared in chunks that were sent and have not come back. */
  readonly #inFlight = new Map<number, ChannelRange[]>();
  /** Frames already told as starved, per channel; `#starvedAlready[0]` is of any channel. */
  readonly #starvedAlready: FrameSet[];
  #sent = 0;
  #returned = 0;
  #writtenEnd = 0;
  #timeNs: bigint;
  #starved = 0;
  #dropped = 0;
  #xruns = 0;
  #standing = false;

  constructor(o: PortaudioStreamOptions) {
    const { rate, periodFrames, outChannels, inChannels } = o.request;
    this.#o = o;
    this.#chunkFrames = periodFrames;
    const chunks = (seconds: number) => Math.ceil((seconds * rate) / periodFrames);
    this.#aheadChunks = Math.max(chunks(AHEAD_SECONDS), chunks(HELD_UP_SECONDS) + HELD_UP_CHUNKS);
    const ringChunks = this.#aheadChunks + chunks(o.ringSeconds);
    this.ringFrames = ringChunks * periodFrames;
    this.#playback = new PlaybackRing(outChannels, this.ringFrames);
    this.#capture = new CaptureRing(inChannels, this.ringFrames);
    this.#starvedAlready = Array.from({ length: outChannels + 1 }, () => new FrameSet());
    this.#timeNs = o.startedNs;
  }

  get tally(): Tally {
    const frames = this.#played;
    return { captured: frames, played: frames, xruns: this.#xruns, starved: this.#starved, dropped: this.#dropped };
  }

  /** One past the last frame that was ever written. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  position(): Position {
    return {
      captured: this.#played,
      played: this.#played,
      earliestWrite: this.#earliest,
      monotonicNs: this.#timeNs,
    };
  }

  /** Sends the first chunks. */
  begin(): void {
    this.#feed();
  }

  arm(channels: readonly number[], from: number, to: number): void {
    for (const channel of channels) this.#playback.arm(channel - 1, Math.max(from, this.#earliest), to);
    // Nobody can vouch for what was sent before it was declared: it counts as missing.
    if (from < this.#earliest) this.#starve({ channels: [...channels], from, to: Math.min(to, this.#earliest) });
  }

  disarm(channels: readonly number[], from: number): void {
    for (const channel of channels) this.#playback.disarm(channel - 1, from);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    const end = atFrame + block.length / channelCount;
    const limit = this.#played + this.ringFrames;
    if (end > limit) throw new RangeError(`frames ${atFrame} to ${end} are beyond the ring, which ends at ${limit}`);
    this.#writtenEnd = Math.max(this.#writtenEnd, end);
    const from = Math.max(atFrame, this.#earliest);
    for (let c = 0; c < channelCount && from < end; c++) {
      this.#playback.write(firstChannel - 1 + c, from, end, block, atFrame, c, channelCount);
    }
    if (atFrame >= this.#earliest) return;
    const channels = Array.from({ length: channelCount }, (_, c) => firstChannel + c);
    this.#starve({ channels, from: atFrame, to: Math.min(end, this.#earliest) });
  }

  read(into: Int32Array): number {
    return this.#capture.read(into, Math.floor(into.length / this.#o.request.inChannels));
  }

  /** A chunk has come back. Chunks that are left out before it were captured and thrown away. */
  take(index: number, timeNs: bigint, samples: Int32Array): void {
    if (this.#standing) return;
    if (index > this.#returned) this.#drop(this.#played, (index - this.#returned) * this.#chunkFrames);
    this.#timeNs = timeNs;
    this.#store(index * this.#chunkFrames, samples);
    for (let done = this.#returned; done <= index; done++) this.#inFlight.delete(done);
    this.#returned = index + 1;
    this.#feed();
  }

  /** The child has played silence in the place of this chunk, which came too late. */
  missed(index: number): void {
    for (const range of this.#inFlight.get(index) ?? []) this.#starve(range);
  }

  /** What happened at the device. */
  fail(kind: FaultKind, frames: number | null): void {
    if (this.#standing) return;
    if (kind === 'xrun-in' || kind === 'xrun-out') this.#xruns++;
    if (kind === 'dropped') {
      this.#dropped += frames ?? 0;
      this.#capture.markGap();
    } else this.#standing = true;
    this.#o.onFault(kind, null, frames);
  }

  /** Nothing is taken or sent any more; what was captured can be read. */
  halt(): void {
    this.#standing = true;
  }

  get #played(): number {
    return this.#returned * this.#chunkFrames;
  }

  get #earliest(): number {
    return this.#sent * this.#chunkFrames;
  }

  #feed(): void {
    while (!this.#standing && this.#sent < this.#returned + this.#aheadChunks) this.#compose();
  }

  #compose(): void {
    const index = this.#sent;
    const from = this.#earliest;
    const to = from + this.#chunkFrames;
    const armed = this.#playback.armedRanges(from, to);
    const missing = this.#playback.missingRanges(from, to);
    const frame = this.#spare.pop() ?? new ChunkFrame(this.#chunkFrames * this.#o.request.outChannels);
    frame.stamp(index, 0n);
    frame.samples.fill(0);
    this.#playback.interleave(from, this.#chunkFrames, frame.samples);
    this.#playback.zeroBehind(from, this.#chunkFrames);
    for (const already of this.#starvedAlready) already.removeBefore(from - this.ringFrames);
    if (armed.length > 0) this.#inFlight.set(index, armed);
    this.#sent++;
    this.#o.send(frame, () => {
      if (this.#spare.length < SPARE_FRAMES) this.#spare.push(frame);
    });
    // Last: a listener may call back in.
    for (const range of missing) this.#starve(range);
  }

  /** Stores what fits; the rest is dropped, because nobody has read. */
  #store(atFrame: number, samples: Int32Array): void {
    const width = this.#o.request.inChannels;
    const stored = Math.min(this.#chunkFrames, this.#capture.room);
    for (let done = 0; done < stored; ) {
      const now = Math.min(stored - done, this.#capture.contiguousRoom);
      this.#capture.samples.set(samples.subarray(done * width, (done + now) * width), this.#capture.writeIndex);
      this.#capture.commit(now);
      done += now;
    }
    if (stored < this.#chunkFrames) this.#drop(atFrame + stored, this.#chunkFrames - stored);
  }

  #drop(atFrame: number, frames: number): void {
    this.#dropped += frames;
    this.#capture.markGap();
    this.#o.onFault('dropped', atFrame, frames);
  }

  /** Tells of frames that were not there in time, each once per channel. */
  #starve({ channels, from, to }: ChannelRange): void {
    for (let at = from; at < to; ) {
      const fresh = channels.filter((channel) => this.#starvedAlready[channel]!.firstPresent(at, to) !== at);
      const edges = channels.map((channel) => {
        const already = this.#starvedAlready[channel]!;
        return fresh.includes(channel) ? already.firstPresent(at, to) : already.firstMissing(at, to);
      });
      const end = Math.min(to, ...edges);
      if (fresh.length > 0) {
        for (const channel of fresh) this.#starvedAlready[channel]!.add(at, end);
        this.#starved += this.#firstTime(at, end);
        this.#o.onFault('starved', at, end - at, fresh);
      }
      at = end;
    }
  }

  /** How many of these frames are starved on no channel yet. */
  #firstTime(from: number, to: number): number {
    const any = this.#starvedAlready[0]!;
    let frames = 0;
    for (let at = any.firstMissing(from, to); at < to; ) {
      const end = any.firstPresent(at, to);
      frames += end - at;
      at = any.firstMissing(end, to);
    }
    any.add(from, to);
    return frames;
  }
}
