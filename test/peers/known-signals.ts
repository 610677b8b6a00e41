/** Signals whose figures are known from a formula, and looking up what was measured of them. */
import assert from 'node:assert/strict';
import type { Measurement } from '../../core/contract/calibration.js';

/** Samples from a function of time (seconds) and index. */
export function made(rate: number, frames: number, sample: (t: number, n: number) => number): Float64Array {
  return Float64Array.from({ length: Math.round(frames) }, (_, n) => sample(n / rate, n));
}

/** Whole turns are taken out first: a long one is as exact as a short one. */
export function sine(hz: number, t: number, phase = 0): number {
  return Math.sin(2 * Math.PI * ((hz * t) % 1) + phase);
}

/** Uniform over +-1, the same every time. */
export function uniform(seed: number): () => number {
  let state = seed | 1;
  return () => {
    // xorshift32, and a multiplication against its linearity.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (Math.imul(state, 0x2545f491) | 0) / 2 ** 31;
  };
}

/** Of variance 1. */
export function gaussian(seed: number): () => number {
  const random = uniform(seed);
  const positive = () => (random() + 1) / 2 + 1e-12;
  return () => Math.sqrt(-2 * Math.log(positive())) * Math.cos(2 * Math.PI * positive());
}

/** Words of `bits` bits with a triangular dither of two steps. */
export function dithered(bits: number, seed: number): (x: number) => number {
  const random = uniform(seed);
  const steps = 2 ** (bits - 1);
  return (x) => Math.round(x * steps + (random() + random()) / 2) / steps;
}

/** The value of a measurement that must be there and valid. */
export function numberOf(measurements: readonly Measurement[], name: string, hz?: number): number {
  const one = measurements.find((m) => m.name === name && (hz === undefined || m.conditions['hz'] === hz));
  assert.ok(one, `there is no ${name}${hz === undefined ? '' : ` at ${hz} Hz`}`);
  assert.ok(one.value !== null, `${name} has no number: ${one.refusal?.reason}, ${one.refusal?.message}`);
  return one.value;
}

/** The reason that all of them were refused for. */
export function reasonOf(measurements: readonly Measurement[]): string {
  const reasons = new Set(
    measurements.map(({ valid, value, refusal }) => (valid || value !== null ? 'valid' : refusal?.reason)),
  );
  assert.equal(reasons.size, 1, `different reasons: ${[...reasons].join(', ')}`);
  return [...reasons][0] ?? 'none';
}

export function near(actual: number, expected: number, tolerance: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected} +- ${tolerance}`);
}
