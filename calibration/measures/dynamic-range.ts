/**
 * Dynamic range (AES17-2015 6.4.1): the highest output level over what is left of a tone at -60 dB when the tone is notched out, so that
 * converters cannot mute. The notch has Q 2 (5.2.8: 1.2 to 3) and is applied to the bins of the spectrum, as the weightings are.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { band, lobeAt, residualIn } from '../dsp/spectrum.js';
import { aWeighting, ccirRms } from '../dsp/weightings.js';
import { AUDIO_BAND, type MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, meanSquareDbfs, measured, type Refusal, refused } from './measurement.js';
import { analyzeTone, type ToneOptions } from './tone.js';

/** Mean squares, linear, full scale 1, of what is left. */
export interface DynamicRangeAnalysis {
  hz: number;
  full: number;
  flat: number;
  a: number;
  ccirRms: number;
  samples: number;
}

const NOTCH_Q = 2;

const NAMES = [
  'dynamic_range_full_db',
  'dynamic_range_20_20k_db',
  'dynamic_range_a_db',
  'dynamic_range_ccirrms_db',
] as const satisfies readonly MeasurementName[];

/**
 * @param samples one channel, linear, full scale 1: a tone of 997 Hz at -60 dB
 * @param rate Hz
 * @param o.maxOutputDbfs the highest level of the path, 0 when absent
 */
export function dynamicRangeMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & ToneOptions & { maxOutputDbfs?: number } = {},
): Measurement[] {
  const { maxOutputDbfs = 0 } = o;
  const found = analyzeDynamicRange(samples, rate, o);
  const conditions = { ...o.conditions, notch_q: NOTCH_Q };
  if (isRefusal(found)) return refused(NAMES, found, { ...o, samples: samples.length, conditions });
  return measured(
    {
      dynamic_range_full_db: maxOutputDbfs - meanSquareDbfs(found.full),
      dynamic_range_20_20k_db: maxOutputDbfs - meanSquareDbfs(found.flat),
      dynamic_range_a_db: maxOutputDbfs - meanSquareDbfs(found.a),
      dynamic_range_ccirrms_db: maxOutputDbfs - meanSquareDbfs(found.ccirRms),
      max_output_dbfs: maxOutputDbfs,
    },
    { ...o, samples: found.samples, conditions },
  );
}

/** As `dynamicRangeMeasurements`, linear. */
export function analyzeDynamicRange(
  samples: Float64Array,
  rate: number,
  o: ToneOptions = {},
): DynamicRangeAnalysis | Refusal {
  const tone = analyzeTone(samples, rate, o);
  if (isRefusal(tone)) return tone;
  const { hz, spectrum } = tone;
  const { power, binHz } = spectrum;
  // What the window spreads of the tone reaches farther than the notch's floor.
  const removed = [lobeAt(spectrum, 0), lobeAt(spectrum, hz)];
  const left = (range: { from: number; to: number }, curve: (hz: number) => number): number => {
    const weights = new Float64Array(power.length);
    for (let k = range.from; k <= range.to; k++) weights[k] = notchPower(k * binHz, hz) * curve(k * binHz) ** 2;
    return residualIn(spectrum, range, removed, weights);
  };
  const audio = band(spectrum, ...AUDIO_BAND);
  const flat = () => 1;
  return {
    hz,
    full: left({ from: 1, to: power.length - 1 }, flat),
    flat: left(audio, flat),
    // The A curve limits the band by itself; published figures have it over the whole spectrum.
    a: left({ from: 1, to: power.length - 1 }, aWeighting),
    ccirRms: left(audio, ccirRms),
    samples: tone.samples,
  };
}

/** Squared magnitude of a second-order notch: (f^2 - f0^2)^2 / ((f^2 - f0^2)^2 + (f f0 / Q)^2). */
function notchPower(hz: number, centreHz: number): number {
  const off = (hz ** 2 - centreHz ** 2) ** 2;
  return off / (off + ((hz * centreHz) / NOTCH_Q) ** 2);
}
