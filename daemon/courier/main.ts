#!/usr/bin/env node
/** `outboard-courier --config courier.yaml`: reads the configuration, runs the courier until a signal, sets the exit status. */
import { parseArgs } from 'node:util';
import { commonName, tlsFiles } from '../../client/tls-files.js';
import { CourierConfig } from '../../core/contract/config.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { loadConfig } from '../config-file.js';
import { createLogger, type Logger } from '../log.js';
import { serviceManager } from '../service-manager.js';
import { Courier } from './courier.js';

const USAGE = 'usage: outboard-courier --config courier.yaml [--log-level debug|info|warn|error]';

interface Arguments {
  config: string;
  level: string;
}

/** SIGUSR1 would open the inspector, and with it everything that this process holds. */
process.on('SIGUSR1', () => undefined);

try {
  const { config, level } = readArguments();
  await run(config, createLogger('outboard-courier', level));
} catch (error) {
  const problem = asOutboardError(error);
  process.stderr.write(`outboard-courier: ${problem.message}\n${problem.code}: ${problem.advice}\n`);
  if (problem.code === 'internal' && problem.cause instanceof Error) process.stderr.write(`${problem.cause.stack}\n`);
  process.exitCode = problem.exitCode;
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: { config: { type: 'string' }, 'log-level': { type: 'string', default: 'info' } },
    });
    if (values.config === undefined) throw new Error('--config is missing');
    if (!['debug', 'info', 'warn', 'error'].includes(values['log-level']))
      throw new Error(`--log-level ${values['log-level']} is none of debug, info, warn, error`);
    return { config: values.config, level: values['log-level'] };
  } catch (cause) {
    throw new OutboardError('usage', `${cause instanceof Error ? cause.message : cause}\n${USAGE}`, { cause });
  }
}

async function run(file: string, logger: Logger): Promise<void> {
  const manager = await serviceManager(process.env, logger);
  const { config, resolve } = await loadConfig(file, CourierConfig);
  const broker = { url: config.broker.url, tls: tlsFiles(config.broker.tls, resolve) };
  const store = { ...config.store, tls: tlsFiles(config.store.tls, resolve) };
  // Read once here, so that a wrong file ends the start (78) and not the night.
  const name = commonName((await broker.tls()).cert);
  if (name !== config.rig)
    throw new OutboardError(
      'config.invalid',
      `${file}: rig: is ${config.rig}, but the broker certificate is for ${name}`,
      {
        details: { file, path: 'rig' },
      },
    );
  await store.tls();

  const courier = new Courier({ rig: config.rig, socket: resolve(config.socket), broker, store, logger });
  const stopped = new Promise<void>((resolveStopped, reject) => {
    let signals = 0;
    const stop = (signal: string) => {
      signals += 1;
      if (signals > 1) process.exit(1); // asked twice: nothing here would be lost
      logger.info({ signal }, 'stopping');
      manager.stopping();
      courier.stop().then(resolveStopped, reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
  logger.info({ rig: config.rig, broker: config.broker.url, store: config.store.url }, 'starting');
  await courier.start();
  manager.ready(() => courier.pulse());
  await stopped;
}
