/**
 * What is seen from one tone after the other, at rising levels or frequencies: distortion as a curve, gain linearity (AES17-2015 6.3.7) and the
 * maximum level by both methods (6.2.1).
 */
import type { Measurement } from '../../core/contract/calibration.js';
import type { MeasurementName } from './definitions.js';
import {
  isRefusal,
  type MeasureOptions,
  meanSquareDbfs,
  measured,
  powerDb,
  type Refusal,
  refused,
} from './measurement.js';
import { analyzeTone } from './tone.js';

export interface ToneStep {
  hz: number;
  /** Of the stimulus. */
  levelDbfs: number;
  samples: Float64Array;
}

export interface StepAnalysis {
  hz: number;
  levelDbfs: number;
  /** Of what came back, at the frequency of the tone. */
  outputDbfs: number;
  gainDb: number;
  /** With all that the path adds in the audio band: what a level meter sees. */
  meterGainDb: number;
  thdDb: number;
  /** The distortion does not stand out of the noise: it is at most that. */
  thdInNoise: boolean;
  thdnDb: number;
  noiseDbfs: number;
  samples: number;
}

/** AES17-2015 6.3.7: steps are used down to this far above the noise. */
const ABOVE_NOISE_DB = 5;
/** AES17-2015 6.2.1. */
const MOST_THDN_DB = -40;
const COMPRESSION_DB = 0.3;

/** One result a step; a step that is refused says why and does not spoil the others. */
export function analyzeSteps(
  steps: readonly ToneStep[],
  rate: number,
  o: { clippedIsFine?: boolean } = {},
): (StepAnalysis | Refusal)[] {
  return steps.map(({ hz, levelDbfs, samples }) => {
    const tone = analyzeTone(samples, rate, { expectHz: hz, ...o });
    if (isRefusal(tone)) return tone;
    const outputDbfs = meanSquareDbfs(tone.power);
    return {
      hz,
      levelDbfs,
      outputDbfs,
      gainDb: outputDbfs - levelDbfs,
      meterGainDb: meanSquareDbfs(tone.total) - levelDbfs,
      thdDb: powerDb(tone.distortion / tone.power),
      thdInNoise: tone.distortionInNoise,
      thdnDb: powerDb(tone.residual / tone.total),
      noiseDbfs: meanSquareDbfs(tone.noise.flat),
      samples: tone.samples,
    };
  });
}

/**
 * The largest deviation of the gain from that of the highest step, over all steps that stand 5 dB or more out of the noise. A step that should stand
 * out of it and has no tone, or has one of which nothing can be said, refuses the whole: what mutes or tears is not linear.
 * @param steps of one frequency, in any order, linear, full scale 1
 * @param rate Hz
 */
export function gainLinearityMeasurements(
  steps: readonly ToneStep[],
  rate: number,
  o: MeasureOptions = {},
): Measurement[] {
  const basis = { ...o, samples: steps.reduce((sum, { samples }) => sum + samples.length, 0) };
  const found = byLevel(analyzeSteps(steps, rate), steps);
  const highest = found.good.at(-1);
  const names = ['gain_linearity_error_db'] as const;
  if (!highest) return refused(names, found.refused[0]?.refusal ?? NO_STEPS, basis);
  const noiseDbfs = Math.min(...found.good.map((step) => step.noiseDbfs));
  const missing = found.refused.find(({ levelDbfs }) => levelDbfs + highest.gainDb - noiseDbfs >= ABOVE_NOISE_DB);
  if (missing) return refused(names, atStep(missing), basis);
  const used = found.good.filter(({ outputDbfs, noiseDbfs }) => outputDbfs - noiseDbfs >= ABOVE_NOISE_DB);
  const worst = used
    .map(({ gainDb }) => gainDb - highest.gainDb)
    .reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  return measured({ gain_linearity_error_db: worst }, basis);
}

const HEADROOM_NAMES = [
  'max_level_dbfs',
  'max_level_thdn_dbfs',
  'max_level_compression_dbfs',
  'max_output_dbfs',
] as const satisfies readonly MeasurementName[];

/**
 * Where THD+N reaches -40 dB, and where the gain has fallen by 0.3 dB from that of the lowest step; the lower of both is the maximum level. A
 * method that finds no end has no measurement of its own; where neither does, the maximum level is the highest step, and `limited` in its
 * conditions says so.
 * @param steps of one frequency, in any order; levels of the stimulus, dBFS; the ends of the converters are part of the measurement
 * @param rate Hz
 */
export function maximumLevelMeasurements(
  steps: readonly ToneStep[],
  rate: number,
  o: MeasureOptions = {},
): Measurement[] {
  const basis = { ...o, samples: steps.reduce((sum, { samples }) => sum + samples.length, 0) };
  const { good, refused: bad } = byLevel(analyzeSteps(steps, rate, { clippedIsFine: true }), steps);
  const [lowest, highest] = [good[0], good.at(-1)];
  if (!lowest || !highest) return refused(HEADROOM_NAMES, bad[0]?.refusal ?? NO_STEPS, basis);
  const distorted = crossing(good, ({ thdnDb }) => 10 ** (thdnDb / 20), 10 ** (MOST_THDN_DB / 20));
  // Compression grows with a power of the level: its logarithm is a straight line.
  const compression = (step: StepAnalysis) => Math.log(Math.max(1e-9, lowest.meterGainDb - step.meterGainDb));
  const compressed = crossing(good, compression, Math.log(COMPRESSION_DB));
  // Nothing that was played is clean: the level at which it stops being so lies lower.
  if (!distorted && good.every(({ thdnDb }) => thdnDb >= MOST_THDN_DB))
    return refused(HEADROOM_NAMES, NEVER_CLEAN, basis);
  // The end that is looked for may be at the very step of which nothing is known.
  if (bad[0]) return refused(HEADROOM_NAMES, atStep(bad[0]), basis);
  const ends = [distorted, compressed].filter((end) => end !== null).sort((a, b) => a.levelDbfs - b.levelDbfs);
  const end = ends[0] ?? highest;
  const full = o.fullScaleDbu ?? null;
  return [
    ...measured(
      {
        ...(distorted && { max_level_thdn_dbfs: distorted.levelDbfs }),
        ...(compressed && { max_level_compression_dbfs: compressed.levelDbfs }),
      },
      basis,
    ),
    ...measured(
      {
        max_level_dbfs: end.levelDbfs,
        max_output_dbfs: end.outputDbfs,
        ...(full !== null && { max_output_dbu: end.outputDbfs + full }),
      },
      { ...basis, conditions: { ...o.conditions, limited: ends.length === 0 } },
    ),
  ];
}

const NEVER_CLEAN: Refusal = { reason: 'too-noisy', message: 'THD+N is above -40 dB at every level that was played' };
const NO_STEPS: Refusal = { reason: 'no-tone', message: 'no step has a tone' };

interface RefusedStep {
  levelDbfs: number;
  refusal: Refusal;
}

function byLevel(
  all: readonly (StepAnalysis | Refusal)[],
  steps: readonly ToneStep[],
): { good: StepAnalysis[]; refused: RefusedStep[] } {
  const good = all.filter((one): one is StepAnalysis => !isRefusal(one)).sort((a, b) => a.levelDbfs - b.levelDbfs);
  const refused = all.flatMap((one, i) => (isRefusal(one) ? [{ levelDbfs: steps[i]!.levelDbfs, refusal: one }] : []));
  return { good, refused };
}

function atStep({ levelDbfs, refusal: { reason, message } }: RefusedStep): Refusal {
  return { reason, message: `at ${Number(levelDbfs.toFixed(2))} dBFS: ${message}` };
}

/** The lowest level at which a rising quantity gets to a threshold: on the line between the steps on either side. */
function crossing(
  steps: readonly StepAnalysis[],
  quantity: (step: StepAnalysis) => number,
  threshold: number,
): { levelDbfs: number; outputDbfs: number } | null {
  for (let i = 1; i < steps.length; i++) {
    const [a, b] = [steps[i - 1]!, steps[i]!];
    const [from, to] = [quantity(a), quantity(b)];
    if (from >= threshold || to < threshold) continue;
    const part = (threshold - from) / (to - from);
    return {
      levelDbfs: a.levelDbfs + part * (b.levelDbfs - a.levelDbfs),
      outputDbfs: a.outputDbfs + part * (b.outputDbfs - a.outputDbfs),
    };
  }
  return null;
}
