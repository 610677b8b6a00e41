/**
 * Crosstalk (AES17-2015 6.5.2, separation): the level on a channel that is not driven over the level on the one that is. Selective: at the
 * frequency of the tone alone; broadband: everything in the audio band, the channel's own noise included.
 */
import { band, lobeAt, noiseUnder, powerIn, residualIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { AUDIO_BAND, capturedBadly, type Refusal } from './measurement.js';
import { analyzeTone, isRefusal, windowFor } from './tone.js';

export interface CrosstalkAnalysis {
  hz: number;
  /** Power ratios, undriven over driven. */
  selective: number;
  broadband: number;
}

/** Two captures of the same frames. */
export function analyzeCrosstalk(
  driven: Float64Array,
  undriven: Float64Array,
  rate: number,
): CrosstalkAnalysis | Refusal {
  const tone = analyzeTone(driven, rate);
  if (isRefusal(tone)) return tone;
  const length = Math.min(driven.length, undriven.length);
  const other = undriven.subarray(0, length);
  const bad = capturedBadly(other, { silenceIsFine: true });
  if (bad) return bad;
  const window = windowFor(length);
  const spectrum = new SpectrumAnalyzer(window, rate).analyze(other);
  const lobe = lobeAt(spectrum, tone.hz);
  const heard = Math.max(0, powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, [lobe]));
  const all = residualIn(spectrum, band(spectrum, ...AUDIO_BAND), [lobeAt(spectrum, 0)]);
  return { hz: tone.hz, selective: heard / tone.power, broadband: all / tone.total };
}
