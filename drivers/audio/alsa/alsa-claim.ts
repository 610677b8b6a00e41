/**
 * One claim on an ALSA device: every sub-device open, from `open` to `close`, and the proof of it. The hardware is the addon's; here are the
 * port's words: states, and faults in the order in which they are to be told.
 */
import { hrtime } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboardError } from '../../../core/errors.js';
import type {
  Claim,
  ClaimCheck,
  ClaimProof,
  ClaimState,
  Fault,
  FaultKind,
  Granted,
  Position,
  StreamRequest,
  Tally,
} from '../port.js';
import { AlsaStream } from './alsa-stream.js';
import { formatError, openError, startError } from './errors.js';
import type { NativeAlsa, NativeAnswer } from './native.js';
import { NativeThread, nanoseconds } from './native-thread.js';
import { type HeldDevices, lookAt, probe, proofOf } from './proof.js';

export interface AlsaClaimOptions {
  native: NativeAlsa;
  procRoot: string;
  deviceRoot: string;
  ringSeconds: number;
  held: HeldDevices;
}

const MAX_CHANNELS = 128;
/** However long the kernel holds the addon's thread up, this is when the caller goes on. */
const CLOSE_LIMIT_MS = 400;
const NO_FRAMES: Tally = { captured: 0, played: 0, xruns: 0, starved: 0, dropped: 0 };
const SAMPLE_BYTES: Record<string, number> = { S32_LE: 4, S24_3LE: 3 } satisfies Record<
  StreamRequest['format'],
  number
>;

export class AlsaClaim implements Claim {
  readonly #o: AlsaClaimOptions;
  readonly #thread: NativeThread;
  readonly #listeners = new Set<(fault: Fault) => void>();
  #state: ClaimState = 'idle';
  #stream: AlsaStream | null = null;
  #tally: Tally = NO_FRAMES;
  #proof: ClaimProof;
  /** The probe's last answer. */
  #probed: ClaimCheck = { name: 'busy-probe', holds: null, detail: 'no other process has tried yet' };
  /** Told with the proof of a running stream. */
  #threadDetail = '';
  /** True once the kernel has named us as the owner: from then on it has to go on doing so. */
  #wasSeen = false;
  #closing: Promise<void> | null = null;

  constructor(options: AlsaClaimOptions) {
    this.#o = options;
    this.#thread = new NativeThread(options.native, () => this.#tellAll());
    this.#proof = proofOf(options.held, []);
  }

  get state(): ClaimState {
    return this.#state;
  }

  get proof(): ClaimProof {
    if (this.#state !== 'closed' && this.#state !== 'lost') return this.#proof;
    const detail = this.#state === 'lost' ? 'the device is gone' : 'the device was given back';
    return { ...this.#proof, exclusive: false, detail };
  }

  /** Opens every sub-device and proves the hold. @throws OutboardError audio.busy | audio.gone | audio.denied */
  async open(): Promise<void> {
    const { held } = this.#o;
    const names = ({ device, count }: HeldDevices['playback']) =>
      Array.from({ length: count }, (_, i) => `${device.name},SUBDEV=${i}`);
    try {
      const answer = await this.#thread.open(names(held.playback), names(held.capture));
      if (answer.errno !== 0) throw openError(answer.errno, this.#o, held);
      await this.verifyClaim({ probe: true });
      if (this.#state === 'lost') throw this.#gone();
      if (this.#state === 'faulted') throw this.#taken();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async start(request: StreamRequest): Promise<Granted> {
    this.#checkOpen();
    this.#checkHere();
    const { procRoot, held, ringSeconds } = this.#o;
    checkRequest(this.#name, request);
    if (lookAt(procRoot, held, null).standing === 'taken') throw this.#taken();
    await this.#halt();
    this.#checkOpen();
    this.#checkHere();
    const { rate, inChannels, outChannels, format, periodFrames, periods } = request;
    const bufferFrames = periodFrames * periods;
    // What the device has queued lies in the ring too, and is out of reach.
    const ringFrames =
      bufferFrames + Math.max(Math.ceil((ringSeconds * rate) / periodFrames) * periodFrames, bufferFrames);
    const asked = [rate, inChannels, outChannels, SAMPLE_BYTES[format]!, periodFrames, bufferFrames, ringFrames];
    return this.#thread.start(Float64Array.from(asked), (answer) => this.#begin({ ...request }, ringFrames, answer));
  }

  arm(range: { channels: number[]; from: number; to: number }): void {
    this.#running().arm(range.channels, range.from, range.to);
  }

  disarm(range: { channels: number[]; from: number }): void {
    this.#checkOpen();
    if (this.#state === 'running') this.#stream!.disarm(range.channels, range.from);
  }

  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void {
    this.#running().write(atFrame, firstChannel, channelCount, block);
  }

  read(into: Int32Array): number {
    this.#checkOpen();
    return this.#stream?.read(into) ?? 0;
  }

  position(): Position {
    this.#checkOpen();
    return this.#stream?.position() ?? { captured: 0, played: 0, earliestWrite: 0, monotonicNs: hrtime.bigint() };
  }

  async stop(options: { drain: boolean }): Promise<Tally> {
    const stream = this.#stream;
    if (options.drain) await stream?.drain(() => this.#state === 'running' && this.#stream === stream);
    await this.#halt();
    if (this.#state === 'running' || this.#state === 'faulted') this.#state = 'idle';
    return this.#tally;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async verifyClaim(options: { probe?: boolean } = {}): Promise<ClaimProof> {
    const { procRoot, held } = this.#o;
    if (options.probe && this.#isHere()) this.#probed = await probe(held);
    if (!this.#isHere()) return this.proof;
    const running = this.#state === 'running' ? this.#stream!.request : null;
    const { standing, checks } = lookAt(procRoot, held, running);
    if (running !== null) {
      const parameters = checks.find(({ name }) => name === 'hw-params')!;
      parameters.detail += `; ${this.#threadDetail}`;
    }
    this.#proof = proofOf(held, [...checks, this.#probed]);
    if (standing === 'held') this.#wasSeen = true;
    else if (standing === 'taken') this.#loseClaim();
    else if (this.#wasSeen) this.#deliver(withoutPlace('lost'));
    return this.proof;
  }

  onFault(listener: (fault: Fault) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get #name(): string {
    return this.#o.held.playback.device.name;
  }

  #begin(request: StreamRequest, ringFrames: number, answer: NativeAnswer): Granted {
    this.#checkOpen();
    if (answer.errno !== 0) {
      const error = startError(this.#name, request, answer);
      if (error.code === 'audio.gone') this.#deliver(withoutPlace('lost'));
      throw error;
    }
    const deliver = (fault: Fault) => this.#deliver(fault);
    this.#stream = new AlsaStream({
      thread: this.#thread,
      request,
      ringFrames,
      tellAll: () => this.#tellAll(),
      deliver,
    });
    this.#tally = NO_FRAMES;
    this.#state = 'running';
    const locked = answer.locked ? 'rings locked in memory' : 'rings not locked in memory';
    this.#threadDetail = `${answer.realtime ? 'real-time thread' : 'no real-time priority'}, ${locked}`;
    return {
      ...request,
      startedAtNs: nanoseconds(answer.startedSec, answer.startedNsec),
      loopLatencyFrames: null,
      startsTogether: answer.linked !== 0,
      ringFrames,
      clock: 'hardware',
    };
  }

  /** Ends the stream, if there is one; its account stays. */
  async #halt(): Promise<void> {
    if (this.#stream === null || this.#closing !== null) return;
    await this.#thread.stop();
    if (this.#stream === null) return;
    this.#tally = this.#stream.tally;
    this.#stream = null;
    if (this.#state === 'running' || this.#state === 'faulted') this.#state = 'idle';
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    this.#stream = null;
    if (!this.#thread.opened) return;
    const limit = new AbortController();
    const late = sleep(CLOSE_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => {});
    await Promise.race([this.#thread.close(), late]);
    limit.abort();
  }

  /** Somebody else has the device: the stream stands, what it has captured can still be read. */
  #loseClaim(): void {
    if (this.#state === 'running') void this.#thread.stop();
    this.#tellAll();
    this.#deliver(withoutPlace('claim-lost'));
  }

  #tellAll(): void {
    for (let raw = this.#thread.nextFault(); raw !== null; raw = this.#thread.nextFault()) {
      if (this.#stream !== null) this.#stream.account(raw);
      else if (raw.kind === 'lost') this.#deliver(withoutPlace('lost'));
    }
  }

  #deliver(fault: Fault): void {
    if (!this.#isHere()) return;
    if (fault.kind === 'lost') this.#state = 'lost';
    else if (fault.kind !== 'starved' && fault.kind !== 'dropped') this.#state = 'faulted';
    for (const listener of [...this.#listeners]) listener(fault);
  }

  #isHere(): boolean {
    return this.#state !== 'closed' && this.#state !== 'lost';
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new OutboardError('audio.closed', 'The claim on the interface was given back.');
  }

  #checkHere(): void {
    if (this.#state === 'lost') throw this.#gone();
  }

  #running(): AlsaStream {
    this.#checkOpen();
    this.#checkHere();
    if (this.#stream === null) throw new OutboardError('audio.closed', 'No stream runs.');
    if (this.#state === 'faulted') throw new OutboardError('audio.closed', 'The stream stands after a fault.');
    return this.#stream;
  }

  #gone(): OutboardError {
    return new OutboardError('audio.gone', `${this.#name} went away.`);
  }

  #taken(): OutboardError {
    const { detail } = this.#proof;
    return new OutboardError('audio.busy', `${this.#name} is held by somebody else: ${detail}.`);
  }
}

function withoutPlace(kind: FaultKind): Fault {
  return { kind, atFrame: null, frames: null, monotonicNs: hrtime.bigint() };
}

/** What no device runs is refused without asking it. */
function checkRequest(device: string, request: StreamRequest): void {
  const { rate, inChannels, outChannels, format, periodFrames, periods } = request;
  const counts = [rate, inChannels, outChannels, periodFrames, periods];
  if (!counts.every((count) => Number.isSafeInteger(count) && count > 0 && count < 2 ** 31)) {
    throw formatError(device, request, 'rate, channels, frames and periods are whole numbers from 1 on');
  }
  if (inChannels > MAX_CHANNELS || outChannels > MAX_CHANNELS) {
    throw formatError(device, request, `at most ${MAX_CHANNELS} channels`);
  }
  if (SAMPLE_BYTES[format] === undefined) throw formatError(device, request, `no samples of ${format}`);
  if (periods < 2) throw formatError(device, request, 'at least 2 periods');
}
