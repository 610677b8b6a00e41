/**
 * One tone and what a path adds to it: level, harmonics, distortion and noise, from one capture (IEC 60268-3 14.12.3, AES17-2015 6.3.1).
 *
 * Blackman-Harris 7 and the sums of lobes; under what is taken out the noise is what it is beside it. The floor on a sine of float64 is
 * -162 dB.
 */
import { fitSine } from '../dsp/sine-fit.js';
import {
  band,
  type Lobe,
  lobeAt,
  noiseUnder,
  type PowerSpectrum,
  powerIn,
  residualIn,
  SpectrumAnalyzer,
} from '../dsp/spectrum.js';
import { aWeighting, ccirRms, weightsFor } from '../dsp/weightings.js';
import { makeWindow, WINDOWS, type Window } from '../dsp/windows.js';
import { AUDIO_BAND, capturedBadly, type Refusal } from './measurement.js';

/** Powers are mean squares, linear, full scale 1; a full-scale sine has 0.5. */
export interface ToneAnalysis {
  hz: number;
  /** Of the fundamental. */
  power: number;
  /** Of harmonics 2 to 10 at index 0 to 8, the noise under them taken off; 0 for those above the band. */
  harmonics: number[];
  /** How many harmonics the distortion was summed over. */
  harmonicCount: number;
  /** All of the audio band without the fundamental. */
  residual: number;
  /** All of the audio band. */
  total: number;
  /** The audio band without fundamental and harmonics: flat, A and CCIR-RMS; and up to half the rate. */
  noise: { flat: number; a: number; ccirRms: number; toHalfRate: number };
  dc: number;
  rate: number;
  samples: number;
}

const HARMONICS = 9;
/** The lobes of the tone, of 0 Hz and of the second harmonic must lie apart. */
const LEAST_PERIODS = 20;
const LEAST_SAMPLES = 4096;
const LONGEST = 2 ** 20;
const FIT_SAMPLES = 2 ** 15;
/** A tone stands out of everything else by this: below, it is a guess. */
const LEAST_SINAD_DB = -10;

const windows = new Map<number, Window>();

/** The largest power of two that fits; windows are kept, because making one takes longer than using it. */
export function windowFor(length: number): Window {
  const size = Math.min(LONGEST, 2 ** Math.floor(Math.log2(length)));
  let window = windows.get(size);
  if (!window) {
    window = makeWindow(WINDOWS.blackmanHarris7, size);
    windows.set(size, window);
  }
  return window;
}

/** @param rate Hz */
export function analyzeTone(samples: Float64Array, rate: number): ToneAnalysis | Refusal {
  if (samples.length < LEAST_SAMPLES) return { reason: 'too-short', message: `${samples.length} samples` };
  const bad = capturedBadly(samples);
  if (bad) return bad;
  const window = windowFor(samples.length);
  const spectrum = new SpectrumAnalyzer(window, rate).analyze(samples);
  const guess = loudest(spectrum);
  if (guess === null) return { reason: 'no-tone', message: 'nothing stands out of the spectrum' };
  const periods = (guess * window.samples.length) / rate;
  if (periods < LEAST_PERIODS)
    return { reason: 'too-short', message: `${periods.toFixed(1)} periods; ${LEAST_PERIODS} are needed` };
  const hz = fitSine(samples.subarray(0, Math.min(samples.length, FIT_SAMPLES)), rate, guess).hz;
  const audio = band(spectrum, ...AUDIO_BAND);
  const dcLobe = lobeAt(spectrum, 0);
  const lobe = lobeAt(spectrum, hz);
  const top = Math.min(AUDIO_BAND[1], rate / 2);
  const harmonicLobes: Lobe[] = [];
  for (let k = 2; k <= HARMONICS + 1 && k * hz <= top; k++) harmonicLobes.push(lobeAt(spectrum, k * hz));
  const removed = [dcLobe, lobe, ...harmonicLobes];
  const power = powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, removed);
  const residual = residualIn(spectrum, audio, [dcLobe, lobe]);
  const sinadDb = 10 * Math.log10(power / residual);
  if (!(sinadDb > LEAST_SINAD_DB))
    return { reason: 'no-tone', message: `the tone is ${sinadDb.toFixed(1)} dB above the rest` };
  const found = harmonicLobes.map((one) => Math.max(0, powerIn(spectrum, one) - noiseUnder(spectrum, one, removed)));
  const bins = spectrum.power.length;
  const weighted = (curve: (hz: number) => number): number =>
    residualIn(spectrum, audio, removed, weightsFor(curve, bins, spectrum.binHz));
  return {
    hz,
    power,
    harmonics: Array.from({ length: HARMONICS }, (_, i) => found[i] ?? 0),
    harmonicCount: found.length,
    residual,
    total: residual + power,
    noise: {
      flat: residualIn(spectrum, audio, removed),
      a: weighted(aWeighting),
      ccirRms: weighted(ccirRms),
      toHalfRate: residualIn(spectrum, { from: audio.from, to: bins - 1 }, removed),
    },
    dc: mean(samples),
    rate,
    samples: window.samples.length,
  };
}

export function isRefusal(result: object): result is Refusal {
  return 'reason' in result;
}

/** The centre of the highest lobe above 0 Hz's. */
function loudest(spectrum: PowerSpectrum): number | null {
  const { power, binHz } = spectrum;
  let peak = lobeAt(spectrum, 0).to + 1;
  for (let k = peak; k < power.length; k++) if (power[k]! > power[peak]!) peak = k;
  if (!(power[peak]! > 0)) return null;
  const { from, to } = lobeAt(spectrum, peak * binHz);
  let sum = 0;
  let moment = 0;
  for (let k = from; k <= to; k++) {
    sum += power[k]!;
    moment += k * power[k]!;
  }
  return (moment / sum) * binHz;
}

function mean(samples: Float64Array): number {
  return samples.reduce((sum, x) => sum + x, 0) / samples.length;
}
