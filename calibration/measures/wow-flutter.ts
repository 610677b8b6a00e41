/** Wow, flutter and speed of a machine that a steady carrier went through (AES6-2008): refused where the carrier is not there all the time. */
import type { Measurement } from '../../core/contract/calibration.js';
import { band, powerIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { windowFor } from '../dsp/windows.js';
import { LEAST_SECONDS, type WowFlutter, wowFlutter } from '../dsp/wow-flutter.js';
import { capturedBadly } from './capture.js';
import { AUDIO_BAND, type MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, measured, type Refusal, refused } from './measurement.js';

/** Hz: AES6, IEC and DIN; NAB and JIS. */
const CARRIERS = [3150, 3000] as const;
/** Between them nobody knows whether the one is slow or the other fast. */
const EITHER_HZ = [3045, 3103] as const;
/** Of the carrier: it is looked for, and its modulation counted, within this. */
const REACH = 0.13;
/** Of all power in the audio band. */
const LEAST_THERE = 0.1;
const LEAST_CLEAN = 0.8;
/** The carrier's lowest level over its median: -12 dB is a drop-out. */
const DROP_OUT = 0.25;
/** A jump of less than this part of a sample is no lost one. */
const LEAST_LOST_SAMPLES = 0.4;

const NAMES = [
  'frequency_hz',
  'speed_error_percent',
  'weighted_peak2s_percent',
  'weighted_rms_percent',
  'unweighted_peak2s_percent',
  'unweighted_rms_percent',
  'wow_peak2s_percent',
  'flutter_peak2s_percent',
] as const satisfies readonly MeasurementName[];

export interface WowFlutterOptions {
  /** Hz, as it was recorded; when absent, 3150 or 3000, whichever is nearer. */
  carrierHz?: number;
}

/**
 * @param samples one channel of at least 7 s, linear, full scale 1
 * @param rate Hz
 */
export function wowFlutterMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & WowFlutterOptions = {},
): Measurement[] {
  const found = analyzeWowFlutter(samples, rate, o);
  const basis = { ...o, samples: samples.length };
  if (isRefusal(found)) return refused(NAMES, found, basis);
  return measured(
    {
      frequency_hz: found.carrierHz,
      speed_error_percent: 100 * (found.carrierHz / found.nominalHz - 1),
      weighted_peak2s_percent: found.weightedPeakPercent,
      weighted_rms_percent: found.weightedRmsPercent,
      unweighted_peak2s_percent: found.unweightedPeakPercent,
      unweighted_rms_percent: found.unweightedRmsPercent,
      wow_peak2s_percent: found.wowPeakPercent,
      flutter_peak2s_percent: found.flutterPeakPercent,
    },
    { ...basis, conditions: { ...o.conditions, carrier_hz: found.nominalHz } },
  );
}

/** As `wowFlutterMeasurements`, with the carrier as it was recorded. */
export function analyzeWowFlutter(
  samples: Float64Array,
  rate: number,
  o: WowFlutterOptions = {},
): (WowFlutter & { nominalHz: number }) | Refusal {
  if (samples.length < LEAST_SECONDS * rate)
    return { reason: 'too-short', message: `${(samples.length / rate).toFixed(1)} s; ${LEAST_SECONDS} s are needed` };
  const bad = capturedBadly(samples);
  if (bad) return bad.reason === 'silent' ? { reason: 'no-tone', message: bad.message } : bad;
  const spectrum = new SpectrumAnalyzer(windowFor(samples.length), rate).analyze(samples);
  const candidates = o.carrierHz === undefined ? CARRIERS : [o.carrierHz];
  const around = band(spectrum, Math.min(...candidates) * (1 - REACH), Math.max(...candidates) * (1 + REACH));
  let [sum, moment] = [0, 0];
  for (let k = around.from; k <= around.to; k++) {
    sum += spectrum.power[k]!;
    moment += k * spectrum.power[k]!;
  }
  const there = sum / powerIn(spectrum, band(spectrum, ...AUDIO_BAND));
  if (!(there > LEAST_THERE))
    return { reason: 'no-tone', message: `there is no carrier at ${candidates.join(' or ')} Hz` };
  if (there < LEAST_CLEAN)
    return { reason: 'too-noisy', message: `the carrier is ${(100 * there).toFixed(0)} % of what is heard` };
  const centre = (moment / sum) * spectrum.binHz;
  const found = wowFlutter(samples, rate, centre);
  if (found.leastLevel < DROP_OUT)
    return { reason: 'gap', message: `the carrier drops out by ${(-20 * Math.log10(found.leastLevel)).toFixed(0)} dB` };
  const { jump } = found;
  if (jump && jump.radians > (LEAST_LOST_SAMPLES * 2 * Math.PI * found.carrierHz) / rate)
    return { reason: 'gap', message: `the carrier jumps ${jump.seconds.toFixed(2)} s after the beginning` };
  if (o.carrierHz === undefined && found.carrierHz > EITHER_HZ[0] && found.carrierHz < EITHER_HZ[1])
    return {
      reason: 'no-tone',
      message: `a carrier at ${found.carrierHz.toFixed(0)} Hz may be one of 3150 or of 3000: say which was recorded`,
    };
  const off = (hz: number): number => Math.abs(Math.log(found.carrierHz / hz));
  return { ...found, nominalHz: candidates.reduce((a, b) => (off(b) < off(a) ? b : a)) };
}
