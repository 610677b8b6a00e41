/** The claim of the portaudio driver: its life, its state and its faults. The stream's account is in portaudio-stream.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboardError } from '../../../core/errors.js';
import type {
  Claim,
  ClaimProof,
  ClaimState,
  Fault,
  FaultKind,
  Granted,
  Position,
  StreamRequest,
  Tally,
} from '../port.js';
import type { DevicePair } from './devices.js';
import { Hold, MAX_CHUNK_FRAMES, MIN_CHUNK_FRAMES } from './hold.js';
import { PortaudioStream } from './portaudio-stream.js';

export interface PortaudioClaimOptions {
  procRoot: string;
  deviceRoot: string;
  devices: DevicePair;
  ringSeconds: number;
}

const NO_FRAMES: Tally = { captured: 0, played: 0, xruns: 0, starved: 0, dropped: 0 };
const NOTHING_HELD: ClaimProof = { exclusive: false, device: '', detail: 'not held', checks: [] };
const MAX_CHANNELS = 128;
const MAX_PERIODS = 64;
const DRAIN_POLL_MS = 20;
/** A chunk has left the device when so many more have been asked for. */
const BUFFERED_CHUNKS = 2;

export class PortaudioClaim implements Claim {
  readonly #o: PortaudioClaimOptions;
  readonly #hold: Hold;
  readonly #listeners = new Set<(fault: Fault) => void>();
  #state: ClaimState = 'idle';
  #proof = NOTHING_HELD;
  #stream: PortaudioStream | null = null;
  #request: StreamRequest | null = null;
  #tally = NO_FRAMES;
  /** The claim is being changed by one caller at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(o: PortaudioClaimOptions) {
    this.#o = o;
    this.#hold = new Hold({
      procRoot: o.procRoot,
      deviceRoot: o.deviceRoot,
      devices: o.devices,
      listener: {
        chunk: (index, timeNs, samples) => this.#stream?.take(index, timeNs, samples),
        notice: (notice) => {
          if (notice.say === 'missed') this.#stream?.missed(notice.index);
          else if (notice.say === 'fault') this.#deviceFault(notice.kind, notice.frames);
        },
        flood: () => this.#deviceFault('lost', null),
        ended: () => this.#deviceFault('lost', null),
      },
    });
  }

  get state(): ClaimState {
    return this.#state;
  }

  get proof(): ClaimProof {
    return this.#proof;
  }

  /** Opens the device. @throws OutboardError audio.driver, audio.busy, audio.gone */
  async take(): Promise<void> {
    try {
      await this.#hold.take();
      await this.#hold.probe();
    } catch (error) {
      this.#state = 'closed';
      throw error;
    }
    const { standing, proof } = this.#hold.look();
    this.#proof = proof;
    if (standing === 'held' || standing === 'unknown') return;
    await this.close();
    throw new OutboardError('audio.busy', `Somebody else has the device: ${proof.detail}.`);
  }

  start(request: StreamRequest): Promise<Granted> {
    return this.#inTurn(() => this.#start(request));
  }

  arm(range: { channels: number[]; from: number; to: number }): void {
    const stream = this.#running();
    for (const channel of range.channels) this.#checkOutputs(channel, 1);
    checkFrame(range.from);
    checkFrame(range.to);
    stream.arm(range.channels, range.from, range.to);
  }

  disarm(range: { channels: number[]; from: number }): void {
    this.#checkOpen();
    checkFrame(range.from);
    if (this.#stream === null) return;
    for (const channel of range.channels) this.#checkOutputs(channel, 1);
    this.#stream.disarm(range.channels, range.from);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    const stream = this.#running();
    this.#checkOutputs(firstChannel, channelCount);
    checkFrame(atFrame);
    if (block.length % channelCount !== 0) throw new RangeError(`${block.length} samples of ${channelCount} channels`);
    stream.write(atFrame, firstChannel, channelCount, block);
  }

  read(into: Int32Array): number {
    this.#checkOpen();
    return this.#stream?.read(into) ?? 0;
  }

  position(): Position {
    this.#checkOpen();
    if (this.#stream !== null) return this.#stream.position();
    return { captured: 0, played: 0, earliestWrite: 0, monotonicNs: process.hrtime.bigint() };
  }

  stop(options: { drain: boolean }): Promise<Tally> {
    return this.#inTurn(async () => {
      if (options.drain) await this.#drain();
      await this.#end();
      if (this.#state === 'running' || this.#state === 'faulted') this.#state = 'idle';
      return this.#tally;
    });
  }

  /** Kills the process: nothing else ends for sure. */
  async close(): Promise<void> {
    this.#haltStream();
    this.#state = 'closed';
    await this.#hold.release();
    this.#proof = { ...this.#proof, exclusive: false, detail: 'given back', checks: [] };
  }

  verifyClaim(options: { probe?: boolean } = {}): Promise<ClaimProof> {
    return this.#inTurn(async () => {
      if (this.#state === 'closed') return this.#proof;
      if (options.probe === true && this.#hold.alive) await this.#hold.probe();
      const { standing, proof } = this.#hold.look();
      if ((this.#state as ClaimState) === 'closed') return this.#proof;
      this.#proof = proof;
      const refuted = proof.checks.some(({ holds }) => holds === false);
      if (standing === 'gone') this.#deviceFault('lost', null);
      else if (refuted && (this.#state === 'idle' || this.#state === 'running')) this.#deviceFault('claim-lost', null);
      return proof;
    });
  }

  onFault(listener: (fault: Fault) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #start(request: StreamRequest): Promise<Granted> {
    this.#checkHeld();
    checkRequest(request);
    const again = this.#state === 'faulted';
    await this.#end();
    this.#state = 'idle';
    try {
      let granted = await this.#hold.tune(request, { again });
      const backlogChunks = Math.ceil((this.#o.ringSeconds * request.rate) / request.periodFrames) + 1;
      let startedAtNs = await this.#hold.run(backlogChunks);
      if (startedAtNs === null) {
        granted = await this.#hold.tune(request, { again: true });
        startedAtNs = await this.#hold.run(backlogChunks);
      }
      this.#checkHeld();
      if (startedAtNs === null) throw new OutboardError('audio.gone', 'The device loses frames as soon as it is open.');
      return this.#begin(request, granted, startedAtNs);
    } catch (error) {
      this.#checkOpen();
      if (!this.#hold.alive) this.#deviceFault('lost', null);
      else if (!this.#hold.holds) this.#deviceFault('claim-lost', null);
      throw error;
    }
  }

  #begin(request: StreamRequest, runs: StreamRequest, startedAtNs: bigint): Granted {
    const stream = new PortaudioStream({
      request,
      ringSeconds: this.#o.ringSeconds,
      startedNs: startedAtNs,
      send: (frame, sent) => this.#hold.send(frame, sent),
      onFault: (kind, atFrame, frames, channels) => this.#deliver(kind, atFrame, frames, channels),
    });
    this.#stream = stream;
    this.#request = request;
    this.#tally = NO_FRAMES;
    this.#state = 'running';
    this.#proof = this.#hold.look().proof;
    stream.begin();
    return {
      ...request,
      periods: runs.periods,
      startedAtNs,
      loopLatencyFrames: null,
      startsTogether: false,
      ringFrames: stream.ringFrames,
      clock: 'hardware',
    };
  }

  /** Until what was written is played, or the stream stands. */
  async #drain(): Promise<void> {
    const stream = this.#stream;
    if (stream === null || this.#state !== 'running') return;
    const end = stream.writtenEnd + BUFFERED_CHUNKS * this.#request!.periodFrames;
    while (this.#state === 'running' && stream.position().played < end) await sleep(DRAIN_POLL_MS);
  }

  async #end(): Promise<void> {
    if (this.#stream === null) return;
    this.#haltStream();
    await this.#hold.idle();
  }

  /** Takes the stream away; its account stays. */
  #haltStream(): void {
    if (this.#stream === null) return;
    this.#stream.halt();
    this.#tally = this.#stream.tally;
    this.#stream = null;
  }

  /** What happened without a place in the stream. */
  #deviceFault(kind: FaultKind, frames: number | null): void {
    if (this.#state === 'closed' || this.#state === 'lost') return;
    if (this.#stream !== null && this.#state === 'running') this.#stream.fail(kind, frames);
    else if (kind === 'lost' || kind === 'claim-lost') this.#deliver(kind, null, null);
    // It complains without end, and what it held is gone.
    if (kind === 'lost') void this.#hold.release();
  }

  #deliver(kind: FaultKind, atFrame: number | null, frames: number | null, channels?: number[]): void {
    if (kind === 'lost') this.#state = 'lost';
    else if (kind !== 'starved' && kind !== 'dropped') this.#state = 'faulted';
    const fault: Fault = { kind, atFrame, frames, monotonicNs: process.hrtime.bigint() };
    if (channels !== undefined) fault.channels = channels;
    for (const listener of [...this.#listeners]) listener(fault);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new OutboardError('audio.closed', 'The claim on the interface was given back.');
  }

  #checkHeld(): void {
    this.#checkOpen();
    if (this.#state === 'lost') throw new OutboardError('audio.gone', 'The device is gone.');
  }

  #running(): PortaudioStream {
    this.#checkHeld();
    if (this.#stream === null) throw new OutboardError('audio.closed', 'No stream runs.');
    if (this.#state === 'faulted') throw new OutboardError('audio.closed', 'The stream stands after a fault.');
    return this.#stream;
  }

  #checkOutputs(firstChannel: number, channelCount: number): void {
    const outputs = this.#request!.outChannels;
    const whole = Number.isInteger(firstChannel) && Number.isInteger(channelCount);
    if (!whole || firstChannel < 1 || channelCount < 1 || firstChannel + channelCount - 1 > outputs) {
      throw new RangeError(`${channelCount} channels from ${firstChannel} on, of ${outputs} outputs`);
    }
  }
}

function checkFrame(frame: number): void {
  if (!Number.isSafeInteger(frame) || frame < 0) throw new RangeError(`frame ${frame}`);
}

/** What PortAudio need not be asked. @throws OutboardError audio.format */
function checkRequest(request: StreamRequest): void {
  const within = (what: string, value: number, least: number, most: number) => {
    if (Number.isInteger(value) && value >= least && value <= most) return;
    throw new OutboardError('audio.format', `PortAudio is given ${what} from ${least} to ${most}, not ${value}.`, {
      details: { ...request },
    });
  };
  within('a rate', request.rate, 1, 1_000_000);
  within('inputs', request.inChannels, 1, MAX_CHANNELS);
  within('outputs', request.outChannels, 1, MAX_CHANNELS);
  within('periods of frames', request.periodFrames, MIN_CHUNK_FRAMES, MAX_CHUNK_FRAMES);
  within('periods', request.periods, 2, MAX_PERIODS);
  if (request.format !== 'S32_LE' && request.format !== 'S24_3LE') {
    throw new OutboardError('audio.format', `Samples of format ${request.format} are not exact.`);
  }
}
