/**
 * The key of a source on its way from the keeper to the rig, bound to whom the result is for (DESIGN section 3, "Job and grant").
 *
 * The JWE's plaintext is 64 bytes: the source's raw X25519 identity, then SHA-256 over the RFC 8785 form of
 * {rig, tenant, source, recipients}. So neither a signature alone nor a wrapped key alone can be used for another listener.
 */
import { createHash, timingSafeEqual, type webcrypto } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import { z } from 'zod';
import { canonicalBytes } from '../core/canonical.js';
import type { Source } from '../core/contract/grant.js';
import { CompactJwe, Kid, X25519Jwk } from '../core/contract/primitives.js';
import { OutboardError } from '../core/errors.js';
import { parseBoundedJson } from './bounded-json.js';
import { IDENTITY_BYTES, importIdentity } from './identity.js';
import type { PrivateJwk, PublicJwk } from './jwk.js';
import { decodePart } from './protected-header.js';

/** What the wrapped key is for. */
export interface KeyBinding {
  rig: string;
  tenant: string;
  source: Source;
  recipients: string[];
}

const ALG = 'ECDH-ES+A256KW';
const ENC = 'A256GCM';
const PLAINTEXT_BYTES = 64;
/** Nothing else is taken: no zip, no apu or apv, no crit. */
const JweHeader = z.strictObject({ alg: z.literal(ALG), enc: z.literal(ENC), kid: Kid, epk: X25519Jwk });

function bindingDigest(binding: KeyBinding): Buffer {
  const { rig, tenant, source, recipients } = binding;
  return createHash('sha256').update(canonicalBytes({ rig, tenant, source, recipients })).digest();
}

/**
 * Wraps a source's identity to a rig. The tenant may do this himself, so that the keeper need not hold the key.
 *
 * @param o.identity the raw X25519 identity, 32 bytes; the caller zeroes it
 * @param o.wrappingKey the rig's public wrapping key, from the trust bundle, and its kid
 * @returns a compact JWE
 * @throws OutboardError grant.key
 */
export async function wrapSourceKey(
  o: { identity: Uint8Array; wrappingKey: PublicJwk; kid: string } & KeyBinding,
): Promise<string> {
  if (o.identity.length !== IDENTITY_BYTES)
    throw new OutboardError('grant.key', `an identity has ${IDENTITY_BYTES} bytes, not ${o.identity.length}`);
  const { kty, crv, x } = o.wrappingKey;
  if (crv !== 'X25519') throw new OutboardError('grant.key', `the wrapping key is of ${crv}, X25519 is needed`);
  const plaintext = new Uint8Array(PLAINTEXT_BYTES);
  try {
    plaintext.set(o.identity);
    plaintext.set(bindingDigest(o), IDENTITY_BYTES);
    return await new CompactEncrypt(plaintext)
      .setProtectedHeader({ alg: ALG, enc: ENC, kid: o.kid })
      .encrypt(await importJWK({ kty, crv, x }, ALG));
  } finally {
    plaintext.fill(0);
  }
}

/**
 * The `kid` that a JWE names: which of its wrapping keys the rig needs. Nothing is decrypted.
 *
 * @throws OutboardError grant.key (no JWE of ours)
 */
export function wrappedToKid(jwe: string): string {
  return readHeader(jwe).kid;
}

/**
 * The wrapping key that a JWE asks for, of the keys that a rig holds: the present one, and those before it while grants for them are open.
 *
 * @throws OutboardError grant.key
 */
export function wrappingKeyFor(jwe: string, keys: ReadonlyMap<string, webcrypto.CryptoKey>): webcrypto.CryptoKey {
  const key = keys.get(wrappedToKid(jwe));
  if (!key) throw new OutboardError('grant.key', "the key is not wrapped to this rig's wrapping key");
  return key;
}

/**
 * Unwraps a source's identity. The secret goes from bytes, which are zeroed, into a key that cannot be exported; it is no string at
 * any time. The result opens the source (`openFile`), also in a worker.
 *
 * @param wrappingKey the rig's private wrapping key
 * @throws OutboardError grant.key (not wrapped to this key, or not as it must be) | grant.binding (for another rig, tenant, source or
 *   list of recipients)
 */
export async function unwrapSourceKey(
  jwe: string,
  wrappingKey: PrivateJwk | webcrypto.CryptoKey,
  binding: KeyBinding,
): Promise<webcrypto.CryptoKey> {
  return await withIdentity(jwe, wrappingKey, binding, importIdentity);
}

/** Checks what `unwrapSourceKey` checks and keeps nothing: for an offer, whose source is opened much later. Errors as there. */
export async function checkSourceKey(
  jwe: string,
  wrappingKey: PrivateJwk | webcrypto.CryptoKey,
  binding: KeyBinding,
): Promise<void> {
  await withIdentity(jwe, wrappingKey, binding, async () => undefined);
}

async function withIdentity<T>(
  jwe: string,
  wrappingKey: PrivateJwk | webcrypto.CryptoKey,
  binding: KeyBinding,
  use: (identity: Uint8Array) => Promise<T>,
): Promise<T> {
  readHeader(jwe);
  let plaintext: Uint8Array;
  try {
    const key = 'kty' in wrappingKey ? await importJWK({ ...wrappingKey }, ALG) : wrappingKey;
    ({ plaintext } = await compactDecrypt(jwe, key, {
      keyManagementAlgorithms: [ALG],
      contentEncryptionAlgorithms: [ENC],
      maxDecompressedLength: 0,
    }));
  } catch (cause) {
    throw new OutboardError('grant.key', "the key cannot be unwrapped with this rig's wrapping key", { cause });
  }
  try {
    if (plaintext.length !== PLAINTEXT_BYTES)
      throw new OutboardError('grant.key', `the wrapped key has ${plaintext.length} bytes, not ${PLAINTEXT_BYTES}`);
    if (!timingSafeEqual(plaintext.subarray(IDENTITY_BYTES), bindingDigest(binding)))
      throw new OutboardError(
        'grant.binding',
        'the key was wrapped for another rig, tenant, source or list of recipients',
      );
    return await use(plaintext.subarray(0, IDENTITY_BYTES));
  } finally {
    plaintext.fill(0);
  }
}

function readHeader(jwe: string): z.infer<typeof JweHeader> {
  if (!CompactJwe.safeParse(jwe).success) throw new OutboardError('grant.key', 'the key is not a compact JWE');
  const bytes = decodePart(jwe.slice(0, jwe.indexOf('.')));
  if (bytes === null) throw new OutboardError('grant.key', "the JWE's header is not base64url");
  const header = JweHeader.safeParse(parseBoundedJson(bytes, 'grant.key', 'JWE header'));
  if (header.success) return header.data;
  throw new OutboardError(
    'grant.key',
    `the JWE's header is not exactly {alg: ${ALG}, enc: ${ENC}, kid, epk of X25519}`,
    {
      details: { path: header.error.issues[0]!.path.join('.') },
    },
  );
}
