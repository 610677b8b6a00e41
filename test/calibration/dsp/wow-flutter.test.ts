/** Wow and flutter of carriers that are modulated by known amounts: the published set, and the two-sigma of a sinusoid. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flutterWeighting, wowFlutter } from '../../../calibration/dsp/wow-flutter.js';

const RATE = 48_000;
/** Of a sinusoid of peak 1. */
const TWO_SIGMA = Math.sin((0.95 * Math.PI) / 2);

/** A carrier whose frequency deviates by a sinusoid of `percent` peak. */
function modulated(percent: number, hz: number, carrier = 3150, seconds = 22): Float64Array {
  const beta = ((percent / 100) * carrier) / hz;
  return Float64Array.from({ length: RATE * seconds }, (_, n) => {
    const t = n / RATE;
    return 0.5 * Math.sin(2 * Math.PI * ((carrier * t) % 1) + beta * Math.sin(2 * Math.PI * hz * t));
  });
}

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual / expected - 1) < tolerance, `${what}: ${actual}, expected ${expected}`);
}

test('the published set: what a weighted meter shows of a deviation of 0.1 % at some rates', () => {
  for (const [hz, shown] of [
    [4, 0.0997],
    [0.8, 0.0499],
    [20, 0.0506],
    [0.2, 0.003],
  ] as const) {
    const found = wowFlutter(modulated(0.1, hz), RATE, 3150);
    // The meter shows four places.
    assert.ok(Math.abs(found.weightedPeakPercent - shown) < 1.5e-4, `${hz} Hz: ${found.weightedPeakPercent}`);
    if (hz >= 0.8) near(found.unweightedPeakPercent, 0.1 * TWO_SIGMA, 0.01, `${hz} Hz, unweighted`);
  }
});

test('from 0.01 % to 10 % it reads itself, and the RMS is the peak over the root of two', () => {
  for (const percent of [0.01, 1, 10]) {
    const found = wowFlutter(modulated(percent, 4), RATE, 3150);
    near(found.weightedPeakPercent, percent * TWO_SIGMA, 0.01, `${percent} %`);
    near(found.weightedRmsPercent, percent / Math.SQRT2, 0.01, `${percent} %, RMS`);
  }
});

test('a machine that runs fast is no flutter, and wow is told from flutter', () => {
  const fast = wowFlutter(modulated(0.05, 1, 3150 * 1.012), RATE, 3150);
  // The record holds no whole number of turns of the wow.
  near(fast.carrierHz, 3150 * 1.012, 1e-5, 'carrier');
  near(fast.wowPeakPercent, 0.05 * TWO_SIGMA, 0.02, 'wow');
  assert.ok(fast.flutterPeakPercent < 0.001);
  const flutter = wowFlutter(modulated(0.05, 63), RATE, 3150);
  near(flutter.flutterPeakPercent, 0.05 * TWO_SIGMA, 0.02, 'flutter');
  assert.ok(flutter.wowPeakPercent < 0.001);
  assert.ok(flutter.leastLevel > 0.99);
});

test('a drop-out of the carrier is seen, and less than seven seconds are refused', () => {
  const samples = modulated(0.1, 4);
  samples.fill(0, 10 * RATE, 10 * RATE + RATE / 20);
  assert.ok(wowFlutter(samples, RATE, 3150).leastLevel < 0.1);
  assert.throws(() => wowFlutter(new Float64Array(6 * RATE), RATE, 3150), RangeError);
});

/** AES6-2008 table 1: Hz, dB. */
const CURVE = [
  [0.1, -48],
  [0.2, -30.6],
  [0.315, -19.7],
  [0.4, -15],
  [0.63, -8.4],
  [0.8, -6],
  [1, -4.2],
  [1.6, -1.8],
  [2, -0.9],
  [4, 0],
  [6.3, -0.9],
  [10, -2.1],
  [20, -5.9],
  [40, -10.4],
  [63, -14.2],
  [100, -17.3],
  [200, -23],
] as const;

test('the weighting is its table, and every point of it is seen through the whole chain', () => {
  for (const [hz, level] of CURVE) {
    assert.ok(Math.abs(20 * Math.log10(flutterWeighting(hz)) - level) < 1e-9, `${hz}`);
    // The curve is steep where it is slow: a short record blurs it.
    const found = wowFlutter(modulated(0.1, hz, 3150, hz < 0.8 ? 82 : 12), RATE, 3150);
    const shown = 20 * Math.log10(found.weightedPeakPercent / (0.1 * TWO_SIGMA));
    assert.ok(Math.abs(shown - level) < 0.1, `${hz} Hz: ${shown} dB, expected ${level}`);
  }
});
