/** How two channels that should be alike differ: level and phase of the one against the other, from a tone on both or from a response of each. */
import type { Measurement } from '../../core/contract/calibration.js';
import { RealFft } from '../dsp/real-fft.js';
import { lobeAt } from '../dsp/spectrum.js';
import { capturedBadly } from './capture.js';
import { isRefusal, type MeasureOptions, measured, refused } from './measurement.js';
import { analyzeResponse, type ResponseOptions } from './response.js';
import { analyzeTone, type ToneOptions } from './tone.js';

const NAMES = ['inter_channel_level_db', 'inter_channel_phase_deg'] as const;
/** The stimulus carries nothing there, or what came back has little to do with it. */
const UNLIKE = { reason: 'too-noisy', message: 'what came back is not the stimulus at this frequency' } as const;
/** Hz: where a response is compared when nothing else is asked for. */
const COMPARED_HZ = [100, 1000, 10_000];

/**
 * Two captures of the same frames, with the same tone on both, linear, full scale 1.
 * @param rate Hz
 * @returns positive where the other channel is louder, or ahead
 */
export function interChannelMeasurements(
  first: Float64Array,
  other: Float64Array,
  rate: number,
  o: MeasureOptions & ToneOptions = {},
): Measurement[] {
  const length = Math.min(first.length, other.length);
  const basis = { ...o, samples: length };
  const bad = capturedBadly(other);
  if (bad) return refused(NAMES, bad, basis);
  const tone = analyzeTone(first.subarray(0, length), rate, o);
  if (isRefusal(tone)) return refused(NAMES, tone, basis);
  const { window } = tone.spectrum;
  const lobe = lobeAt(tone.spectrum, tone.hz);
  const fft = new RealFft(window.samples.length);
  const transform = (samples: Float64Array) => {
    const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
    fft.forward(samples, window.samples, re, im);
    return { re, im };
  };
  const [x, y] = [transform(first), transform(other)];
  let [power, re, im] = [0, 0, 0];
  for (let k = lobe.from; k <= lobe.to; k++) {
    power += x.re[k]! ** 2 + x.im[k]! ** 2;
    re += y.re[k]! * x.re[k]! + y.im[k]! * x.im[k]!;
    im += y.im[k]! * x.re[k]! - y.re[k]! * x.im[k]!;
  }
  return measured(
    {
      inter_channel_level_db: 20 * Math.log10(Math.hypot(re, im) / power),
      inter_channel_phase_deg: (180 / Math.PI) * Math.atan2(im, re),
    },
    basis,
  );
}

/**
 * The same from a broadband stimulus that went through one channel and then through the other; a difference of their latencies is a difference
 * of phase.
 * @param o.at Hz; 100, 1000 and 10,000 when absent. Each is in the conditions of its measurements
 */
export function interChannelResponseMeasurements(
  stimulus: Float64Array,
  first: Float64Array,
  other: Float64Array,
  rate: number,
  o: MeasureOptions & ResponseOptions & { at?: readonly number[] } = {},
): Measurement[] {
  const basis = { ...o, samples: other.length };
  const [a, b] = [analyzeResponse(stimulus, first, rate, o), analyzeResponse(stimulus, other, rate, o)];
  if (isRefusal(a)) return refused(NAMES, a, basis);
  if (isRefusal(b)) return refused(NAMES, b, basis);
  return (o.at ?? COMPARED_HZ).flatMap((hz) => {
    const [p, q] = [a.at(hz), b.at(hz)];
    if (!p || !q) return refused(NAMES, UNLIKE, { ...basis, conditions: { ...o.conditions, hz } });
    const turns = (q.phaseDeg - p.phaseDeg) / 360 - ((b.latencySamples - a.latencySamples) * hz) / rate;
    return measured(
      { inter_channel_level_db: q.gainDb - p.gainDb, inter_channel_phase_deg: 360 * (turns - Math.round(turns)) },
      { ...basis, conditions: { ...o.conditions, hz } },
    );
  });
}
