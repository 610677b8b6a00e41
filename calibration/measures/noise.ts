/**
 * What a path gives without a signal, or beside one: noise in the forms of AES17-2015 6.4.2 (idle, CCIR-RMS), IEC 61672-1 (A), ITU-R BS.468-4
 * (quasi-peak) and as a density, which depends on no band, window or length. A tone, if there is one, is taken out first.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { Fft } from '../dsp/fft.js';
import { quasiPeak } from '../dsp/quasi-peak.js';
import { band, type Lobe, lobeAt, type PowerSpectrum, residualIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { aWeighting, bs468, ccirRms, weightsFor } from '../dsp/weightings.js';
import { windowedMean, windowFor } from '../dsp/windows.js';
import { capturedBadly } from './capture.js';
import { AUDIO_BAND, type MeasurementName } from './definitions.js';
import {
  dbuToVolts,
  isRefusal,
  type MeasureOptions,
  meanSquareDbfs,
  measured,
  type Refusal,
  refused,
} from './measurement.js';
import { slipOfLoudest } from './slips.js';
import { analyzeTone } from './tone.js';

/** Mean squares, linear, full scale 1. */
export interface NoiseAnalysis {
  /** From 20 Hz to half the rate, in the audio band, and weighted in the audio band. */
  toHalfRate: number;
  flat: number;
  a: number;
  ccirRms: number;
  /** Reading of the detector, linear, of a signal weighted with BS.468-4: a steady sine of 1 kHz reads its RMS. */
  quasiPeak: number;
  /** Mean square in 1 Hz, the mean over the audio band. */
  perHz: number;
  /** Everything but 0 Hz, over the whole spectrum. */
  full: number;
  dc: number;
  peak: number;
  /** The tone that was taken out, Hz. */
  toneHz: number | null;
  samples: number;
  spectrum: PowerSpectrum;
}

export interface NoiseOptions {
  /** Digital silence is a result: what is digital may be idle without any noise. Otherwise it says that nothing was captured. */
  silenceIsFine?: boolean;
  /** Nothing was played: a tone in it is hum, or a unit that oscillates, and belongs to the noise (AES17-2015 6.4.2). */
  keepTone?: boolean;
}

const LEAST_SAMPLES = 1024;
/** Half of a record that is as long still parts 20 Hz from the lobe of 0 Hz. */
const LONG_SECONDS = 2.5;
/** A line that carries more than this share of everything is a tone and no noise. */
const TONE_SHARE = 0.5;

const NAMES = [
  'noise_full_dbfs',
  'noise_20_20k_dbfs',
  'noise_20_fs2_dbfs',
  'noise_a_dbfs',
  'noise_ccirrms_dbfs',
  'noise_quasipeak_dbfs',
  'noise_density_dbfs_rthz',
  'peak_dbfs',
  'dc',
] as const satisfies readonly MeasurementName[];

/**
 * @param samples one channel, linear, full scale 1
 * @param rate Hz
 * @returns every measurement (no number for the level of digital silence), each refused where the capture is clipped, silent or too short
 */
export function noiseMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & NoiseOptions = {},
): Measurement[] {
  const noise = analyzeNoise(samples, rate, o);
  if (isRefusal(noise)) return refused(NAMES, noise, { ...o, samples: samples.length });
  const { toneHz, spectrum } = noise;
  const conditions = { ...o.conditions, window: spectrum.window.shape.name };
  const quasiPeakPower = noise.quasiPeak ** 2;
  const basis = { ...o, samples: noise.samples, conditions };
  const dbfs = measured(
    {
      noise_full_dbfs: meanSquareDbfs(noise.full),
      noise_20_20k_dbfs: meanSquareDbfs(noise.flat),
      noise_20_fs2_dbfs: meanSquareDbfs(noise.toHalfRate),
      noise_a_dbfs: meanSquareDbfs(noise.a),
      noise_ccirrms_dbfs: meanSquareDbfs(noise.ccirRms),
      noise_quasipeak_dbfs: meanSquareDbfs(quasiPeakPower),
      noise_density_dbfs_rthz: meanSquareDbfs(noise.perHz),
      peak_dbfs: 20 * Math.log10(noise.peak),
      dc: noise.dc,
      ...(toneHz !== null && { removed_tone_hz: toneHz }),
    },
    basis,
  );
  const full = o.fullScaleDbu;
  if (full === undefined || full === null) return dbfs;
  const volts = measured(
    {
      noise_20_20k_dbu: meanSquareDbfs(noise.flat) + full,
      noise_a_dbu: meanSquareDbfs(noise.a) + full,
      noise_ccirrms_dbu: meanSquareDbfs(noise.ccirRms) + full,
      noise_quasipeak_dbu: meanSquareDbfs(quasiPeakPower) + full,
      noise_density_nv_rthz: dbuToVolts(meanSquareDbfs(noise.perHz) + full) * 1e9,
    },
    basis,
  );
  return [...dbfs, ...volts];
}

/** As `noiseMeasurements`, linear. */
export function analyzeNoise(samples: Float64Array, rate: number, o: NoiseOptions = {}): NoiseAnalysis | Refusal {
  if (samples.length < LEAST_SAMPLES) return { reason: 'too-short', message: `${samples.length} samples` };
  const bad = capturedBadly(samples, { silenceIsFine: true });
  if (bad) return bad;
  let peak = 0;
  for (let n = 0; n < samples.length; n++) peak = Math.max(peak, Math.abs(samples[n]!));
  if (peak === 0 && !o.silenceIsFine) return { reason: 'silent', message: 'every sample is 0' };
  const tone = o.keepTone ? null : analyzeTone(samples, rate);
  const found = tone !== null && !isRefusal(tone) && tone.power > TONE_SHARE * tone.total ? tone : null;
  const whole = new SpectrumAnalyzer(windowFor(samples.length), rate).analyze(samples);
  const slip = slipOfLoudest(samples, whole);
  if (slip !== null) return { reason: 'gap', message: `the loudest line jumps about sample ${slip}` };
  const isLong = samples.length >= LONG_SECONDS * rate;
  const spectrum = isLong
    ? new SpectrumAnalyzer(windowFor(Math.floor(samples.length / 2)), rate).average(samples)
    : whole;
  const { power, binHz } = spectrum;
  const audio = band(spectrum, ...AUDIO_BAND);
  const removed: Lobe[] = [lobeAt(spectrum, 0)];
  for (let k = 1; found && k * found.hz < rate / 2; k++) removed.push(lobeAt(spectrum, k * found.hz));
  const weighted = (curve: (hz: number) => number): number =>
    residualIn(spectrum, audio, removed, weightsFor(curve, power.length, binHz));
  const flat = residualIn(spectrum, audio, removed);
  return {
    toHalfRate: residualIn(spectrum, { from: audio.from, to: power.length - 1 }, removed),
    flat,
    a: weighted(aWeighting),
    ccirRms: weighted(ccirRms),
    quasiPeak: quasiPeak(weightedSamples(samples, rate, windowedMean(samples, whole.window), found?.hz ?? null), rate),
    perHz: flat / ((audio.to - audio.from + 1) * binHz),
    full: residualIn(spectrum, { from: 1, to: power.length - 1 }, removed),
    dc: windowedMean(samples, whole.window),
    peak,
    toneHz: found?.hz ?? null,
    samples: isLong ? samples.length : spectrum.window.samples.length,
    spectrum,
  };
}

/** Hz: how wide a tone is taken out on either side, at least; and how long the ends of the record ring of it. */
const NOTCH_HZ = 20;
const RINGING_SECONDS = 0.15;
const NOTCHED_HARMONICS = 10;

/**
 * BS.468-4 in the frequency domain over the whole record. A tone and its harmonics are taken out by notches that are zero at them and have the
 * shape of a Gauss curve, whose ringing at the ends of the record is short; the ends are left out.
 */
function weightedSamples(samples: Float64Array, rate: number, mean: number, toneHz: number | null): Float64Array {
  const size = 2 ** Math.ceil(Math.log2(samples.length + RINGING_SECONDS * rate));
  const fft = new Fft(size);
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  // Where a record of a converter with an offset begins and ends would be clicks.
  for (let n = 0; n < samples.length; n++) re[n] = samples[n]! - mean;
  fft.forward(re, im);
  for (let k = 0; k < size; k++) {
    const hz = (Math.min(k, size - k) * rate) / size;
    const gain = bs468(hz) * (toneHz === null ? 1 : notch(hz, toneHz));
    re[k] = re[k]! * gain;
    im[k] = im[k]! * gain;
  }
  fft.inverse(re, im);
  const ringing = toneHz === null ? 0 : Math.round(Math.min(RINGING_SECONDS * rate, samples.length / 4));
  return re.subarray(ringing, samples.length - ringing);
}

function notch(hz: number, toneHz: number): number {
  const order = Math.round(hz / toneHz);
  if (order < 1 || order > NOTCHED_HARMONICS) return 1;
  return -Math.expm1(-(((hz - order * toneHz) / Math.min(NOTCH_HZ, toneHz / 4)) ** 2));
}
