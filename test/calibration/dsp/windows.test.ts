/** Windows against their published figures, and tones and bands that are read with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { band, lobeAt, powerIn, residualIn, SpectrumAnalyzer } from '../../../calibration/dsp/spectrum.js';
import { aWeighting, bs468, ccirRms } from '../../../calibration/dsp/weightings.js';
import { makeWindow, WINDOWS } from '../../../calibration/dsp/windows.js';

const SIZE = 4096;
const dB = (ratio: number) => 20 * Math.log10(ratio);

/** Coefficients; bins to the first null; coherent gain; equivalent noise bandwidth in bins; worst scalloping and highest side lobe, dB. */
const PUBLISHED: Record<string, [number[], number, number, number, number, number]> = {
  Hann: [[0.5, 0.5], 2, 0.5, 1.5, -1.4236, -31.5],
  'Blackman-Harris 4': [[0.35875, 0.48829, 0.14128, 0.01168], 4, 0.35875, 2.004353, -0.8256, -92],
  'Nuttall 4c': [[0.3635819, 0.4891775, 0.1365995, 0.0106411], 4, 0.3635819, 1.976109, -0.8506, -98.2],
  'Blackman-Harris 7': [
    [...WINDOWS.blackmanHarris7.coefficients],
    WINDOWS.blackmanHarris7.halfWidth,
    0.2710514,
    2.631905,
    -0.4846,
    -180.1,
  ],
  'flat-top 5': [
    [0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368],
    5,
    0.21557895,
    3.770246,
    -0.0098,
    -93,
  ],
  HFT95: [[1, 1.9383379, 1.3045202, 0.402827, 0.0350665], 5, 1, 3.811213, -0.0039, -95],
  HFT116D: [[1, 1.9575375, 1.4780705, 0.6367431, 0.1228389, 0.0066288], 6, 1, 4.21861, -0.0028, -116.8],
  HFT144D: [[1, 1.96760033, 1.57983607, 0.81123644, 0.22583558, 0.02773848, 0.0009036], 7, 1, 4.538605, -0.0021, -144],
  HFT248D: [
    [
      1, 1.985844164102, 1.791176438506, 1.282075284005, 0.667777530266, 0.240160796576, 0.056656381764, 0.008134974479,
      0.00062454465, 1.9808998e-5, 1.32974e-7,
    ],
    11,
    1,
    5.651244,
    -0.0009,
    -248.4,
  ],
};

/** The response of a window at a distance of some bins, dB re its middle. */
function lobeDb(samples: Float64Array, bins: number): number {
  let [re, im, sum] = [0, 0, 0];
  for (let n = 0; n < samples.length; n++) {
    const angle = (2 * Math.PI * bins * n) / samples.length;
    re += samples[n]! * Math.cos(angle);
    im += samples[n]! * Math.sin(angle);
    sum += samples[n]!;
  }
  return dB(Math.hypot(re, im) / sum);
}

test('gain, noise bandwidth, scalloping, nulls and side lobes are the published ones', () => {
  for (const [name, [coefficients, halfWidth, gain, enbw, scallop, sideLobe]] of Object.entries(PUBLISHED)) {
    const window = makeWindow({ name, coefficients, halfWidth }, SIZE);
    assert.ok(Math.abs(window.coherentGain - gain) < 1e-7, `${name}: ${window.coherentGain}`);
    assert.ok(Math.abs(window.enbwBins - enbw) < 1e-6, `${name}: ${window.enbwBins}`);
    assert.ok(Math.abs(lobeDb(window.samples, 0.5) - scallop) < 1e-4, `${name}: ${lobeDb(window.samples, 0.5)}`);
    const beyond = Array.from({ length: 240 }, (_, i) => lobeDb(window.samples, halfWidth + (i + 1) / 20));
    assert.ok(Math.abs(Math.max(...beyond) - sideLobe) < 0.2, `${name}: side lobe ${Math.max(...beyond)}`);
    assert.ok(lobeDb(window.samples, halfWidth) < sideLobe - 10, `${name}: null`);
  }
});

test('a tone between two bins has its level, and 1e-7 of another beside it too', () => {
  const window = makeWindow(WINDOWS.blackmanHarris7, 65_536);
  const analyzer = new SpectrumAnalyzer(window, 48_000);
  for (const hz of [997, 1000.1, 1000.37, 6000]) {
    const samples = Float64Array.from(
      { length: 65_536 },
      (_, n) => 0.5 * Math.sin((2 * Math.PI * hz * n) / 48_000) + 0.5e-7 * Math.sin((4 * Math.PI * hz * n) / 48_000),
    );
    const spectrum = analyzer.analyze(samples);
    const level = dB(Math.sqrt(2 * powerIn(spectrum, lobeAt(spectrum, hz))));
    assert.ok(Math.abs(level - dB(0.5)) < 1e-6, `${hz}: ${level}`);
    const second = dB(Math.sqrt(2 * powerIn(spectrum, lobeAt(spectrum, 2 * hz))));
    assert.ok(Math.abs(second - dB(0.5e-7)) < 0.001, `${hz}: ${second}`);
    const lobes = [0, hz, 2 * hz].map((one) => lobeAt(spectrum, one));
    const rest = residualIn(spectrum, band(spectrum, 20, 20_000), lobes);
    assert.ok(dB(Math.sqrt(2 * rest)) < -160, `${dB(Math.sqrt(2 * rest))}`);
  }
});

test('white noise has its power in a band, and as much under a tone that is taken out', () => {
  const window = makeWindow(WINDOWS.blackmanHarris7, 2 ** 18);
  const analyzer = new SpectrumAnalyzer(window, 48_000);
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  };
  const samples = Float64Array.from(
    { length: 2 ** 18 },
    (_, n) => 1e-4 * uniform() + 0.9 * Math.sin((2 * Math.PI * 997 * n) / 48_000),
  );
  const spectrum = analyzer.analyze(samples);
  const rest = residualIn(spectrum, band(spectrum, 20, 20_000), [lobeAt(spectrum, 997)]);
  // Uniform over +-a: a^2 / 3, of which 20 Hz to 20 kHz are 0.8325 at 48 kHz.
  const expected = 10 * Math.log10((1e-4 ** 2 / 3) * ((20_000 - 20) / 24_000));
  assert.ok(Math.abs(10 * Math.log10(rest) - expected) < 0.05, `${10 * Math.log10(rest)} ${expected}`);
});

test('A-weighting is the formula of IEC 61672-1 Annex E', () => {
  const table = [
    [10, -70.4304],
    [31.623, -39.44],
    [100, -19.1428],
    [501.187, -3.2327],
    [1000, 0],
    [2511.886, 1.2707],
    [10_000, -2.4918],
    [19_952.623, -9.3169],
  ] as const;
  for (const [hz, level] of table) assert.ok(Math.abs(dB(aWeighting(hz)) - level) < 2e-4, `${hz}`);
});

test('BS.468-4 is its formula, and CCIR-RMS lies 5.63 dB below it', () => {
  const table = [
    [31.5, -29.883],
    [100, -19.85],
    [1000, 0],
    [3150, 8.975],
    [6300, 12.217],
    [9000, 10.138],
    [12_500, -0.015],
    [20_000, -22.177],
    [31_500, -42.71],
  ] as const;
  for (const [hz, level] of table) {
    assert.ok(Math.abs(dB(bs468(hz)) - level) < 6e-4, `${hz}: ${dB(bs468(hz))}`);
    assert.ok(Math.abs(dB(ccirRms(hz)) - level + 5.63) < 6e-4);
  }
});
