/**
 * Integrated loudness, ITU-R BS.1770-5 Annex 1: K-weighting, mean square over 400 ms blocks that overlap by 75 %, an absolute gate at
 * -70 LUFS and a relative one 10 LU under the mean of what passed it.
 *
 * What is kept for the end is the energy of every 100 ms, in double precision: 288 KB for an hour. No histogram is needed, and the
 * gates see the very blocks of the definition.
 */
import { type Biquad, highPass, shelf } from './k-weighting.js';

/** The id of the definition, as a measurement carries it. */
export const LOUDNESS_DEFINITION = 'loudness.bs1770-5/1';

const OFFSET_LU = -0.691;
const ABSOLUTE_GATE_LUFS = -70;
const RELATIVE_GATE_LU = -10;
/** 100 ms: the step between blocks. */
const STEPS_PER_SECOND = 10;
const STEPS_PER_BLOCK = 4;
/** Filter state is looked at for denormals this often: it cannot fall from 1e-30 into them in so few frames. */
const PIECE_FRAMES = 256;
const TINY = 1e-30;
const INT32_SCALE = 1 / 2 ** 31;

export class LoudnessMeter {
  readonly definition = LOUDNESS_DEFINITION;
  readonly #rateHz: number;
  readonly #channels: number;
  readonly #weights: Float64Array;
  readonly #shelf: Biquad;
  readonly #highPass: Biquad;
  /** Four state variables a channel (two biquads, transposed direct form II). */
  readonly #state: Float64Array;
  /** One channel of the piece in work. */
  readonly #mono = new Float64Array(PIECE_FRAMES);
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
    this.#shelf = shelf(rateHz);
    this.#highPass = highPass(rateHz);
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
    let energy = 0;
    for (let channel = 0; channel < this.#channels; channel++) {
      const from = at * this.#channels + channel;
      if (samples instanceof Int32Array) gatherInts(samples, from, this.#channels, this.#mono, frames);
      else gatherFloats(samples, from, this.#channels, this.#mono, frames);
      energy +=
        this.#weights[channel]! * weigh(this.#mono, frames, this.#state, channel * 4, this.#shelf, this.#highPass);
    }
    return energy;
  }
}

function energyOf(lufs: number): number {
  return 10 ** ((lufs - OFFSET_LU) / 10);
}

function lufsOf(energy: number): number {
  return OFFSET_LU + 10 * Math.log10(energy);
}

function settle(state: number): number {
  return state < TINY && state > -TINY ? 0 : state;
}

function gatherInts(samples: Int32Array, from: number, stride: number, into: Float64Array, frames: number): void {
  for (let i = 0, p = from; i < frames; i++, p += stride) into[i] = samples[p]! * INT32_SCALE;
}

function gatherFloats(samples: Float64Array, from: number, stride: number, into: Float64Array, frames: number): void {
  for (let i = 0, p = from; i < frames; i++, p += stride) into[i] = samples[p]!;
}

/** Runs one channel through both stages; returns the sum of squares of what comes out. */
function weigh(x: Float64Array, frames: number, state: Float64Array, at: number, s: Biquad, h: Biquad): number {
  const { b0, b1, b2, a1, a2 } = s;
  const { b0: c0, b1: c1, b2: c2, a1: d1, a2: d2 } = h;
  let s1 = state[at]!;
  let s2 = state[at + 1]!;
  let h1 = state[at + 2]!;
  let h2 = state[at + 3]!;
  let energy = 0;
  for (let i = 0; i < frames; i++) {
    const input = x[i]!;
    const y = b0 * input + s1;
    s1 = b1 * input - a1 * y + s2;
    s2 = b2 * input - a2 * y;
    const z = c0 * y + h1;
    h1 = c1 * y - d1 * z + h2;
    h2 = c2 * y - d2 * z;
    energy += z * z;
  }
  state[at] = settle(s1);
  state[at + 1] = settle(s2);
  state[at + 2] = settle(h1);
  state[at + 3] = settle(h2);
  return energy;
}
