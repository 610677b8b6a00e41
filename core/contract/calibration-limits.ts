/** What a measurement has to keep, and how far it may move: the file that technicians write, and what of it holds for one insert. */
import { z } from 'zod';
import { Digest, LocalName } from './primitives.js';

const RuleName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/);
const MeasurementName = z.string().regex(/^[a-z][a-z0-9_]{1,63}$/);

/** A value, or a range of numbers with both edges included. */
const Condition = z.union([z.number(), z.string(), z.boolean(), z.tuple([z.number(), z.number()])]);

const Conditions = z.record(z.string(), Condition).optional().meta({
  description: 'conditions that the measurement must have been made under, such as hz: [900, 1100]',
});

const bounds = {
  measurement: MeasurementName,
  when: Conditions,
  unit: z.literal('dBu').optional().meta({
    description: 'for a measurement in dBFS: judged in dBu, by the full scale of its return',
  }),
  min: z.number().optional(),
  max: z.number().optional(),
};
const hasBound = (rule: { min?: number | undefined; max?: number | undefined }): boolean =>
  rule.min !== undefined || rule.max !== undefined;
const bounded = { message: 'give min, max or both' };
const inOrder = (rule: { min?: number | undefined; max?: number | undefined }): boolean =>
  rule.min === undefined || rule.max === undefined || rule.min <= rule.max;
const ordered = { message: 'min is above max' };

const Rule = z.strictObject(bounds).refine(hasBound, bounded).refine(inOrder, ordered);

const DriftRule = z.strictObject({
  measurement: MeasurementName,
  when: Conditions,
  change: z.number().positive().meta({ description: 'more than this against the baseline is an alarm' }),
  resolution: z.number().positive().meta({
    description: 'less than this is never an alarm, however steady the readings were',
  }),
});

const Changes = {
  limits: z.record(RuleName, z.union([Rule, z.literal('off')])).default({}),
  drift: z.record(RuleName, z.union([DriftRule, z.literal('off')])).default({}),
};
const PerUnit = z.strictObject({ class: RuleName.optional(), ...Changes });

/**
 * The limits of a rig. `classes` changes the built-in ones or adds new ones; `processors` and `inserts` change what their class says, by the
 * names of the rules, and `off` takes a rule away. The insert's word is the last.
 */
export const LimitsFile = z.strictObject({
  version: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
    .meta({ description: 'goes into every result; another one for every change' }),
  classes: z.record(RuleName, z.strictObject(Changes)).default({}),
  processors: z.record(LocalName, PerUnit).default({}),
  inserts: z.record(LocalName, PerUnit).default({}),
});
export type LimitsFile = z.infer<typeof LimitsFile>;

/** What holds for one insert, as its runs carry it. */
export const EffectiveLimits = z.strictObject({
  version: z.string(),
  digest: Digest.meta({ description: 'SHA-256 of the RFC 8785 form of the whole file' }),
  class: z.string(),
  limits: z.array(z.strictObject({ rule: RuleName, ...bounds })),
  drift: z.array(z.strictObject({ rule: RuleName, ...DriftRule.shape })),
});
export type EffectiveLimits = z.infer<typeof EffectiveLimits>;
export type LimitRule = EffectiveLimits['limits'][number];
export type DriftRule = EffectiveLimits['drift'][number];
