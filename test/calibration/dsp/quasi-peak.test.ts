/** The detector against the burst tables of ITU-R BS.468-4 clause 2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quasiPeak } from '../../../calibration/dsp/quasi-peak.js';

const HZ = 5000;

function bursts(rate: number, burstMs: number, perSecond: number, seconds: number): Float64Array {
  const period = perSecond > 0 ? 1 / perSecond : Number.POSITIVE_INFINITY;
  return Float64Array.from({ length: Math.round(rate * seconds) }, (_, n) => {
    const t = n / rate - 0.01;
    const inBurst = t >= 0 && t % period < burstMs / 1000;
    return inBurst ? Math.sin(2 * Math.PI * HZ * t) : 0;
  });
}

/** Milliseconds of a single burst; lower and upper reading in percent of the steady tone. */
const SINGLE = [
  [1, 13.5, 21.4],
  [2, 22.4, 31.6],
  [5, 34, 46],
  [10, 41, 55],
  [20, 44, 60],
  [50, 50, 68],
  [100, 58, 78],
  [200, 68, 92],
] as const;
const REPEATED = [
  [2, 43, 53],
  [10, 72, 82],
  [100, 94, 100],
] as const;

for (const rate of [48_000, 96_000])
  test(`bursts at ${rate} Hz read what the tables allow`, () => {
    const steady = quasiPeak(bursts(rate, 10_000, 0, 4), rate);
    const sine = Float64Array.from(
      { length: 4 * rate },
      (_, n) => 0.775 * Math.SQRT2 * Math.sin((2 * Math.PI * 1000 * n) / rate),
    );
    assert.ok(Math.abs(quasiPeak(sine, rate) / 0.775 - 1) < 1e-4, '0.775 V of 1 kHz read 0.775 V');
    assert.ok(Math.abs(steady / Math.SQRT1_2 - 1) < 0.01, 'a sine reads its RMS');
    for (const [ms, low, high] of SINGLE) {
      const percent = (100 * quasiPeak(bursts(rate, ms, 0, 1), rate)) / steady;
      assert.ok(percent >= low && percent <= high, `${ms} ms: ${percent}`);
    }
    for (const [count, low, high] of REPEATED) {
      const percent = (100 * quasiPeak(bursts(rate, 5, count, 4), rate)) / steady;
      assert.ok(percent >= low && percent <= high, `${count} a second: ${percent}`);
    }
  });
