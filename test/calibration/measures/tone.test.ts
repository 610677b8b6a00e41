/** One tone: published vectors and analytic truths, at their tolerances. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRefusal } from '../../../calibration/measures/measurement.js';
import { analyzeTone, type ToneAnalysis } from '../../../calibration/measures/tone.js';
import { toneMeasurements } from '../../../calibration/measures/tone-measurements.js';
import { gaussian, sine } from '../../peers/known-signals.js';

const RATE = 48_000;
const dB = (ratio: number) => 20 * Math.log10(ratio);

function made(length: number, sample: (t: number, n: number) => number, rate = RATE): Float64Array {
  return Float64Array.from({ length }, (_, n) => sample(n / rate, n));
}

function analyzed(samples: Float64Array, rate = RATE): ToneAnalysis {
  const found = analyzeTone(samples, rate);
  if (isRefusal(found)) throw new assert.AssertionError({ message: `refused: ${found.reason}, ${found.message}` });
  return found;
}

function reason(samples: Float64Array): string {
  const found = analyzeTone(samples, RATE);
  return isRefusal(found) ? found.reason : 'accepted';
}

const thdF = (a: ToneAnalysis) => Math.sqrt(a.harmonics.reduce((sum, p) => sum + p, 0) / a.power);
const thdnDb = (a: ToneAnalysis) => 10 * Math.log10(a.residual / a.total);

/** Uniform over +-1, the same every time. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  };
}

test('an ideal sine has a floor below -160 dB, wherever it lies between the bins', () => {
  for (const hz of [997, 1000, 1000.37, 6001.3]) {
    const found = analyzed(made(2 ** 18, (t) => 0.9 * Math.sin(2 * Math.PI * ((hz * t) % 1))));
    assert.ok(thdnDb(found) < -160, `${hz}: ${thdnDb(found)}`);
    assert.ok(Math.abs(found.hz - hz) < 1e-6, `${found.hz}`);
    assert.ok(Math.abs(dB(Math.sqrt(2 * found.power) / 0.9)) < 1e-6);
  }
});

test('harmonics down to -115 dB re the fundamental are right to 0.02 dB in words of 24 bits', () => {
  const levels = [-60, -80, -100, -110, -115, -90, -115, -105, -112];
  const random = uniform(3);
  const samples = made(2 ** 19, (t) => {
    let x = 0.8 * Math.sin(2 * Math.PI * ((997 * t) % 1));
    for (const [i, level] of levels.entries())
      x += 0.8 * 10 ** (level / 20) * Math.sin(2 * Math.PI * ((997 * (i + 2) * t) % 1) + i);
    const dither = (random() + random()) / 2;
    return Math.round(x * 2 ** 23 + dither) / 2 ** 23;
  });
  const found = analyzed(samples);
  for (const [i, level] of levels.entries()) {
    const actual = 10 * Math.log10(found.harmonics[i]! / found.power);
    assert.ok(Math.abs(actual - level) < 0.02, `harmonic ${i + 2}: ${actual}, expected ${level}`);
  }
});

test('published vectors of distortion', () => {
  const rows = [
    [[1, 0.75], 0.75, 'sin f + 0.75 sin 2f'],
    [[1, 0.1, 0.05, 0.02], 0.11357816691600547, '1, .1, .05, .02'],
  ] as const;
  for (const [amplitudes, expected, name] of rows) {
    const found = analyzed(
      made(2 ** 17, (t) => amplitudes.reduce((x, a, i) => x + 0.5 * a * Math.sin(2 * Math.PI * 1000 * (i + 1) * t), 0)),
    );
    assert.ok(Math.abs(thdF(found) / expected - 1) < 1e-6, `${name}: ${thdF(found)}`);
    const thdR = Math.sqrt(found.residual / found.total);
    assert.ok(Math.abs(thdR / (expected / Math.hypot(1, expected)) - 1) < 1e-6, `${name}: ${thdR}`);
  }
});

test('a polynomial gives the harmonics of its formula', () => {
  const [a, g2, g3, g4, g5] = [0.7, 0.01, 0.02, 0.003, 0.004];
  const found = analyzed(
    made(2 ** 17, (t) => {
      const x = a * Math.cos(2 * Math.PI * 1000 * t);
      return x + g2 * x ** 2 + g3 * x ** 3 + g4 * x ** 4 + g5 * x ** 5;
    }),
  );
  const fundamental = a + (3 / 4) * g3 * a ** 3 + (5 / 8) * g5 * a ** 5;
  const expected = [
    (g2 * a ** 2) / 2 + (g4 * a ** 4) / 2,
    (g3 * a ** 3) / 4 + (5 / 16) * g5 * a ** 5,
    (g4 * a ** 4) / 8,
    (g5 * a ** 5) / 16,
  ];
  assert.ok(Math.abs(Math.sqrt(2 * found.power) / fundamental - 1) < 1e-7);
  for (const [i, amplitude] of expected.entries())
    assert.ok(Math.abs(Math.sqrt(2 * found.harmonics[i]!) / amplitude - 1) < 1e-4, `harmonic ${i + 2}`);
});

test('dithered quantisation is its own noise: 16 bits, TPDF', () => {
  const random = uniform(9);
  const samples = made(
    2 ** 18,
    (t) => Math.round(0.5 * Math.sin(2 * Math.PI * 997 * t) * 2 ** 15 + (random() + random()) / 2) / 2 ** 15,
  );
  const { noise } = analyzed(samples);
  const level = (power: number) => 10 * Math.log10(2 * power);
  assert.ok(Math.abs(level(noise.flat) + 94.12) < 0.1, `${level(noise.flat)}`);
  assert.ok(Math.abs(level(noise.a) + 96.16) < 0.1, `${level(noise.a)}`);
  assert.ok(Math.abs(level(noise.ccirRms) + 92.44) < 0.1, `${level(noise.ccirRms)}`);
});

test('what cannot be believed is refused, with its reason', () => {
  const tone = (t: number) => 0.5 * Math.sin(2 * Math.PI * 997 * t);
  const random = uniform(2);
  assert.equal(reason(made(2 ** 16, tone)), 'accepted');
  assert.equal(reason(made(900, tone)), 'too-short');
  assert.equal(reason(made(4096, (t) => Math.sin(2 * Math.PI * 30 * t) / 2)), 'too-short');
  assert.equal(reason(made(2 ** 16, (t) => Math.max(-1, Math.min(1, 3 * tone(t))))), 'clipped');
  assert.equal(reason(made(2 ** 16, (t, n) => (n > 5000 && n < 5100 ? 0 : tone(t)))), 'gap');
  assert.equal(reason(made(2 ** 16, () => 0)), 'no-tone');
  assert.equal(reason(made(2 ** 16, (t, n) => (n === 77 ? Number.NaN : tone(t)))), 'not-finite');
  assert.equal(reason(made(2 ** 16, () => 0.1 * random())), 'no-tone');
});

test('DC is told of a tone that has no whole number of periods in the record', () => {
  const random = uniform(4);
  for (const hz of [997.3, 51.7]) {
    const samples = made(2 ** 15, (t) => 0.5 * Math.sin(2 * Math.PI * hz * t + 1) + 1e-4 + 1e-5 * random());
    assert.ok(Math.abs(analyzed(samples).dc - 1e-4) < 3e-7, `${analyzed(samples).dc}`);
  }
});

test('a record that begins on a zero crossing is used whole', () => {
  const samples = Float64Array.from({ length: 2 ** 16 }, (_, n) => 0.1 * Math.sin(2 * Math.PI * ((20 * n) / 44_100)));
  const found = analyzeTone(samples, 44_100);
  assert.ok(!isRefusal(found), isRefusal(found) ? found.message : '');
  assert.equal(found.samples, samples.length);
});

test('what the noise hides is said to be at most so much, and what stands out of it is said without that', () => {
  const random = gaussian(8);
  const samples = made(2 ** 16, (t) => sine(997, t) / 10 + 1e-5 * sine(1994, t) + 1e-6 * random());
  const found = toneMeasurements(samples, RATE);
  const isLimited = (name: string) => found.find((m) => m.name === name)!.conditions['noise_limited'];
  assert.deepEqual(['h2_dbc', 'h3_dbc', 'h4_dbc', 'thd_f_db', 'thdn_dbc'].map(isLimited), [
    undefined,
    true,
    true,
    undefined,
    undefined,
  ]);
  const clean = toneMeasurements(
    made(2 ** 16, (t) => sine(997, t) / 10 + 1e-5 * random()),
    RATE,
  );
  assert.equal(clean.find(({ name }) => name === 'thd_f_db')!.conditions['noise_limited'], true);
});

test('a tone in noise is not said to come from another clock, and a clean one that does is', () => {
  const random = gaussian(21);
  const reasons = new Set<string>();
  for (let n = 0; n < 100; n++) {
    // 6 dB above the noise of the band, as the last step of a gain linearity is.
    const found = analyzeTone(
      made(2 ** 13, (t) => 2e-5 * sine(997, t) + 1e-5 * Math.SQRT1_2 * random()),
      RATE,
      { expectHz: 997 },
    );
    reasons.add(isRefusal(found) ? found.reason : 'accepted');
  }
  assert.deepEqual([...reasons], ['accepted']);
  const off = analyzeTone(
    made(2 ** 16, (t) => sine(997 * (1 + 1e-4), t) / 2 + 1e-5 * random()),
    RATE,
    { expectHz: 997 },
  );
  assert.equal(isRefusal(off) && off.reason, 'unlocked');
});
