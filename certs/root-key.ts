/** A root key at rest: an age file sealed with a passphrase (`root.key.age`), which the stock `age` program opens too. */
import { open } from 'node:fs/promises';
import { Decrypter, Encrypter } from 'age-encryption';
import { canonicalBytes } from '../core/canonical.js';
import { OutboardError } from '../core/errors.js';
import { writeNewFile } from './durable-file.js';
import { type PrivateJwk, parsePrivateJwk, publicJwk } from './jwk.js';

/** log2 of scrypt's N: age's own default, about a second and 256 MiB of memory. */
const DEFAULT_WORK_FACTOR = 18;
const MAX_FILE_BYTES = 64 * 1024;

/**
 * Writes a private key, sealed with a passphrase; mode 0600, nothing is overwritten.
 *
 * @param workFactor log2 of scrypt's N (1 to 20); lower ones are for tests
 * @throws OutboardError usage (an empty passphrase) | file.exists | file.write | rig.disk-full
 */
export async function sealRootKey(
  path: string,
  jwk: PrivateJwk,
  passphrase: string,
  workFactor: number = DEFAULT_WORK_FACTOR,
): Promise<void> {
  if (passphrase === '') throw new OutboardError('usage', 'a root key needs a passphrase');
  if (!Number.isInteger(workFactor) || workFactor < 1 || workFactor > 20)
    throw new OutboardError('usage', `work factor ${workFactor}: 1 to 20 are possible`);
  const plaintext = canonicalBytes({ ...publicJwk(jwk), d: jwk.d });
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(workFactor);
  try {
    await writeNewFile(path, await encrypter.encrypt(plaintext), 0o600);
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Opens a root key.
 *
 * @throws OutboardError file.unreadable | seal.open (wrong passphrase, or no age file) | config.key (no JWK inside)
 */
export async function openRootKey(path: string, passphrase: string): Promise<PrivateJwk<'Ed25519'>> {
  const sealed = await readSealed(path);
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  let plaintext: Uint8Array;
  try {
    plaintext = await decrypter.decrypt(sealed);
  } catch (cause) {
    throw new OutboardError('seal.open', `${path}: the passphrase does not open it`, {
      cause,
      details: { file: path },
    });
  }
  try {
    const jwk = parsePrivateJwk(Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length).toString(), path);
    if (jwk.crv !== 'Ed25519')
      throw new OutboardError('config.key', `${path}: a root key is of Ed25519, not ${jwk.crv}`);
    return jwk as PrivateJwk<'Ed25519'>;
  } finally {
    plaintext.fill(0);
  }
}

async function readSealed(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      if ((await file.stat()).size > MAX_FILE_BYTES) throw new Error('too large for a root key');
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new OutboardError('file.unreadable', `${path}: cannot be read (${reason})`, {
      cause,
      details: { file: path },
    });
  }
}
