/** Tones at rising levels: the published ends of a hyperbolic tangent and of a clipper, linearity of a path that is not linear. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRefusal } from '../../../calibration/measures/measurement.js';
import {
  analyzeSteps,
  gainLinearityMeasurements,
  maximumLevelMeasurements,
  type ToneStep,
} from '../../../calibration/measures/steps.js';
import { gaussian, made, near, numberOf, sine } from '../../peers/known-signals.js';

const RATE = 48_000;
const HZ = 997;

function steps(levels: number[], path: (x: number) => number): ToneStep[] {
  return levels.map((levelDbfs) => {
    const peak = 10 ** (levelDbfs / 20);
    return { hz: HZ, levelDbfs, samples: made(RATE, 2 ** 14, (t) => path(peak * sine(HZ, t))) };
  });
}

const every = (from: number, to: number, step: number) =>
  Array.from({ length: Math.round((to - from) / step) + 1 }, (_, n) => from + n * step);

test('the maximum level of tanh(x), by both methods', () => {
  const found = maximumLevelMeasurements(steps([-40, ...every(-14, -4, 0.5)], Math.tanh), RATE);
  near(numberOf(found, 'max_level_compression_dbfs'), -8.459, 0.005, 'compression of 0.3 dB');
  near(numberOf(found, 'max_level_thdn_dbfs'), -9.076, 0.005, 'THD+N of -40 dB');
  near(numberOf(found, 'max_level_dbfs'), -9.076, 0.005, 'the lower of both');
  assert.equal(found.find(({ name }) => name === 'max_level_dbfs')!.conditions['limited'], false);
});

/** Of a sine clipped at a part of its crest: THD re total of its harmonics up to 20 kHz, from their formula. */
function clippedThdnDb(clip: number): number {
  const a = Math.asin(clip);
  const orders = Array.from({ length: 20 }, (_, i) => i + 1).filter((k) => k % 2 === 1 && k * HZ <= 20_000);
  const amplitude = (k: number) =>
    k === 1
      ? (2 / Math.PI) * (a + clip * Math.sqrt(1 - clip * clip))
      : (2 / Math.PI) * (Math.sin((k - 1) * a) / (k - 1) - Math.sin((k + 1) * a) / (k + 1)) +
        ((4 * clip) / (Math.PI * k)) * Math.cos(k * a);
  const [first, ...others] = orders.map(amplitude);
  const distortion = Math.hypot(...others);
  return 20 * Math.log10(distortion / Math.hypot(first!, distortion));
}

test('a hard clipper gets to -40 dB a quarter of a decibel above its level, and to -17 dB at +3 dB', () => {
  const clip = (x: number) => Math.max(-0.1, Math.min(0.1, x));
  const found = maximumLevelMeasurements(steps([-40, ...every(-21, -18, 0.1)], clip), RATE);
  near(numberOf(found, 'max_level_thdn_dbfs'), -20 + 0.25, 0.005, 'THD+N of -40 dB');
  const [over] = analyzeSteps(steps([-17], clip), RATE);
  assert.ok(over && !isRefusal(over));
  near(over.thdnDb, clippedThdnDb(10 ** (-3 / 20)), 0.01, 'overdriven by 3 dB: about -17 dB');
});

test('the end of the converter counts, and a path that has none says that the steps ended', () => {
  const converter = (x: number) => Math.max(-1, Math.min(1, 2 * x));
  near(
    numberOf(maximumLevelMeasurements(steps([-40, ...every(-8, -4, 0.5)], converter), RATE), 'max_level_dbfs'),
    -5.77,
    0.06,
  );
  const linear = maximumLevelMeasurements(
    steps([-40, -10, -1], (x) => x / 2),
    RATE,
  );
  near(numberOf(linear, 'max_level_dbfs'), -1, 1e-9);
  near(numberOf(linear, 'max_output_dbfs'), -1 - 6.0206, 1e-4);
  assert.equal(linear.find(({ name }) => name === 'max_level_dbfs')!.conditions['limited'], true);
  assert.equal(
    linear.some(({ name }) => name === 'max_level_thdn_dbfs'),
    false,
  );
});

test('gain linearity: a path that loses half a decibel on the way down, and noise below that is not counted', () => {
  const random = gaussian(5);
  const bent = steps(every(-120, -5, 5), (x) => x).map(({ hz, levelDbfs, samples }) => {
    const lossDb = levelDbfs < -60 ? 0.5 : 0;
    return { hz, levelDbfs, samples: samples.map((x) => x * 10 ** (-lossDb / 20) + 1e-5 * random()) };
  });
  near(numberOf(gainLinearityMeasurements(bent, RATE), 'gain_linearity_error_db'), -0.5, 0.1);
  near(
    numberOf(
      gainLinearityMeasurements(
        steps(every(-90, -5, 5), (x) => x),
        RATE,
      ),
      'gain_linearity_error_db',
    ),
    0,
    1e-6,
  );
});

test('a path that mutes what is soft is not linear, and what lies in the noise does not matter', () => {
  const random = gaussian(6);
  const noisy = (samples: Float64Array) => samples.map((x) => x + 1e-5 * random());
  const gated = steps(every(-120, -5, 5), (x) => x).map((step) => ({
    ...step,
    samples: step.levelDbfs < -70 ? noisy(new Float64Array(step.samples.length)) : noisy(step.samples),
  }));
  const [muted] = gainLinearityMeasurements(gated, RATE);
  assert.equal(muted!.refusal?.reason, 'no-tone');
  assert.match(muted!.refusal!.message, /^at -\d+ dBFS: /);
  const torn = steps([-20, -10, -5], (x) => x);
  torn[1]!.samples.copyWithin(8000, 8001);
  for (const [first] of [gainLinearityMeasurements(torn, RATE), maximumLevelMeasurements(torn, RATE)])
    assert.match(`${first!.refusal?.reason}: ${first!.refusal?.message}`, /^(gap|unlocked): at -10 dBFS/);
});

test('nothing but silence has no level to be the maximum', () => {
  const silent = steps([-20, -10], () => 0);
  assert.deepEqual(
    maximumLevelMeasurements(silent, RATE).map(({ refusal }) => refusal?.reason),
    Array(4).fill('no-tone'),
  );
  assert.deepEqual(
    gainLinearityMeasurements([], RATE).map(({ refusal }) => refusal?.reason),
    ['no-tone'],
  );
});
