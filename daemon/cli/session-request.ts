/**
 * A technician's signed request. The rig gives a nonce on control.sock; the technician's key signs it together with what is wanted and why; the
 * signed request goes back on the same connection. Whoever only reaches the socket can do nothing.
 */
import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { loadSigner, readPrivateJwk } from '../../certs/keys.js';
import type { SessionPayload } from '../../core/contract/control.js';
import { JOSE } from '../../core/contract/envelope.js';
import { NonceAnswer, SessionAnswer } from '../../core/contract/local-api.js';
import { nowSeconds } from '../../core/units.js';
import type { LocalClient } from '../local-client.js';
import { controlClient, type SocketOptions } from './control-client.js';

const MIN_REASON = 3;
const MAX_REASON = 500;
/** A recall with its settling, or a safe state, of a slow unit. */
const ANSWER_MS = 120_000;

export interface SignedOptions extends SocketOptions {
  key: string;
  name: string;
  reason: string;
}

export function withSignature(command: Command): Command {
  return command
    .requiredOption('--key <file>', "the technician's signing key (JWK)")
    .requiredOption('--reason <text>', 'why; it is kept in the audit log', parseReason)
    .option('--name <name>', 'the name that the trust bundle gives to the key', 'technician.main');
}

type Wishes = Omit<SessionPayload['session'], 'nonce' | 'reason'>;

/** On a connection of its own. @throws OutboardError config.key | rig.unreachable | what the rig refuses with */
export async function requestSession(wanted: Wishes, o: SignedOptions): Promise<SessionAnswer> {
  const client = await controlClient(o);
  try {
    return await requestOn(client, wanted, o);
  } finally {
    client.close();
  }
}

/** On this connection, for what ends with it. Errors as those of `requestSession` */
export async function requestOn(client: LocalClient, wanted: Wishes, o: SignedOptions): Promise<SessionAnswer> {
  const signer = await loadSigner(o.name, await readPrivateJwk(o.key, 'Ed25519'));
  const { nonce, rig, seconds } = await client.get('/session/nonce', NonceAnswer);
  const now = nowSeconds();
  const payload: SessionPayload = {
    iss: o.name,
    aud: rig,
    jti: randomUUID(),
    iat: now,
    // No longer than the nonce: a signed request is used now or never.
    exp: now + Math.max(1, seconds),
    session: { nonce, reason: o.reason, ...wanted },
  };
  const token = await signer.sign('session', payload);
  return await client.post('/session', { type: JOSE, content: token }, SessionAnswer, { timeoutMs: ANSWER_MS });
}

function parseReason(value: string): string {
  if (value.trim().length < MIN_REASON || value.length > MAX_REASON)
    throw new InvalidArgumentError(`${MIN_REASON} to ${MAX_REASON} characters`);
  return value;
}
