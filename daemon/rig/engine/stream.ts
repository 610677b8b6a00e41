/** Starts a claim's stream and derives from what was granted the distances in time that takes keep. */
import { setTimeout as sleep } from 'node:timers/promises';
import { secondsToFrames } from '../../../core/units.js';
import type { Claim, Granted, StreamRequest } from '../../../drivers/audio/port.js';
import { BLOCK_FRAMES } from './lane.js';

/** What a take needs to know of the stream that it rolls in. */
export interface Stream {
  readonly claim: Claim;
  readonly rate: number;
  readonly inChannels: number;
  readonly loopLatencyFrames: number;
  readonly patchDelayFrames: number;
  /** How far ahead of `played` takes write. */
  readonly aheadFrames: number;
  /** What is converted before a take gets its place. */
  readonly prefillFrames: number;
  /** Distance to the hardware at which a write is surely in time. */
  readonly marginFrames: number;
  readonly rampFrames: number;
  /** False where time stands still until samples are there. */
  readonly timePasses: boolean;
  /** Every captured frame before this one is known to be in its place. */
  readonly provenTo: () => number;
}

export type StreamOptions = Pick<StreamRequest, 'format' | 'periodFrames' | 'periods'>;

const DEFAULT_STREAM: StreamOptions = { format: 'S32_LE', periodFrames: 256, periods: 4 };

/** With a real clock: between choosing a place and having filled its beginning, on a busy host. */
const MARGIN_SECONDS = 0.05; // twice as much each time that it was not enough (engine.ts)
/** With a real clock: played while the rest of the ring is being filled. */
const PREFILL_SECONDS = 0.25;
/** With a real clock a patched sample must survive an event loop that is blocked for half a second. */
const PATCH_SECONDS = 0.6;
/** With a real clock takes write this far ahead. */
const AHEAD_SECONDS = 1;
/** A fast clock waits for samples: these bound the work of one turn. */
const FAST_PATCH_FRAMES = 4096;
const FAST_AHEAD_FRAMES = 32_768;
const RAMP_SECONDS = 0.01;

/** The request of an engine's stream at a rate. */
export function requestAt(
  rate: number,
  o: { inChannels: number; outChannels: number; stream?: StreamOptions },
): StreamRequest {
  const { inChannels, outChannels } = o;
  return { ...DEFAULT_STREAM, ...o.stream, rate, inChannels, outChannels };
}

export function streamOf(
  claim: Claim,
  granted: Granted,
  loopLatencyFrames: number,
  provenTo: Stream['provenTo'],
): Stream {
  const { rate, ringFrames, inChannels } = granted;
  const timePasses = granted.clock !== 'fast';
  // What the device has queued is out of reach: whatever comes back is later by that before it can be played again.
  const { earliestWrite, captured } = claim.position();
  const queued = timePasses ? Math.max(0, earliestWrite - captured) : 0;
  const ahead = timePasses ? queued + secondsToFrames(AHEAD_SECONDS, rate) : FAST_AHEAD_FRAMES;
  const prefill = timePasses ? secondsToFrames(PREFILL_SECONDS, rate) : BLOCK_FRAMES;
  const patch = timePasses ? queued + secondsToFrames(PATCH_SECONDS, rate) : FAST_PATCH_FRAMES;
  return {
    claim,
    rate,
    inChannels,
    loopLatencyFrames,
    // What was captured last is written this far ahead: the ring must have room for it and for the block after it.
    patchDelayFrames: Math.min(patch, Math.floor((ringFrames * 3) / 4)),
    aheadFrames: Math.min(ahead, ringFrames),
    prefillFrames: Math.min(prefill, Math.ceil(ringFrames / 2)),
    marginFrames: timePasses ? Math.min(secondsToFrames(MARGIN_SECONDS, rate), Math.floor(ringFrames / 4)) : 0,
    rampFrames: Math.min(secondsToFrames(RAMP_SECONDS, rate), Math.floor(ringFrames / 4)),
    timePasses,
    provenTo,
  };
}

/** Waits until frame `frame` was played, while the stream runs and for `longestMs` at most. */
export async function played(claim: Claim, frame: number, longestMs: number): Promise<void> {
  const deadline = performance.now() + longestMs;
  while (claim.state === 'running' && claim.position().played < frame && performance.now() < deadline) await sleep(2);
}
