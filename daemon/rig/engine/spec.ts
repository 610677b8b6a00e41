/**
 * What the engine is asked for and what it answers: the words that the rest of the rig uses to speak of a take.
 *
 * Samples are interleaved. Sources give Float64 with full scale 1.0 or words of 24 bits; what was recorded is left-justified int32 of which the top 24
 * bits are exact. Positions are frames of the stream.
 */

/** Interleaved samples: numbers with full scale 1.0, or the interface's own words, left-justified int32 with 24 bits in use. */
export type SampleBlock = Float64Array | Int32Array;

/** One insert on the way through a chain. Channels count from 1; sends have the take's width, and so have returns that feed the next insert. */
export interface Hop {
  insert: string;
  sends: number[];
  returns: number[];
  /** The insert's own delay, in frames of the stream's rate. */
  latencyFrames: number;
  /** Digital gain into this insert, dB. Exactly 0 leaves every bit alone. */
  driveDb: number;
  /** What calibration adds before the converter, per channel, dB. All 0 when absent. */
  sendTrimDb?: readonly number[];
  /** What calibration adds to what came back, per channel, dB. All 0 when absent. */
  returnTrimDb?: readonly number[];
}

/** Where a take's samples come from. It is filled from outside and asked from the service loop, which never waits. */
export interface SampleSource {
  /** At most `maxFrames` interleaved frames that are buffered, or null when there are none now. Throws what filling it threw. */
  read(maxFrames: number): SampleBlock | null;
  /** True when everything was read: no frame comes any more. */
  readonly ended: boolean;
  /** Resolves when `minFrames` (or all that will ever fit or come) are buffered. Rejects with what filling it threw. */
  ready(minFrames: number): Promise<void>;
  /** Bits of the declared encoding: more than 24, or 'float', asks for dither. */
  readonly encodingBits: number | 'float';
}

/** Where what was recorded goes. The memory behind it is bounded. */
export interface SampleSink {
  /**
   * Interleaved, left-justified, a whole number of frames. It takes what it needs before it returns: the array is used again. Throws what
   * emptying it threw.
   */
  write(samples: Int32Array): void;
  /** True while another block fits. A fast clock waits for room; a realtime one cannot, and the take is spoiled. */
  readonly room: boolean;
  /** Resolves when everything written was consumed. Rejects with what consuming it threw. */
  drained(): Promise<void>;
}

export interface TakeSpec {
  /** Width of the source and of every hop; the result is as wide as the returns of the last one. */
  channels: number;
  hops: Hop[];
  source: SampleSource;
  sink: SampleSink;
  /** Frames of the source that are played. */
  regionFrames: number;
  /** Frames that are played as silence, and recorded, after them. */
  tailFrames: number;
  /** Where the region begins in the source's file: the frame that an error names counts from the start of the file. */
  sourceStartFrame: number;
  signal?: AbortSignal;
  onProgress?: (framesRecorded: number) => void;
  /** The last frame was captured: the insert is free, another take may roll on it. */
  onLastFrame?: () => void;
}

export interface TakeReport {
  framesPlayed: number;
  framesRecorded: number;
  /** Capture positions of the first result frame and past the last one. */
  streamFrom: number;
  streamTo: number;
  /** What the stream lost while the take rolled: zero in every report, because anything else spoils the take. */
  xruns: number;
  starvedFrames: number;
  droppedFrames: number;
  latency: {
    totalFrames: number;
    /** Loop latency of the interface times the passes through it. */
    interfaceFrames: number;
    insertFrames: { insert: string; frames: number }[];
    /** What the engine added between the inserts. */
    patchFrames: number;
  };
  dither: 'none' | 'tpdf-24';
  /** Per channel, linear, full scale = 1. */
  peak: number[];
  clippedSamples: number;
  /** ITU-R BS.1770-5, gated; null when every block is under the gate. */
  integratedLufs: number | null;
  /** Monotonic time at which the take was placed into the stream, and at which its last frame was read. */
  startedAtNs: bigint;
  endedAtNs: bigint;
}

export interface Take {
  /** Where in the stream it was placed: `playFrom` is the playback frame of the first sample, `streamFrom` as in the report. */
  readonly started: Promise<{ playFrom: number; streamFrom: number }>;
  /** Rejects with take.spoiled (details.faults), source.full-scale, take.aborted, or what the source or the sink threw. */
  readonly done: Promise<TakeReport>;
  /** Ramps the outputs down and ends the take. Does nothing when it is over. */
  abort(reason: string): void;
}

export interface FlushSpec {
  sends: number[];
  returns: number[];
  /** Silence that is played first. */
  seconds: number;
  /** Then the returns are listened to for this long. */
  listenSeconds: number;
  signal?: AbortSignal;
}

export interface FlushReport {
  /** Per return channel, dBFS as in AES17 3.12 (a full-scale sine is 0 dBFS); -Infinity for digital silence. */
  rmsDbfs: number[];
}
