/** One channel against the other: a known gain and a known delay, seen by a tone and by noise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  interChannelMeasurements,
  interChannelResponseMeasurements,
} from '../../../calibration/measures/inter-channel.js';
import { gaussian, made, near, numberOf, reasonOf, sine } from '../../peers/known-signals.js';

const RATE = 48_000;

test('a tone: 1 dB quieter and 30 degrees behind', () => {
  const gain = 10 ** (-1 / 20);
  const first = made(RATE, 2 ** 16, (t) => 0.5 * sine(997, t));
  const other = made(RATE, 2 ** 16, (t) => 0.5 * gain * sine(997, t, -Math.PI / 6));
  const found = interChannelMeasurements(first, other, RATE);
  near(numberOf(found, 'inter_channel_level_db'), -1, 1e-6);
  near(numberOf(found, 'inter_channel_phase_deg'), -30, 1e-4);
  assert.equal(reasonOf(interChannelMeasurements(first, new Float64Array(2 ** 16), RATE)), 'silent');
});

test('noise through both: three samples later is a phase that grows with the frequency', () => {
  const random = gaussian(2);
  const stimulus = made(RATE, 2 ** 17, () => 0.1 * random());
  const delayed = (frames: number, gain: number) => {
    const captured = new Float64Array(stimulus.length + 1000);
    captured.set(
      stimulus.map((x) => gain * x),
      frames,
    );
    return captured;
  };
  const found = interChannelResponseMeasurements(stimulus, delayed(100, 1), delayed(103, 2), RATE);
  for (const hz of [100, 1000, 10_000]) {
    near(numberOf(found, 'inter_channel_level_db', hz), 6.0206, 0.001, `${hz} Hz`);
    const turns = (-3 * hz) / RATE;
    near(numberOf(found, 'inter_channel_phase_deg', hz), 360 * (turns - Math.round(turns)), 0.2, `${hz} Hz`);
  }
});
