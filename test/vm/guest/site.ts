/**
 * Everything around a bounce on this host: what `outboard init` made, the rig's configuration for the kernel's sound card, systemd/install.sh, a broker with
 * the configuration that was made for it, a store, and who offers jobs.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { parseDocument } from 'yaml';
import { Dispatcher } from '../../../client/dispatcher.js';
import type { JobEvent } from '../../../client/offered-job.js';
import { StatusAnswer } from '../../../core/contract/index.js';
import { loadParties, type Parties } from '../../../daemon/cli/parties.js';
import { LocalClient } from '../../../daemon/local-client.js';
import { sh, until } from './shell.js';

export const PACKAGE = '/opt/outboard';
export const CLI = `${PACKAGE}/build/daemon/cli/main.js`;
export const STUDIO = '/root/studio';
export const CARD = 'Loopback';
export const SUBDEVICES = 2;
export const CHANNELS = 4;
export const CONTROL = '/run/outboard/control.sock';

export function outboard(...args: string[]): Promise<string> {
  return sh('/usr/bin/node', CLI, ...args);
}

/** What device 0 of snd-aloop plays comes in at its device 1. */
const INTERFACE = {
  driver: 'alsa',
  device: { playback: `hw:CARD=${CARD},DEV=0`, capture: `hw:CARD=${CARD},DEV=1` },
  rates: [48_000],
  in: CHANNELS,
  out: CHANNELS,
  sync: { send: CHANNELS, return: CHANNELS },
};

/** The digital loop itself: nothing delays in it but the interface. */
const INSERTS = { a: { sends: [1, 2], returns: [1, 2], latencyFrames: 0 } };
const PROCESSORS = { 'gain-1': { profile: 'virtual.gain', insert: 'a', port: { virtual: true } } };

/** Writes the rig's configuration for the card. @returns what `outboard check` says of it */
export async function configure(): Promise<string> {
  await sh('cp', '-R', '/opt/studio', STUDIO);
  await sh('chown', '-R', '0:0', STUDIO);
  const file = `${STUDIO}/rig/rig.yaml`;
  const document = parseDocument(await readFile(file, 'utf8'));
  document.set('interface', document.createNode(INTERFACE));
  document.set('inserts', document.createNode(INSERTS));
  document.set('processors', document.createNode(PROCESSORS));
  await writeFile(file, document.toString({ lineWidth: 200 }));
  return await outboard('check', '--config', file);
}

export async function install(): Promise<string> {
  const args = ['--card', CARD, '--tty', '/dev/ttyS2', '--rig', `${STUDIO}/rig`, '--courier', `${STUDIO}/courier`];
  return await sh(`${PACKAGE}/systemd/install.sh`, ...args);
}

/** Broker and store, as services beside ours. */
export async function startNeighbours(): Promise<void> {
  const run = (unit: string, ...command: string[]) => sh('systemd-run', '--quiet', `--unit=${unit}`, ...command);
  await run('studio-broker', 'mosquitto', '-c', `${STUDIO}/broker/mosquitto.conf`);
  await run(
    'studio-store',
    '/usr/bin/node',
    CLI,
    'store',
    '--tls',
    `${STUDIO}/store/tls`,
    '--dir',
    `${STUDIO}/store/blobs`,
  );
  for (const port of [8883, 8443]) await until(`port ${port} answers`, 60, () => answers(port));
}

function answers(port: number): Promise<true | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(null));
  });
}

export async function status(): Promise<StatusAnswer> {
  const client = new LocalClient({ socketPath: CONTROL, timeoutMs: 30_000 });
  try {
    return await client.get('/status', StatusAnswer);
  } finally {
    client.close();
  }
}

/** The rig once it is in this mode. */
export async function mode(wanted: StatusAnswer['state']['mode'], limitSeconds = 60): Promise<StatusAnswer> {
  let seen = 'it does not answer';
  return await until(`mode ${wanted}`, limitSeconds, async () => {
    const answer = await status().catch((error: Error) => {
      seen = error.message;
      return null;
    });
    if (answer) seen = `it is ${answer.state.mode}: ${answer.state.lastFault?.problem.message ?? 'no fault'}`;
    return answer?.state.mode === wanted ? answer : null;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; ${seen}`);
  });
}

export interface Desk {
  parties: Parties;
  dispatcher: Dispatcher;
  /** All that the rig said to this dispatcher, in order, each event once. */
  heard: JobEvent[];
}

export async function openDesk(): Promise<Desk> {
  const parties = await loadParties(`${STUDIO}/client.yaml`);
  const heard: JobEvent[] = [];
  const dispatcher = new Dispatcher({
    rig: parties.rig,
    signer: parties.dispatcher,
    broker: parties.broker,
    trust: parties.trust,
    roots: parties.roots,
    repeatMs: 5000,
    onEvent: (event) => void heard.push(event),
  });
  await dispatcher.start();
  await dispatcher.ready(AbortSignal.timeout(60_000));
  return { parties, dispatcher, heard };
}
