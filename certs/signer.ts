/** Somebody who signs: a private key together with the name that the trust bundle gives to it. */
import type { webcrypto } from 'node:crypto';
import { importJWK } from 'jose';
import { OutboardError } from '../core/errors.js';
import { type EnvelopePurpose, signEnvelope } from './envelope.js';
import { type PrivateJwk, thumbprint } from './jwk.js';

/** Somebody who signs under a name of the trust bundle. */
export interface Signer {
  /** The `iss` of what it signs. */
  readonly name: string;
  readonly kid: string;
  readonly privateKey: webcrypto.CryptoKey;
  /**
   * Signs a complete payload, whose `iss` is the signer's name.
   *
   * @throws OutboardError envelope.issuer | envelope.not-canonical | envelope.too-large
   */
  sign(purpose: EnvelopePurpose, payload: object): Promise<string>;
}

/** A signer from an Ed25519 key; the key it holds cannot be exported again. @throws OutboardError config.key */
export async function loadSigner(name: string, jwk: PrivateJwk): Promise<Signer> {
  if (jwk.crv !== 'Ed25519')
    throw new OutboardError('config.key', `the key of ${name} is of ${jwk.crv}, Ed25519 is needed`);
  const kid = await thumbprint(jwk);
  const privateKey = (await importJWK({ ...jwk }, 'EdDSA', { extractable: false })) as webcrypto.CryptoKey;
  return {
    name,
    kid,
    privateKey,
    async sign(purpose, payload) {
      const iss = (payload as { iss?: unknown }).iss;
      if (iss !== name) throw new OutboardError('envelope.issuer', `iss is ${String(iss)}, the signer is ${name}`);
      return await signEnvelope(purpose, payload, { kid, privateKey });
    },
  };
}
