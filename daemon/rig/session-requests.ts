/**
 * What technicians ask for at control.sock. Every request is signed over a nonce that is good once, for a minute, on the connection that asked
 * for it, and stands in the audit log before anything is done.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { verifyEnvelope } from '../../certs/envelope.js';
import type { SessionAction, SessionAnswer, SessionPayload } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Journal } from './journal/journal.js';
import type { TrustStore } from './trust-store.js';

export const NONCE_SECONDS = 60;

/** Verified, and in the audit log. */
export interface SessionRequest extends Omit<SessionPayload['session'], 'nonce' | 'action'> {
  technician: string;
  connection: Socket;
}

export interface SessionHandler {
  /** What of the request the audit log keeps, beside who and why. */
  audited(request: SessionRequest): object;
  /** @returns what the answer says beside mode and time */
  handle(
    request: SessionRequest,
  ): Omit<SessionAnswer, 'mode' | 'until'> | Promise<Omit<SessionAnswer, 'mode' | 'until'>>;
}

export interface SessionRequestsOptions {
  rig: string;
  journal: Journal;
  trust: TrustStore;
  handlers: Readonly<Record<SessionAction, SessionHandler>>;
  /** Of the rig, after a request was handled. */
  standing(): Pick<SessionAnswer, 'mode' | 'until'>;
}

export class SessionRequests {
  readonly #o: SessionRequestsOptions;
  readonly #nonces = new WeakMap<Socket, { nonce: string; expiresAtMs: number }>();

  constructor(options: SessionRequestsOptions) {
    this.#o = options;
  }

  nonce(connection: Socket): string {
    const nonce = randomBytes(32).toString('base64url');
    this.#nonces.set(connection, { nonce, expiresAtMs: performance.now() + NONCE_SECONDS * 1000 });
    return nonce;
  }

  /** @throws OutboardError envelope.* | session.nonce | what the action's handler throws */
  async request(token: string | Uint8Array, connection: Socket): Promise<SessionAnswer> {
    const { journal, trust, rig, handlers, standing } = this.#o;
    const given = this.#nonces.get(connection);
    this.#nonces.delete(connection);
    const verified = await verifyEnvelope(token, ['session'], { trust: trust.current(), now: nowSeconds(), aud: rig });
    const { session, iss, jti, exp } = verified.payload;
    const { nonce, action, ...wishes } = session;
    if (!given || given.nonce !== nonce || given.expiresAtMs < performance.now())
      throw new OutboardError(
        'session.nonce',
        'the nonce is not the one that this connection was given, or it is too old',
      );
    if (journal.seen(iss, jti, verified.payloadDigest) !== 'new')
      throw new OutboardError('envelope.replayed', 'this request was made before');
    const request: SessionRequest = { ...wishes, technician: iss, connection };
    const handler = handlers[action];
    journal.db.commit('session', () => {
      journal.remember(iss, jti, verified.payloadDigest, exp);
      journal.audit.append(action, { technician: iss, reason: session.reason, ...handler.audited(request) });
    });
    const done = await handler.handle(request);
    return { ...standing(), ...done };
  }
}
