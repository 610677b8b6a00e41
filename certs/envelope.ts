/**
 * Signed tokens: compact JWS over canonical JSON (DESIGN section 3, "Envelopes"). What comes out of `verifyEnvelope` was said by
 * somebody who may say it, to us, now, in exactly one spelling; every way to fail that has a code of its own.
 */
import { createHash, type webcrypto } from 'node:crypto';
import { CompactSign, compactVerify, errors } from 'jose';
import { canonicalBytes, isCanonical } from '../core/canonical.js';
import { CalibrationPayload, CalibrationSummaryPayload } from '../core/contract/calibration-history.js';
import { AckPayload, CancelPayload, SessionPayload } from '../core/contract/control.js';
import {
  MAX_IAT_AHEAD_SECONDS,
  MAX_LIFETIME_SECONDS,
  MAX_TOKEN_BYTES,
  type Purpose,
  TYP,
} from '../core/contract/envelope.js';
import { EventPayload } from '../core/contract/event.js';
import { GrantPayload } from '../core/contract/grant.js';
import { AlertPayload, HealthPayload, StatePayload } from '../core/contract/health.js';
import { JobPayload } from '../core/contract/job.js';
import { Uuid } from '../core/contract/primitives.js';
import type { Role, TrustKey } from '../core/contract/trust.js';
import { type ErrorCode, isOutboardError, OutboardError } from '../core/errors.js';
import { parseBoundedJson } from './bounded-json.js';
import { decodePart, readProtectedHeader } from './protected-header.js';
import type { TrustBundle } from './trust-bundle.js';

/** Every purpose but the trust bundle, which is no compact token. */
export type EnvelopePurpose = Exclude<Purpose, 'trust'>;

export interface Payloads {
  job: JobPayload;
  grant: GrantPayload;
  cancel: CancelPayload;
  ack: AckPayload;
  session: SessionPayload;
  event: EventPayload;
  /** What a rig says to everybody: which of the four it is shows in its `state`, `health`, `alert` or `calibration`. */
  state: StatePayload | HealthPayload | AlertPayload | CalibrationSummaryPayload;
  /** What a rig measured, for the record: it asks nobody to act. */
  calibration: CalibrationPayload;
}

/** Who may sign what (DESIGN section 3, the table of roles). */
export const SIGNER_ROLE: Readonly<Record<EnvelopePurpose, Role>> = {
  job: 'dispatcher',
  cancel: 'dispatcher',
  ack: 'dispatcher',
  grant: 'keeper',
  session: 'technician',
  event: 'rig',
  state: 'rig',
  calibration: 'rig',
};

/** These ask the rig to act: they have an audience and an expiry, always. */
const REQUESTS: ReadonlySet<EnvelopePurpose> = new Set(['job', 'grant', 'cancel', 'ack', 'session']);
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The private half of a signer. */
export interface SigningKey {
  kid: string;
  privateKey: webcrypto.CryptoKey;
}

export interface VerifyOptions {
  trust: TrustBundle;
  /** Wall clock, seconds since the epoch. */
  now: number;
  /** Our own name: the rig for requests, the dispatcher for events. A request is refused where it is missing. */
  aud?: string;
  /** Tokens signed before this are refused with rig.epoch (a rig restored from a backup). */
  minIat?: number;
  /**
   * False for a token that was good when it came in and is looked at again: its own times no longer count, those of the signer's
   * key and its revocation still do.
   */
  expiry?: boolean;
}

export type Verified<P extends EnvelopePurpose = EnvelopePurpose> = {
  [K in P]: {
    purpose: K;
    payload: Payloads[K];
    signer: TrustKey;
    /** `sha256:<hex>` of the payload's bytes: what a replay is compared by. */
    payloadDigest: string;
    token: string;
  };
}[P];

/** In `details.authenticated` of a refusal whose sender is known: the signature was good, by a key of the right role. */
export interface Authenticated {
  iss: string;
  kid: string;
  jti?: string;
}

/** The authenticated sender of a refused token, if there is one to answer. */
export function authenticatedSender(error: unknown): Authenticated | null {
  if (!isOutboardError(error)) return null;
  return (error.details['authenticated'] as Authenticated | undefined) ?? null;
}

/**
 * Signs a payload for one purpose. The payload is serialized as RFC 8785 says; its schema is the verifier's business.
 *
 * @throws OutboardError envelope.not-canonical | envelope.too-large
 */
export async function signEnvelope(purpose: EnvelopePurpose, payload: object, key: SigningKey): Promise<string> {
  const token = await new CompactSign(canonicalBytes(payload))
    .setProtectedHeader({ alg: 'EdDSA', typ: TYP[purpose], kid: key.kid })
    .sign(key.privateKey);
  if (token.length > MAX_TOKEN_BYTES)
    throw new OutboardError(
      'envelope.too-large',
      `the token has ${token.length} bytes, ${MAX_TOKEN_BYTES} is the limit`,
    );
  return token;
}

/**
 * Verifies a token against the trust bundle.
 *
 * @param token the compact serialization, as text or ASCII bytes
 * @param purposes what is expected here; any other is refused with envelope.typ
 * @throws OutboardError envelope.* | grant.missing | rig.epoch | trust.expired | trust.clock, with `details.authenticated` ({@link Authenticated})
 *   where the sender is known, and `details.path` for a schema fault
 */
export async function verifyEnvelope<P extends EnvelopePurpose>(
  token: string | Uint8Array,
  purposes: readonly P[],
  options: VerifyOptions,
): Promise<Verified<P>> {
  const text = tokenText(token);
  const [headerPart, payloadPart, signaturePart] = text.split('.') as [string, string, string];
  const header = readProtectedHeader(headerPart);
  const purpose = purposes.find((candidate) => TYP[candidate] === header.typ);
  if (purpose === undefined)
    throw new OutboardError('envelope.typ', `typ ${header.typ} is not taken here`, { details: { typ: header.typ } });
  const payloadBytes = decodePart(payloadPart);
  if (payloadBytes === null || decodePart(signaturePart) === null)
    throw new OutboardError('envelope.malformed', 'a part is not base64url in its only spelling');

  const signer = options.trust.lookup(header.kid, options.now);
  if (signer.use !== 'sig')
    throw new OutboardError('envelope.role', `the key of ${signer.name} is for encryption, not for signatures`);
  await checkSignature(text, await options.trust.verificationKey(header.kid));
  const role = SIGNER_ROLE[purpose];
  if (signer.role !== role)
    throw new OutboardError('envelope.role', `${signer.name} is a ${signer.role}; a ${purpose} is signed by a ${role}`);

  // From here on the sender is known, and the refusal can be told to him.
  const sender: Authenticated = { iss: signer.name, kid: signer.kid };
  try {
    const parsed = parseBoundedJson(payloadBytes, 'envelope.malformed', 'payload');
    const jti = Uuid.safeParse((parsed as { jti?: unknown } | null)?.jti);
    if (jti.success) sender.jti = jti.data;
    if (!isCanonical(payloadBytes, parsed))
      throw new OutboardError('envelope.not-canonical', 'the payload is not in its RFC 8785 form');
    const payload = checkSchema(purpose, parsed);
    if (payload.iss !== signer.name)
      throw new OutboardError('envelope.issuer', `iss is ${payload.iss}, the key belongs to ${signer.name}`);
    checkClaims(purpose, payload, options);
    const payloadDigest = `sha256:${createHash('sha256').update(payloadBytes).digest('hex')}`;
    return { purpose, payload, signer, payloadDigest, token: text } as Verified<P>;
  } catch (error) {
    if (!isOutboardError(error)) throw error;
    throw new OutboardError(error.code, error.message, {
      cause: error.cause,
      details: { ...error.details, authenticated: sender },
    });
  }
}

/** The size is looked at before anything is decoded. */
function tokenText(token: string | Uint8Array): string {
  if (token.length > MAX_TOKEN_BYTES)
    throw new OutboardError(
      'envelope.too-large',
      `the token has ${token.length} bytes, ${MAX_TOKEN_BYTES} is the limit`,
    );
  const text = typeof token === 'string' ? token : Buffer.from(token).toString('latin1');
  if (!COMPACT.test(text)) throw new OutboardError('envelope.malformed', 'not a compact JWS of three base64url parts');
  return text;
}

async function checkSignature(token: string, key: webcrypto.CryptoKey): Promise<void> {
  try {
    await compactVerify(token, key, { algorithms: ['EdDSA'] });
  } catch (cause) {
    if (cause instanceof errors.JOSEError)
      throw new OutboardError('envelope.signature', 'the signature does not match', { cause });
    throw cause;
  }
}

function checkSchema(purpose: EnvelopePurpose, parsed: unknown): Payloads[EnvelopePurpose] {
  if (purpose === 'job' && lacksGrant(parsed))
    throw new OutboardError('grant.missing', 'the job has no grant', { details: { path: 'job.grant' } });
  const result = schemaOf(purpose, parsed).safeParse(parsed);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...issue.path, ...(unknown === undefined ? [] : [unknown])].map(String).join('.') || '(top level)';
  throw new OutboardError('envelope.schema', `${path.slice(0, 200)}: ${issue.message.slice(0, 300)}`, {
    details: { path: path.slice(0, 200) },
  });
}

function lacksGrant(parsed: unknown): boolean {
  const job = (parsed as { job?: unknown } | null)?.job;
  return typeof job === 'object' && job !== null && !Array.isArray(job) && !('grant' in job);
}

function schemaOf(purpose: EnvelopePurpose, parsed: unknown) {
  switch (purpose) {
    case 'job':
      return JobPayload;
    case 'grant':
      return GrantPayload;
    case 'cancel':
      return CancelPayload;
    case 'ack':
      return AckPayload;
    case 'session':
      return SessionPayload;
    case 'event':
      return EventPayload;
    case 'calibration':
      return CalibrationPayload;
    case 'state': {
      // A union would answer with the faults of all four.
      const has = (key: string) => typeof parsed === 'object' && parsed !== null && key in parsed;
      if (has('calibration')) return CalibrationSummaryPayload;
      return has('health') ? HealthPayload : has('alert') ? AlertPayload : StatePayload;
    }
  }
}

function checkClaims(purpose: EnvelopePurpose, payload: Payloads[EnvelopePurpose], options: VerifyOptions): void {
  const refuse = (code: ErrorCode, message: string): never => {
    throw new OutboardError(code, message);
  };
  const isRequest = REQUESTS.has(purpose);
  if ('aud' in payload && (isRequest || options.aud !== undefined) && payload.aud !== options.aud)
    refuse('envelope.audience', `aud is ${payload.aud}, not ${options.aud ?? 'known here'}`);
  if (options.minIat !== undefined && payload.iat < options.minIat)
    refuse('rig.epoch', `signed at ${payload.iat}, before the epoch began at ${options.minIat}`);
  if ('exp' in payload && (payload.exp <= payload.iat || payload.exp - payload.iat > MAX_LIFETIME_SECONDS))
    refuse('envelope.lifetime', `lives ${payload.exp - payload.iat} s, 1 to ${MAX_LIFETIME_SECONDS} s are allowed`);
  if (options.expiry === false) return;

  const { now } = options;
  if (payload.iat > now + MAX_IAT_AHEAD_SECONDS)
    refuse('envelope.not-yet-valid', `iat is ${payload.iat - now} s ahead of the clock`);
  if ('nbf' in payload && payload.nbf !== undefined && now < payload.nbf)
    refuse('envelope.not-yet-valid', `not valid for another ${payload.nbf - now} s`);
  if ('exp' in payload && now >= payload.exp) refuse('envelope.expired', `expired ${now - payload.exp} s ago`);
  if (purpose !== 'job' && purpose !== 'grant') return;
  // A bundle out of date may lack a revocation: what makes the rig take on work waits for a fresh one.
  if (options.trust.isExpired(now)) refuse('trust.expired', 'the trust bundle is expired, no new job is taken');
  options.trust.checkClock(now);
}
