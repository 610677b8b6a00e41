/**
 * What a procedure needs of a rig: one insert whose sends can be played and whose returns are recorded, in one sample-locked stream. The rig
 * implements it on its engine; nothing here knows of devices.
 */

export interface LoopInsert {
  readonly name: string;
  /** Sends and returns side by side: channel n of the one comes back as channel n of the other. */
  readonly channels: number;
  /** By how much it is late as the configuration has it: where a measurement begins to look. */
  readonly latencyFrames: number;
}

export interface Capture {
  /** One for each return of the insert. The first sample is that of the first played one: the interface's own latency is taken out. */
  readonly returns: readonly Float64Array[];
  /** The returns of other inserts that were listened to, by name. */
  readonly others: ReadonlyMap<string, readonly Float64Array[]>;
}

export interface PlayOptions {
  /** Recorded after the last sample that is played. */
  readonly tailFrames: number;
  /** Other inserts to be recorded meanwhile; nothing is played on them. */
  readonly listen?: readonly string[];
  /** Ends it: outputs ramp down, and the promise rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

export interface Loop {
  readonly insert: LoopInsert;
  /** Those that can be listened to. */
  readonly others: readonly LoopInsert[];
  /** Hz. */
  readonly rate: number;
  /** No sample of a stimulus may be higher than this; dB re full scale. */
  readonly ceilingDbfs: number;
  /**
   * Plays one array a send (null is silence; all others of one length, linear, full scale 1) and records every return for as many frames and the
   * tail. Nothing else plays. A loss in the stream is tried again by the loop, and told when it does not stop.
   * @throws OutboardError calibration.ceiling for a stimulus that is too loud, before anything is played; take.* and audio.* when the stream breaks
   */
  play(sends: readonly (Float64Array | null)[], o: PlayOptions): Promise<Capture>;
}
