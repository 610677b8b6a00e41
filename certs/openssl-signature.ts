/** node-forge builds certificates, OpenSSL signs them: forge's RSA is JavaScript and takes a hundred times as long. */
import { constants, privateEncrypt } from 'node:crypto';
import type forge from 'node-forge';

/** DigestInfo of SHA-256 up to the digest (RFC 8017 section 9.2, note 1). */
const SHA256_DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/**
 * What forge takes for a private key when it signs: RSASSA-PKCS1-v1_5 over a SHA-256 digest.
 *
 * @param keyPem RSA private key
 */
export function opensslKey(keyPem: string): forge.pki.rsa.PrivateKey {
  const sign = (digest: forge.md.MessageDigest): string => {
    const block = Buffer.concat([SHA256_DIGEST_INFO, Buffer.from(digest.digest().getBytes(), 'latin1')]);
    return privateEncrypt({ key: keyPem, padding: constants.RSA_PKCS1_PADDING }, block).toString('latin1');
  };
  return { sign } as unknown as forge.pki.rsa.PrivateKey;
}
