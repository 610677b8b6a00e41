/** How the commands find the control socket of the rig on this host. */
import type { Command } from 'commander';
import { OutboardError } from '../../core/errors.js';
import { LocalClient } from '../local-client.js';
import { loadRigConfig } from '../rig-config.js';

/** Where the service manager puts it. */
const DEFAULT_SOCKET = '/run/outboard/control.sock';

export interface SocketOptions {
  socket?: string;
  config?: string;
}

export function withSocketOptions(command: Command): Command {
  return command
    .option('--socket <path>', `the rig's control socket (default: ${DEFAULT_SOCKET})`)
    .option('--config <file>', 'rig.yaml, which names the socket');
}

/**
 * A client on one single connection, as a session nonce needs it. Close it after use.
 *
 * @throws OutboardError usage | config.unreadable | config.invalid
 */
export async function controlClient(o: SocketOptions): Promise<LocalClient> {
  return new LocalClient({ socketPath: await controlSocket(o), maxSockets: 1 });
}

async function controlSocket(o: SocketOptions): Promise<string> {
  if (o.socket !== undefined && o.config !== undefined)
    throw new OutboardError('usage', '--socket and --config name the same thing: give one of them');
  if (o.socket !== undefined) return o.socket;
  if (o.config === undefined) return DEFAULT_SOCKET;
  const { config, resolve } = await loadRigConfig(o.config);
  return resolve(config.sockets.control);
}
