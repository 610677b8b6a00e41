/** The small shapes that every envelope and document is made of. */
import { z } from 'zod';

/** A blob's only name: SHA-256 of its ciphertext. */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .meta({ description: 'sha256:<hex> of the ciphertext' });
/** `rig-01`: no dot, so that it never collides with `role.name`. */
export const RigId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .meta({ description: 'id of a rig; has no dot' });
/** The name that the trust bundle gives to a key: a rig id, or `role.name`. */
export const PartyName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62})?$/);
export const Uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
/** Whole seconds since the epoch; small enough for exact JSON and for dates that exist. */
export const Seconds = z.int().min(0).max(253_402_300_799).meta({ description: 'NumericDate, whole seconds' });
/** RFC 7638 thumbprint (SHA-256, base64url). */
export const Kid = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
/** A compact JWS (RFC 7515). */
export const CompactJws = z
  .string()
  .max(32 * 1024)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
/** A compact JWE (RFC 7516). */
export const CompactJwe = z
  .string()
  .max(4096)
  .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/);
/** Name of a processor or an insert in the rig's configuration. */
export const LocalName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);
/** A random id of the client; it says nothing about who that is. */
export const TenantId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/);
/** `name`, or `name@axis=n` for a parameter that exists per channel. */
export const SettingName = z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,31}(@[a-z]{1,16}=\d{1,4})?$/);
export const SettingValue = z.union([z.number(), z.boolean(), z.string().max(64)]);
export const Settings = z.record(SettingName, SettingValue);
export const Frames = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const RateHz = z.int().min(8000).max(768_000);
export const Ed25519Jwk = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export const X25519Jwk = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
/** A stable error code, with what happened and what to do. */
export const Problem = z.strictObject({
  code: z.string(),
  message: z.string(),
  advice: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});

export type SettingValue = z.infer<typeof SettingValue>;
export type Settings = z.infer<typeof Settings>;
export type Problem = z.infer<typeof Problem>;
