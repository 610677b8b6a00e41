/**
 * A simulated audio interface behind the port: one device, one claim at a time, two clocks (virtual-stream.ts), and an analog side
 * (virtual-analog.ts) that loops its outputs to its inputs. It converts with 24 bits and is exact over a path that does nothing.
 *
 * It says of itself that it is virtual: in its name, its proof and its clock.
 */
import { hrtime } from 'node:process';
import type { VirtualInterfaceConfig } from '../../core/contract/config.js';
import { OutboardError } from '../../core/errors.js';
import type {
  AudioInterface,
  Claim,
  ClaimProof,
  ClaimState,
  DeviceInfo,
  Fault,
  FaultKind,
  Granted,
  Position,
  StreamRequest,
  Tally,
} from './port.js';
import type { VirtualAnalog } from './virtual-analog.js';
import { type Injection, VirtualStream } from './virtual-stream.js';

export type { Injection } from './virtual-stream.js';

/** What `claim` takes. */
export const VIRTUAL_DEVICE = 'hw:CARD=Virtual,DEV=0';

const NO_FRAMES: Tally = { captured: 0, played: 0, xruns: 0, starved: 0, dropped: 0 };

export interface VirtualInterface extends AudioInterface {
  /**
   * Makes a fault happen. `lost` unplugs the device and `claim-lost` gives it to somebody else, both also while no stream runs.
   * @throws OutboardError audio.closed when the fault needs a stream and none runs
   */
  inject(injection: Injection): void;
  /** Plugs the device in again, or takes it back, after `lost` or `claim-lost`. */
  restore(): void;
}

/**
 * @param o.now monotonic nanoseconds, for the realtime clock
 * @throws OutboardError config.invalid when the analog side does not fit the interface
 */
export function createVirtualInterface(
  config: VirtualInterfaceConfig,
  analog: VirtualAnalog,
  o: { now?: () => bigint } = {},
): VirtualInterface {
  analog.check(config);
  return new VirtualDevice(config, analog, o.now ?? hrtime.bigint);
}

class VirtualDevice implements VirtualInterface {
  readonly config: VirtualInterfaceConfig;
  readonly analog: VirtualAnalog;
  readonly now: () => bigint;
  presence: 'here' | 'gone' | 'taken' = 'here';
  claimed: VirtualClaim | null = null;

  constructor(config: VirtualInterfaceConfig, analog: VirtualAnalog, now: () => bigint) {
    this.config = config;
    this.analog = analog;
    this.now = now;
  }

  async list(): Promise<DeviceInfo[]> {
    if (this.presence === 'gone') return [];
    const description = `Virtual interface (${this.config.clock} clock)`;
    return [{ name: VIRTUAL_DEVICE, description, inChannels: this.config.in, outChannels: this.config.out }];
  }

  async claim(options: { playback: string; capture: string }): Promise<Claim> {
    for (const name of [options.playback, options.capture]) {
      if (name !== VIRTUAL_DEVICE) {
        throw new OutboardError(
          'audio.gone',
          `There is no device ${name}; the virtual interface is ${VIRTUAL_DEVICE}.`,
        );
      }
    }
    this.checkPresence();
    if (this.claimed !== null) throw busy();
    this.claimed = new VirtualClaim(this);
    return this.claimed;
  }

  inject(injection: Injection): void {
    if (this.claimed !== null) this.claimed.inject(injection);
    else if (injection.kind === 'lost') this.presence = 'gone';
    else if (injection.kind === 'claim-lost') this.presence = 'taken';
    else throw noStream(injection.kind);
  }

  restore(): void {
    this.presence = 'here';
  }

  checkPresence(): void {
    if (this.presence === 'gone') throw new OutboardError('audio.gone', 'The virtual interface is unplugged.');
    if (this.presence === 'taken') throw busy();
  }
}

class VirtualClaim implements Claim {
  readonly #device: VirtualDevice;
  readonly #listeners = new Set<(fault: Fault) => void>();
  #state: ClaimState = 'idle';
  #stream: VirtualStream | null = null;
  #tally: Tally = NO_FRAMES;

  constructor(device: VirtualDevice) {
    this.#device = device;
  }

  get state(): ClaimState {
    return this.#state;
  }

  get proof(): ClaimProof {
    const exclusive = this.#state !== 'closed' && this.#device.claimed === this && this.#device.presence === 'here';
    const detail = exclusive ? 'virtual interface: no other claim can be made' : 'virtual interface: not held';
    return { exclusive, device: VIRTUAL_DEVICE, detail, checks: [{ name: 'model', holds: exclusive, detail }] };
  }

  async verifyClaim(): Promise<ClaimProof> {
    return this.proof;
  }

  async start(request: StreamRequest): Promise<Granted> {
    this.#checkOpen();
    const { config, analog, now } = this.#device;
    this.#device.checkPresence();
    checkFormat(request, config);
    this.#end();
    const stream = new VirtualStream({
      request,
      bufferFrames: config.bufferFrames,
      loopLatencyFrames: config.loopLatencyFrames,
      clock: config.clock,
      analog,
      now,
      onFault: (kind, atFrame, frames) => this.#deliver(kind, atFrame, frames),
    });
    this.#stream = stream;
    this.#tally = NO_FRAMES;
    this.#state = 'running';
    analog.beforeChange = () => stream.catchUp();
    return {
      ...request,
      startedAtNs: stream.startedAtNs,
      loopLatencyFrames: config.loopLatencyFrames,
      startsTogether: true,
      ringFrames: config.bufferFrames,
      clock: config.clock,
    };
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
    for (const channel of range.channels) this.#checkOutputs(channel, 1);
    checkFrame(range.from);
    this.#stream?.disarm(range.channels, range.from);
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
    if (this.#stream === null) return { captured: 0, played: 0, earliestWrite: 0, monotonicNs: this.#device.now() };
    return this.#stream.position();
  }

  async stop(options: { drain: boolean }): Promise<Tally> {
    if (options.drain && this.#state === 'running') await this.#stream!.drain();
    this.#end();
    if (this.#state === 'running' || this.#state === 'faulted') this.#state = 'idle';
    return this.#tally;
  }

  async close(): Promise<void> {
    this.#end();
    this.#state = 'closed';
    if (this.#device.claimed === this) this.#device.claimed = null;
  }

  onFault(listener: (fault: Fault) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  inject(injection: Injection): void {
    if (this.#stream !== null && this.#state === 'running') {
      this.#stream.inject(injection);
    } else if (injection.kind === 'lost' || injection.kind === 'claim-lost') {
      this.#deliver(injection.kind, null, null);
    } else {
      throw noStream(injection.kind);
    }
  }

  /** Takes the stream away; its account stays. */
  #end(): void {
    if (this.#stream === null) return;
    this.#stream.halt();
    this.#tally = this.#stream.tally;
    this.#stream = null;
    this.#device.analog.beforeChange = () => {};
  }

  #deliver(kind: FaultKind, atFrame: number | null, frames: number | null): void {
    if (kind === 'lost') this.#device.presence = 'gone';
    if (kind === 'claim-lost') this.#device.presence = 'taken';
    if (kind === 'lost') this.#state = 'lost';
    else if (kind !== 'starved' && kind !== 'dropped') this.#state = 'faulted';
    const fault: Fault = { kind, atFrame, frames, monotonicNs: this.#device.now() };
    for (const listener of [...this.#listeners]) listener(fault);
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new OutboardError('audio.closed', 'The claim on the interface was given back.');
  }

  #running(): VirtualStream {
    this.#checkOpen();
    if (this.#state === 'lost') throw new OutboardError('audio.gone', 'The virtual interface is unplugged.');
    if (this.#stream === null) throw new OutboardError('audio.closed', 'No stream runs.');
    if (this.#state === 'faulted') throw new OutboardError('audio.closed', 'The stream stands after a fault.');
    return this.#stream;
  }

  #checkOutputs(firstChannel: number, channelCount: number): void {
    const outputs = this.#device.config.out;
    const whole = Number.isInteger(firstChannel) && Number.isInteger(channelCount);
    if (!whole || firstChannel < 1 || channelCount < 1 || firstChannel + channelCount - 1 > outputs) {
      throw new RangeError(`${channelCount} channels from ${firstChannel} on, of ${outputs} outputs`);
    }
  }
}

function busy(): OutboardError {
  return new OutboardError('audio.busy', 'The virtual interface is claimed already.');
}

function noStream(kind: FaultKind): OutboardError {
  return new OutboardError('audio.closed', `No stream runs that ${kind} could happen to.`);
}

function checkFrame(frame: number): void {
  if (!Number.isSafeInteger(frame) || frame < 0) throw new RangeError(`frame ${frame}`);
}

/** Nothing is converted: what the interface does not run is refused. */
function checkFormat(request: StreamRequest, config: VirtualInterfaceConfig): void {
  const refuse = (what: string): never => {
    throw new OutboardError('audio.format', `The virtual interface does not run ${what}.`, { details: { ...request } });
  };
  if (!config.rates.includes(request.rate)) refuse(`${request.rate} Hz, only ${config.rates.join(', ')}`);
  if (request.inChannels !== config.in) refuse(`${request.inChannels} inputs; it has ${config.in}`);
  if (request.outChannels !== config.out) refuse(`${request.outChannels} outputs; it has ${config.out}`);
  if (request.format !== 'S32_LE' && request.format !== 'S24_3LE') refuse(`samples of format ${request.format}`);
  const { periodFrames, periods } = request;
  if (!Number.isInteger(periodFrames) || periodFrames < 1 || !Number.isInteger(periods) || periods < 2) {
    refuse(`${periods} periods of ${periodFrames} frames`);
  }
  if (periodFrames * periods > config.bufferFrames) {
    refuse(`${periods} periods of ${periodFrames} frames in a ring of ${config.bufferFrames}`);
  }
}
