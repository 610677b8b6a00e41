/** Somebody else's implementation: tokens and bundles made with node:crypto alone, so that ours is not tested against itself. */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type TrustBundle, verifyTrust } from '../../certs/trust-bundle.js';
import type { Role, Roots, TrustKey, TrustPayload } from '../../core/contract/trust.js';

export const NOW = 1_800_000_000;
export const DAY = 24 * 3600;
export const RIG = 'rig-01';

export interface Party {
  name: string;
  role: Role;
  kid: string;
  x: string;
  crv: 'Ed25519' | 'X25519';
  key: KeyObject;
  jwk: { kty: 'OKP'; crv: 'Ed25519' | 'X25519'; x: string; d: string };
}

export function party(name: string, role: Role, crv: 'Ed25519' | 'X25519' = 'Ed25519'): Party {
  const { privateKey } = crv === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519');
  const { x, d } = privateKey.export({ format: 'jwk' }) as { x: string; d: string };
  // RFC 7638 section 3.2: the required members in lexicographic order.
  const kid = createHash('sha256').update(`{"crv":"${crv}","kty":"OKP","x":"${x}"}`).digest('base64url');
  return { name, role, kid, x, crv, key: privateKey, jwk: { kty: 'OKP', crv, x, d } };
}

export function listed(p: Party, o: Partial<TrustKey> = {}): TrustKey {
  return {
    kid: p.kid,
    name: p.name,
    role: p.role,
    use: p.crv === 'Ed25519' ? 'sig' : 'enc',
    jwk: { kty: 'OKP', crv: p.crv, x: p.x } as TrustKey['jwk'],
    nbf: NOW - DAY,
    exp: NOW + 20 * DAY,
    ...o,
  };
}

export const json = (value: unknown): string => (canonicalize as unknown as (v: unknown) => string)(value);
export const b64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url');
export const signature = (input: string, key: KeyObject): string =>
  sign(null, Buffer.from(input), key).toString('base64url');

/** A compact JWS over exactly this text. */
export function token(
  signer: Party,
  purpose: string,
  payload: unknown,
  o: { header?: object | string; kid?: string } = {},
): string {
  const header = o.header ?? { alg: 'EdDSA', typ: `outboard-${purpose}+jws`, kid: o.kid ?? signer.kid };
  const headerText = typeof header === 'string' ? header : JSON.stringify(header);
  const input = `${b64(headerText)}.${b64(typeof payload === 'string' ? payload : json(payload))}`;
  return `${input}.${signature(input, signer.key)}`;
}

export const root = party('root', 'keeper');
export const roots: Roots = { threshold: 1, keys: [{ kty: 'OKP', crv: 'Ed25519', x: root.x }] };

export function rootsOf(threshold: number, ...parties: Party[]): Roots {
  return { threshold, keys: parties.map((p) => ({ kty: 'OKP', crv: 'Ed25519', x: p.x })) };
}

export function trustPayload(keys: TrustKey[], o: Partial<TrustPayload> = {}): TrustPayload {
  return { version: 1, iat: NOW - 60, exp: NOW + 7 * DAY, keys, revoked: [], ...o };
}

/** A bundle in general JSON serialization, over exactly this payload. */
export function trustDocument(payload: unknown, signers: Party[], header: object = {}): string {
  const body = b64(typeof payload === 'string' ? payload : json(payload));
  const signatures = signers.map((signer) => {
    const head = b64(JSON.stringify({ alg: 'EdDSA', typ: 'outboard-trust+jws', kid: signer.kid, ...header }));
    return { protected: head, signature: signature(`${head}.${body}`, signer.key) };
  });
  return JSON.stringify({ payload: body, signatures });
}

export function bundle(keys: TrustKey[], o: Partial<TrustPayload> = {}): Promise<TrustBundle> {
  return verifyTrust(trustDocument(trustPayload(keys, o), [root]), roots, NOW);
}

export function request(iss: Party, body: object, o: object = {}): Record<string, unknown> {
  return { iss: iss.name, aud: RIG, jti: randomUUID(), iat: NOW, exp: NOW + 3600, ...body, ...o };
}

export function jobBody(o: object = {}): { job: Record<string, unknown> } {
  return {
    job: {
      kind: 'bounce',
      grant: 'eyJh.eyJh.c2ln',
      chain: [{ processor: 'eq-1', settings: { gain: -6 }, verify: 'required' }],
      tail: 0.5,
      output: { encoding: 'pcm24' },
      maxAttempts: 3,
      ...o,
    },
  };
}

export const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

export const SOURCE = {
  digest: digestOf('source'),
  bytes: 1234,
  format: { rate: 48_000, channels: 2, encoding: 'pcm24' as const, frames: 48_000 },
};
export const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

export const privateKeyOf = (p: Party): KeyObject => createPrivateKey({ key: p.jwk, format: 'jwk' });
