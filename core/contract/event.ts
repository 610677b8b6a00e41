/** What the rig says about a job, signed, to the job's own dispatcher. */
import { z } from 'zod';
import { OutputEncoding } from './job.js';
import {
  Digest,
  Frames,
  LocalName,
  PartyName,
  Problem,
  RateHz,
  RigId,
  Seconds,
  SettingValue,
  Uuid,
} from './primitives.js';

/** One requested setting, what was sent and what the unit reports. */
export const RecalledSetting = z.strictObject({
  name: z.string(),
  unit: z.string().optional(),
  requested: SettingValue,
  sent: SettingValue,
  readBack: SettingValue.optional(),
  readBackAfter: SettingValue.optional(),
  state: z.enum(['verified', 'sent, unverified']),
});
export type RecalledSetting = z.infer<typeof RecalledSetting>;

export const RecalledProcessor = z.strictObject({
  processor: LocalName,
  insert: LocalName,
  profile: z.strictObject({ id: z.string(), version: z.string(), hash: Digest }),
  driveDb: z.number(),
  settings: z.array(RecalledSetting),
});
export type RecalledProcessor = z.infer<typeof RecalledProcessor>;

/** The routes of one patchbay that connected the chain's inserts. */
export const RecalledPatchbay = z.strictObject({
  processor: LocalName,
  profile: z.strictObject({ id: z.string(), version: z.string(), hash: Digest }),
  settings: z.array(RecalledSetting),
});
export type RecalledPatchbay = z.infer<typeof RecalledPatchbay>;

/** Every part of the delay that was taken out, in frames of the take's rate. */
export const LatencyCompensation = z.strictObject({
  totalFrames: Frames,
  interfaceFrames: Frames.meta({ description: 'loop latency of the interface, per pass through it, times the passes' }),
  insertFrames: z.array(z.strictObject({ insert: LocalName, frames: Frames })),
  patchFrames: Frames.meta({ description: 'what the engine added between inserts' }),
});
export type LatencyCompensation = z.infer<typeof LatencyCompensation>;

/** Why it is known that no sample is missing: the stream's own count of what was due, played and recorded. */
export const Continuity = z.strictObject({
  streamFrames: z
    .strictObject({ from: Frames, to: Frames })
    .meta({ description: 'capture positions of first and past-last frame' }),
  framesPlayed: Frames,
  framesRecorded: Frames,
  xruns: Frames,
  starvedFrames: Frames,
  droppedFrames: Frames,
  clock: z.enum(['realtime', 'fast', 'hardware']),
});
export type Continuity = z.infer<typeof Continuity>;

export const Loudness = z.strictObject({
  definition: z.string(),
  integratedLufs: z.number().nullable().meta({ description: 'null when every block is under the gate' }),
});

export const ResultFile = z.strictObject({
  digest: Digest,
  bytes: z.int().min(1),
  frames: Frames,
  rate: RateHz,
  channels: z.int().min(1),
  encoding: OutputEncoding,
});
export type ResultFile = z.infer<typeof ResultFile>;

/** The certificate of a take. It claims no right in the work. */
export const Certificate = z.strictObject({
  job: Uuid,
  jobDigest: Digest.meta({ description: 'SHA-256 of the RFC 8785 payload of the job' }),
  grantDigest: Digest,
  source: Digest,
  region: z.strictObject({ start: Frames, frames: Frames }),
  tailFrames: Frames,
  attempt: z.int().min(1),
  processors: z.array(RecalledProcessor),
  patchbays: z
    .array(RecalledPatchbay)
    .optional()
    .meta({ description: 'absent where no insert of the chain leads through one' }),
  latency: LatencyCompensation,
  continuity: Continuity,
  dither: z.enum(['none', 'tpdf-24']),
  peakDbfs: z
    .array(z.number().nullable())
    .meta({ description: 'per channel, re full scale; null for digital silence' }),
  clippedSamples: z.int().min(0),
  loudness: Loudness,
  calibration: z
    .string()
    .nullable()
    .meta({ description: 'version of the calibration in force, or null when there is none' }),
  result: ResultFile,
  startedAt: Seconds,
  endedAt: Seconds,
});
export type Certificate = z.infer<typeof Certificate>;

export const EventType = z.enum([
  'accepted',
  'ready',
  'rolling',
  'sealed',
  'delivered',
  'closed',
  'refused',
  'failed',
  'cancelled',
  'expired',
  'too-late',
  'progress',
]);
export type EventType = z.infer<typeof EventType>;

/** Events after which nothing more is said of a job. */
export const FINAL_EVENTS: readonly EventType[] = ['closed', 'refused', 'failed', 'cancelled', 'expired'];

export const EventPayload = z.strictObject({
  iss: RigId,
  aud: PartyName,
  jti: Uuid.meta({ description: 'the id to acknowledge; the same event is sent again under the same id' }),
  iat: Seconds,
  job: Uuid,
  type: EventType,
  attempt: z.int().min(1).optional(),
  problem: Problem.optional(),
  progress: z.strictObject({ phase: z.string(), percent: z.number().min(0).max(100) }).optional(),
  certificate: Certificate.optional(),
});
export type EventPayload = z.infer<typeof EventPayload>;
