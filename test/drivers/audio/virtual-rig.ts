/** A virtual interface for tests: a few lines of configuration, a clock that the test turns, and one call that plays and records. */
import { type InsertConfig, type VirtualInterfaceConfig, VirtualPath } from '../../../core/contract/config.js';
import type { Claim, Fault, Granted, StreamRequest } from '../../../drivers/audio/port.js';
import { createVirtualInterface, VIRTUAL_DEVICE, type VirtualInterface } from '../../../drivers/audio/virtual.js';
import { type CrosstalkConfig, VirtualAnalog } from '../../../drivers/audio/virtual-analog.js';

export const RATE = 48_000;

export interface RigOptions {
  clock?: 'fast' | 'realtime';
  paths?: Record<string, Partial<VirtualPath>>;
  crosstalk?: CrosstalkConfig[];
  loopLatencyFrames?: number;
  bufferFrames?: number;
}

export interface TestRig {
  interface: VirtualInterface;
  analog: VirtualAnalog;
  config: VirtualInterfaceConfig;
  request: StreamRequest;
  faults: Fault[];
  /** Turns the realtime clock. */
  tick(frames: number): void;
  start(o?: Partial<StreamRequest>): Promise<{ claim: Claim; granted: Granted }>;
}

/** Stereo inserts a, b, …: channels 1 and 2, 3 and 4, and so on; 6 inputs and 6 outputs. */
export function makeRig(o: RigOptions = {}): TestRig {
  const inserts: Record<string, InsertConfig> = {};
  for (const [i, [name, path]] of Object.entries(o.paths ?? { a: {} }).entries()) {
    const channels = [2 * i + 1, 2 * i + 2];
    const whole = VirtualPath.parse(path);
    inserts[name] = {
      sends: channels,
      returns: channels,
      latencyFrames: whole.delayFrames,
      memorySeconds: 0,
      ceilingDbfs: 0,
      path: whole,
    };
  }
  const config: VirtualInterfaceConfig = {
    driver: 'virtual',
    clock: o.clock ?? 'fast',
    rates: [44_100, RATE, 96_000],
    in: 6,
    out: 6,
    loopLatencyFrames: o.loopLatencyFrames ?? 64,
    bufferFrames: o.bufferFrames ?? 8192,
    crosstalk: [],
  };
  let nowNs = 1_000_000_000_000n;
  let rate = RATE;
  const analog = new VirtualAnalog(inserts, o.crosstalk ?? []);
  const device = createVirtualInterface(config, analog, { now: () => nowNs });
  const faults: Fault[] = [];
  let claim: Claim | null = null;
  const request: StreamRequest = {
    rate: RATE,
    inChannels: 6,
    outChannels: 6,
    format: 'S32_LE',
    periodFrames: 256,
    periods: 4,
  };
  return {
    interface: device,
    analog,
    config,
    request,
    faults,
    // Rounded up, so that floor(elapsed x rate) is the frame that was meant.
    tick: (frames) => {
      nowNs += (BigInt(frames) * 1_000_000_000n + BigInt(rate) - 1n) / BigInt(rate);
    },
    async start(changes = {}) {
      if (claim === null || claim.state === 'closed' || claim.state === 'lost') {
        await claim?.close();
        claim = await device.claim({ playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE });
        claim.onFault((fault) => faults.push(fault));
      }
      rate = changes.rate ?? RATE;
      return { claim, granted: await claim.start({ ...request, ...changes }) };
    },
  };
}

/** Fast clock: plays one signal (full scale 1.0) on one output for `frames` frames, and returns what one input heard meanwhile. */
export function playMono(
  claim: Claim,
  o: { send: number; back: number; frames: number; signal: (frame: number) => number; blockFrames?: number },
): Float64Array {
  const from = claim.position().played;
  const until = from + o.frames;
  const block = o.blockFrames ?? 1000;
  const into = new Int32Array(block * 6);
  const heard = new Float64Array(o.frames);
  let read = 0;
  claim.arm({ channels: [o.send], from, to: until });
  for (let at = from; at < until; ) {
    const now = Math.min(block, until - at);
    const samples = new Int32Array(now);
    for (let i = 0; i < now; i++) samples[i] = Math.round(o.signal(at + i - from) * 2 ** 23) * 256;
    claim.write(at, o.send, 1, samples);
    at += now;
    for (let got = claim.read(into); got > 0; got = claim.read(into)) {
      for (let i = 0; i < got; i++) heard[read + i] = into[i * 6 + o.back - 1]! / 2 ** 31;
      read += got;
    }
  }
  if (read !== o.frames) throw new Error(`read ${read} of ${o.frames}`);
  return heard;
}

export function rms(samples: Float64Array): number {
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}

/** dB of the RMS; a full-scale sine is 0 (AES17 3.12). */
export function rmsDbfs(samples: Float64Array): number {
  return 20 * Math.log10(rms(samples) * Math.SQRT2);
}

export function sine(hz: number, peak: number, rate: number = RATE): (frame: number) => number {
  return (frame) => peak * Math.sin((2 * Math.PI * hz * frame) / rate);
}
