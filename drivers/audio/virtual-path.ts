/**
 * One channel of a simulated insert: modifier -> memory -> non-linearity -> first-order low-pass -> gain -> delay -> noise.
 *
 * Full scale is 1.0. Every stage that is set to do nothing is left out, not computed as a factor of one, so that an ideal path is
 * exact. What the stages remember is their own: it lasts from take to take.
 */
import type { VirtualPath } from '../../core/contract/config.js';
import { dbToRatio } from '../../core/units.js';
import type { PathModifier } from '../processors/path-modifier.js';
import { DelayLine } from './delay-line.js';
import { NoiseSource } from './noise.js';

/** Period of the echo that stands for a unit's memory. */
const ECHO_SECONDS = 0.05;
/** 180 dB under one step of a 24-bit converter: what is less is nothing. */
const FLOOR = 1e-16;

export class VirtualChannel {
  readonly #path: VirtualPath;
  readonly #modifier: PathModifier;
  readonly #noise: NoiseSource;
  readonly #memory = new DelayLine();
  readonly #delay = new DelayLine();
  readonly #gain: number;
  /** Standard deviation; AES17 3.12: 0 dBFS is the RMS of a full-scale sine. */
  readonly #noiseSigma: number;
  #rateHz = 0;
  #echoFrames = 0;
  #feedback = 0;
  #lowpassB = 0;
  #lowpassA = 0;
  #lowpassState = 0;

  constructor(path: VirtualPath, modifier: PathModifier, seed: string) {
    this.#path = path;
    this.#modifier = modifier;
    this.#noise = new NoiseSource(seed);
    this.#gain = dbToRatio(path.gainDb);
    this.#noiseSigma = path.noiseDbfs === null ? 0 : dbToRatio(path.noiseDbfs) * Math.SQRT1_2;
  }

  /** Sets the rate. What is remembered stays, in seconds. */
  prepare(rateHz: number): void {
    if (rateHz === this.#rateHz) return;
    if (this.#rateHz > 0) {
      this.#memory.resample(rateHz / this.#rateHz);
      this.#delay.resample(rateHz / this.#rateHz);
    }
    this.#rateHz = rateHz;
    this.#echoFrames = Math.round(ECHO_SECONDS * rateHz);
    const { memorySeconds, lowpassHz } = this.#path;
    // -60 dB after memorySeconds: feedback ^ (memorySeconds / echo period) = 1e-3.
    this.#feedback = memorySeconds === 0 ? 0 : 10 ** ((-3 * this.#echoFrames) / rateHz / memorySeconds);
    if (lowpassHz !== null) {
      // Bilinear transform of 1 / (1 + s / w), pre-warped: -3.01 dB at lowpassHz, 0 dB at DC, at every rate.
      const k = Math.tan((Math.PI * lowpassHz) / rateHz);
      this.#lowpassB = k / (1 + k);
      this.#lowpassA = (k - 1) / (1 + k);
    }
  }

  /** Runs a block through, in place. Reads the modifier once. */
  process(block: Float64Array, frames: number): void {
    const { gainDb, muted, delaySeconds, erasing } = this.#modifier;
    if (muted) block.fill(0, 0, frames);
    else if (gainDb !== 0) scale(block, frames, dbToRatio(gainDb));
    if (this.#feedback > 0)
      this.#memory.recirculate(block, frames, this.#echoFrames, erasing ? 0 : this.#feedback, FLOOR);
    if (this.#path.poly.length > 0) bend(block, frames, this.#path.poly);
    if (this.#path.lowpassHz !== null) this.#lowpass(block, frames);
    if (this.#path.gainDb !== 0) scale(block, frames, this.#gain);
    this.#delay.process(block, frames, this.#path.delayFrames + Math.round(delaySeconds * this.#rateHz));
    if (this.#noiseSigma > 0) this.#noise.addTo(block, frames, this.#noiseSigma);
  }

  /** Frames of silence after which nothing is left of what came before. */
  get forgetsAfterFrames(): number {
    const delay = this.#path.delayFrames + Math.round(this.#modifier.delaySeconds * this.#rateHz);
    const memory = this.#feedback > 0 ? this.#path.memorySeconds * this.#rateHz * 6 + this.#echoFrames : 0;
    return delay + memory + this.#rateHz;
  }

  #lowpass(block: Float64Array, frames: number): void {
    const b = this.#lowpassB;
    const a = this.#lowpassA;
    let state = this.#lowpassState;
    for (let i = 0; i < frames; i++) {
      const x = block[i]!;
      const y = b * x + state;
      state = b * x - a * y;
      if (state < FLOOR && state > -FLOOR) state = 0;
      block[i] = y;
    }
    this.#lowpassState = state;
  }
}

function scale(block: Float64Array, frames: number, gain: number): void {
  for (let i = 0; i < frames; i++) block[i] = block[i]! * gain;
}

/** x + a2 x^2 + a3 x^3 + …, by Horner's rule. */
function bend(block: Float64Array, frames: number, coefficients: readonly number[]): void {
  const last = coefficients.length - 1;
  for (let i = 0; i < frames; i++) {
    const x = block[i]!;
    let sum = coefficients[last]!;
    for (let c = last - 1; c >= 0; c--) sum = sum * x + coefficients[c]!;
    block[i] = x + sum * x * x;
  }
}
