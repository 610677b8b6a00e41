/**
 * The transfer of a path from what was played and what came back: H = Y X* / |X|^2, at any frequency that the stimulus carries. The bulk delay
 * is taken out of the phase and told on its own; polarity is the sign of the correlation's peak.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { Transfer } from '../dsp/transfer.js';
import { breakAt } from './breaks.js';
import { capturedBadly } from './capture.js';
import type { MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, measured, type Refusal, refused } from './measurement.js';
import { delayGrowth } from './response-drift.js';
import { compareBlocks } from './response-slips.js';

export interface ResponsePoint {
  hz: number;
  gainDb: number;
  /** Degrees from -180 to 180, of what is left when the delay is taken out. */
  phaseDeg: number;
}

export interface ResponseAnalysis {
  /** How much later the capture is, samples with fraction. */
  latencySamples: number;
  inverted: boolean;
  /** At 1 kHz, dB. */
  loopGainDb: number;
  at(hz: number): ResponsePoint | null;
}

export interface ResponseOptions {
  /** The longest latency that is looked for; 1 when absent. */
  mostDelaySeconds?: number;
}

const NAMES = [
  'latency_samples',
  'latency_ms',
  'polarity_inverted',
  'loop_gain_db',
  'fr_min_db',
  'fr_max_db',
  'fr_deviation_db',
] as const satisfies readonly MeasurementName[];

const RANGE_NAMES = [
  'loop_gain_db',
  'fr_min_db',
  'fr_max_db',
  'fr_deviation_db',
] as const satisfies readonly MeasurementName[];
/** Every deviation is told from there. */
const NO_REFERENCE = { reason: 'too-noisy', message: 'what came back is not the stimulus at 1 kHz' } as const;

/** Hz: thirds of an octave (IEC 61260-1, exact ones) over the audio band. */
export const THIRD_OCTAVES: readonly number[] = Array.from({ length: 31 }, (_, i) => 10 ** ((i + 13) / 10));

/**
 * @param stimulus, captured linear, full scale 1, of the same rate; both begin at the same frame
 * @param rate Hz
 * @param o.at Hz: where gain and phase are told, thirds of an octave when absent; what the stimulus does not carry is left out
 * @returns among others `fr_db` and `phase_deg` once for each frequency, which is in their conditions
 */
export function responseMeasurements(
  stimulus: Float64Array,
  captured: Float64Array,
  rate: number,
  o: MeasureOptions & ResponseOptions & { at?: readonly number[] } = {},
): Measurement[] {
  const found = analyzeResponse(stimulus, captured, rate, o);
  const basis = { ...o, samples: captured.length };
  if (isRefusal(found)) return refused(NAMES, found, basis);
  const thirds = THIRD_OCTAVES.flatMap((hz) => found.at(hz) ?? []).map(({ gainDb }) => gainDb - found.loopGainDb);
  const range = Number.isFinite(found.loopGainDb)
    ? {
        loop_gain_db: found.loopGainDb,
        fr_min_db: Math.min(...thirds),
        fr_max_db: Math.max(...thirds),
        fr_deviation_db: Math.max(...thirds.map(Math.abs)),
      }
    : null;
  return [
    ...measured(
      {
        latency_samples: found.latencySamples,
        latency_ms: (1000 * found.latencySamples) / rate,
        polarity_inverted: found.inverted ? 1 : 0,
        ...range,
      },
      basis,
    ),
    ...(range === null ? refused(RANGE_NAMES, NO_REFERENCE, basis) : []),
    ...(o.at ?? THIRD_OCTAVES).flatMap((hz) => {
      const point = found.at(hz);
      return point === null
        ? []
        : measured(
            { fr_db: point.gainDb, phase_deg: point.phaseDeg },
            { ...basis, conditions: { ...o.conditions, hz } },
          );
    }),
  ];
}

/** A delay that is not found within a second is none of a loop. */
const MOST_DELAY_SECONDS = 1;
const LEAST_PROMINENCE = 12;
const LEAST_COHERENCE = 0.8;

/**
 * @param stimulus, captured of the same rate; both begin at the same frame
 */
export function analyzeResponse(
  stimulus: Float64Array,
  captured: Float64Array,
  rate: number,
  o: ResponseOptions = {},
): ResponseAnalysis | Refusal {
  if (stimulus.length < 4096) return { reason: 'too-short', message: `a stimulus of ${stimulus.length} samples` };
  const unplayed = capturedBadly(stimulus);
  if (unplayed) return { ...unplayed, message: `the stimulus: ${unplayed.message}` };
  const bad = capturedBadly(captured);
  if (bad) return bad.reason === 'silent' ? { reason: 'no-tone', message: bad.message } : bad;
  const mostFrames = Math.min(Math.round(rate * (o.mostDelaySeconds ?? MOST_DELAY_SECONDS)), stimulus.length);
  const transfer = new Transfer(stimulus, captured, rate, mostFrames);
  if (!(transfer.prominence >= LEAST_PROMINENCE))
    return { reason: 'no-tone', message: 'the stimulus is not found in the capture' };
  const { driftPpm, slip: stepped } = compareBlocks(stimulus, captured, transfer.peakFrames);
  if (driftPpm !== null)
    return { reason: 'unlocked', message: `the capture is ${driftPpm.toFixed(0)} ppm off: the clocks are two` };
  const slip = breakAt(captured) ?? stepped;
  if (slip !== null) return { reason: 'gap', message: `samples are missing, or twice there, about sample ${slip}` };
  const at = (hz: number): ResponsePoint | null => {
    const point = transfer.at(hz);
    if (point === null || point.coherence < LEAST_COHERENCE) return null;
    return {
      hz,
      gainDb: 20 * Math.log10(Math.hypot(point.re, point.im)),
      phaseDeg: (180 / Math.PI) * Math.atan2(point.im, point.re),
    };
  };
  const growth = delayGrowth((hz) => at(hz)?.phaseDeg ?? null, rate);
  if (growth !== null)
    return {
      reason: 'unlocked',
      message: `the delay grows by ${growth.toFixed(1)} samples an octave: the clocks are two`,
    };
  return {
    latencySamples: transfer.delay,
    inverted: transfer.inverted,
    loopGainDb: at(1000)?.gainDb ?? Number.NaN,
    at,
  };
}
