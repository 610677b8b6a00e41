/** Every analysis that a procedure may ask for, by name, from plain data that can go to another thread. */
import type { Measurement, Refusal, Trace } from '../../core/contract/calibration.js';
import { crosstalkMeasurements } from '../measures/crosstalk.js';
import { dynamicRangeMeasurements } from '../measures/dynamic-range.js';
import { interChannelResponseMeasurements } from '../measures/inter-channel.js';
import { dfdMeasurements, smpteMeasurements } from '../measures/intermodulation.js';
import { type LatencyRun, latencyMeasurements } from '../measures/latency.js';
import { mainsMeasurements } from '../measures/mains.js';
import { isRefusal, type MeasureOptions } from '../measures/measurement.js';
import { analyzeNoise, noiseMeasurements } from '../measures/noise.js';
import { analyzeResponse, responseMeasurements } from '../measures/response.js';
import { noiseTrace, rounded, spectrumTrace } from '../measures/spectrum-trace.js';
import {
  analyzeSteps,
  gainLinearityMeasurements,
  maximumLevelMeasurements,
  type StepAnalysis,
  type ToneStep,
} from '../measures/steps.js';
import { analyzeTone } from '../measures/tone.js';
import { toneMeasurements } from '../measures/tone-measurements.js';
import type { Findings } from './procedure.js';

/** One channel of the insert, from 1. */
interface Channel {
  rate: number;
  channel: number;
  fullScaleDbu?: number | null;
}
type Tone = Channel & ToneStep;

/** The maximum level of a channel (AES17-2015 6.2.1, 6.2.6). */
export interface Maximum {
  inputDbfs: number;
  outputDbfs: number;
  /** It was not reached: the insert is not given more. */
  limited: boolean;
}

export interface AnalysisInputs {
  latency: Channel & { runs: LatencyRun[]; witness?: LatencyRun; mostDelaySeconds: number };
  tone: Tone;
  steps: Channel & { overHz: ToneStep[]; overLevel: ToneStep[] };
  noise: Channel & { samples: Float64Array };
  snr: Channel & {
    loud: ToneStep;
    /** A tone at `quietDb` re the maximum. */
    quiet: ToneStep;
    quietDb: number;
    maximum: Maximum | Refusal;
  };
  response: Channel & { stimulus: Float64Array; captured: Float64Array; levelDbfs: number };
  interChannel: Channel & { stimulus: Float64Array; first: Float64Array; other: Float64Array };
  crosstalk: {
    rate: number;
    steps: { hz: number; driven: Float64Array; undriven: Float64Array }[];
    levelDbfs: number;
    /** Channels of the insert, from 1; or `insert.channel` of another. */
    driven: number | string;
    undriven: number | string;
  };
  intermodulation: Channel & { smpte: Float64Array; dfd: Float64Array; peakDbfs: number };
  maximumLevel: Channel & { steps: ToneStep[] };
}
export type AnalysisKind = keyof AnalysisInputs;

export const ANALYSES: { [K in AnalysisKind]: (input: AnalysisInputs[K]) => Findings } = {
  latency: ({ runs, rate, mostDelaySeconds, ...o }) =>
    only(latencyMeasurements(runs, rate, { ...o, mostDelaySeconds })),

  tone: ({ samples, rate, hz, levelDbfs, ...o }) => {
    const conditions = { hz, level_dbfs: levelDbfs };
    const options = { ...o, expectHz: hz, conditions };
    const tone = analyzeTone(samples, rate, options);
    return {
      measurements: toneMeasurements(samples, rate, options),
      traces: isRefusal(tone) ? [] : [spectrumTrace(tone.spectrum, { channel: o.channel, conditions })],
    };
  },

  steps: ({ overHz, overLevel, rate, ...o }) => ({
    measurements: gainLinearityMeasurements(overLevel, rate, { ...o, conditions: { hz: overLevel[0]!.hz } }),
    traces: [...curvesOverHz(overHz, rate, o), ...curvesOverLevel(overLevel, rate, o)],
  }),

  noise: ({ samples, rate, ...o }) => {
    const noise = analyzeNoise(samples, rate, IDLE);
    return {
      measurements: [...noiseMeasurements(samples, rate, { ...o, ...IDLE }), ...mainsMeasurements(samples, rate, o)],
      traces: isRefusal(noise) ? [] : [noiseTrace(noise.spectrum, { channel: o.channel, conditions: {} })],
    };
  },

  snr: ({ loud, quiet, quietDb, maximum, rate, ...o }) => {
    const at = ({ hz, levelDbfs }: ToneStep) => ({ hz, level_dbfs: levelDbfs });
    const tone = toneMeasurements(loud.samples, rate, { ...o, expectHz: loud.hz, conditions: at(loud) });
    const conditions = { hz: quiet.hz, level_re_max_db: quietDb };
    const outputDbfs = isRefusal(maximum) ? 0 : maximum.outputDbfs;
    const ranges = dynamicRangeMeasurements(quiet.samples, rate, {
      ...o,
      expectHz: quiet.hz,
      conditions,
      maxOutputDbfs: outputDbfs,
    });
    return only([
      ...tone.filter(({ name }) => name.startsWith('snr_')),
      ...ranges.map((one): Measurement => {
        // Without the level that it refers to there is no range.
        if (isRefusal(maximum)) return { ...one, value: null, valid: false, refusal: maximum };
        // The standard's maximum may lie above what this insert is given.
        const isBound = maximum.limited && one.name.startsWith('dynamic_range');
        return isBound ? { ...one, reference: `output at ${loud.levelDbfs} dBFS, the highest that is played` } : one;
      }),
    ]);
  },

  response: ({ stimulus, captured, rate, levelDbfs, ...o }) => {
    const found = analyzeResponse(stimulus, captured, rate);
    return {
      // Latency and polarity have a procedure of their own, with a spread.
      measurements: responseMeasurements(stimulus, captured, rate, { ...o, at: TOLD_HZ }).filter(
        ({ name }) => !name.startsWith('latency') && !name.startsWith('polarity'),
      ),
      traces: isRefusal(found) ? [] : responseCurves(found.at, o.channel, levelDbfs),
    };
  },

  interChannel: ({ stimulus, first, other, rate, ...o }) =>
    only(interChannelResponseMeasurements(stimulus, first, other, rate, o)),

  crosstalk: ({ steps, rate, levelDbfs, driven, undriven }) => {
    const measurements = steps.flatMap(({ hz, ...captured }) =>
      crosstalkMeasurements(captured.driven, captured.undriven, rate, {
        expectHz: hz,
        conditions: { hz, level_dbfs: levelDbfs, driven, undriven },
        ...(typeof undriven === 'number' && { channel: undriven }),
      }),
    );
    const selective = measurements.filter(({ name }) => name === 'crosstalk_selective_db');
    return { measurements, traces: steps.length > 1 ? [crosstalkCurve(selective, driven, undriven)] : [] };
  },

  intermodulation: ({ smpte, dfd, rate, peakDbfs, ...o }) => {
    const conditions = { peak_dbfs: peakDbfs };
    return only([
      ...smpteMeasurements(smpte, rate, { ...o, conditions }),
      ...dfdMeasurements(dfd, rate, { ...o, conditions }),
    ]);
  },

  maximumLevel: ({ steps, rate, ...o }) => ({
    measurements: maximumLevelMeasurements(steps, rate, { ...o, conditions: { hz: steps[0]!.hz } }),
    traces: [
      curve(
        'headroom',
        o.channel,
        'thdn.aes17/1',
        { name: 'level', unit: 'dBFS', scale: 'linear' },
        { name: 'THD+N', unit: 'dB' },
        analyzeSteps(steps, rate, { clippedIsFine: true }).map((step, i) => [
          steps[i]!.levelDbfs,
          told(step, 'thdnDb'),
        ]),
      ),
    ],
  }),
};

/** The rig played silence: whatever is heard is noise. */
const IDLE = { silenceIsFine: true, keepTone: true } as const;
/** Where the response is told as numbers; the curve has more. */
const TOLD_HZ = [20, 40, 80, 100, 160, 315, 630, 1000, 2500, 5000, 10_000, 16_000, 20_000];
const CURVE_POINTS = 200;

type Point = [x: number, y: number | null];

function only(measurements: Measurement[]): Findings {
  return { measurements, traces: [] };
}

function told(step: StepAnalysis | { reason: string }, key: 'thdDb' | 'thdnDb' | 'gainDb'): number | null {
  return isRefusal(step) ? null : rounded((step as StepAnalysis)[key]);
}

function inNoise(step: StepAnalysis | { reason: string }): boolean {
  return !isRefusal(step) && (step as StepAnalysis).thdInNoise;
}

function curve(
  name: Trace['name'],
  channel: number | undefined,
  definition: string,
  x: Trace['x'],
  y: Trace['y'],
  points: Point[],
  conditions: Trace['conditions'] = {},
  noiseLimited: boolean[] = [],
): Trace {
  return {
    name,
    ...(channel !== undefined && { channel }),
    definition,
    x,
    y,
    xs: points.map(([at]) => rounded(at)),
    ys: points.map(([, value]) => (value === null || !Number.isFinite(value) ? null : rounded(value))),
    ...(noiseLimited.includes(true) && { noiseLimited }),
    conditions,
  };
}

const HZ = { name: 'frequency', unit: 'Hz', scale: 'log' } as const;
const DBFS = { name: 'level of the stimulus', unit: 'dBFS', scale: 'linear' } as const;

function curvesOverHz(steps: ToneStep[], rate: number, { channel }: MeasureOptions): Trace[] {
  const found = analyzeSteps(steps, rate);
  const of = (key: 'thdDb' | 'thdnDb') => found.map((step, i): Point => [steps[i]!.hz, told(step, key)]);
  const conditions = { level_dbfs: steps[0]!.levelDbfs };
  return [
    curve(
      'thd-frequency',
      channel,
      'thd-f.iec60268-3/1',
      HZ,
      { name: 'THD', unit: 'dB' },
      of('thdDb'),
      conditions,
      found.map(inNoise),
    ),
    curve('thd-frequency', channel, 'thdn.aes17/1', HZ, { name: 'THD+N', unit: 'dB' }, of('thdnDb'), conditions),
  ];
}

function curvesOverLevel(steps: ToneStep[], rate: number, { channel }: MeasureOptions): Trace[] {
  const found = analyzeSteps(steps, rate);
  const of = (key: 'thdDb' | 'thdnDb' | 'gainDb') =>
    found.map((step, i): Point => [steps[i]!.levelDbfs, told(step, key)]);
  const conditions = { hz: steps[0]!.hz };
  return [
    curve(
      'thd-level',
      channel,
      'thd-f.iec60268-3/1',
      DBFS,
      { name: 'THD', unit: 'dB' },
      of('thdDb'),
      conditions,
      found.map(inNoise),
    ),
    curve('thd-level', channel, 'thdn.aes17/1', DBFS, { name: 'THD+N', unit: 'dB' }, of('thdnDb'), conditions),
    curve('linearity', channel, 'gain-linearity.aes17/1', DBFS, { name: 'gain', unit: 'dB' }, of('gainDb'), conditions),
  ];
}

function responseCurves(
  at: (hz: number) => { gainDb: number; phaseDeg: number } | null,
  channel: number,
  levelDbfs: number,
): Trace[] {
  const hz = Array.from({ length: CURVE_POINTS }, (_, i) => 20 * 1000 ** (i / (CURVE_POINTS - 1)));
  const points = hz.flatMap((one) => {
    const point = at(one);
    return point ? [{ hz: one, ...point }] : [];
  });
  const conditions = { level_dbfs: levelDbfs };
  return [
    curve(
      'response',
      channel,
      'response.transfer/1',
      HZ,
      { name: 'gain', unit: 'dB' },
      points.map(({ hz, gainDb }) => [hz, gainDb]),
      conditions,
    ),
    curve(
      'phase',
      channel,
      'phase.excess-of-delay/1',
      HZ,
      { name: 'phase', unit: '°' },
      points.map(({ hz, phaseDeg }) => [hz, phaseDeg]),
      conditions,
    ),
  ];
}

function crosstalkCurve(selective: Measurement[], driven: number | string, undriven: number | string): Trace {
  return curve(
    'crosstalk',
    typeof undriven === 'number' ? undriven : undefined,
    'crosstalk.aes17/1',
    HZ,
    { name: 'crosstalk', unit: 'dB' },
    selective.map(({ conditions, value }) => [conditions['hz'] as number, value]),
    { driven, undriven },
    selective.map(({ conditions }) => conditions['noise_limited'] === true),
  );
}
