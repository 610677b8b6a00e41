/** The trust bundle: who has which key for what, said by a threshold of root keys (DESIGN section 3, "Trust bundle"). */
import type { webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, errors, flattenedVerify, GeneralSign, importJWK } from 'jose';
import { canonicalBytes, isCanonical } from '../core/canonical.js';
import { MAX_TRUST_BYTES, TYP } from '../core/contract/envelope.js';
import { type Roots, TrustDocument, type TrustKey, TrustPayload } from '../core/contract/trust.js';
import { isOutboardError, OutboardError } from '../core/errors.js';
import { parseBoundedJson } from './bounded-json.js';
import type { PrivateJwk } from './jwk.js';
import { decodePart, readProtectedHeader } from './protected-header.js';

/** What has to be kept, so that a later bundle can be judged after a restart: root keys may have changed since the pinned ones. */
export interface TrustState {
  /** The roots in the configuration when the chain began; other ones there begin a new chain. */
  pinned: Roots;
  /** The roots whose threshold signed `text`. */
  roots: Roots;
  /** The bundle, as it came. */
  text: string;
}

/** A verified bundle. Made by {@link verifyTrust} and {@link restoreTrust} only. */
export class TrustBundle {
  readonly payload: TrustPayload;
  readonly text: string;
  /** The roots whose threshold signed this bundle. */
  readonly roots: Roots;
  readonly pinned: Roots;
  readonly #keys: ReadonlyMap<string, TrustKey>;
  readonly #revoked: ReadonlySet<string>;
  readonly #imported = new Map<string, Promise<webcrypto.CryptoKey>>();

  constructor(o: { payload: TrustPayload; text: string; roots: Roots; pinned: Roots }) {
    this.payload = o.payload;
    this.text = o.text;
    this.roots = o.roots;
    this.pinned = o.pinned;
    this.#keys = new Map(o.payload.keys.map((key) => [key.kid, key]));
    this.#revoked = new Set(o.payload.revoked);
  }

  /** The roots whose threshold must sign the next bundle. */
  get effectiveRoots(): Roots {
    return this.payload.nextRoots ?? this.roots;
  }

  /** What the rig persists. */
  get state(): TrustState {
    return { pinned: this.pinned, roots: this.roots, text: this.text };
  }

  /** Seconds since the epoch at which half of the bundle's life is over and an alarm is due. */
  get halfLife(): number {
    return this.payload.iat + Math.floor((this.payload.exp - this.payload.iat) / 2);
  }

  isExpired(atSeconds: number): boolean {
    return atSeconds >= this.payload.exp;
  }

  /** The clock may not be earlier than the bundle: a clock set back would let expired tokens in. @throws OutboardError trust.clock */
  checkClock(nowSeconds: number): void {
    const behind = this.payload.iat - nowSeconds;
    if (behind > 0) throw new OutboardError('trust.clock', `the clock is ${behind} s earlier than the trust bundle`);
  }

  /**
   * The key with this thumbprint, if it may be used at this time.
   *
   * @throws OutboardError envelope.revoked | envelope.unknown-key | envelope.not-yet-valid | envelope.expired
   */
  lookup(kid: string, atSeconds: number): TrustKey {
    if (this.#revoked.has(kid)) throw new OutboardError('envelope.revoked', `key ${kid} was revoked`);
    const key = this.#keys.get(kid);
    if (key === undefined) throw new OutboardError('envelope.unknown-key', `no key ${kid} in the trust bundle`);
    if (atSeconds < key.nbf)
      throw new OutboardError('envelope.not-yet-valid', `the key of ${key.name} is not valid yet`);
    if (atSeconds >= key.exp) throw new OutboardError('envelope.expired', `the key of ${key.name} has expired`);
    return key;
  }

  /** All listed keys of a name, revoked ones left out; their times are for the caller to look at. */
  keysOf(name: string): TrustKey[] {
    return this.payload.keys.filter((key) => key.name === name && !this.#revoked.has(key.kid));
  }

  /**
   * The key to wrap to: the newest of this rig that may be used at this time.
   *
   * @throws OutboardError envelope.unknown-key
   */
  rigWrappingKey(rig: string, atSeconds: number): TrustKey {
    const usable = this.keysOf(rig).filter(
      (key) => key.role === 'rig' && key.use === 'enc' && key.nbf <= atSeconds && atSeconds < key.exp,
    );
    const newest = usable.sort((a, b) => b.nbf - a.nbf)[0];
    if (newest === undefined)
      throw new OutboardError('envelope.unknown-key', `the trust bundle has no usable wrapping key of ${rig}`);
    return newest;
  }

  /** The imported public key of a listed signing key; imported once. */
  verificationKey(kid: string): Promise<webcrypto.CryptoKey> {
    let imported = this.#imported.get(kid);
    if (imported === undefined) {
      const key = this.#keys.get(kid);
      if (key === undefined || key.use !== 'sig')
        return Promise.reject(new OutboardError('envelope.unknown-key', `no signing key ${kid} in the trust bundle`));
      imported = importPublicKey(key.jwk);
      this.#imported.set(kid, imported);
    }
    return imported;
  }
}

/**
 * Signs a bundle with root keys, as JWS in general JSON serialization over the canonical payload.
 *
 * @throws OutboardError trust.invalid (this bundle would be refused everywhere)
 */
export async function signTrust(payload: TrustPayload, rootKeys: readonly PrivateJwk[]): Promise<string> {
  await checkContent(payload);
  if (rootKeys.length === 0) throw new OutboardError('trust.invalid', 'no root key to sign with');
  const signing = new GeneralSign(canonicalBytes(payload));
  for (const key of rootKeys) {
    const kid = await calculateJwkThumbprint({ kty: key.kty, crv: key.crv, x: key.x });
    signing
      .addSignature(await importJWK({ ...key }, 'EdDSA'))
      .setProtectedHeader({ alg: 'EdDSA', typ: TYP.trust, kid });
  }
  const text = JSON.stringify(await signing.sign());
  if (text.length > MAX_TRUST_BYTES)
    throw new OutboardError('trust.invalid', `the bundle has ${text.length} bytes, ${MAX_TRUST_BYTES} is the limit`);
  return text;
}

/**
 * Verifies a bundle that came in.
 *
 * @param roots the roots pinned in the configuration; they count while there is no `current`
 * @param now wall clock, seconds
 * @param current the bundle in force: its `effectiveRoots` decide, and its version may not be undercut
 * @returns `current` itself when the bundle is the same again
 * @throws OutboardError trust.invalid | trust.signature | trust.version | trust.expired | trust.clock
 */
export async function verifyTrust(
  text: string,
  roots: Roots,
  now: number,
  current?: TrustBundle,
): Promise<TrustBundle> {
  const document = readDocument(text);
  const bytes = decodePart(document.payload);
  if (bytes === null) throw new OutboardError('trust.invalid', 'payload: not base64url');
  // The bundle in force comes again and again (it is retained): it was signed by the roots before its own nextRoots.
  const again = current !== undefined && Buffer.compare(bytes, canonicalBytes(current.payload)) === 0;
  const signers = current === undefined ? roots : again ? current.roots : current.effectiveRoots;
  await checkThreshold(document, signers);
  const payload = await readPayload(bytes);
  if (current !== undefined && !again && payload.version <= current.payload.version)
    throw new OutboardError(
      'trust.version',
      payload.version === current.payload.version
        ? `version ${payload.version} is in force with another content`
        : `version ${payload.version} is older than ${current.payload.version}, which is in force`,
    );
  if (now >= payload.exp)
    throw new OutboardError('trust.expired', `version ${payload.version} expired ${now - payload.exp} s ago`);
  const bundle = new TrustBundle({ payload, text, roots: signers, pinned: current?.pinned ?? roots });
  bundle.checkClock(now);
  return again ? current : bundle;
}

/**
 * The bundle in force before a restart. It is verified again against the roots that it was verified by; an expired one is still
 * given back, because cancels, acknowledgements and events go on with it (see `isExpired`). Other pinned roots in the
 * configuration begin a new chain: then the kept bundle must be signed by those.
 *
 * @throws OutboardError trust.invalid | trust.signature
 */
export async function restoreTrust(state: TrustState, pinned: Roots): Promise<TrustBundle> {
  const samePinned = Buffer.compare(canonicalBytes(state.pinned), canonicalBytes(pinned)) === 0;
  const roots = samePinned ? state.roots : pinned;
  const document = readDocument(state.text);
  const bytes = decodePart(document.payload);
  if (bytes === null) throw new OutboardError('trust.invalid', 'payload: not base64url');
  await checkThreshold(document, roots);
  return new TrustBundle({ payload: await readPayload(bytes), text: state.text, roots, pinned });
}

function readDocument(text: string): TrustDocument {
  const bytes = Buffer.from(text);
  if (bytes.length > MAX_TRUST_BYTES)
    throw new OutboardError('trust.invalid', `the bundle has ${bytes.length} bytes, ${MAX_TRUST_BYTES} is the limit`);
  const parsed = TrustDocument.safeParse(parseBoundedJson(bytes, 'trust.invalid', 'trust bundle'));
  if (!parsed.success) throw invalid(parsed.error.issues[0]!);
  return parsed.data;
}

/** Counts distinct root keys. A signature by a stranger is passed over (old roots may sign along); a wrong one by a root is not. */
async function checkThreshold(document: TrustDocument, roots: Roots): Promise<void> {
  const known = new Map<string, Roots['keys'][number]>();
  for (const jwk of roots.keys) known.set(await calculateJwkThumbprint(jwk), jwk);
  const counted = new Set<string>();
  for (const { protected: header, signature } of document.signatures) {
    const { typ, kid } = trustHeader(header);
    if (typ !== TYP.trust) throw new OutboardError('trust.signature', `a signature has typ ${typ}`);
    const jwk = known.get(kid);
    if (jwk === undefined) continue;
    if (decodePart(signature) === null) throw new OutboardError('trust.signature', 'a signature is not base64url');
    try {
      const key = await importPublicKey(jwk);
      await flattenedVerify({ payload: document.payload, protected: header, signature }, key, {
        algorithms: ['EdDSA'],
      });
    } catch (cause) {
      if (cause instanceof errors.JOSEError)
        throw new OutboardError('trust.signature', `the signature of root key ${kid} does not match`, { cause });
      throw cause;
    }
    counted.add(kid);
  }
  if (counted.size < roots.threshold)
    throw new OutboardError(
      'trust.signature',
      `signed by ${counted.size} of the pinned root keys, ${roots.threshold} are needed`,
    );
}

function trustHeader(part: string) {
  try {
    return readProtectedHeader(part);
  } catch (cause) {
    throw new OutboardError('trust.signature', `a signature's ${cause instanceof Error ? cause.message : 'header'}`, {
      cause,
    });
  }
}

async function readPayload(bytes: Uint8Array): Promise<TrustPayload> {
  const parsed = parseBoundedJson(bytes, 'trust.invalid', 'trust bundle');
  if (!isCanonical(bytes, parsed)) throw new OutboardError('trust.invalid', 'the payload is not in its RFC 8785 form');
  return await checkContent(parsed);
}

/** What the schema says, and what it cannot: thumbprints, and names that fit their roles. */
async function checkContent(value: unknown): Promise<TrustPayload> {
  const result = TrustPayload.safeParse(value);
  if (!result.success) throw invalid(result.error.issues[0]!);
  for (const [index, key] of result.data.keys.entries()) {
    const refuse = (field: string, message: string) =>
      new OutboardError('trust.invalid', `keys.${index}.${field}: ${message}`, {
        details: { path: `keys.${index}.${field}` },
      });
    if ((await calculateJwkThumbprint(key.jwk)) !== key.kid) throw refuse('kid', 'not the thumbprint of this jwk');
    const fits = key.role === 'rig' ? !key.name.includes('.') : key.name.startsWith(`${key.role}.`);
    if (!fits) throw refuse('name', `${key.name} is no name of a ${key.role}`);
    if (key.use === 'enc' && key.role !== 'rig') throw refuse('use', 'only a rig has a wrapping key');
  }
  const { nextRoots } = result.data;
  if (nextRoots !== undefined && new Set(nextRoots.keys.map((key) => key.x)).size < nextRoots.keys.length)
    throw new OutboardError('trust.invalid', 'nextRoots.keys: a root key is listed twice', {
      details: { path: 'nextRoots.keys' },
    });
  return result.data;
}

function invalid(issue: { path: PropertyKey[]; message: string }): OutboardError {
  const path = issue.path.map(String).join('.') || '(top level)';
  return new OutboardError('trust.invalid', `${path}: ${issue.message}`, { details: { path } });
}

async function importPublicKey(jwk: { kty: 'OKP'; crv: string; x: string }): Promise<webcrypto.CryptoKey> {
  try {
    return (await importJWK({ ...jwk }, 'EdDSA')) as webcrypto.CryptoKey;
  } catch (cause) {
    if (isOutboardError(cause)) throw cause;
    throw new OutboardError('trust.invalid', 'a public key cannot be read', { cause });
  }
}
