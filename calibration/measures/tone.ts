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
  merged,
  noiseUnder,
  type PowerSpectrum,
  powerIn,
  residualIn,
  SpectrumAnalyzer,
} from '../dsp/spectrum.js';
import { aWeighting, ccirRms, weightsFor } from '../dsp/weightings.js';
import { windowedMean, windowFor } from '../dsp/windows.js';
import { capturedBadly } from './capture.js';
import { AUDIO_BAND } from './definitions.js';
import { jumpAt } from './jumps.js';
import { isRefusal, type Refusal } from './measurement.js';
import { slipAt } from './slips.js';
import { loudestHz } from './thdn.js';

/** Powers are mean squares, linear, full scale 1; a full-scale sine has 0.5. */
export interface ToneAnalysis {
  hz: number;
  /** Of the fundamental. */
  power: number;
  /**
   * Of harmonics 2, 3 and on, as many as lie in the band, the noise under them taken off. One that does not stand out of the noise is given
   * as the uncertainty of that noise: it is at most that.
   */
  harmonics: number[];
  /** Which of them do not stand out of the noise. */
  harmonicsInNoise: boolean[];
  /** Sum of the harmonics, with the uncertainty of the sum. */
  distortion: number;
  distortionInNoise: boolean;
  /** All of the band without the fundamental. */
  residual: number;
  /** All of the band. */
  total: number;
  /** The band without fundamental and harmonics: flat, A and CCIR-RMS; and up to half the rate. */
  noise: { flat: number; a: number; ccirRms: number; toHalfRate: number };
  dc: number;
  rate: number;
  samples: number;
  spectrum: PowerSpectrum;
}

export interface ToneOptions {
  /** Hz, for everything but the tone's own level; 20 Hz to 20 kHz when absent. */
  bandHz?: readonly [number, number];
  /** Harmonics are summed up to this one; all in the band when absent. */
  highestHarmonic?: number;
  /** Of the stimulus: a tone somewhere else is none, and one that is a little off comes from another clock. */
  expectHz?: number;
  /** The ends of a converter are what is measured. */
  clippedIsFine?: boolean;
}

/** The lobes of the tone, of 0 Hz and of the second harmonic must lie apart. */
const LEAST_PERIODS = 20;
const LEAST_SAMPLES = 128;
const FIT_SAMPLES = 2 ** 15;
const FIT_PERIODS = 100;
const CLEAN = 0.01;
/** A tone's lobe over the noise under it, as powers. What is noise alone stays under 3. */
const LEAST_PROMINENCE = 5;
/** Below this the tone is there, but what is said of it is a guess. */
const LEAST_SINAD_DB = -10;
/** Standard deviation of the noise in a lobe, as a part of its mean. */
export const LOBE_SPREAD = 0.4;
/** What lies fewer standard deviations than this above the noise under it may be noise. */
export const STANDS_OUT = 3;
const SILENT_RUN = 32;
const OTHER_TONE = 0.02;
/** A stream that plays and records from one clock has the frequency to much less than this. */
const LOCKED = 20e-6;
/** And nobody can say so of less than this part of a bin. */
const LOCKED_BINS = 0.02;
/** Nor of less than this over the root of the prominence: four and a half standard deviations of what noise moves a tone by. */
const LOCKED_IN_NOISE_BINS = 3;

/**
 * @param rate Hz
 * @returns what is found, or why nothing can be said: silence and noise are no tone
 */
export function analyzeTone(samples: Float64Array, rate: number, o: ToneOptions = {}): ToneAnalysis | Refusal {
  const bad = capturedBadly(samples);
  if (bad?.reason === 'silent') return { reason: 'no-tone', message: bad.message };
  if (bad && !(o.clippedIsFine && bad.reason === 'clipped')) return bad;
  const sound = withoutSilence(samples);
  if (sound.length < LEAST_SAMPLES) return { reason: 'too-short', message: `${sound.length} samples` };
  const spectrum = new SpectrumAnalyzer(windowFor(sound.length), rate).analyze(sound);
  const found = findTone(sound, spectrum, o);
  return isRefusal(found) ? found : describe(sound, spectrum, found.hz, o);
}

/** Without what is exactly 0 before and behind; a few such samples are part of the tone. */
function withoutSilence(samples: Float64Array): Float64Array {
  let from = 0;
  let to = samples.length;
  while (from < to && samples[from] === 0) from++;
  while (to > from && samples[to - 1] === 0) to--;
  return samples.subarray(from < SILENT_RUN ? 0 : from, samples.length - to < SILENT_RUN ? samples.length : to);
}

function findTone(samples: Float64Array, spectrum: PowerSpectrum, o: ToneOptions): { hz: number } | Refusal {
  const { rate, power } = spectrum;
  const within = band(spectrum, ...(o.bandHz ?? AUDIO_BAND));
  const guess = loudestHz(spectrum, within);
  const dcLobe = lobeAt(spectrum, 0);
  const lobe = lobeAt(spectrum, guess);
  const prominence = powerIn(spectrum, lobe) / noiseUnder(spectrum, lobe, [dcLobe, lobe]);
  if (!(power[Math.round(guess / spectrum.binHz)]! > 0) || prominence < LEAST_PROMINENCE)
    return { reason: 'no-tone', message: 'nothing stands out of the spectrum' };
  const periods = (guess * spectrum.window.samples.length) / rate;
  // Noise moves the guess a little.
  if (periods < LEAST_PERIODS - 0.5)
    return { reason: 'too-short', message: `${periods.toFixed(1)} periods; ${LEAST_PERIODS} are needed` };
  const hz = frequencyOf(samples, rate, guess);
  if (o.expectHz !== undefined) {
    const off = hz / o.expectHz - 1;
    if (Math.abs(off) > OTHER_TONE)
      return { reason: 'no-tone', message: `the loudest tone is at ${hz.toFixed(1)} Hz, not at ${o.expectHz}` };
    if (
      Math.abs(off) > LOCKED &&
      Math.abs(off) * periods > Math.max(LOCKED_BINS, LOCKED_IN_NOISE_BINS / Math.sqrt(prominence))
    )
      return { reason: 'unlocked', message: `the tone is ${(off * 1e6).toFixed(0)} ppm off: the clocks are two` };
  }
  const jump = jumpAt(samples, rate, hz) ?? slipAt(samples, rate, hz);
  return jump === null ? { hz } : { reason: 'gap', message: `the wave jumps at sample ${jump}` };
}

/** The fit knows better than the spectrum, but where much of the record is not the tone, its harmonics pull it. */
function frequencyOf(samples: Float64Array, rate: number, guess: number): number {
  const length = Math.min(samples.length, Math.max(FIT_SAMPLES, Math.ceil((FIT_PERIODS * rate) / guess)));
  const fit = fitSine(samples.subarray(0, length), rate, guess);
  return fit.residualRms < CLEAN * fit.amplitudes[0]! ? fit.hz : guess;
}

function describe(samples: Float64Array, spectrum: PowerSpectrum, hz: number, o: ToneOptions): ToneAnalysis | Refusal {
  const { rate, power: bins, binHz } = spectrum;
  const bandHz = o.bandHz ?? AUDIO_BAND;
  const audio = band(spectrum, ...bandHz);
  const dcLobe = lobeAt(spectrum, 0);
  const lobe = lobeAt(spectrum, hz);
  const top = Math.min(bandHz[1], rate / 2);
  const lobes: Lobe[] = [];
  for (let k = 2; k <= (o.highestHarmonic ?? Number.POSITIVE_INFINITY) && k * hz <= top; k++)
    lobes.push(lobeAt(spectrum, k * hz));
  const removed = merged([dcLobe, lobe, ...lobes]);
  const power = powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, removed);
  const residual = residualIn(spectrum, audio, [dcLobe, lobe]);
  const sinadDb = 10 * Math.log10(power / residual);
  if (!(sinadDb > LEAST_SINAD_DB))
    return { reason: 'too-noisy', message: `the tone is ${sinadDb.toFixed(1)} dB above the rest` };
  const under = lobes.map((one) => noiseUnder(spectrum, one, removed) * LOBE_SPREAD);
  const above = lobes.map((one, i) => powerIn(spectrum, one) - under[i]! / LOBE_SPREAD);
  const all = { above: above.reduce((sum, p) => sum + p, 0), under: Math.hypot(...under) };
  const weighted = (curve: (hz: number) => number): number =>
    residualIn(spectrum, audio, removed, weightsFor(curve, bins.length, binHz));
  return {
    hz,
    power,
    harmonics: above.map((p, i) => Math.max(p, under[i]!)),
    harmonicsInNoise: above.map((p, i) => p < STANDS_OUT * under[i]!),
    distortion: Math.max(all.above, all.under),
    distortionInNoise: all.above < STANDS_OUT * all.under,
    residual,
    total: residual + power,
    noise: {
      flat: residualIn(spectrum, audio, removed),
      a: weighted(aWeighting),
      ccirRms: weighted(ccirRms),
      toHalfRate: residualIn(spectrum, { from: audio.from, to: bins.length - 1 }, removed),
    },
    dc: windowedMean(samples, spectrum.window),
    rate,
    samples: spectrum.window.samples.length,
    spectrum,
  };
}
