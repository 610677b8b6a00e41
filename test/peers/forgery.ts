/** Tokens that the client library refuses to make: every part of an offer and of its grant can be made otherwise, and is really signed. */
import { randomUUID } from 'node:crypto';
import { CompactSign } from 'jose';
import type { PublicJwk, Signer } from '../../certs/keys.js';
import { type KeyBinding, wrapSourceKey } from '../../certs/source-key.js';
import type { SealedSource } from '../../client/source.js';
import { canonicalBytes } from '../../core/canonical.js';
import { TYP } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import { link } from './jobs.js';
import type { Stack } from './stack.js';

export interface OfferParts {
  /** Over the payload's own claims. */
  claims?: object;
  /** Over the job's own fields. */
  job?: object;
  /** Over the protected header. */
  header?: object;
  signer?: Pick<Signer, 'kid' | 'privateKey'>;
  /** What is signed, made from the payload: its RFC 8785 form when absent. */
  text?: (payload: object) => string;
}

export interface GrantParts {
  /** Over the grant's own claims. */
  claims?: object;
  /** What the wrapped key is bound to, where it is not what the grant says. */
  binding?: Partial<KeyBinding>;
  wrappingKey?: PublicJwk;
  signer?: Signer;
}

export class Forger {
  readonly #stack: Stack;
  readonly #sealed: SealedSource;

  constructor(stack: Stack, sealed: SealedSource) {
    this.#stack = stack;
    this.#sealed = sealed;
  }

  async grant(id: string, parts: GrantParts = {}): Promise<string> {
    const { parties } = this.#stack;
    const now = nowSeconds();
    const claims = {
      iss: (parts.signer ?? parties.keeper).name,
      aud: parties.rig,
      jti: randomUUID(),
      iat: now,
      exp: now + 3600,
      dispatcher: parties.dispatcher.name,
      job: id,
      tenant: parties.tenant.id,
      source: this.#sealed.source,
      recipients: parties.tenant.recipients,
      ...parts.claims,
    };
    const { tenant, source, recipients } = claims;
    const wrapping = parties.trust.rigWrappingKey(parties.rig, now);
    const key = await wrapSourceKey({
      identity: this.#sealed.raw,
      wrappingKey: parts.wrappingKey ?? (wrapping.jwk as PublicJwk),
      kid: wrapping.kid,
      rig: parties.rig,
      tenant,
      source,
      recipients,
      ...parts.binding,
    });
    return await (parts.signer ?? parties.keeper).sign('grant', { ...claims, key });
  }

  /** A good offer but for `parts`; with a grant of its own where `parts.job` has none. */
  async offer(id: string, parts: OfferParts = {}): Promise<string> {
    const { parties } = this.#stack;
    const now = nowSeconds();
    const payload = {
      iss: parties.dispatcher.name,
      aud: parties.rig,
      jti: id,
      iat: now,
      exp: now + 3600,
      job: {
        kind: 'bounce',
        grant: await this.grant(id),
        chain: [link('gain-m', {})],
        tail: 0,
        output: { encoding: 'pcm24' },
        maxAttempts: 1,
        ...parts.job,
      },
      ...parts.claims,
    };
    const bytes = parts.text ? new TextEncoder().encode(parts.text(payload)) : canonicalBytes(payload);
    const signer = parts.signer ?? parties.dispatcher;
    const header = { alg: 'EdDSA', typ: TYP.job, kid: signer.kid, ...parts.header };
    return await new CompactSign(bytes).setProtectedHeader(header).sign(signer.privateKey);
  }
}
