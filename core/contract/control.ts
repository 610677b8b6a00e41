/** What a dispatcher may say about its own jobs after the offer, and what a technician may ask for. */
import { z } from 'zod';
import { CALIBRATION_KINDS } from './calibration.js';
import { requestClaims } from './envelope.js';
import { Digest, LocalName, RateHz, Settings, TenantId, Uuid } from './primitives.js';

export const CancelPayload = z.strictObject({ ...requestClaims, cancel: z.strictObject({ job: Uuid }) });
export type CancelPayload = z.infer<typeof CancelPayload>;

/** Acknowledges events; `result` says what the dispatcher read back from the store (`missing` repeats the delivery). */
export const AckPayload = z.strictObject({
  ...requestClaims,
  ack: z.strictObject({
    events: z.array(Uuid).max(500),
    result: z
      .strictObject({
        job: Uuid,
        outcome: z.enum(['stored', 'missing']),
        digest: Digest,
        bytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
      })
      .optional(),
  }),
});
export type AckPayload = z.infer<typeof AckPayload>;

export const SessionAction = z.enum([
  'maintenance.enter',
  'maintenance.exit',
  'maintenance.release',
  'maintenance.insert',
  'processors.set',
  'processors.safe',
  'processors.identify',
  'calibrate.start',
  'calibrate.answer',
  'calibrate.baseline',
]);
export type SessionAction = z.infer<typeof SessionAction>;

/** Which measurements, on which insert. */
export const CalibrationWish = z.strictObject({
  kind: z.enum(CALIBRATION_KINDS),
  insert: LocalName,
  rate: RateHz.optional().meta({ description: 'one that the interface runs; the rate that runs now when absent' }),
});
export type CalibrationWish = z.infer<typeof CalibrationWish>;

/** What an insert remembers, by the word of whoever has looked (a new tape, an empty one). */
export const InsertHolds = z.strictObject({
  insert: LocalName,
  tenant: TenantId.nullable().meta({ description: 'whose sound it holds; null when it holds nothing' }),
});
export type InsertHolds = z.infer<typeof InsertHolds>;

/** What a person read from a meter. */
export const CalibrationReading = z.strictObject({
  run: Uuid,
  question: z.int().min(1).meta({ description: 'the number of the question, as it was asked' }),
  value: z.number().meta({ description: 'in the unit of the question' }),
});
export type CalibrationReading = z.infer<typeof CalibrationReading>;

/** One signed request of a technician; the nonce comes from `control.sock` and is good for one use on one connection. */
export const SessionPayload = z.strictObject({
  ...requestClaims,
  session: z.strictObject({
    nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    action: SessionAction,
    reason: z.string().min(3).max(500),
    seconds: z
      .int()
      .min(1)
      .max(12 * 3600)
      .meta({
        description: 'the session ends by itself after this long; means nothing for any action but maintenance.enter',
      }),
    processor: LocalName.optional().meta({ description: 'for the actions on processors' }),
    settings: Settings.optional().meta({ description: 'for processors.set' }),
    calibration: CalibrationWish.optional().meta({ description: 'for calibrate.start' }),
    reading: CalibrationReading.optional().meta({ description: 'for calibrate.answer' }),
    baseline: Uuid.optional().meta({ description: 'for calibrate.baseline: the run' }),
    holds: InsertHolds.optional().meta({ description: 'for maintenance.insert' }),
  }),
});
export type SessionPayload = z.infer<typeof SessionPayload>;
