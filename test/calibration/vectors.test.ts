/** Published vectors and analytic truths of tones, noise and levels that no other file here has: at the tolerance that each was published with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitSine } from '../../calibration/dsp/sine-fit.js';
import { aWeighting, bs468, ccirRms } from '../../calibration/dsp/weightings.js';
import { crosstalkMeasurements } from '../../calibration/measures/crosstalk.js';
import { analyzeDifference, smpteMeasurements } from '../../calibration/measures/intermodulation.js';
import { dbuToVolts, isRefusal, levels } from '../../calibration/measures/measurement.js';
import { noiseMeasurements } from '../../calibration/measures/noise.js';
import type { ToneOptions } from '../../calibration/measures/tone.js';
import { toneMeasurements } from '../../calibration/measures/tone-measurements.js';
import { dithered, gaussian, made, near, numberOf, sine, uniform } from '../peers/known-signals.js';

const RATE = 48_000;
const WIDE: ToneOptions = { bandHz: [0, Number.POSITIVE_INFINITY] };
const dB = (ratio: number) => 20 * Math.log10(ratio);
const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const tone = (samples: Float64Array, rate = RATE, o: ToneOptions = {}) => toneMeasurements(samples, rate, o);

test('levels: dBu, dBV and volts; square waves and noise re a full-scale sine', () => {
  near(dbuToVolts(0), 0.7745967, 1e-7);
  near(dbuToVolts(4), 1.22765, 1e-5);
  near(dbuToVolts(24), 12.2765, 1e-4);
  near(levels(-20, 24).level_dbu!, 4, 1e-12);
  near(levels(-20, 24).level_dbv!, 4 - 2.2185, 1e-4);
  near(levels(0, -7.7815).level_vrms!, 0.316228, 1e-5);
  const random = uniform(8);
  const square = noiseMeasurements(
    made(RATE, 2 ** 18, () => (random() > 0 ? 0.5 : -0.5)),
    RATE,
  );
  near(numberOf(square, 'noise_full_dbfs'), 3.0103 - 6.0206, 0.02, 'two values');
  const flat = uniform(9);
  near(
    numberOf(
      noiseMeasurements(
        made(RATE, 2 ** 18, () => 0.5 * flat()),
        RATE,
      ),
      'noise_full_dbfs',
    ),
    -1.7609 - 6.0206,
    0.03,
  );
});

test('A-weighting: the whole table of IEC 61672-1', () => {
  const table = [
    -70.4304, -63.3711, -56.6881, -50.4522, -44.703, -39.44, -34.6303, -30.2282, -26.1943, -22.5038, -19.1428, -16.0984,
    -13.3503, -10.8704, -8.6303, -6.611, -4.8084, -3.2327, -1.9005, -0.8239, 0, 0.5912, 0.9807, 1.1999, 1.2707, 1.1987,
    0.9699, 0.5487, -0.1212, -1.1107, -2.4918, -4.3175, -6.6026, -9.3169,
  ];
  for (const [i, level] of table.entries()) near(dB(aWeighting(10 ** ((i + 10) / 10))), level, 1e-4, `row ${i}`);
});

test('BS.468-4: the whole table, and the rows that AES17 prints of CCIR-RMS', () => {
  const table: [number, number][] = [
    [31.5, -29.883],
    [63, -23.862],
    [100, -19.85],
    [200, -13.834],
    [400, -7.833],
    [800, -1.885],
    [1000, 0],
    [2000, 5.629],
    [3150, 8.975],
    [4000, 10.537],
    [5000, 11.707],
    [6300, 12.217],
    [7100, 12.005],
    [8000, 11.368],
    [9000, 10.138],
    [10_000, 8.135],
    [12_500, -0.015],
    [14_000, -5.316],
    [16_000, -11.699],
    [20_000, -22.177],
    [31_500, -42.71],
  ];
  for (const [hz, level] of table) near(dB(bs468(hz)), level, 6e-4, `${hz} Hz`);
  for (const [hz, level] of [
    [63, -29.5],
    [3150, 3.4],
    [8000, 5.8],
    [12_500, -5.6],
  ] as const)
    near(dB(ccirRms(hz)), level, 0.065, `${hz} Hz`);
  // The rational form: a zero at 0 and poles, Hz, s = j f.
  const poles = [
    [-4122.702066, 0],
    [-9975.063124, 0],
    [-3758.529163, 5790.042337],
    [-3758.529163, -5790.042337],
    [-2983.159938, 9940.842646],
    [-2983.159938, -9940.842646],
  ] as const;
  const shape = (hz: number) => poles.reduce((h, [re, im]) => h / Math.hypot(re, hz - im), hz);
  for (const [hz] of table) near(dB(bs468(hz) / (shape(hz) / shape(1000))), 0, 1e-3, `rational at ${hz} Hz`);
});

/** How much white noise changes when it is weighted from 20 Hz (0 Hz when all of it is) up to `highHz`, dB. */
function change(rate: number, highHz: number, curve: (hz: number) => number): number {
  const [from, points] = [highHz < rate / 2 ? 20 : 0, 20_000];
  const step = (highHz - from) / points;
  let sum = 0;
  for (let i = 0; i < points; i++) sum += curve(from + (i + 0.5) * step) ** 2 * step;
  return 10 * Math.log10(sum / (rate / 2));
}

test('white noise at every rate: flat, A and CCIR-RMS in the audio band', () => {
  for (const [rate, flat, a, ccir] of [
    [44_100, -0.428, -2.476, 1.243],
    [48_000, -0.796, -2.844, 0.875],
    [88_200, -3.438, -5.487, -1.767],
    [96_000, -3.806, -5.855, -2.135],
    [192_000, -6.817, -8.865, -5.145],
  ] as const) {
    const random = gaussian(rate);
    const found = noiseMeasurements(
      made(rate, 6 * rate, () => 1e-3 * random()),
      rate,
    );
    const full = dB(1e-3 * Math.SQRT2);
    near(numberOf(found, 'noise_20_20k_dbfs'), full + flat, 0.1, `${rate} flat`);
    near(numberOf(found, 'noise_a_dbfs'), full + a, 0.1, `${rate} A`);
    near(numberOf(found, 'noise_ccirrms_dbfs'), full + ccir, 0.1, `${rate} CCIR-RMS`);
    // The same from the curves alone, without the chance of a noise.
    near(
      change(rate, 20_000, () => 1),
      flat,
      6e-4,
      `${rate} flat`,
    );
    near(change(rate, 20_000, aWeighting), a, 6e-4, `${rate} A`);
    near(change(rate, 20_000, ccirRms), ccir, 6e-4, `${rate} CCIR-RMS`);
    near(change(rate, 20_000, bs468), ccir + 5.63, 6e-4, `${rate} BS.468`);
  }
  near(change(48_000, 24_000, aWeighting), -2.722, 6e-4, 'A up to half the rate');
});

test('16 bits with TPDF dither, idle; 16 and 24 bits beside a tone', () => {
  const word = dithered(16, 5);
  const idle = noiseMeasurements(
    made(RATE, 2 ** 19, () => word(0)),
    RATE,
  );
  near(numberOf(idle, 'noise_full_dbfs'), -93.32, 0.1);
  near(numberOf(idle, 'noise_20_20k_dbfs'), -94.12, 0.1);
  near(numberOf(idle, 'noise_a_dbfs'), -96.16, 0.1);
  near(numberOf(idle, 'noise_ccirrms_dbfs'), -92.44, 0.1);
  for (const [bits, snr] of [
    [16, 93.32],
    [24, 141.48],
  ] as const) {
    const rounded = dithered(bits, 6);
    const found = tone(made(RATE, 2 ** 19, (t) => rounded(0.89 * sine(997, t))));
    near(numberOf(found, 'snr_20_20k_db'), snr + 0.796 + dB(0.89), 0.1, `${bits} bits`);
  }
});

test('noise without a band of its own: sigma, and its density', () => {
  const random = gaussian(3);
  const found = noiseMeasurements(
    made(RATE, 2 ** 19, () => 1e-4 * random()),
    RATE,
  );
  near(numberOf(found, 'noise_full_dbfs'), dB(1e-4 * Math.SQRT2), 0.1);
  near(numberOf(found, 'noise_density_dbfs_rthz'), dB(1e-4 * Math.SQRT2) - 10 * Math.log10(RATE / 2), 0.1);
  near(
    numberOf(
      noiseMeasurements(
        made(RATE, 2 ** 17, (t) => 0.1 * sine(1000, t) + 1e-6 * random()),
        RATE,
      ),
      'removed_tone_hz',
    ),
    1000,
    1e-3,
  );
});

test('MATLAB thd: three tones, and the same with a fourth harmonic that is not counted', () => {
  const three = (t: number) =>
    2 * sine(100, t, Math.PI / 2) + 0.01 * sine(200, t, Math.PI / 2) + 0.005 * sine(300, t, Math.PI / 2);
  near(
    numberOf(
      tone(
        made(1000, 1000, (t) => three(t) / 4),
        1000,
      ),
      'thd_f_db',
    ),
    -45.0515,
    1e-4,
  );
  const four = made(1000, 1000, (t) => (three(t) + 0.0025 * sine(400, t)) / 4);
  near(numberOf(tone(four, 1000, { highestHarmonic: 3 }), 'thd_f_db'), -45.0515, 1e-4);
  const odd = made(
    10_000,
    10_000,
    (t) =>
      (2 * sine(100, t, Math.PI / 2) +
        0.01 * sine(300, t, Math.PI / 2) +
        0.005 * sine(500, t, Math.PI / 2) +
        0.0025 * sine(700, t)) /
      4,
  );
  near(numberOf(tone(odd, 10_000, { highestHarmonic: 7 }), 'thd_f_db'), -44.8396, 1e-4);
});

test('MATLAB sinad of 160 samples; with noise what the theory says, in the mean', () => {
  const clean = (n: number) => Math.cos((Math.PI * n) / 4) / 2 + (0.025 * Math.sin((Math.PI * n) / 2)) / 2;
  const found160 = tone(
    made(1000, 160, (_, n) => clean(n)),
    1000,
    WIDE,
  );
  // Published re the tone; ours is re the total.
  near(-numberOf(found160, 'thdn_dbc'), 32.0412, 2e-3);
  near(numberOf(found160, 'sinad_db'), 10 * Math.log10(1 + 10 ** 3.20412), 2e-3);
  const random = gaussian(12);
  const found = Array.from({ length: 300 }, () => {
    const noisy = made(1000, 160, (_, n) => clean(n) + 0.025 * random());
    return 10 ** (-numberOf(tone(noisy, 1000, WIDE), 'sinad_db') / 10);
  });
  // 0.5 over 0.025^2 / 2 + 0.05^2; re total.
  near(-10 * Math.log10(mean(found)), 10 * Math.log10(1 + 0.5 / (0.0003125 + 0.0025)), 0.1);
});

test('MATLAB snr: a tone with a strong second harmonic in noise; 1024 samples of a tone', () => {
  const random = gaussian(14);
  const found = tone(
    made(RATE, RATE, (t) => (sine(1000, t, Math.PI / 2) + 0.4 * sine(2000, t) + 0.1 * random()) / 4),
    RATE,
    WIDE,
  );
  near(numberOf(found, 'snr_20_20k_db'), 16.9897, 0.1);
  near(numberOf(found, 'thd_f_db'), -7.9588, 0.02);
  near(numberOf(found, 'thdn_dbc'), -7.4473, 0.1);
  for (const [sigma, snr] of [
    [1e-3, 56.9897],
    [1e-5, 96.9897],
  ] as const) {
    const short = Array.from({ length: 100 }, () => {
      const noisy = made(RATE, 1024, (t) => (sine(2500, t) + sigma * random()) / 2);
      return 10 ** (-numberOf(tone(noisy, RATE, WIDE), 'snr_20_20k_db') / 10);
    });
    near(-10 * Math.log10(mean(short)), snr, 0.1, `${sigma}`);
  }
});

test('MATLAB sfdr: a spur at 3.16e-4', () => {
  const found = tone(
    made(50_000, 2 ** 15, (t) => 0.5 * sine(5000, t) + 0.5 * 3.16e-4 * sine(10_000, t)),
    50_000,
  );
  near(-numberOf(found, 'h2_dbc'), 70.006, 1e-3);
});

test('MATLAB toi: the products of third order and the intercept', () => {
  const random = gaussian(15);
  const third = Array.from({ length: 40 }, () => {
    const found = analyzeDifference(
      made(RATE, 1000, (t) => {
        const x = sine(5000, t) + sine(6000, t);
        return 0.5e-3 * x ** 3 + 1e-7 * x ** 2 + 0.1 * x + 3e-3 + 1e-5 * random();
      }),
      RATE,
      { lowerHz: 5000, upperHz: 6000 },
    );
    assert.ok(!isRefusal(found));
    return { fundamental: dB(found.upper), third: dB((found.d3 * (found.lower + found.upper)) / 2) };
  });
  const fundamental = mean(third.map((one) => one.fundamental));
  near(fundamental, -22.9133, 5e-4);
  near(mean(third.map((one) => one.third)), -71.5297, 0.005);
  near(fundamental + (fundamental - mean(third.map((one) => one.third))) / 2, 1.3952, 0.003, 'OIP3');
});

test('endolith: a strong second harmonic, and sawtooths', () => {
  const two = tone(
    made(100_000, 2 ** 17, (t) => (sine(1000, t) + 0.75 * sine(2000, t)) / 2),
    100_000,
  );
  near(numberOf(two, 'thd_f_percent'), 75, 1e-4);
  near(numberOf(two, 'thd_r_percent'), 60, 1e-4);
  near(numberOf(two, 'thdn_percent'), 60, 1e-4);
  const saw = (hz: number, seconds: number) => made(100_000, 100_000 * seconds, (t) => ((hz * t) % 1) - 0.5);
  near(numberOf(tone(saw(1000, 1), 100_000, WIDE), 'thdn_percent'), 62.6, 0.1);
  const slow = tone(saw(10, 4), 100_000, WIDE);
  near(numberOf(slow, 'thd_f_percent'), 80.3, 0.1);
  near(numberOf(slow, 'thd_r_percent'), 62.6, 0.1);
});

test('square, triangle and clipped sines', () => {
  const wave = (of: (phase: number) => number) =>
    tone(
      made(96_000, 96_000 * 4, (t) => of((10 * t) % 1)),
      96_000,
      WIDE,
    );
  near(
    numberOf(
      wave((p) => (p < 0.5 ? 0.5 : -0.5)),
      'thd_f_percent',
    ),
    48.34,
    0.01,
  );
  near(
    numberOf(
      wave((p) => 0.5 - Math.abs(p - 0.5) * 2),
      'thd_f_percent',
    ),
    12.12,
    0.006,
  );
  // 48 samples a period, so that what is folded back falls on the harmonics: the sampled figures are published.
  const clipped = made(RATE, RATE, (_, n) => 0.9 * Math.max(-0.7, Math.min(0.7, Math.sin((2 * Math.PI * n) / 48))));
  const found = tone(clipped, RATE, { ...WIDE, highestHarmonic: 10 });
  near(numberOf(found, 'level_dbfs'), dB(0.9 * 0.8124127489373637), 1e-6);
  near(numberOf(found, 'h3_dbc'), dB(0.1087038092372312 / 0.8124127489373637), 1e-5);
  near(numberOf(found, 'h5_dbc'), dB(0.0205013791213361 / 0.8124127489373637), 1e-5);
  near(numberOf(found, 'thd_f_percent'), 13.794482640558078, 1e-5);
});

test('phonometry: both forms of THD and single orders; SMPTE of a polynomial; CCIR-RMS of a tone', () => {
  const found = tone(
    made(RATE, 2 ** 17, (t) => [1, 0.1, 0.05, 0.02].reduce((x, a, i) => x + 0.5 * a * sine(1000 * (i + 1), t), 0)),
  );
  near(numberOf(found, 'thd_f_percent'), 11.357816691600547, 1e-6);
  near(numberOf(found, 'thd_r_percent'), 11.28526001002761, 1e-6);
  // d2 is re total there.
  near(10 ** (numberOf(found, 'h2_dbc') / 20) / Math.hypot(1, 0.11357816691600547), 0.09936117403949127, 1e-7);
  const [a1, a2, g2, g3] = [0.4, 0.1, 0.01, 0.02];
  const smpte = smpteMeasurements(
    made(RATE, 4 * RATE, (t) => {
      const x = a1 * sine(60, t) + a2 * sine(7000, t);
      return x + g2 * x ** 2 + g3 * x ** 3;
    }),
    RATE,
  );
  const carrier = a2 + g3 * ((3 / 4) * a2 ** 3 + (3 / 2) * a2 * a1 ** 2);
  near(numberOf(smpte, 'iec_mod_d2_db'), dB((2 * g2 * a1 * a2) / carrier), 0.001);
  near(numberOf(smpte, 'iec_mod_d3_db'), dB((2 * 0.75 * g3 * a1 ** 2 * a2) / carrier), 0.001);
  near(-20 + dB(ccirRms(1000)), -25.63, 1e-3);
});

test('jitter, amplitude and frequency modulation: two sidebands each', () => {
  const lines = (samples: Float64Array) =>
    tone(samples)
      .filter(({ name, value }) => name === 'sideband_dbc' && value! > -120)
      .map(({ conditions, value }) => [Number(conditions['hz']), value!] as const);
  const of = (sample: (t: number) => number) => {
    const word = dithered(24, 4);
    return lines(made(RATE, 2 ** 18, (t) => word(sample(t))));
  };
  for (const [name, found, hz, level] of [
    ['jitter of 1 ns', of((t) => 0.5 * sine(12_000, t + 1e-9 * sine(1000, t))), 12_000, -88.47],
    ['AM of 0.1 %', of((t) => 0.5 * (1 + 1e-3 * sine(1000, t)) * sine(12_000, t)), 12_000, dB(5e-4)],
    ['FM of 1 Hz', of((t) => 0.5 * sine(12_000, t, 1e-3 * sine(1000, t))), 12_000, dB(5e-4)],
  ] as const) {
    assert.equal(found.length, 2, `${name}: ${JSON.stringify(found)}`);
    for (const [i, [at, dbc]] of found.entries()) {
      near(at, hz + (i === 0 ? -1000 : 1000), 0.01, name);
      near(dbc, level, 0.02, name);
    }
  }
});

test('a leak of -40 dB through a first-order high-pass at 10 kHz, the bilinear one of 48 kHz', () => {
  const leaked = (driven: Float64Array) => {
    const k = Math.tan((Math.PI * 10_000) / RATE);
    let [x1, y1] = [0, 0];
    return driven.map((x) => {
      y1 = (x - x1 + (1 - k) * y1) / (1 + k);
      x1 = x;
      return 0.01 * y1;
    });
  };
  const measuredAt = (hz: number) => {
    const driven = made(RATE, 2 * RATE, (t) => 0.5 * sine(hz, t));
    return crosstalkMeasurements(driven, leaked(driven), RATE);
  };
  for (const [hz, level] of [
    [20, -95.361],
    [1280, -59.269],
    [20_000, -40.18],
  ] as const) {
    const found = measuredAt(hz);
    near(numberOf(found, 'crosstalk_selective_db'), level, 6e-4, `${hz} Hz`);
    near(numberOf(found, 'crosstalk_broadband_db'), level, 0.01, `${hz} Hz, with all else`);
  }
  const octave = [100, 200].map((hz) => numberOf(measuredAt(hz), 'crosstalk_selective_db'));
  near(octave[1]! - octave[0]!, 6.0206, 0.002, 'an octave');
});

test('the floors: -160 dB with windows, -200 dB by fit', () => {
  const samples = made(RATE, 2 ** 17, (t) => 0.9 * sine(997.123, t));
  assert.ok(numberOf(tone(samples), 'thdn_re_total_db') < -160);
  assert.ok(dB(fitSine(samples.subarray(0, 2 ** 15), RATE, 997).residualRms / 0.9) < -200);
});

test('rounding without dither: 6.02 N + 1.76 dB', () => {
  for (const [bits, snr] of [
    [16, 98.09],
    [24, 146.26],
  ] as const) {
    const step = 2 ** (bits - 1);
    const found = tone(
      made(RATE, 2 ** 19, (t) => Math.round(0.9999 * sine(997.37, t) * step) / step),
      RATE,
      WIDE,
    );
    near(-numberOf(found, 'thdn_dbc'), snr, 0.05, `${bits} bits`);
  }
});

test('random jitter: SNR is that of the slope', () => {
  const [random, sigma] = [gaussian(21), 1e-9];
  const found = tone(made(RATE, 2 ** 18, (t) => 0.5 * sine(12_000, t + sigma * random())));
  // Over half the rate; the band has 19,980 Hz of it.
  const band = 10 * Math.log10(19_980 / 24_000);
  near(numberOf(found, 'snr_20_20k_db'), -20 * Math.log10(2 * Math.PI * 12_000 * sigma) - band, 0.1);
});
