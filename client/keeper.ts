/** The keeper's part: a grant says for whom one source is processed, by one job on one rig, and carries the source's key to that rig. */
import { randomUUID } from 'node:crypto';
import type { PublicJwk, Signer } from '../certs/keys.js';
import { wrapSourceKey } from '../certs/source-key.js';
import type { TrustBundle } from '../certs/trust-bundle.js';
import type { Source } from '../core/contract/grant.js';
import { nowSeconds } from '../core/units.js';

export interface GrantRequest {
  keeper: Signer;
  /** Verified by the keeper: the rig's wrapping key is taken from here and from nowhere else. */
  trust: TrustBundle;
  rig: string;
  /** The name of the dispatcher that may offer the job. */
  dispatcher: string;
  /** The job's `jti`. */
  job: string;
  tenant: string;
  source: Source;
  /** Who can open the result: age recipients. */
  recipients: string[];
  /** The source's raw X25519 identity, 32 bytes. The caller zeroes it when it is no longer needed. */
  identity: Uint8Array;
  lifetimeSeconds?: number;
  /** Seconds since the epoch; the clock when absent. */
  now?: number;
}

const DAY_SECONDS = 24 * 3600;

/**
 * A signed grant (`outboard-grant+jws`), good for a day when no lifetime is named.
 *
 * @throws OutboardError envelope.unknown-key | envelope.expired (no usable wrapping key of this rig) | grant.key | envelope.*
 */
export async function makeGrant(request: GrantRequest): Promise<string> {
  const now = request.now ?? nowSeconds();
  const { rig, tenant, source, recipients } = request;
  const wrapping = request.trust.rigWrappingKey(rig, now);
  const key = await wrapSourceKey({
    identity: request.identity,
    rig,
    tenant,
    source,
    recipients,
    wrappingKey: wrapping.jwk as PublicJwk,
    kid: wrapping.kid,
  });
  return await request.keeper.sign('grant', {
    iss: request.keeper.name,
    aud: rig,
    jti: randomUUID(),
    iat: now,
    exp: now + (request.lifetimeSeconds ?? DAY_SECONDS),
    dispatcher: request.dispatcher,
    job: request.job,
    tenant,
    source,
    recipients,
    key,
  });
}
