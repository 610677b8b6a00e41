/**
 * The port of the audio interface. Everything is addressed in frames since the stream began.
 *
 * Samples are interleaved, left-justified int32 of which the top 24 bits are exact. Playback is a ring that is zero wherever nobody
 * wrote, and zeroed behind the hardware; what must be there is declared with `arm`, so that a missing frame is a fault. Capture frame
 * n belongs to playback frame n - L, with L constant for the life of the stream. No implementation converts, dithers or resamples.
 * A fault is delivered before any frame past the gap can be read, and nothing recovers by itself. Channels count from 1.
 */

export interface DeviceInfo {
  /** What `claim` takes, for instance `hw:CARD=Interface,DEV=0`. */
  name: string;
  description: string;
  /** Null where it cannot be known without opening the device; 0 where it has no such direction. */
  inChannels: number | null;
  outChannels: number | null;
}

export interface ClaimProof {
  /** True when the exclusive hold was shown, not only assumed: every check holds. */
  exclusive: boolean;
  device: string;
  /** One sentence for people. */
  detail: string;
  /** What was looked at, one by one. */
  checks: ClaimCheck[];
}

export interface ClaimCheck {
  /**
   * `owner`: the kernel names a thread of this process as the owner of every sub-device. `busy-probe`: another process was refused with
   * EBUSY. `hw-params`: the kernel runs what was asked. `sub-devices`: none was left for others. `model`: a simulated interface's word.
   */
  name: 'owner' | 'busy-probe' | 'hw-params' | 'sub-devices' | 'model';
  /** Null where it could not be looked at: that proves nothing and disproves nothing. */
  holds: boolean | null;
  detail: string;
}

/**
 * `starved` and `dropped` leave the stream running: frame numbers go on and L stays. After `xrun-in`, `xrun-out`, `stalled` and
 * `claim-lost` the stream stands (`faulted`): what was captured before can still be read, and only `start` makes a new one. After
 * `lost` (unplugged) nothing but `stop` and `close` is left.
 */
export type ClaimState = 'idle' | 'running' | 'faulted' | 'lost' | 'closed';

export interface StreamRequest {
  rate: number;
  inChannels: number;
  outChannels: number;
  format: 'S32_LE' | 'S24_3LE';
  periodFrames: number;
  periods: number;
}

export interface Granted extends StreamRequest {
  startedAtNs: bigint;
  /** L: capture frame n belongs to playback frame n - L. Null where the driver cannot know it and it has to be measured. */
  loopLatencyFrames: number | null;
  /** True where both directions start on one edge, so that L is the same at every start with the same request. */
  startsTogether: boolean;
  /** How far ahead of `played` the ring takes samples. */
  ringFrames: number;
  clock: 'realtime' | 'fast' | 'hardware';
}

export interface Position {
  captured: number;
  played: number;
  /** The first frame that a write can still reach. */
  earliestWrite: number;
  monotonicNs: bigint;
}

export interface Tally {
  captured: number;
  played: number;
  xruns: number;
  starved: number;
  dropped: number;
}

/** `slipped` is never told by a driver: it is what the engine's sync channel finds although nothing was reported. */
export type FaultKind = 'xrun-in' | 'xrun-out' | 'starved' | 'dropped' | 'stalled' | 'lost' | 'claim-lost' | 'slipped';

export interface Fault {
  kind: FaultKind;
  /** First frame concerned: of playback for xrun-out and starved, of capture for xrun-in and dropped. */
  atFrame: number | null;
  frames: number | null;
  monotonicNs: bigint;
  /** The output channels that `starved` concerns, from 1, where the driver knows them. */
  channels?: number[];
}

export interface AudioInterface {
  /** From what the system tells of its devices; opens none. */
  list(): Promise<DeviceInfo[]>;
  /** @throws OutboardError audio.device | audio.busy | audio.gone | audio.denied | audio.driver */
  claim(options: { playback: string; capture: string }): Promise<Claim>;
}

export interface Claim {
  readonly proof: ClaimProof;
  readonly state: ClaimState;
  /** (Re)configures and starts the stream at frame 0. @throws OutboardError audio.format */
  start(request: StreamRequest): Promise<Granted>;
  /** Frames [from, to) of these channels must have been written when they are due. */
  arm(range: { channels: number[]; from: number; to: number }): void;
  /** Takes back what `arm` declared from `from` on (an aborted take). */
  disarm(range: { channels: number[]; from: number }): void;
  /**
   * Puts a block of `channelCount` interleaved channels into the ring, beginning with `firstChannel`. Not before `earliestWrite`
   * (that is a fault: starved) and not beyond `played + ringFrames` (RangeError: the caller counts).
   */
  write(atFrame: number, firstChannel: number, channelCount: number, block: Int32Array): void;
  /**
   * Copies captured frames of all channels; returns how many frames. Never blocks. One call never reaches across a gap (`dropped`):
   * the frame after the gap is the first of a later call.
   */
  read(into: Int32Array): number;
  position(): Position;
  stop(options: { drain: boolean }): Promise<Tally>;
  /** Within 500 ms, also after an unplug; may be called twice. */
  close(): Promise<void>;
  /**
   * Looks again. A claim that turns out to be lost is a fault `claim-lost` too.
   * @param o.probe also has another process try to open the device, which takes some tenths of a second; the last result is told otherwise
   */
  verifyClaim(options?: { probe?: boolean }): Promise<ClaimProof>;
  /** Returns the function that removes the listener. */
  onFault(listener: (fault: Fault) => void): () => void;
}
