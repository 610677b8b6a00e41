/** Lost and repeated samples: refused in every kind of capture, and no good one is refused for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exponentialSweep } from '../../../calibration/dsp/sweep.js';
import { crosstalkMeasurements } from '../../../calibration/measures/crosstalk.js';
import { dynamicRangeMeasurements } from '../../../calibration/measures/dynamic-range.js';
import { dfdMeasurements, smpteMeasurements } from '../../../calibration/measures/intermodulation.js';
import { mainsMeasurements } from '../../../calibration/measures/mains.js';
import type { Measurement } from '../../../calibration/measures/measurement.js';
import { noiseMeasurements } from '../../../calibration/measures/noise.js';
import { responseMeasurements } from '../../../calibration/measures/response.js';
import { toneMeasurements } from '../../../calibration/measures/tone-measurements.js';
import { wowFlutterMeasurements } from '../../../calibration/measures/wow-flutter.js';
import { binaryNoise } from '../../../calibration/signals/signals.js';
import { dithered, gaussian, made, sine } from '../../peers/known-signals.js';

const RATE = 48_000;
const reason = (found: readonly Measurement[]) => found.find(({ refusal }) => refusal)?.refusal?.reason ?? 'valid';

/** `lost` samples are missing at a place; negative: so many are there twice. */
function torn(samples: Float64Array, at: number, lost: number): Float64Array {
  const from = Math.round(at * samples.length);
  return samples.map((x, n) => (n < from ? x : (samples[n + lost] ?? 0))).subarray(0, samples.length - Math.abs(lost));
}

const word = dithered(24, 3);
const random = gaussian(5);
const sweep = exponentialSweep(RATE, 14, 23_000, 2).samples.map((x) => 0.3 * x);
const burst = binaryNoise(-20, 14_400);
const late = (stimulus: Float64Array) =>
  made(RATE, stimulus.length + RATE / 2, (_, n) => word(0.7 * (stimulus[n - 300] ?? 0)));
const tones = (low: number, high: number, ratio: number) =>
  made(RATE, 2 ** 16, (t) => word(0.1 * (ratio * sine(low, t) + sine(high, t)) + 1e-4 * sine(high - low, t)));
const flutter = made(RATE, 8 * RATE, (t) => word(0.5 * sine(3150, t, 0.8 * sine(4, t)) + 1e-4 * random()));

const CAPTURES: Record<string, [Float64Array, (samples: Float64Array) => Measurement[]]> = {
  tone: [
    made(RATE, 2 ** 16, (t) => word(0.5 * sine(997, t) + 0.01 * sine(1994, t) + 1e-3 * random())),
    (x) => toneMeasurements(x, RATE),
  ],
  'dynamic-range': [made(RATE, 2 ** 16, (t) => word(5e-4 * sine(997, t))), (x) => dynamicRangeMeasurements(x, RATE)],
  smpte: [tones(60, 7000, 4), (x) => smpteMeasurements(x, RATE)],
  dfd: [tones(19_000, 20_000, 1), (x) => dfdMeasurements(x, RATE)],
  crosstalk: [
    made(RATE, 2 ** 16, (t) => word(0.1 * sine(1000, t))),
    (x) =>
      crosstalkMeasurements(
        x,
        x.map((y) => y / 1000),
        RATE,
      ),
  ],
  'response, sweep': [late(sweep), (x) => responseMeasurements(sweep, x, RATE)],
  'response, noise': [late(burst).subarray(0, 15_000), (x) => responseMeasurements(burst, x, RATE)],
  'wow-flutter': [flutter, (x) => wowFlutterMeasurements(x, RATE)],
  mains: [made(RATE, 4 * RATE, (t) => word(1e-2 * sine(50, t) + 1e-5 * random())), (x) => mainsMeasurements(x, RATE)],
  'noise beside a tone': [
    made(RATE, 2 ** 17, (t) => word(0.3 * sine(440, t) + 1e-4 * random())),
    (x) => noiseMeasurements(x, RATE),
  ],
};

for (const [name, [good, measure]] of Object.entries(CAPTURES))
  test(`${name}: good as it is, refused where one sample is lost, one is there twice, or three hundred are lost`, () => {
    assert.equal(reason(measure(good)), 'valid');
    for (const lost of [1, -1, 301])
      for (const at of [0.45, 0.62]) assert.equal(reason(measure(torn(good, at, lost))), 'gap', `${lost} at ${at}`);
  });

test('two clocks are refused, with a sweep and with noise; a stimulus that is silent is no stimulus', () => {
  for (const stimulus of [sweep, binaryNoise(-20, RATE)]) {
    const whole = late(stimulus);
    assert.equal(reason(responseMeasurements(stimulus, whole, RATE)), 'valid');
    for (const ppm of [-300, 100]) {
      // Between two samples by four points (Lagrange).
      const off = whole.map((_, n) => {
        const at = n * (1 + ppm * 1e-6);
        const [i, f] = [Math.floor(at), at - Math.floor(at)];
        const x = (k: number) => whole[i + k] ?? 0;
        return (
          (-f * (f - 1) * (f - 2) * x(-1)) / 6 +
          ((f + 1) * (f - 1) * (f - 2) * x(0)) / 2 -
          ((f + 1) * f * (f - 2) * x(1)) / 2 +
          ((f + 1) * f * (f - 1) * x(2)) / 6
        );
      });
      assert.equal(reason(responseMeasurements(stimulus, off, RATE)), 'unlocked', `${ppm} ppm`);
    }
  }
  const silent = responseMeasurements(new Float64Array(RATE), sweep, RATE);
  assert.equal(reason(silent), 'silent');
  assert.match(silent[0]!.refusal!.message, /stimulus/);
});

test('a hole in noise is one, and a slow wave of few steps that rests at 0 is none', () => {
  const noise = made(RATE, RATE, () => word(0.01 * random()));
  noise.fill(0, 20_000, 20_020);
  assert.equal(reason(noiseMeasurements(noise, RATE)), 'gap');
  const quiet = made(RATE, RATE, () => word(1e-4 * random()));
  quiet.fill(0, 20_000, 30_000);
  assert.equal(reason(noiseMeasurements(quiet, RATE)), 'gap');
  const short = dithered(16, 4);
  assert.equal(
    reason(
      noiseMeasurements(
        made(RATE, RATE, () => short(2e-4 * random())),
        RATE,
      ),
    ),
    'valid',
  );
  const slow = made(RATE, 2 * RATE, (t) => Math.round(30 * sine(20, t)) / 2 ** 15);
  assert.equal(reason(toneMeasurements(slow, RATE)), 'valid');
});

const good = fc.record({
  hz: fc.double({ min: Math.log(40), max: Math.log(20_000), noNaN: true }).map(Math.exp),
  noiseDb: fc.double({ min: -100, max: -15, noNaN: true }),
  harmonicDb: fc.double({ min: -120, max: -15, noNaN: true }),
  humDb: fc.double({ min: -120, max: -30, noNaN: true }),
  wowPercent: fc.constantFrom(0, 0.01, 0.1),
  wowHz: fc.double({ min: 0.3, max: 20, noNaN: true }),
  bits: fc.constantFrom(16, 24),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

test('no good tone is refused for a gap: noise, harmonics, hum, a wow, short words', () => {
  fc.assert(
    fc.property(good, ({ hz, noiseDb, harmonicDb, humDb, wowPercent, wowHz, bits, seed }) => {
      const [noise, rounded] = [gaussian(seed), dithered(bits, seed)];
      const [sigma, harmonic, hum] = [noiseDb, harmonicDb, humDb].map((level) => 10 ** (level / 20)) as [
        number,
        number,
        number,
      ];
      const turn = (wowPercent * hz) / 100 / wowHz;
      const samples = made(RATE, Math.max(2 ** 14, (24 * RATE) / hz), (t) => {
        const phase = turn * sine(wowHz, t);
        const tone = sine(hz, t, phase) + harmonic * (sine(2 * hz, t, 2 * phase) + sine(3 * hz, t, 3 * phase));
        return rounded(0.3 * (tone + sigma * noise() + hum * sine(50, t)));
      });
      assert.notEqual(reason(toneMeasurements(samples, RATE)), 'gap');
    }),
    { numRuns: 60, seed: 7 },
  );
});

test('of a tone of 200 Hz or more, 40 dB over its noise, every lost sample is seen, wherever it is', () => {
  const lostOne = fc.record({
    hz: fc.double({ min: Math.log(200), max: Math.log(19_000), noNaN: true }).map(Math.exp),
    at: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
    lost: fc.constantFrom(1, -1),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  fc.assert(
    fc.property(lostOne, ({ hz, at, lost, seed }) => {
      const noise = gaussian(seed);
      const whole = made(RATE, 2 ** 15, (t) => word(0.5 * sine(hz, t, seed) + 0.0035 * noise()));
      assert.equal(reason(toneMeasurements(torn(whole, at, lost), RATE)), 'gap');
    }),
    { numRuns: 60, seed: 11 },
  );
});
