/** A dispatcher's job: how a source is processed. */
import { z } from 'zod';
import { requestClaims } from './envelope.js';
import { CompactJws, Frames, LocalName, Seconds, Settings } from './primitives.js';

export const ChainLink = z.strictObject({
  processor: LocalName,
  settings: Settings,
  driveDb: z
    .number()
    .min(-120)
    .max(24)
    .optional()
    .meta({ description: 'digital level into that insert, dB; 0 when absent' }),
  verify: z.enum(['required', 'sent-ok']),
});
export type ChainLink = z.infer<typeof ChainLink>;

export const OutputEncoding = z.enum(['pcm24', 'float32']);
export type OutputEncoding = z.infer<typeof OutputEncoding>;

export const BounceJob = z.strictObject({
  kind: z.literal('bounce'),
  grant: CompactJws,
  chain: z.array(ChainLink).min(1).max(32),
  region: z.strictObject({ start: Frames, frames: Frames.min(1) }).optional(),
  tail: z.number().min(0).max(3600).meta({ description: 'seconds recorded after the last source frame' }),
  output: z.strictObject({ encoding: OutputEncoding }),
  startBy: Seconds.optional(),
  maxAttempts: z.int().min(1).max(5),
});
export type BounceJob = z.infer<typeof BounceJob>;

export const JobPayload = z.strictObject({
  ...requestClaims,
  nbf: Seconds.optional(),
  job: BounceJob,
});
export type JobPayload = z.infer<typeof JobPayload>;
