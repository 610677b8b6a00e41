/**
 * A linear model of the sync channel's wire: as many taps around its delay as a converter's filters ring for, fitted by least squares to
 * what was heard (normal equations, Cholesky). The sequence is white, so the equations are well conditioned.
 */
import { solveCholesky } from '../../../calibration/dsp/cholesky.js';
import { FULL_SCALE_INT32, ratioToDb } from '../../../core/units.js';
import type { SyncSequence } from './sync-sequence.js';

/** Taps before and after the delay. */
export const WIRE_REACH = 24;
const TAPS = 2 * WIRE_REACH + 1;
/** The largest of what the fit left over, times this, is what a sample may be off. */
const TOLERANCE = 2;

export interface WireModel {
  /** Every sample came back as it was played. */
  exact: boolean;
  gainDb: number;
  residualDb: number;
  /** Linear, full scale 1: what a captured sample may be off the prediction. */
  tolerance: number;
  /** What is to be captured in `count` frames from frame `from` on. */
  predict(from: number, count: number): Float64Array;
}

/**
 * @param heard captured samples, full scale 1; the first one is frame `from` of the stream
 * @param delayFrames whole frames that what is heard is late
 * @param frames how many frames the fit uses; `delayFrames + frames` must be there
 */
export function fitWire(
  sequence: SyncSequence,
  heard: Float64Array,
  from: number,
  delayFrames: number,
  frames: number,
): WireModel {
  // Tap t belongs to the sequence WIRE_REACH - t frames later than the delay says.
  const played = new Float64Array(frames + TAPS);
  // With a negative delay what was heard first was played later.
  const lead = Math.max(0, -delayFrames);
  sequence.fill(from + lead, played);
  for (let i = 0; i < played.length; i++) played[i] = played[i]! / FULL_SCALE_INT32;
  const first = lead + delayFrames + WIRE_REACH;
  const count = Math.min(frames - TAPS, heard.length - first);
  const equal = isExact(played, heard, first, count);
  const taps = equal ? unity() : solve(played, heard, first, count);
  const model = new FittedWire(sequence, taps, delayFrames);
  let worst = 0;
  let energy = 0;
  let left = 0;
  const predicted = model.predict(from + first, count);
  for (let i = 0; i < count; i++) {
    const error = heard[first + i]! - predicted[i]!;
    worst = Math.max(worst, Math.abs(error));
    left += error * error;
    energy += heard[first + i]! ** 2;
  }
  const gain = Math.sqrt(taps.reduce((sum, tap) => sum + tap * tap, 0));
  model.exact = equal;
  model.gainDb = ratioToDb(gain);
  model.residualDb = energy > 0 ? 10 * Math.log10(left / energy) : 0;
  model.tolerance = TOLERANCE * worst;
  return model;
}

class FittedWire implements WireModel {
  exact = false;
  gainDb = 0;
  residualDb = 0;
  tolerance = 0;
  readonly #sequence: SyncSequence;
  readonly #taps: Float64Array;
  readonly #delayFrames: number;

  constructor(sequence: SyncSequence, taps: Float64Array, delayFrames: number) {
    this.#sequence = sequence;
    this.#taps = taps;
    this.#delayFrames = delayFrames;
  }

  predict(from: number, count: number): Float64Array {
    const played = new Float64Array(count + TAPS - 1);
    const out = new Float64Array(count);
    this.#sequence.fill(from - this.#delayFrames - WIRE_REACH, played);
    const taps = this.#taps;
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let t = 0; t < TAPS; t++) sum += taps[t]! * played[i + t]!;
      out[i] = sum / FULL_SCALE_INT32;
    }
    return out;
  }
}

function unity(): Float64Array {
  const taps = new Float64Array(TAPS);
  taps[WIRE_REACH] = 1;
  return taps;
}

function isExact(played: Float64Array, heard: Float64Array, first: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (heard[first + i] !== played[i + WIRE_REACH]) return false;
  return true;
}

/** Least squares: taps h with heard[first + i] ~ sum h[t] played[i + t]. */
function solve(played: Float64Array, heard: Float64Array, first: number, count: number): Float64Array {
  const r = new Float64Array(TAPS * TAPS);
  const p = new Float64Array(TAPS);
  for (let a = 0; a < TAPS; a++) {
    for (let b = a; b < TAPS; b++) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += played[i + a]! * played[i + b]!;
      r[a * TAPS + b] = sum;
      r[b * TAPS + a] = sum;
    }
    let sum = 0;
    for (let i = 0; i < count; i++) sum += played[i + a]! * heard[first + i]!;
    p[a] = sum;
  }
  return solveCholesky(r, p);
}
