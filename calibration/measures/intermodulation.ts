/**
 * Intermodulation of two tones. Of each method every stated form is given, because they differ by up to 6 dB and are mixed up often:
 * SMPTE RP120 (60 Hz and 7 kHz, 4:1) and IEC 60268-3 modulation distortion; difference-frequency distortion (DFD, CCIF) of IEC 60268-3
 * 14.12.8 and the form that refers to the upper tone alone.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { ratioToDb } from '../../core/units.js';
import { lobeAt, noiseUnder, type PowerSpectrum, powerIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { windowFor } from '../dsp/windows.js';
import { capturedBadly } from './capture.js';
import type { MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, measured, type Refusal, refused } from './measurement.js';
import { slipAt } from './slips.js';
import { LOBE_SPREAD } from './tone.js';

export interface SmpteAnalysis {
  /** RMS amplitudes, linear. */
  low: number;
  high: number;
  /** Sums of the amplitudes of a pair of sidebands over the upper tone: IEC 60268-3 d_m,2 and d_m,3. */
  m2: number;
  m3: number;
  /** SMPTE RP120: sqrt(m2^2 + m3^2). */
  imd: number;
  /** Root of the sum of the squares of the four sidebands, over the upper tone: 3.01 dB less where the sidebands are equal. */
  rss: number;
  samples: number;
}

export interface DifferenceAnalysis {
  /** RMS amplitudes of the two tones, linear. */
  lower: number;
  upper: number;
  /** IEC 60268-3 14.12.8: over the sum of both tones. */
  d2: number;
  d3: number;
  /** Over the upper tone alone. */
  d2OfUpper: number;
  d3OfUpper: number;
  samples: number;
}

/** A tone must carry this much of the whole, or there is none. */
const LEAST_SHARE = 0.01;
const LEAST_SAMPLES = 128;

export interface SmpteOptions {
  /** Of the stimulus: 60 and 7000 when absent; DIN is 250 and 8000. */
  lowHz?: number;
  highHz?: number;
}

export interface DifferenceOptions {
  /** Of the stimulus: 19 and 20 kHz when absent. */
  lowerHz?: number;
  upperHz?: number;
}

const SMPTE_NAMES = [
  'imd_smpte_db',
  'imd_smpte_percent',
  'imd_rss_sidebands_db',
  'iec_mod_d2_db',
  'iec_mod_d3_db',
] as const satisfies readonly MeasurementName[];

const DIFFERENCE_NAMES = [
  'dfd_d2_db',
  'dfd_d3_db',
  'dfd_d2_re_f2_db',
  'dfd_d3_re_f2_db',
] as const satisfies readonly MeasurementName[];

/** @param samples one channel, linear, full scale 1; @param rate Hz */
export function smpteMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & SmpteOptions = {},
): Measurement[] {
  const { lowHz = 60, highHz = 7000 } = o;
  const basis = { ...o, samples: samples.length, conditions: { ...o.conditions, low_hz: lowHz, high_hz: highHz } };
  const found = analyzeSmpte(samples, rate, o);
  if (isRefusal(found)) return refused(SMPTE_NAMES, found, basis);
  return measured(
    {
      imd_smpte_db: ratioToDb(found.imd),
      imd_smpte_percent: 100 * found.imd,
      imd_rss_sidebands_db: ratioToDb(found.rss),
      iec_mod_d2_db: ratioToDb(found.m2),
      iec_mod_d3_db: ratioToDb(found.m3),
    },
    { ...basis, samples: found.samples },
  );
}

/** @param samples one channel, linear, full scale 1; @param rate Hz */
export function dfdMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & DifferenceOptions = {},
): Measurement[] {
  const { lowerHz = 19_000, upperHz = 20_000 } = o;
  const basis = { ...o, samples: samples.length, conditions: { ...o.conditions, low_hz: lowerHz, high_hz: upperHz } };
  const found = analyzeDifference(samples, rate, o);
  if (isRefusal(found)) return refused(DIFFERENCE_NAMES, found, basis);
  return measured(
    {
      dfd_d2_db: ratioToDb(found.d2),
      dfd_d3_db: ratioToDb(found.d3),
      dfd_d2_re_f2_db: ratioToDb(found.d2OfUpper),
      dfd_d3_re_f2_db: ratioToDb(found.d3OfUpper),
    },
    { ...basis, samples: found.samples },
  );
}

/** Total difference-frequency distortion of 8 and 11.95 kHz. @param samples one channel, linear, full scale 1; @param rate Hz */
export function tdfdMeasurements(samples: Float64Array, rate: number, o: MeasureOptions = {}): Measurement[] {
  const basis = { ...o, samples: samples.length, conditions: { ...o.conditions, low_hz: 8000, high_hz: 11_950 } };
  const found = analyzeTotalDifference(samples, rate);
  if (isRefusal(found)) return refused(['tdfd_db'], found, basis);
  return measured({ tdfd_db: ratioToDb(found.tdfd) }, basis);
}

export function analyzeSmpte(samples: Float64Array, rate: number, o: SmpteOptions = {}): SmpteAnalysis | Refusal {
  const { lowHz = 60, highHz = 7000 } = o;
  const sidesHz = [-2, -1, 1, 2].map((order) => highHz + order * lowHz);
  const found = linesOf(samples, rate, [lowHz, highHz], sidesHz);
  if (isRefusal(found)) return found;
  const [low, high, ...sides] = found.amplitudes as [number, number, number, number, number, number];
  const [b2, b1, a1, a2] = sides;
  const m2 = (a1 + b1) / high;
  const m3 = (a2 + b2) / high;
  return { low, high, m2, m3, imd: Math.hypot(m2, m3), rss: Math.hypot(...sides) / high, samples: found.samples };
}

export function analyzeDifference(
  samples: Float64Array,
  rate: number,
  o: DifferenceOptions = {},
): DifferenceAnalysis | Refusal {
  const { lowerHz = 19_000, upperHz = 20_000 } = o;
  const productsHz = [upperHz - lowerHz, 2 * lowerHz - upperHz, 2 * upperHz - lowerHz];
  const found = linesOf(samples, rate, [lowerHz, upperHz], productsHz);
  if (isRefusal(found)) return found;
  const [lower, upper, second, ...thirds] = found.amplitudes as [number, number, number, number, number];
  const third = thirds[0] + thirds[1];
  const both = lower + upper;
  return {
    lower,
    upper,
    d2: second / both,
    d3: third / both,
    d2OfUpper: second / upper,
    d3OfUpper: third / upper,
    samples: found.samples,
  };
}

/** IEC 60268-3 14.12.10, total difference-frequency distortion: 8 and 11.95 kHz, products at 3.95 and 4.05 kHz, over both tones. */
export function analyzeTotalDifference(samples: Float64Array, rate: number): { tdfd: number } | Refusal {
  const found = linesOf(samples, rate, [8000, 11_950], [3950, 4050]);
  if (isRefusal(found)) return found;
  const [lower, upper, below, above] = found.amplitudes as [number, number, number, number];
  return { tdfd: Math.hypot(below, above) / (lower + upper) };
}

/**
 * RMS amplitudes of both tones, then of their products, the noise under each taken off. A product that does not stand out of the noise is given as the
 * noise's uncertainty: it is at most that. One above half the rate is 0.
 */
function linesOf(
  samples: Float64Array,
  rate: number,
  tonesHz: readonly [number, number],
  productsHz: readonly number[],
): { amplitudes: number[]; samples: number } | Refusal {
  const all = [...tonesHz, ...productsHz].filter((hz) => hz < rate / 2).sort((a, b) => a - b);
  const spectrum = spectrumOf(samples, rate, Math.min(...all.map((hz, i) => hz - (all[i - 1] ?? 0))));
  if ('reason' in spectrum) return spectrum;
  const removed = [0, ...all].map((hz) => lobeAt(spectrum, hz));
  const amplitudeAt = (hz: number): number => {
    if (hz >= rate / 2) return 0;
    const lobe = lobeAt(spectrum, hz);
    const under = noiseUnder(spectrum, lobe, removed);
    return Math.sqrt(Math.max(powerIn(spectrum, lobe) - under, under * LOBE_SPREAD));
  };
  const tones = tonesHz.map(amplitudeAt);
  const missing = missingTone(spectrum, tones);
  if (missing) return missing;
  // The upper tone turns fastest: what is lost of the record is seen there.
  const slip = slipAt(samples, rate, tonesHz[1]);
  if (slip !== null) return { reason: 'gap', message: `the upper tone jumps about sample ${slip}` };
  return { amplitudes: [...tones, ...productsHz.map(amplitudeAt)], samples: spectrum.window.samples.length };
}

/** Long enough for lobes that are `apartHz` from each other. */
function spectrumOf(samples: Float64Array, rate: number, apartHz: number): PowerSpectrum | Refusal {
  if (samples.length < LEAST_SAMPLES) return { reason: 'too-short', message: `${samples.length} samples` };
  const bad = capturedBadly(samples);
  if (bad) return bad.reason === 'silent' ? { reason: 'no-tone', message: bad.message } : bad;
  const window = windowFor(samples.length);
  const bins = (apartHz * window.samples.length) / rate;
  const least = 2 * (window.shape.halfWidth + 1) + 1;
  if (bins < least) return { reason: 'too-short', message: `${(least / apartHz).toFixed(2)} s are needed` };
  return new SpectrumAnalyzer(window, rate).analyze(samples);
}

function missingTone({ power }: PowerSpectrum, tones: number[]): Refusal | null {
  const all = power.reduce((sum, p) => sum + p, 0);
  const weak = tones.findIndex((amplitude) => amplitude ** 2 < LEAST_SHARE * all);
  return weak < 0 ? null : { reason: 'no-tone', message: `the ${weak === 0 ? 'lower' : 'upper'} tone is not there` };
}
