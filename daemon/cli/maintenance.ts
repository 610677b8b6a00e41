/**
 * `outboard maintenance`: a technician's session. The rig gives a nonce on control.sock; the technician's key signs it together with what
 * is wanted and why; the signed request goes back on the same connection. Whoever only reaches the socket can do nothing.
 */
import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { loadSigner, readPrivateJwk } from '../../certs/keys.js';
import type { SessionAction, SessionPayload } from '../../core/contract/control.js';
import { JOSE } from '../../core/contract/envelope.js';
import { NonceAnswer, SessionAnswer, StatusAnswer } from '../../core/contract/local-api.js';
import { nowSeconds } from '../../core/units.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { createOutput, formatTime } from './output.js';

const DEFAULT_SECONDS = 3600;
const MAX_SECONDS = 12 * 3600;
const MIN_REASON = 3;
const MAX_REASON = 500;

interface SessionOptions extends SocketOptions {
  key: string;
  name: string;
  reason: string;
  for?: number;
  json?: boolean;
}

export function maintenanceCommand(): Command {
  return new Command('maintenance')
    .description('Maintenance mode: no job runs, technicians measure. Entering lets the running takes finish first.')
    .addCommand(sessionCommand('maintenance.enter'))
    .addCommand(sessionCommand('maintenance.exit'))
    .addCommand(maintenanceStatusCommand());
}

function sessionCommand(action: SessionAction): Command {
  const entering = action === 'maintenance.enter';
  const command = withSocketOptions(new Command(entering ? 'enter' : 'exit'))
    .description(
      entering
        ? 'Takes no new take, waits for those that roll, and enters maintenance.'
        : 'Ends maintenance; jobs go on.',
    )
    .requiredOption('--key <file>', "the technician's signing key (JWK)")
    .requiredOption('--reason <text>', 'why; it is kept in the audit log', parseReason)
    .option('--name <name>', 'the name that the trust bundle gives to the key', 'technician.main');
  if (entering)
    command.option('--for <seconds>', 'maintenance ends by itself after this long', parseSeconds, DEFAULT_SECONDS);
  return command
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Example:
  outboard maintenance ${entering ? 'enter' : 'exit'} --key technician/key.jwk --reason "${
    entering ? 'new cable on insert a" --for 1800' : 'cable checked"'
  }`,
    )
    .action(async (o: SessionOptions) => {
      const output = createOutput(o);
      const answer = await requestSession(action, o);
      output.object({ ok: true, ...answer });
      output.line(`mode: ${answer.mode}${answer.until === null ? '' : `, until ${formatTime(answer.until)}`}`);
      if (entering && answer.mode === 'draining')
        output.line('takes that roll are finished first; `outboard maintenance status` says when it is entered');
    });
}

async function requestSession(action: SessionAction, o: SessionOptions): Promise<SessionAnswer> {
  const signer = await loadSigner(o.name, await readPrivateJwk(o.key, 'Ed25519'));
  const client = await controlClient(o);
  try {
    const { nonce, rig, seconds } = await client.get('/session/nonce', NonceAnswer);
    const now = nowSeconds();
    const payload: SessionPayload = {
      iss: o.name,
      aud: rig,
      jti: randomUUID(),
      iat: now,
      // No longer than the nonce: a signed request is used now or never.
      exp: now + Math.max(1, seconds),
      session: { nonce, action, reason: o.reason, seconds: o.for ?? DEFAULT_SECONDS },
    };
    const token = await signer.sign('session', payload);
    return await client.post('/session', { type: JOSE, content: token }, SessionAnswer);
  } finally {
    client.close();
  }
}

function maintenanceStatusCommand(): Command {
  return withSocketOptions(new Command('status'))
    .description('Says whether the rig is in maintenance, until when and why.')
    .option('--json', 'JSON on stdout')
    .addHelpText('after', '\nExample:\n  outboard maintenance status --config studio/rig/rig.yaml')
    .action(async (o: SocketOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const { rig, state, jobs } = await client.get('/status', StatusAnswer);
        const rolling = jobs.filter((job) => job.state.startsWith('rolling')).length;
        output.object({ ok: true, rig, mode: state.mode, maintenance: state.maintenance ?? null, rolling });
        output.line(`mode: ${state.mode}`);
        if (state.maintenance) output.line(`until ${formatTime(state.maintenance.until)}: ${state.maintenance.reason}`);
        if (rolling > 0) output.line(`takes that roll: ${rolling}`);
      } finally {
        client.close();
      }
    });
}

function parseReason(value: string): string {
  if (value.trim().length < MIN_REASON || value.length > MAX_REASON)
    throw new InvalidArgumentError(`${MIN_REASON} to ${MAX_REASON} characters`);
  return value;
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SECONDS)
    throw new InvalidArgumentError(`whole seconds from 1 to ${MAX_SECONDS}`);
  return seconds;
}
