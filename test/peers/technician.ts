/** A technician at control.sock, in small pieces, so that a test can do each of them right or wrong. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { loadSigner, readPrivateJwk, type Signer } from '../../certs/keys.js';
import { JOSE, NonceAnswer, SessionAnswer, type SessionPayload } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import { LocalClient } from '../../daemon/local-client.js';
import type { Stack } from './stack.js';

export async function technicianOf(stack: Stack): Promise<Signer> {
  return await loadSigner('technician.main', await readPrivateJwk(join(stack.dir, 'technician/key.jwk'), 'Ed25519'));
}

/** One connection to control.sock. */
export class ControlConnection {
  readonly #client: LocalClient;

  constructor(stack: Stack) {
    this.#client = new LocalClient({ socketPath: stack.controlSocket, maxSockets: 1 });
  }

  async nonce(): Promise<string> {
    return (await this.#client.get('/session/nonce', NonceAnswer)).nonce;
  }

  async send(token: string): Promise<SessionAnswer> {
    return await this.#client.post('/session', { type: JOSE, content: token }, SessionAnswer);
  }

  close(): void {
    this.#client.close();
  }
}

export interface SessionWishes extends Partial<Omit<SessionPayload, 'session'>> {
  session?: Partial<SessionPayload['session']>;
}

/** A signed request for `maintenance.enter`, unless `wishes` say otherwise. */
export async function sessionToken(
  stack: Stack,
  signer: Signer,
  nonce: string,
  wishes: SessionWishes = {},
): Promise<string> {
  const now = nowSeconds();
  return await signer.sign('session', {
    iss: signer.name,
    aud: stack.parties.rig,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
    ...wishes,
    session: { nonce, action: 'maintenance.enter', reason: 'a test', seconds: 600, ...wishes.session },
  });
}

/** Nonce, signature and request on a connection of their own. */
export async function maintenance(
  stack: Stack,
  action: SessionPayload['session']['action'],
  seconds = 600,
): Promise<SessionAnswer> {
  const connection = new ControlConnection(stack);
  try {
    const nonce = await connection.nonce();
    return await connection.send(
      await sessionToken(stack, await technicianOf(stack), nonce, { session: { action, seconds } }),
    );
  } finally {
    connection.close();
  }
}
