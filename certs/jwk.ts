/** Private keys and where they rest: JWK files of mode 0600 (RFC 8037), and their thumbprints (RFC 7638). */
import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';
import { canonicalBytes } from '../core/canonical.js';
import { OutboardError } from '../core/errors.js';
import { writeNewFile } from './durable-file.js';

export type Curve = 'Ed25519' | 'X25519';
export interface PublicJwk<C extends Curve = Curve> {
  kty: 'OKP';
  crv: C;
  x: string;
}
export interface PrivateJwk<C extends Curve = Curve> extends PublicJwk<C> {
  d: string;
}

const Scalar = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const PrivateJwkFile = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.enum(['Ed25519', 'X25519']),
  x: Scalar,
  d: Scalar,
});
const MAX_KEY_FILE_BYTES = 4096;
const generate = promisify(generateKeyPair);

/** A new Ed25519 key, for signatures. */
export async function generateSigningKey(): Promise<PrivateJwk<'Ed25519'>> {
  return exportJwk('Ed25519', (await generate('ed25519', {})).privateKey.export({ format: 'jwk' }));
}

/** A new X25519 key, to which keepers wrap source keys. */
export async function generateWrappingKey(): Promise<PrivateJwk<'X25519'>> {
  return exportJwk('X25519', (await generate('x25519', {})).privateKey.export({ format: 'jwk' }));
}

function exportJwk<C extends Curve>(crv: C, jwk: { x?: string; d?: string }): PrivateJwk<C> {
  return { kty: 'OKP', crv, x: jwk.x!, d: jwk.d! };
}

/** The public half, and nothing else. */
export function publicJwk<C extends Curve>(jwk: PublicJwk<C>): PublicJwk<C> {
  return { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
}

/** RFC 7638 thumbprint (SHA-256, base64url): the `kid`. */
export function thumbprint(jwk: PublicJwk): Promise<string> {
  return calculateJwkThumbprint(publicJwk(jwk));
}

/**
 * A private JWK from JSON text, checked: its public half belongs to its private half.
 *
 * @param where named in the error
 * @throws OutboardError config.key
 */
export function parsePrivateJwk(text: string, where: string): PrivateJwk {
  const refuse = (why: string): never => {
    throw new OutboardError('config.key', `${where}: ${why}`, { details: { file: where } });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // No cause: the parser's message quotes the text.
    return refuse('not a JWK');
  }
  const parsed = PrivateJwkFile.safeParse(value);
  if (!parsed.success) return refuse('not a private JWK {kty, crv, x, d} of Ed25519 or X25519');
  try {
    const derived = createPublicKey(createPrivateKey({ key: { ...parsed.data }, format: 'jwk' })).export({
      format: 'jwk',
    });
    if (derived.x === parsed.data.x) return parsed.data;
  } catch {
    return refuse('the key cannot be read');
  }
  return refuse('x does not belong to d');
}

/**
 * Writes a private key as JWK file, mode 0600; nothing is overwritten.
 *
 * @throws OutboardError file.exists | file.write | rig.disk-full
 */
export async function writePrivateJwk(path: string, jwk: PrivateJwk): Promise<void> {
  const bytes = Buffer.concat([canonicalBytes({ ...publicJwk(jwk), d: jwk.d }), Buffer.from('\n')]);
  try {
    await writeNewFile(path, bytes, 0o600);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Reads a JWK file. A file that others may read or write is refused: who could read it must be assumed to have the key.
 *
 * @throws OutboardError config.key
 */
export async function readPrivateJwk<C extends Curve = Curve>(path: string, crv?: C): Promise<PrivateJwk<C>> {
  const refuse = (why: string, cause?: unknown): OutboardError =>
    new OutboardError('config.key', `${path}: ${why}`, { cause, details: { file: path } });
  let text: string;
  try {
    const file = await open(path, 'r');
    try {
      // Asked of the open file, so that it cannot be exchanged in between.
      const status = await file.stat();
      const mode = status.mode & 0o777;
      if (!status.isFile()) throw refuse('not a file');
      if (mode !== 0o600 && mode !== 0o400) throw refuse(`mode is 0${mode.toString(8)}, 0600 or 0400 is needed`);
      if (status.size > MAX_KEY_FILE_BYTES) throw refuse('not a JWK');
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof OutboardError) throw cause;
    throw refuse(`cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`, cause);
  }
  const jwk = parsePrivateJwk(text, path);
  if (crv !== undefined && jwk.crv !== crv) throw refuse(`is a key of ${jwk.crv}, ${crv} is needed`);
  return jwk as PrivateJwk<C>;
}
