/**
 * The next version of a trust bundle: who gets a key, who loses one, and the signatures of several people who each hold one root key.
 * No printing here.
 */

import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type PrivateJwk, publicJwk, readPrivateJwk, thumbprint } from '../../certs/keys.js';
import { restoreTrust, signTrust, type TrustBundle } from '../../certs/trust-bundle.js';
import { Ed25519Jwk, X25519Jwk } from '../../core/contract/primitives.js';
import {
  MAX_KEY_LIFETIME_SECONDS,
  Role,
  Roots,
  TrustDocument,
  type TrustKey,
  TrustPayload,
} from '../../core/contract/trust.js';
import { OutboardError } from '../../core/errors.js';
import { readText } from './files.js';

/** Clocks of several hosts differ: a new key counts from a little before it was made. */
const NBF_MARGIN_SECONDS = 300;

/** The role that a name has: `role.name`, or a rig's id without a dot. @throws OutboardError usage */
export function roleOfName(name: string): Role {
  if (!name.includes('.')) return 'rig';
  const role = Role.safeParse(name.split('.', 1)[0]);
  if (!role.success || role.data === 'rig')
    throw new OutboardError('usage', `${name}: a name begins with dispatcher., keeper., technician. or monitor.`);
  return role.data;
}

/** A row of the bundle for this key, valid from now for as long as a key may live. @param atSeconds wall clock */
export async function trustKey(
  name: string,
  jwk: { kty: 'OKP'; crv: 'Ed25519' | 'X25519'; x: string },
  atSeconds: number,
): Promise<TrustKey> {
  const nbf = atSeconds - NBF_MARGIN_SECONDS;
  return {
    kid: await thumbprint(jwk),
    name,
    role: roleOfName(name),
    use: jwk.crv === 'Ed25519' ? 'sig' : 'enc',
    jwk: publicJwk(jwk) as TrustKey['jwk'],
    nbf,
    exp: nbf + MAX_KEY_LIFETIME_SECONDS,
  };
}

/** The pinned roots out of roots.yaml, rig.yaml or client.yaml. @throws OutboardError file.unreadable | config.invalid */
export async function readRoots(file: string): Promise<Roots> {
  const value: unknown = parseDocument(await readText(file)).toJS();
  const found = z
    .union([
      z.object({ trust: z.object({ roots: Roots }) }).transform((o) => o.trust.roots),
      z.object({ roots: Roots }).transform((o) => o.roots),
    ])
    .safeParse(value);
  if (!found.success) throw new OutboardError('config.invalid', `${file}: holds no root keys (roots, or trust.roots)`);
  return found.data;
}

/** A bundle, its signatures verified, expired or not. @throws OutboardError trust.invalid | trust.signature */
export async function readBundle(file: string, roots: Roots): Promise<TrustBundle> {
  return restoreTrust({ pinned: roots, roots, text: await readText(file) }, roots);
}

/** What a bundle says, nobody's signature looked at. @throws OutboardError trust.invalid */
export function readUnverified(
  text: string,
  where: string,
): { document: TrustDocument; payload: TrustPayload; signedBy: string[] } {
  try {
    const document = TrustDocument.parse(JSON.parse(text));
    const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return {
      document,
      payload: TrustPayload.parse(decode(document.payload)),
      signedBy: document.signatures.map((s) => z.object({ kid: z.string() }).parse(decode(s.protected)).kid),
    };
  } catch (cause) {
    throw new OutboardError('trust.invalid', `${where}: is no trust bundle`, { cause });
  }
}

export interface TrustChanges {
  /** New keys, by the name that they shall have: files of private or public JWKs. */
  add: { name: string; file: string }[];
  /** Thumbprints, or names, all of whose keys are revoked. */
  revoke: string[];
  /** Lifetime of the new version. */
  seconds: number;
}

/**
 * The next version. Expired keys leave; a revoked one leaves the list of keys and stays in the list of revoked ones.
 *
 * @throws OutboardError usage (nobody has this name or key; a key is in the bundle already) | config.key
 */
export async function nextVersion(current: TrustPayload, changes: TrustChanges, now: number): Promise<TrustPayload> {
  const revoked = new Set(current.revoked);
  for (const whom of changes.revoke) {
    const hit = current.keys.filter((key) => key.kid === whom || key.name === whom);
    if (hit.length === 0) throw new OutboardError('usage', `--revoke ${whom}: the bundle has no such key or name`);
    for (const key of hit) revoked.add(key.kid);
  }
  const keys = current.keys.filter((key) => key.exp > now && !revoked.has(key.kid));
  for (const { name, file } of changes.add) {
    const key = await trustKey(name, await readPublicJwk(file), now);
    if (revoked.has(key.kid)) throw new OutboardError('usage', `--add ${name}: the key in ${file} was revoked`);
    // Listing it again would lengthen its life beyond what a key may have.
    if (current.keys.some((other) => other.kid === key.kid))
      throw new OutboardError('usage', `--add ${name}: the bundle has the key in ${file} already; make a new one`);
    keys.push(key);
  }
  return { version: current.version + 1, iat: now, exp: now + changes.seconds, keys, revoked: [...revoked] };
}

/**
 * Adds the signature of another root key to a bundle.
 *
 * @throws OutboardError trust.invalid | usage (this key has signed it)
 */
export async function cosign(text: string, where: string, rootKey: PrivateJwk): Promise<string> {
  const { document, payload, signedBy } = readUnverified(text, where);
  if (signedBy.includes(await thumbprint(rootKey)))
    throw new OutboardError('usage', `${where}: this root key has signed it already`);
  const mine = TrustDocument.parse(JSON.parse(await signTrust(payload, [rootKey])));
  if (mine.payload !== document.payload)
    throw new OutboardError('trust.invalid', `${where}: the payload is not in its RFC 8785 form`);
  return JSON.stringify({ payload: document.payload, signatures: [...document.signatures, ...mine.signatures] });
}

const PublicJwkFile = z.union([Ed25519Jwk, X25519Jwk]);

/** The public half of a JWK file; a holder hands over a public JWK, on one desk the private file is at hand. */
async function readPublicJwk(file: string): Promise<{ kty: 'OKP'; crv: 'Ed25519' | 'X25519'; x: string }> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OutboardError('config.key', `${file}: not a JWK`);
  }
  const parsed = PublicJwkFile.safeParse(value);
  return parsed.success ? parsed.data : publicJwk(await readPrivateJwk(file));
}
