/** From the bytes of an X25519 identity to a key that opens and cannot be taken out again. Light: the sealing thread loads it too. */
import { webcrypto } from 'node:crypto';
import { OutboardError } from '../core/errors.js';

export const IDENTITY_BYTES = 32;

/** PrivateKeyInfo of an X25519 key up to its 32 bytes (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32]);

/**
 * A raw X25519 identity (32 bytes) as a key that cannot be exported. The caller zeroes `raw`.
 *
 * @throws OutboardError grant.key
 */
export async function importIdentity(raw: Uint8Array): Promise<webcrypto.CryptoKey> {
  if (raw.length !== IDENTITY_BYTES) throw new OutboardError('grant.key', `an identity has ${IDENTITY_BYTES} bytes`);
  // Not from Buffer's pool: these bytes shall be gone afterwards.
  const pkcs8 = new Uint8Array(PKCS8_PREFIX.length + IDENTITY_BYTES);
  try {
    pkcs8.set(PKCS8_PREFIX);
    pkcs8.set(raw, PKCS8_PREFIX.length);
    return await webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'X25519' }, false, ['deriveBits']);
  } finally {
    pkcs8.fill(0);
  }
}
