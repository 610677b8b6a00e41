/** The history of calibration as it is read: runs, baselines, trends; and what the rig signs of a run. */
import { z } from 'zod';
import { CalibrationKind, CalibrationRun, CalibrationSet, Measurement } from './calibration.js';
import { EffectiveLimits } from './calibration-limits.js';
import { CompactJws, Digest, LocalName, PartyName, RigId, Seconds, Uuid } from './primitives.js';

/** A run before anybody judged it. */
export type UnjudgedRun = Omit<CalibrationRun, 'limits' | 'verdicts' | 'drifts' | 'passed'>;

/** Which run the later ones of its insert and kind are compared with. */
export const Baseline = z.strictObject({
  insert: LocalName,
  kind: CalibrationKind,
  run: Uuid,
  at: Seconds,
  setBy: PartyName.nullable().meta({ description: 'null where the rig took the first run that did not fail' }),
  reason: z.string(),
});
export type Baseline = z.infer<typeof Baseline>;

/** One line of the history. */
export const RunSummary = z.strictObject({
  run: Uuid,
  insert: LocalName,
  kind: CalibrationKind,
  virtual: z.boolean(),
  technician: PartyName.nullable(),
  reason: z.string(),
  startedAt: Seconds,
  endedAt: Seconds,
  measurements: z.int().min(0),
  refused: z.int().min(0),
  failed: z.int().min(0).meta({ description: 'limits that were not kept' }),
  alarms: z.int().min(0).meta({ description: 'drifts over what is allowed' }),
  passed: z.boolean().nullable(),
  calibration: z.string().nullable(),
  limits: z.string().nullable().meta({ description: 'version' }),
  problem: z.string().nullable().meta({ description: 'code of what ended it before its end' }),
  baseline: z.boolean(),
  digest: Digest.meta({ description: 'SHA-256 of the RFC 8785 form of the document' }),
});
export type RunSummary = z.infer<typeof RunSummary>;

/** One measurement over the runs: everything that makes two readings comparable, and the readings, oldest first. */
export const Series = z.strictObject({
  name: z.string(),
  channel: z.int().min(1).nullable(),
  unit: z.string(),
  definition: z.string(),
  conditions: Measurement.shape.conditions,
  points: z.array(
    z.strictObject({
      run: Uuid,
      kind: CalibrationKind,
      at: Seconds,
      value: z.number(),
      passed: z.boolean().nullable(),
    }),
  ),
});
export type Series = z.infer<typeof Series>;

/** What the rig signs of a run: it binds the whole document by its digest. */
export const CalibrationPayload = z.strictObject({
  iss: RigId,
  iat: Seconds,
  calibration: z.strictObject({
    run: Uuid,
    insert: LocalName,
    kind: CalibrationKind,
    document: Digest.meta({ description: 'SHA-256 of the RFC 8785 form of the document' }),
    passed: z.boolean().nullable(),
    virtual: z.boolean(),
  }),
});
export type CalibrationPayload = z.infer<typeof CalibrationPayload>;

/** What everybody may know of the calibration of one insert: what is in force, and how the newest run of each kind ended. */
export const CalibrationSummary = z.strictObject({
  insert: LocalName,
  calibration: z.string().nullable().meta({ description: 'version in force for takes that begin now' }),
  runs: z.array(
    RunSummary.pick({
      run: true,
      kind: true,
      virtual: true,
      endedAt: true,
      measurements: true,
      refused: true,
      failed: true,
      alarms: true,
      passed: true,
      limits: true,
      problem: true,
      digest: true,
    }),
  ),
});
export type CalibrationSummary = z.infer<typeof CalibrationSummary>;

export const CalibrationSummaryPayload = z.strictObject({
  iss: RigId,
  iat: Seconds,
  seq: z.int().min(1),
  ttl: z.int().min(1),
  calibration: CalibrationSummary,
});
export type CalibrationSummaryPayload = z.infer<typeof CalibrationSummaryPayload>;

export const RunsQuery = z.strictObject({
  insert: LocalName.optional(),
  kind: CalibrationKind.optional(),
  since: z.coerce.number().int().min(0).optional().meta({ description: 'NumericDate' }),
  limit: z.coerce.number().int().min(1).max(10_000).default(200),
  newest: z.stringbool().default(false).meta({
    description:
      'the newest of each kind only, and the newest that came to its end; needs an insert, and no other of these',
  }),
});
export const RunsAnswer = z.strictObject({ rig: RigId, runs: z.array(RunSummary) });
export type RunsAnswer = z.infer<typeof RunsAnswer>;

export const RunAnswer = z.strictObject({
  document: CalibrationRun,
  token: CompactJws.meta({ description: "the rig's word on the document's digest" }),
});
export type RunAnswer = z.infer<typeof RunAnswer>;

export const InsertHistoryQuery = RunsQuery.pick({ since: true }).extend({
  points: z.coerce.number().int().min(0).max(10_000).default(1000).meta({ description: 'of each series, the newest' }),
});
export const InsertHistoryAnswer = z.strictObject({
  rig: RigId,
  insert: LocalName,
  calibration: z.string().nullable().meta({ description: 'version in force for takes that begin now' }),
  set: CalibrationSet.nullable().meta({ description: 'the newest one that this rig has measured' }),
  limits: EffectiveLimits,
  baselines: z.array(Baseline),
  series: z.array(Series).meta({ description: 'of every measurement that has a limit or whose drift is watched' }),
});
export type InsertHistoryAnswer = z.infer<typeof InsertHistoryAnswer>;
