/** A keeper's grant: for whom one source is processed by one job on one rig. */
import { z } from 'zod';
import { requestClaims } from './envelope.js';
import { CompactJwe, Digest, Frames, PartyName, RateHz, TenantId, Uuid } from './primitives.js';

export const SourceEncoding = z.enum(['pcm16', 'pcm24', 'pcm32', 'float32', 'float64']);
export type SourceEncoding = z.infer<typeof SourceEncoding>;

export const SourceFormat = z.strictObject({
  rate: RateHz,
  channels: z.int().min(1).max(64),
  encoding: SourceEncoding,
  frames: Frames.min(1),
});
export type SourceFormat = z.infer<typeof SourceFormat>;

export const Source = z.strictObject({
  digest: Digest,
  bytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER).meta({ description: 'length of the ciphertext' }),
  format: SourceFormat,
});
export type Source = z.infer<typeof Source>;

/** Recipients in age's own notation. Hybrid post-quantum recipients are about 2 KiB long. */
export const Recipient = z
  .string()
  .max(2600)
  .regex(/^age1[0-9a-z]+$/);

export const GrantPayload = z.strictObject({
  ...requestClaims,
  dispatcher: PartyName,
  job: Uuid.meta({ description: "the job's jti" }),
  tenant: TenantId,
  source: Source,
  recipients: z.array(Recipient).min(1).max(20),
  key: CompactJwe.meta({ description: "JWE (ECDH-ES+A256KW, A256GCM) to the rig's wrapping key" }),
});
export type GrantPayload = z.infer<typeof GrantPayload>;
