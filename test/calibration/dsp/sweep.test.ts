/** The sweep and its analytic inverse: flat within the band, and the harmonics of a polynomial at their places and levels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealFft } from '../../../calibration/dsp/real-fft.js';
import { exponentialSweep, harmonicLeadFrames, inverseAt } from '../../../calibration/dsp/sweep.js';

const RATE = 48_000;

test('20 Hz to 20 kHz with L = 0.85 s: length and leads are the published ones', () => {
  const sweep = exponentialSweep(RATE, 20, 20_000, 5.87);
  assert.equal(sweep.growth, 0.85);
  assert.ok(Math.abs(sweep.samples.length / RATE - 5.8716) < 1e-4);
  assert.ok(Math.abs(harmonicLeadFrames(sweep, 2) / RATE - 0.5892) < 1e-4);
  assert.ok(Math.abs(harmonicLeadFrames(sweep, 3) / RATE - 0.9338) < 1e-4);
});

test('through its inverse a wire is flat, with no phase, from 100 Hz to 19 kHz', () => {
  const sweep = exponentialSweep(RATE, 20, 20_000, 5.87);
  const size = 2 ** 19;
  const padded = new Float64Array(size);
  padded.set(sweep.samples);
  const fft = new RealFft(size);
  const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(padded, null, re, im);
  for (const hz of [100, 997, 5000, 15_000, 19_000]) {
    const k = Math.round((hz * size) / RATE);
    const inverse = inverseAt(sweep, (k * RATE) / size);
    const r = (re[k]! * inverse.re - im[k]! * inverse.im) / RATE;
    const i = (re[k]! * inverse.im + im[k]! * inverse.re) / RATE;
    assert.ok(Math.abs(20 * Math.log10(Math.hypot(r, i))) < 0.1, `${hz}: ${20 * Math.log10(Math.hypot(r, i))}`);
    assert.ok(Math.abs(Math.atan2(i, r)) < 0.004, `${hz}: ${Math.atan2(i, r)}`);
  }
});

test('a band that is none, or a sweep that is too short, is refused', () => {
  for (const [from, to, seconds] of [
    [0, 1000, 1],
    [1000, 100, 1],
    [20, 30_000, 1],
    [20, 20_000, 0.01],
  ] as const)
    assert.throws(() => exponentialSweep(RATE, from, to, seconds), RangeError);
});
