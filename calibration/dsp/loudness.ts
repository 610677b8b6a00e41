/**
 * Integrated loudness, ITU-R BS.1770-5 Annex 1: K-weighting, mean square over 400 ms blocks that overlap by 75 %, an absolute gate at
 * -70 LUFS and a relative one 10 LU under the mean of what passed it.
 *
 * What is kept for the end is the energy of every 100 ms, in double precision: 288 KB for an hour. No histogram is needed, and the
 * gates see the very blocks of the definition.
 */
import { highPass, shelf } from './k-weighting.js';

/** The id of the definition, as a measurement carries it. */
export const LOUDNESS_DEFINITION = 'loudness.bs1770-5/1';

const OFFSET_LU = -0.691;
const ABSOLUTE_GATE_LUFS = -70;
const RELATIVE_GATE_LU = -10;
/** 100 ms: the step between blocks. */
const STEPS_PER_SECOND = 10;
const STEPS_PER_BLOCK = 4;
/** Filter state is looked at for denormals this often: it cannot fall from 1e-30 into them in so few frames. */
const PIECE_FRAMES = 512;
const TINY = 1e-30;
const INT32_SCALE = 1 / 2 ** 31;

export class LoudnessMeter {
  readonly definition = LOUDNESS_DEFINITION;
  readonly #rateHz: number;
  readonly #channels: number;
  readonly #weights: Float64Array;
  readonly #filter: Filter;
  /** What both stages multiply with, apart from `#filter`. */
  readonly #gain: number;
  readonly #state: Float64Array;
  readonly #sums = new Float64Array(2);
  /** Energies of the whole steps so far. */
  #steps: Float64Array;
  #stepCount = 0;
  #stepEnergy = 0;
  #stepFramesLeft: number;

  /**
   * @param weights gain of each channel's energy. Without them every channel counts once: right for mono, stereo and L, R, C, and
   *   for channels whose place in the room is not known. A surround channel has 1.41, an LFE 0 (BS.1770-5 table 3)
   */
  constructor(rateHz: number, channels: number, weights?: readonly number[]) {
    if (!Number.isInteger(rateHz) || rateHz < 8000) throw new RangeError(`rateHz: ${rateHz}`);
    if (!Number.isInteger(channels) || channels < 1) throw new RangeError(`channels: ${channels}`);
    if (weights !== undefined && weights.length !== channels) throw new RangeError(`weights: ${weights.length}`);
    this.#rateHz = rateHz;
    this.#channels = channels;
    this.#weights = weights === undefined ? new Float64Array(channels).fill(1) : Float64Array.from(weights);
    const head = shelf(rateHz);
    const low = highPass(rateHz);
    this.#filter = { b1: head.b1 / head.b0, b2: head.b2 / head.b0, a1: head.a1, a2: head.a2, d1: low.a1, d2: low.a2 };
    this.#gain = head.b0 * low.b0;
    this.#state = new Float64Array(channels * 4);
    this.#steps = new Float64Array(4096);
    this.#stepFramesLeft = this.#stepBoundary(1);
  }

  /** First frame of step n. At rates that ten does not divide, steps differ by one frame and do not drift. */
  #stepBoundary(step: number): number {
    return Math.round((step * this.#rateHz) / STEPS_PER_SECOND);
  }

  /**
   * Measures the first `frames` frames of a block.
   * @param interleaved full scale is 1.0 in Float64 and 2^31 in (left-justified) Int32
   */
  add(interleaved: Float64Array | Int32Array, frames: number): void {
    if (!Number.isInteger(frames) || frames < 0 || frames * this.#channels > interleaved.length) {
      throw new RangeError(`${frames} frames in ${interleaved.length} samples`);
    }
    let at = 0;
    while (at < frames) {
      const now = Math.min(frames - at, this.#stepFramesLeft, PIECE_FRAMES);
      this.#stepEnergy += this.#piece(interleaved, at, now);
      at += now;
      this.#stepFramesLeft -= now;
      if (this.#stepFramesLeft === 0) this.#endStep();
    }
  }

  /** LUFS, or null where no block is over the gate (or the signal is shorter than one block of 400 ms). */
  integratedLufs(): number | null {
    const absolute = this.#gated(energyOf(ABSOLUTE_GATE_LUFS));
    if (absolute === null) return null;
    const relative = this.#gated(Math.max(energyOf(ABSOLUTE_GATE_LUFS), absolute * 10 ** (RELATIVE_GATE_LU / 10)));
    return relative === null ? null : lufsOf(relative);
  }

  /**
   * Loudness of every window of so many steps of 100 ms, one step apart: 4 is the momentary loudness of EBU Tech 3341, 30 the short-term one.
   * LUFS, -Infinity for silence; empty where the signal is shorter than one window.
   */
  windowsLufs(steps: number): Float64Array {
    const windows = new Float64Array(Math.max(0, this.#stepCount - steps + 1));
    for (let first = 0; first < windows.length; first++) {
      let energy = 0;
      for (let i = 0; i < steps; i++) energy += this.#steps[first + i]!;
      windows[first] = lufsOf(energy / (this.#stepBoundary(first + steps) - this.#stepBoundary(first)));
    }
    return windows;
  }

  /** Mean energy of the blocks that are over a threshold. */
  #gated(threshold: number): number | null {
    const steps = this.#steps;
    let sum = 0;
    let blocks = 0;
    for (let first = 0; first + STEPS_PER_BLOCK <= this.#stepCount; first++) {
      const frames = this.#stepBoundary(first + STEPS_PER_BLOCK) - this.#stepBoundary(first);
      const energy = (steps[first]! + steps[first + 1]! + steps[first + 2]! + steps[first + 3]!) / frames;
      if (energy > threshold) {
        sum += energy;
        blocks++;
      }
    }
    return blocks === 0 ? null : sum / blocks;
  }

  #endStep(): void {
    if (this.#stepCount === this.#steps.length) {
      const longer = new Float64Array(this.#steps.length * 2);
      longer.set(this.#steps);
      this.#steps = longer;
    }
    this.#steps[this.#stepCount++] = this.#stepEnergy;
    this.#stepEnergy = 0;
    this.#stepFramesLeft = this.#stepBoundary(this.#stepCount + 1) - this.#stepBoundary(this.#stepCount);
  }

  /** Weighted sum of squares of a piece. */
  #piece(samples: Float64Array | Int32Array, at: number, frames: number): number {
    const channels = this.#channels;
    const weights = this.#weights;
    const from = at * channels;
    const sums = this.#sums;
    let energy = 0;
    for (let c = 0; c + 1 < channels; c += 2) {
      weighPair(samples, from + c, channels, frames, this.#state, c * 4, this.#filter, sums);
      energy += weights[c]! * sums[0]! + weights[c + 1]! * sums[1]!;
    }
    if (channels % 2 === 1) {
      const c = channels - 1;
      energy += weights[c]! * weighOne(samples, from + c, channels, frames, this.#state, c * 4, this.#filter);
    }
    const scale = samples instanceof Int32Array ? INT32_SCALE : 1;
    return energy * (this.#gain * scale) ** 2;
  }
}

function energyOf(lufs: number): number {
  return 10 ** ((lufs - OFFSET_LU) / 10);
}

function lufsOf(energy: number): number {
  return OFFSET_LU + 10 * Math.log10(energy);
}

/**
 * Both stages with their gains taken out: b0 of the shelf, and b0 of the high-pass, whose numerator is b0 (1, -2, 1). What is left is
 * multiplied seven times a sample instead of eleven.
 */
interface Filter {
  b1: number;
  b2: number;
  a1: number;
  a2: number;
  d1: number;
  d2: number;
}

function settle(state: Float64Array, at: number): void {
  for (let i = at; i < at + 4; i++) if (state[i]! < TINY && state[i]! > -TINY) state[i] = 0;
}

/**
 * Two channels that lie side by side, at once: each sample waits for the one before it, and a processor does something else meanwhile. The
 * sums of squares go into `sums`. State: four variables a channel (two biquads, transposed direct form II).
 */
function weighPair(
  x: Float64Array | Int32Array,
  from: number,
  stride: number,
  frames: number,
  state: Float64Array,
  at: number,
  { b1, b2, a1, a2, d1, d2 }: Filter,
  sums: Float64Array,
): void {
  let p1 = state[at]!;
  let p2 = state[at + 1]!;
  let p3 = state[at + 2]!;
  let p4 = state[at + 3]!;
  let q1 = state[at + 4]!;
  let q2 = state[at + 5]!;
  let q3 = state[at + 6]!;
  let q4 = state[at + 7]!;
  let left = 0;
  let right = 0;
  for (let i = 0, k = from; i < frames; i++, k += stride) {
    const l = x[k]!;
    const r = x[k + 1]!;
    const u = l + p1;
    const v = r + q1;
    p1 = b1 * l + p2 - a1 * u;
    q1 = b1 * r + q2 - a1 * v;
    p2 = b2 * l - a2 * u;
    q2 = b2 * r - a2 * v;
    const y = u + p3;
    const z = v + q3;
    p3 = p4 - u - u - d1 * y;
    q3 = q4 - v - v - d1 * z;
    p4 = u - d2 * y;
    q4 = v - d2 * z;
    left += y * y;
    right += z * z;
  }
  state[at] = p1;
  state[at + 1] = p2;
  state[at + 2] = p3;
  state[at + 3] = p4;
  state[at + 4] = q1;
  state[at + 5] = q2;
  state[at + 6] = q3;
  state[at + 7] = q4;
  settle(state, at);
  settle(state, at + 4);
  sums[0] = left;
  sums[1] = right;
}

/** One channel; returns its sum of squares. */
function weighOne(
  x: Float64Array | Int32Array,
  from: number,
  stride: number,
  frames: number,
  state: Float64Array,
  at: number,
  { b1, b2, a1, a2, d1, d2 }: Filter,
): number {
  let p1 = state[at]!;
  let p2 = state[at + 1]!;
  let p3 = state[at + 2]!;
  let p4 = state[at + 3]!;
  let sum = 0;
  for (let i = 0, k = from; i < frames; i++, k += stride) {
    const l = x[k]!;
    const u = l + p1;
    p1 = b1 * l + p2 - a1 * u;
    p2 = b2 * l - a2 * u;
    const y = u + p3;
    p3 = p4 - u - u - d1 * y;
    p4 = u - d2 * y;
    sum += y * y;
  }
  state[at] = p1;
  state[at + 1] = p2;
  state[at + 2] = p3;
  state[at + 3] = p4;
  settle(state, at);
  return sum;
}
