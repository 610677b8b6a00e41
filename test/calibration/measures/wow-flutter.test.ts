/** The published set through the measurement: what is shown, the speed, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wowFlutterMeasurements } from '../../../calibration/measures/wow-flutter.js';
import { gaussian, made, near, numberOf, reasonOf, sine } from '../../peers/known-signals.js';

const RATE = 48_000;

function carrier(seconds: number, percent: number, hz: number, centre = 3150): Float64Array {
  const beta = ((percent / 100) * centre) / hz;
  return made(RATE, seconds * RATE, (t) => 0.5 * sine(centre, t, beta * sine(hz, t)));
}

test('0.1 % at 4 Hz reads 0.0997 %, on a machine that is half a percent fast, with noise and hum', () => {
  const random = gaussian(1);
  const samples = carrier(12, 0.1, 4, 3150 * 1.005).map((x, n) => x + 2e-4 * random() + 1e-3 * sine(50, n / RATE));
  const found = wowFlutterMeasurements(samples, RATE);
  near(numberOf(found, 'weighted_peak2s_percent'), 0.0997, 0.001);
  near(numberOf(found, 'speed_error_percent'), 0.5, 0.001);
  near(numberOf(found, 'weighted_rms_percent'), 0.1 / Math.SQRT2, 0.001);
  near(
    numberOf(wowFlutterMeasurements(carrier(8, 0.1, 4, 2990), RATE), 'speed_error_percent'),
    100 * (2990 / 3000 - 1),
    0.001,
  );
  near(
    numberOf(wowFlutterMeasurements(carrier(8, 0.1, 4, 2990), RATE, { carrierHz: 3150 }), 'speed_error_percent'),
    -5.079,
    0.001,
  );
});

test('a carrier between 3000 and 3150 Hz is not guessed at', () => {
  const slow = carrier(8, 0.1, 4, 3150 * 0.97);
  assert.equal(reasonOf(wowFlutterMeasurements(slow, RATE)), 'no-tone');
  near(numberOf(wowFlutterMeasurements(slow, RATE, { carrierHz: 3150 }), 'speed_error_percent'), -3, 0.001);
});

test('no carrier, another one, one that drops out, one in noise, and one that is too short', () => {
  const random = gaussian(3);
  const noise = made(RATE, 8 * RATE, () => 0.2 * random());
  assert.equal(reasonOf(wowFlutterMeasurements(noise, RATE)), 'no-tone');
  assert.equal(reasonOf(wowFlutterMeasurements(new Float64Array(8 * RATE), RATE)), 'no-tone');
  assert.equal(reasonOf(wowFlutterMeasurements(carrier(8, 0.1, 4, 1000), RATE)), 'no-tone');
  assert.equal(
    reasonOf(
      wowFlutterMeasurements(
        carrier(8, 0.1, 4).map((x, n) => x + noise[n]!),
        RATE,
      ),
    ),
    'too-noisy',
  );
  const dropped = carrier(8, 0.1, 4).map((x, n) => (n > 4 * RATE && n < 4.05 * RATE ? x * 0.01 : x));
  assert.equal(reasonOf(wowFlutterMeasurements(dropped, RATE)), 'gap');
  assert.equal(reasonOf(wowFlutterMeasurements(carrier(6, 0.1, 4), RATE)), 'too-short');
});
