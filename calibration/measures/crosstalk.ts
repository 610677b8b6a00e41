/**
 * Crosstalk (AES17-2015 6.5.2, separation): the level on a channel that is not driven over the level on the one that is. Selective: at the
 * frequency of the tone alone; broadband: everything in the audio band, the channel's own noise included.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { band, lobeAt, noiseUnder, powerIn, residualIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { windowFor } from '../dsp/windows.js';
import { capturedBadly } from './capture.js';
import { AUDIO_BAND, type MeasurementName } from './definitions.js';
import { isRefusal, limited, type MeasureOptions, measured, powerDb, type Refusal, refused } from './measurement.js';
import { analyzeTone, LOBE_SPREAD, STANDS_OUT, type ToneOptions } from './tone.js';

export interface CrosstalkAnalysis {
  hz: number;
  /** Power ratios, undriven over driven. */
  selective: number;
  broadband: number;
  /** The selective one does not stand out of the noise: it is at most that. */
  inNoise: boolean;
  samples: number;
}

const NAMES = ['crosstalk_selective_db', 'crosstalk_broadband_db'] as const satisfies readonly MeasurementName[];

/**
 * Two captures of the same frames, linear, full scale 1.
 * @param rate Hz
 * @param o.channel of the one that is not driven
 */
export function crosstalkMeasurements(
  driven: Float64Array,
  undriven: Float64Array,
  rate: number,
  o: MeasureOptions & ToneOptions = {},
): Measurement[] {
  const found = analyzeCrosstalk(driven, undriven, rate, o);
  if (isRefusal(found)) return refused(NAMES, found, { ...o, samples: driven.length });
  const basis = { ...o, samples: found.samples };
  return [
    ...measured({ crosstalk_selective_db: powerDb(found.selective) }, limited(basis, found.inNoise)),
    ...measured({ crosstalk_broadband_db: powerDb(found.broadband) }, basis),
  ];
}

/** As `crosstalkMeasurements`, as ratios of powers. What does not stand out of the noise is given as the noise's uncertainty: it is at most that. */
export function analyzeCrosstalk(
  driven: Float64Array,
  undriven: Float64Array,
  rate: number,
  o: ToneOptions = {},
): CrosstalkAnalysis | Refusal {
  const length = Math.min(driven.length, undriven.length);
  const tone = analyzeTone(driven.subarray(0, length), rate, o);
  if (isRefusal(tone)) return tone;
  const other = undriven.subarray(0, length);
  const bad = capturedBadly(other, { silenceIsFine: true });
  if (bad) return bad;
  const window = windowFor(length);
  const spectrum = new SpectrumAnalyzer(window, rate).analyze(other);
  const lobe = lobeAt(spectrum, tone.hz);
  const dcLobe = lobeAt(spectrum, 0);
  const under = noiseUnder(spectrum, lobe, [dcLobe, lobe]);
  const above = powerIn(spectrum, lobe) - under;
  const heard = Math.max(under * LOBE_SPREAD, above);
  // The lobe of a tone at the end of the band reaches beyond it, and belongs to it all the same.
  const all = heard + residualIn(spectrum, band(spectrum, ...AUDIO_BAND), [dcLobe, lobe]);
  return {
    hz: tone.hz,
    selective: heard / tone.power,
    broadband: all / tone.total,
    // Digital silence is not noise: nothing at all was heard.
    inNoise: under > 0 && above < STANDS_OUT * LOBE_SPREAD * under,
    samples: window.samples.length,
  };
}
