/** Intermodulation, noise, mains, response and crosstalk: published vectors and analytic truths. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzeCrosstalk } from '../../../calibration/measures/crosstalk.js';
import {
  analyzeDifference,
  analyzeSmpte,
  analyzeTotalDifference,
} from '../../../calibration/measures/intermodulation.js';
import { analyzeMains } from '../../../calibration/measures/mains.js';
import { isRefusal, type Refusal } from '../../../calibration/measures/measurement.js';
import { analyzeNoise, noiseMeasurements } from '../../../calibration/measures/noise.js';
import { analyzeResponse } from '../../../calibration/measures/response.js';

const RATE = 48_000;
const dBPower = (ratio: number) => 10 * Math.log10(ratio);
const sine = (hz: number, t: number, phase = 0) => Math.sin(2 * Math.PI * ((hz * t) % 1) + phase);

function made(seconds: number, sample: (t: number, n: number) => number): Float64Array {
  return Float64Array.from({ length: RATE * seconds }, (_, n) => sample(n / RATE, n));
}

function valid<T extends object>(found: T | Refusal): T {
  if (isRefusal(found)) throw new assert.AssertionError({ message: `refused: ${found.reason}, ${found.message}` });
  return found;
}

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
}

function gaussian(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32 + 1e-12;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

test('modulation distortion: the published sidebands in every form', () => {
  const samples = made(
    4,
    (t) =>
      0.5 * sine(250, t) +
      0.25 * sine(8000, t) +
      0.02 * (sine(8250, t) + sine(7750, t)) +
      0.01 * (sine(8500, t) + sine(7500, t)),
  );
  const found = valid(analyzeSmpte(samples, RATE, { lowHz: 250, highHz: 8000 }));
  near(found.m2, 0.16, 1e-6, 'd_m2');
  near(found.m3, 0.08, 1e-6, 'd_m3');
  near(found.rss, 0.12649, 1e-5, 'RSS of the sidebands');
  near(found.imd, Math.hypot(0.16, 0.08), 1e-6, 'RP120');
});

test('difference-frequency distortion: the published vectors', () => {
  const dfd = valid(
    analyzeDifference(
      made(
        2,
        (t) =>
          0.5 * sine(13_000, t) +
          0.5 * sine(14_000, t) +
          0.03 * sine(1000, t) +
          0.02 * (sine(12_000, t) + sine(15_000, t)),
      ),
      RATE,
      { lowerHz: 13_000, upperHz: 14_000 },
    ),
  );
  near(dfd.d2, 0.03, 1e-7, 'd_d2');
  near(dfd.d3, 0.04, 1e-7, 'd_d3');
  near(dfd.d2OfUpper, 0.06, 1e-7, 'over the upper tone: 6.02 dB more');
  const total = valid(
    analyzeTotalDifference(
      made(2, (t) => 0.5 * sine(8000, t) + 0.5 * sine(11_950, t) + 0.02 * sine(3950, t) + 0.03 * sine(4050, t)),
      RATE,
    ),
  );
  near(total.tdfd, 0.0360555, 1e-7, 'TDFD');
});

test('a polynomial intermodulates as its formula says', () => {
  const [a1, a2, g2, g3] = [0.4, 0.3, 0.01, 0.02];
  const found = valid(
    analyzeDifference(
      made(2, (t) => {
        const x = a1 * sine(19_000, t, 1) + a2 * sine(20_000, t);
        return x + g2 * x ** 2 + g3 * x ** 3;
      }),
      RATE,
    ),
  );
  const sum = (found.lower + found.upper) * Math.SQRT2;
  near(found.d2 * sum, g2 * a1 * a2, 1e-8, 'f2 - f1');
  near(found.d3 * sum, 0.75 * g3 * (a1 * a1 * a2 + a1 * a2 * a2), 1e-8, '2 f1 - f2 and 2 f2 - f1');
});

test('white noise: every weighting is where the table says', () => {
  const random = gaussian(4);
  const sigma = 1e-4;
  const found = valid(
    analyzeNoise(
      made(11, () => sigma * random()),
      RATE,
    ),
  );
  const full = dBPower(2 * sigma ** 2);
  near(dBPower(2 * found.full), full, 0.1, 'full');
  near(dBPower(2 * found.flat), full - 0.796, 0.1, '20 Hz to 20 kHz');
  near(dBPower(2 * found.a), full - 2.844, 0.1, 'A');
  near(dBPower(2 * found.ccirRms), full + 0.875, 0.1, 'CCIR-RMS');
  near(dBPower(found.perHz), dBPower(sigma ** 2 / (RATE / 2)), 0.1, 'density');
  assert.equal(found.toneHz, null);
});

test('a tone is taken out of the noise, and silence is silence', () => {
  const random = gaussian(6);
  const found = valid(
    analyzeNoise(
      made(6, (t) => 0.5 * sine(997, t) + 1e-4 * random()),
      RATE,
    ),
  );
  near(found.toneHz!, 997, 0.01, 'tone');
  near(dBPower(2 * found.flat), dBPower(2e-8) - 0.796, 0.1, 'noise beside it');
  const silence = valid(analyzeNoise(new Float64Array(RATE), RATE, { silenceIsFine: true }));
  assert.equal(silence.flat, 0);
});

test('the noise of a resistor, sqrt(4kTRB): 150 ohm at 20 degrees Celsius over 20 kHz are 0.220 uV or -130.9 dBu, 10 kohm -112.7 dBu', () => {
  const random = gaussian(17);
  const fullScaleDbu = -90;
  const fullScaleVolts = Math.sqrt(0.6) * 10 ** (fullScaleDbu / 20);
  for (const [ohm, dbu] of [
    [150, -130.9],
    [10_000, -112.7],
  ] as const) {
    const voltsPerRootHz = Math.sqrt(4 * 1.380649e-23 * 293.15 * ohm);
    const sigma = (voltsPerRootHz * Math.sqrt(RATE / 2)) / (Math.SQRT2 * fullScaleVolts);
    const samples = Float64Array.from({ length: 5 * RATE }, () => sigma * random());
    const found = noiseMeasurements(samples, RATE, { fullScaleDbu });
    const value = (name: string) => found.find((one) => one.name === name)!.value!;
    near(value('noise_20_20k_dbu'), dbu, 0.1, `${ohm} ohm`);
    near(value('noise_density_nv_rthz') / (voltsPerRootHz * 1e9), 1, 0.01, `density of ${ohm} ohm`);
  }
});

test('the offset of a converter is no noise to any meter', () => {
  const random = gaussian(4);
  const samples = Float64Array.from({ length: 2 * RATE }, () => 1e-5 * random());
  const plain = valid(analyzeNoise(samples, RATE));
  const offset = valid(
    analyzeNoise(
      samples.map((x) => x + 0.003),
      RATE,
    ),
  );
  near(20 * Math.log10(offset.quasiPeak / plain.quasiPeak), 0, 0.02, 'quasi-peak');
  near(dBPower(offset.flat / plain.flat), 0, 0.02, 'flat');
  near(dBPower(offset.ccirRms / plain.ccirRms), 0, 0.02, 'CCIR-RMS');
});

test('a steady tone of 1 kHz reads its RMS on the quasi-peak meter when it is no tone but noise to it', () => {
  const random = gaussian(8);
  const [quiet, loud] = [1e-4, 1e-3].map(
    (sigma) =>
      valid(
        analyzeNoise(
          made(4, () => sigma * random()),
          RATE,
        ),
      ).quasiPeak,
  );
  near(20 * Math.log10(loud! / quiet!), 20, 0.5, 'it is linear');
  assert.ok(20 * Math.log10(quiet! / 1e-4) > 10, 'of weighted noise it reads well above the RMS');
});

test('hum: five lines, their sum, and which mains it is', () => {
  const random = gaussian(2);
  const hum = (mains: number) => (t: number) =>
    [-90, -96, -102, -110, -120].reduce(
      (x, level, i) => x + 10 ** (level / 20) * sine(mains * (i + 1), t),
      1e-7 * random(),
    );
  for (const mains of [50, 60]) {
    const found = valid(analyzeMains(made(6, hum(mains)), RATE));
    assert.equal(found.mainsHz, mains);
    near(dBPower(2 * found.total), -88.777, 0.02, 'total');
    near(dBPower(2 * found.lines[0]!), -90, 0.02, 'the first line');
  }
  assert.equal(isRefusal(analyzeMains(made(1, hum(50)), RATE)), true);
  // The grid is slow, and the record long.
  const slow = valid(analyzeMains(made(20, hum(49.9)), RATE));
  assert.equal(slow.mainsHz, 50);
  for (const [i, level] of [-90, -96, -102, -110, -120].entries())
    near(dBPower(2 * slow.lines[i]!), level, 0.05, `line ${i + 1} of 49.9 Hz`);
  const silent = valid(analyzeMains(new Float64Array(4 * RATE), RATE));
  assert.deepEqual([silent.mainsHz, silent.lines], [null, []]);
  for (let run = 0; run < 10; run++) {
    const noise = valid(
      analyzeMains(
        made(3, () => 1e-4 * random()),
        RATE,
      ),
    );
    assert.deepEqual([noise.mainsHz, noise.lines], [null, []], `noise ${run} has no mains`);
  }
});

test('a first-order high-pass behind a delay: gain, phase and delay; and an inversion is told', () => {
  const random = gaussian(3);
  const stimulus = made(4, () => 0.1 * random());
  const corner = 100;
  const k = Math.tan((Math.PI * corner) / RATE);
  for (const sign of [1, -1]) {
    const captured = new Float64Array(stimulus.length + 2000);
    let [x1, y1] = [0, 0];
    for (let n = 0; n + 500 < captured.length; n++) {
      const x = stimulus[n] ?? 0;
      y1 = (x - x1 + (1 - k) * y1) / (1 + k);
      x1 = x;
      captured[n + 500] = 0.5 * sign * y1;
    }
    const found = valid(analyzeResponse(stimulus, captured, RATE));
    assert.equal(found.inverted, sign < 0);
    near(found.latencySamples, 500, 0.02, 'delay');
    const point = found.at(corner)!;
    near(point.gainDb, -6.0206 - 3.0103, 0.01, 'gain at the corner');
    near(point.phaseDeg, sign < 0 ? -135 : 45, 0.5, 'phase at the corner');
    near(found.at(10_000)!.gainDb, -6.0206, 0.02, 'above it');
    assert.equal(found.at(30_000), null);
  }
});

test('a leak of -80 dB is found under noise that is louder in the whole band', () => {
  const random = gaussian(11);
  const driven = made(6, (t) => 0.7 * sine(1000, t));
  const undriven = made(6, (t) => 0.7e-4 * sine(1000, t) + 2e-4 * random());
  const found = valid(analyzeCrosstalk(driven, undriven, RATE));
  near(dBPower(found.selective), -80, 0.4, 'selective');
  const noise = 2e-4 ** 2 * (19_980 / 24_000) + 0.7e-4 ** 2 / 2;
  near(dBPower(found.broadband), dBPower(noise / (0.7 ** 2 / 2)), 0.1, 'broadband');
  assert.equal(found.inNoise, false);
  const hidden = made(6, () => 2e-4 * random());
  assert.equal(valid(analyzeCrosstalk(driven, hidden, RATE)).inNoise, true);
});
