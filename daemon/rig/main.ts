#!/usr/bin/env node
/** outboardd: the process with the devices and the keys. Only here are implementations chosen, the environment read and the process ended. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { asOutboardError } from '../../core/errors.js';
import { createLogger } from '../log.js';
import { loadRigConfig } from '../rig-config.js';
import { type ServiceManager, serviceManager } from '../service-manager.js';
import { rigOptions } from './assemble.js';
import { Rig } from './rig.js';

const USAGE = `outboardd --config rig.yaml [--log-level info] [--new-epoch REASON]

The rig process: holds the interface, the processors, the keys and the journal. It has no network.
  --config FILE        the rig's configuration
  --log-level LEVEL    trace, debug, info, warn or error
  --new-epoch REASON   after a restore from a backup: open jobs fail, older tokens and trust bundles are refused
Exit codes: 0 stopped, 1 forced or not stopped within 30 s, 64 usage, 74 a commit's outcome is unknown (start again), 75 another daemon holds the state, 78 configuration.
`;

function arguments_() {
  try {
    const { values } = parseArgs({
      options: {
        config: { type: 'string' },
        'log-level': { type: 'string', default: 'info' },
        'new-epoch': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (values.config) return { ...values, config: values.config };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
  }
  process.stderr.write(USAGE);
  process.exit(64);
}

const args = arguments_();
const log = createLogger('outboardd', args['log-level']);
// SIGUSR1 would open the inspector, through which every secret could be read.
process.on('SIGUSR1', () => log.warn('SIGUSR1 is ignored'));

const STOP_MS = 30_000;
let rig: Rig | undefined;
let manager: ServiceManager | undefined;
let stopping = false;
async function stop(signal: string): Promise<void> {
  if (stopping) process.exit(1);
  stopping = true;
  log.info({ signal }, 'stopping; a second signal forces it');
  manager?.stopping();
  // The journal makes any end a good one: what does not stop in time is ended like a crash.
  setTimeout(() => {
    log.fatal('the rig did not stop in time');
    process.exit(1);
  }, STOP_MS).unref();
  await rig?.stop();
  process.exit(0);
}
process.on('SIGTERM', (signal) => void stop(signal));
process.on('SIGINT', (signal) => void stop(signal));

try {
  manager = await serviceManager(process.env, log);
  const version = (
    JSON.parse(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8')) as { version: string }
  ).version;
  const loaded = await loadRigConfig(args.config);
  const options = await rigOptions(loaded, {
    log,
    version,
    credentialsDirectory: process.env['CREDENTIALS_DIRECTORY'],
    inherited: inheritedSockets(),
    onIndeterminate: (error) => {
      // Nothing may be said or played any more; the journal is read again by the next process.
      log.fatal({ code: error.code }, error.message);
      process.exit(error.exitCode);
    },
  });
  rig = new Rig({ ...options, ...(args['new-epoch'] === undefined ? {} : { newEpoch: args['new-epoch'] }) });
  const started = rig;
  await started.start();
  if (!stopping) manager.ready(() => started.pulse());
} catch (cause) {
  const error = asOutboardError(cause);
  log.fatal(
    { code: error.code, advice: error.advice, ...(error.code === 'internal' ? { err: cause } : {}) },
    error.message,
  );
  process.exit(error.exitCode);
}

/** Descriptors that the service manager opened: sd_listen_fds(3). They begin at 3, in the order of LISTEN_FDNAMES. */
function inheritedSockets(): Record<string, number> {
  if (Number(process.env['LISTEN_PID']) !== process.pid) return {};
  const names = (process.env['LISTEN_FDNAMES'] ?? '').split(':');
  const count = Number(process.env['LISTEN_FDS'] ?? 0);
  return Object.fromEntries(names.slice(0, count).map((name, index) => [name, 3 + index]));
}
