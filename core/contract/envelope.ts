/** The purposes of signed tokens, the bounds of all of them, and the claims that they share (DESIGN section 3, "Envelopes"). */
import { PartyName, RigId, Seconds, Uuid } from './primitives.js';

export const TYP = {
  job: 'outboard-job+jws',
  grant: 'outboard-grant+jws',
  cancel: 'outboard-cancel+jws',
  ack: 'outboard-ack+jws',
  session: 'outboard-session+jws',
  trust: 'outboard-trust+jws',
  event: 'outboard-event+jws',
  state: 'outboard-state+jws',
  calibration: 'outboard-calibration+jws',
} as const;
export type Purpose = keyof typeof TYP;
export type Typ = (typeof TYP)[Purpose];

/** A compact token is at most this long, and is measured before anything is decoded. */
export const MAX_TOKEN_BYTES = 32 * 1024;
/** A trust bundle carries many keys; it still fits into one MQTT packet of 65,536 bytes. */
export const MAX_TRUST_BYTES = 60 * 1024;
export const MAX_IAT_AHEAD_SECONDS = 60;
export const MAX_LIFETIME_SECONDS = 7 * 24 * 3600;
/** Media type of a token as an HTTP body (RFC 7515 section 9.2.1). */
export const JOSE = 'application/jose';
export const JOSE_JSON = 'application/jose+json';

/** Claims of a token that asks the rig for something: all of them are there, none has a default. */
export const requestClaims = { iss: PartyName, aud: RigId, jti: Uuid, iat: Seconds, exp: Seconds };
