/** The trust bundle: who has which key for what (DESIGN section 3, "Trust bundle"). */
import { z } from 'zod';
import { Ed25519Jwk, Kid, PartyName, Seconds, X25519Jwk } from './primitives.js';

export const Role = z.enum(['dispatcher', 'keeper', 'technician', 'monitor', 'rig']);
export type Role = z.infer<typeof Role>;

export const MAX_BUNDLE_LIFETIME_SECONDS = 14 * 24 * 3600;
export const MAX_KEY_LIFETIME_SECONDS = 31 * 24 * 3600;

export const TrustKey = z
  .strictObject({
    kid: Kid,
    name: PartyName,
    role: Role,
    use: z.enum(['sig', 'enc']),
    jwk: z.union([Ed25519Jwk, X25519Jwk]),
    nbf: Seconds,
    exp: Seconds,
  })
  .refine((key) => (key.use === 'sig') === (key.jwk.crv === 'Ed25519'), {
    message: 'sig keys are Ed25519, enc keys X25519',
  })
  .refine((key) => key.exp > key.nbf && key.exp - key.nbf <= MAX_KEY_LIFETIME_SECONDS, {
    message: 'a key lives at most 31 days',
  });
export type TrustKey = z.infer<typeof TrustKey>;

/** Root keys, and how many of them must sign. */
export const Roots = z
  .strictObject({ threshold: z.int().min(1).max(10), keys: z.array(Ed25519Jwk).min(1).max(10) })
  .refine((roots) => roots.threshold <= roots.keys.length, { message: 'threshold is larger than the number of keys' });
export type Roots = z.infer<typeof Roots>;

export const TrustPayload = z
  .strictObject({
    version: z.int().min(1),
    iat: Seconds,
    exp: Seconds,
    keys: z.array(TrustKey).max(200),
    revoked: z.array(Kid).max(1000),
    nextRoots: Roots.optional(),
  })
  .refine((bundle) => bundle.exp > bundle.iat && bundle.exp - bundle.iat <= MAX_BUNDLE_LIFETIME_SECONDS, {
    message: 'a bundle lives at most 14 days',
  })
  .refine((bundle) => new Set(bundle.keys.map((key) => key.kid)).size === bundle.keys.length, {
    message: 'a kid is listed twice',
  });
export type TrustPayload = z.infer<typeof TrustPayload>;

/** JWS general JSON serialization (RFC 7515 section 7.2.1): several signatures over one payload. */
export const TrustDocument = z.strictObject({
  payload: z.string(),
  signatures: z
    .array(z.strictObject({ protected: z.string().max(1024), signature: z.string().max(1024) }))
    .min(1)
    .max(10),
});
export type TrustDocument = z.infer<typeof TrustDocument>;
