/** What a technician measures: one number with all that is needed to believe it, curves, what limits say of them, and the run that made them. */
import { z } from 'zod';
import { EffectiveLimits } from './calibration-limits.js';
import { CalibrationVersion, InsertConfig, InsertTrims } from './config.js';
import { Digest, LocalName, PartyName, Problem, RateHz, RigId, Seconds, Settings, Uuid } from './primitives.js';

/** Why a capture gives no number. */
export const RefusalReason = z.enum([
  'clipped',
  'no-tone',
  'gap',
  'unlocked',
  'too-short',
  'too-noisy',
  'silent',
  'not-finite',
]);
export type RefusalReason = z.infer<typeof RefusalReason>;

export const Refusal = z.strictObject({
  reason: RefusalReason,
  message: z.string().meta({ description: 'for people: what was seen' }),
});
export type Refusal = z.infer<typeof Refusal>;

const Conditions = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]));

export const Measurement = z.strictObject({
  name: z.string().meta({ description: 'in the flat form of programs, unit included: thd_f_db' }),
  channel: z.int().min(1).optional().meta({ description: 'of the insert, or of the file; absent where it is of all' }),
  value: z
    .number()
    .nullable()
    .meta({ description: 'null exactly where there is a refusal, or where the level is that of digital silence' }),
  unit: z.string(),
  definition: z.string().meta({ description: 'which formula of which standard, and its version here: thdn.aes17/1' }),
  band: z.tuple([z.number(), z.number()]).readonly().nullable().meta({ description: 'Hz, both edges included' }),
  detector: z.enum(['rms', 'selective', 'quasi-peak', 'peak', 'two-sigma', 'fit']),
  reference: z.string().meta({ description: 'what 0 of the unit is: full-scale sine, fundamental, total' }),
  samples: z.int().min(0).meta({ description: 'that were used' }),
  conditions: Conditions.readonly(),
  valid: z.boolean(),
  refusal: Refusal.optional(),
});
export type Measurement = z.infer<typeof Measurement>;

const Axis = z.strictObject({ name: z.string(), unit: z.string() });

/** A curve for people's eyes, and for whoever wants to look again. */
export const Trace = z.strictObject({
  name: z.enum([
    'spectrum',
    'noise-spectrum',
    'response',
    'phase',
    'thd-frequency',
    'thd-level',
    'linearity',
    'headroom',
    'crosstalk',
  ]),
  channel: z.int().min(1).optional(),
  definition: z.string(),
  x: Axis.extend({ scale: z.enum(['log', 'linear']) }),
  y: Axis,
  xs: z.array(z.number()),
  ys: z.array(z.number().nullable()).meta({ description: 'null where there is no number' }),
  noiseLimited: z
    .array(z.boolean())
    .optional()
    .meta({ description: 'points that do not stand out of the noise: there is at most that' }),
  conditions: Conditions.readonly(),
});
export type Trace = z.infer<typeof Trace>;

export const CALIBRATION_KINDS = [
  'level',
  'thd',
  'snr',
  'noise',
  'response',
  'crosstalk',
  'latency',
  'imd',
  'headroom',
  'suite',
] as const;
/** `self-test` is the rig's own, between jobs. */
export const CalibrationKind = z.enum([...CALIBRATION_KINDS, 'self-test']);
export type CalibrationKind = z.infer<typeof CalibrationKind>;

/** What a limit says of one measurement. A refused measurement does not pass. */
export const Verdict = z.strictObject({
  measurement: z.int().min(0).meta({ description: 'index into the measurements of the run' }),
  rule: z.string(),
  min: z.number().optional(),
  max: z.number().optional(),
  passed: z.boolean().nullable().meta({ description: 'null where it cannot be judged; the reason says why' }),
  reason: z.string().optional(),
});
export type Verdict = z.infer<typeof Verdict>;

/** How one measurement stands to the baseline of its insert. An alarm is no failure: it asks a technician to look. */
export const Drift = z.strictObject({
  measurement: z.int().min(0).meta({ description: 'index into the measurements of the run' }),
  rule: z.string(),
  baseline: Uuid.meta({ description: 'the run that it is compared with' }),
  was: z.number(),
  change: z.number(),
  allowed: z.number().meta({ description: 'either way' }),
  sigma: z.number().nullable().meta({ description: 'of the readings from the baseline on; null while they are few' }),
  alarm: z.boolean(),
});
export type Drift = z.infer<typeof Drift>;

/** dBu that a full-scale sine is, for each channel of an insert; null where nobody measured it. */
export const FullScaleDbu = z.strictObject({
  send: z.array(z.number().nullable()),
  return: z.array(z.number().nullable()),
});
export type FullScaleDbu = z.infer<typeof FullScaleDbu>;

export const CalibrationRun = z.strictObject({
  run: Uuid,
  rig: RigId,
  virtual: z.boolean().meta({ description: 'a simulated interface: nothing of this is true of any gear' }),
  insert: LocalName,
  kind: CalibrationKind,
  technician: PartyName.nullable().meta({ description: "null for the rig's own self-test" }),
  reason: z.string(),
  startedAt: Seconds,
  endedAt: Seconds,
  analogSeconds: z.number().min(0).meta({ description: 'how long signals were played' }),
  software: z.string(),
  conditions: z.strictObject({
    driver: z.string(),
    device: z.strictObject({ playback: z.string(), capture: z.string() }),
    rate: RateHz,
    channels: z.int().min(1),
    loopLatencyFrames: z.number().meta({ description: 'of the interface alone; already taken out of latencies' }),
    ceilingDbfs: z.number().meta({ description: 'no stimulus had a higher peak' }),
    calibration: z.string().nullable().meta({ description: 'version in force' }),
    fullScaleDbu: FullScaleDbu,
    processors: z.array(
      z.strictObject({
        name: LocalName,
        profile: z.strictObject({ id: z.string(), version: z.string(), hash: Digest }),
        settings: Settings,
      }),
    ),
  }),
  measurements: z.array(Measurement),
  traces: z.array(Trace),
  limits: EffectiveLimits.nullable(),
  verdicts: z.array(Verdict),
  drifts: z.array(Drift),
  passed: z.boolean().nullable().meta({ description: 'null where no limit says anything of it' }),
  problem: Problem.optional().meta({
    description: 'what ended the run before its end; the measurements are those made before',
  }),
});
export type CalibrationRun = z.infer<typeof CalibrationRun>;

/** The wires that a level was measured over: on another card, other channels or other crosspoints it is another one. */
export const CalibratedPath = z.strictObject({
  playback: z.string().meta({ description: 'device, by the name of its card' }),
  capture: z.string(),
  sends: InsertConfig.shape.sends,
  returns: InsertConfig.shape.returns,
  via: InsertConfig.shape.via,
});
export type CalibratedPath = z.infer<typeof CalibratedPath>;

/**
 * The trims that a rig has measured itself, and what a full-scale sine is at each insert. They are in force while the calibration file that they
 * were derived from is configured.
 */
export const CalibrationSet = z.strictObject({
  version: CalibrationVersion,
  base: CalibrationVersion.nullable().meta({
    description:
      "version of the configuration's calibration file that this was derived from; null where there was none",
  }),
  run: Uuid.meta({ description: 'that measured it' }),
  at: Seconds,
  inserts: z.record(
    LocalName,
    InsertTrims.extend({
      fullScaleDbu: FullScaleDbu,
      path: CalibratedPath.nullable().meta({ description: 'null where nothing was measured' }),
    }),
  ),
});
export type CalibrationSet = z.infer<typeof CalibrationSet>;

/** What a technician's terminal hears of a run while it goes on; one JSON object a line. */
export const CalibrationNews = z.discriminatedUnion('news', [
  z.strictObject({ news: z.literal('step'), label: z.string(), fraction: z.number().min(0).max(1) }),
  z.strictObject({
    news: z.literal('live'),
    levels: z.array(
      z.strictObject({
        rmsDbfs: z.number().nullable().meta({ description: 'null for digital silence' }),
        peakDbfs: z.number().nullable(),
      }),
    ),
    spectrum: z
      .strictObject({
        channel: z.int().min(1),
        hz: z.array(z.number()).meta({ description: 'upper edges of the bands; the first one begins at 20 Hz' }),
        dbfs: z.array(z.number().nullable()).meta({ description: 'of all that is in the band' }),
      })
      .nullable(),
  }),
  z.strictObject({
    news: z.literal('question'),
    question: z.int().min(1),
    text: z.string(),
    unit: z.literal('V'),
    channel: z.int().min(1),
    allowed: z.tuple([z.number(), z.number()]).meta({
      description: 'least and highest reading that can be; another one is refused, and the question stays open',
    }),
  }),
  z.strictObject({ news: z.literal('answered'), question: z.int().min(1), value: z.number() }),
  z.strictObject({ news: z.literal('over'), document: CalibrationRun }),
  z.strictObject({ news: z.literal('failed'), problem: Problem }).meta({ description: 'there is no document' }),
]);
export type CalibrationNews = z.infer<typeof CalibrationNews>;
