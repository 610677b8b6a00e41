/** The sine fit on what is known exactly: a pure sine, one with harmonics, and one in noise against the bound of Cramer and Rao. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitSine } from '../../../calibration/dsp/sine-fit.js';

const RATE = 48_000;
const dB = (ratio: number) => 20 * Math.log10(ratio);
const sine = (length: number, hz: number, amplitude = 1, phase = 0, offset = 0) =>
  Float64Array.from({ length }, (_, n) => amplitude * Math.cos((2 * Math.PI * hz * n) / RATE + phase) + offset);

test('a pure sine is found to -200 dB, from a guess half a bin away', () => {
  for (const [hz, length] of [
    [997, 48_000],
    [1000.123, 65_536],
    [19_999.7, 20_000],
    [21.3, 48_000],
  ] as const) {
    const found = fitSine(sine(length, hz, 0.7, 0.3, 0.01), RATE, hz + (0.4 * RATE) / length);
    assert.ok(Math.abs(found.hz - hz) < 1e-9 * hz, `${found.hz}`);
    assert.ok(Math.abs(found.amplitudes[0]! - 0.7) < 1e-11);
    assert.ok(Math.abs(found.offset - 0.01) < 1e-11);
    assert.ok(Math.abs(Math.sin(found.phases[0]! - 0.3)) < 1e-9, `${found.phases[0]!}`);
    assert.ok(dB(found.residualRms / (0.7 / Math.SQRT2)) < -200, `${dB(found.residualRms)}`);
  }
});

test('harmonics at -140 dB are found to a hundredth of a decibel', () => {
  const length = 48_000;
  const hz = 997.3;
  const samples = sine(length, hz);
  const levels = [1, 1e-7, 3e-5, 2e-6, 0, 5e-7];
  for (const [i, level] of levels.entries())
    if (i > 0) samples.set(samples.map((x, n) => x + level * Math.cos((2 * Math.PI * hz * (i + 1) * n) / RATE + i)));
  const found = fitSine(samples, RATE, hz + 0.3, 6);
  for (const [i, level] of levels.entries())
    if (level > 0) assert.ok(Math.abs(dB(found.amplitudes[i]! / level)) < 0.01, `${i + 1}: ${found.amplitudes[i]}`);
  assert.ok(found.amplitudes[4]! < 1e-9);
  assert.ok(dB(found.residualRms) < -200);
});

test('in noise the frequency is as good as it can be', () => {
  const [length, sigma, runs] = [4096, 0.01, 60];
  let state = 5;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  };
  let square = 0;
  for (let run = 0; run < runs; run++) {
    const noisy = sine(length, 997, 1, run).map((x) => x + sigma * Math.sqrt(3) * uniform());
    square += (fitSine(noisy, RATE, 997.5).hz - 997) ** 2;
  }
  // var f >= 6 fs^2 sigma^2 / (pi^2 A^2 N (N^2 - 1))
  const bound = (6 * RATE ** 2 * sigma ** 2) / (Math.PI ** 2 * length * (length ** 2 - 1));
  const ratio = square / runs / bound;
  assert.ok(ratio > 0.5 && ratio < 2, `${ratio} of the bound`);
});

test('what is too short, or no frequency, is refused', () => {
  assert.throws(() => fitSine(new Float64Array(8), RATE, 1000), RangeError);
  for (const hz of [0, -1, 24_000, Number.NaN]) assert.throws(() => fitSine(sine(100, 1000), RATE, hz), RangeError);
});
