#!/usr/bin/env node
/**
 * The command line. Each command lives in a file of its own that is imported only when it is asked for, so that `outboard --help` does
 * not load a broker. An error is one line with its stable code and one line saying what to do; the exit status is a sysexits(3) number.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ERRORS } from '../../core/error-codes.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { INTERRUPTED_EXIT, interrupt, UNREAD_EXIT, wasInterrupted } from './interrupt.js';
import { printError } from './output.js';

interface Entry {
  name: string;
  summary: string;
  load(): Promise<Command>;
}

/** In the order in which somebody new meets them. */
const COMMANDS: readonly Entry[] = [
  {
    name: 'demo',
    summary: 'the whole path on a virtual rig, in one command',
    load: async () => (await import('./demo.js')).demoCommand(),
  },
  {
    name: 'init',
    summary: 'everything a new rig needs: keys, certificates, trust bundle, configuration',
    load: async () => (await import('./init.js')).initCommand(),
  },
  {
    name: 'check',
    summary: 'validate configuration, keys, trust, certificates, clock and devices',
    load: async () => (await import('./check.js')).checkCommand(),
  },
  {
    name: 'status',
    summary: 'what a running rig is doing, and how it is',
    load: async () => (await import('./status.js')).statusCommand(),
  },
  {
    name: 'interface',
    summary: 'which sound devices there are, and whether the rig holds its own alone',
    load: async () => (await import('./interface.js')).interfaceCommand(),
  },
  {
    name: 'processors',
    summary: 'the units of a running rig: how they are, what they have; set them in maintenance',
    load: async () => (await import('./processors.js')).processorsCommand(),
  },
  {
    name: 'profiles',
    summary: 'the models of processors that the rig knows; check a profile, make one',
    load: async () => (await import('./profiles.js')).profilesCommand(),
  },
  {
    name: 'bounce',
    summary: 'send a WAV through a rig and bring the take back',
    load: async () => (await import('./bounce.js')).bounceCommand(),
  },
  {
    name: 'store',
    summary: 'keep blobs in a folder, for trying out',
    load: async () => (await import('./store.js')).storeCommand(),
  },
  {
    name: 'maintenance',
    summary: 'stop jobs so that technicians can work, and let them on again',
    load: async () => (await import('./maintenance.js')).maintenanceCommand(),
  },
  {
    name: 'calibrate',
    summary: 'measure the inserts of a running rig, in maintenance',
    load: async () => (await import('./calibrate.js')).calibrateCommand(),
  },
  {
    name: 'analyze',
    summary: 'measure WAV files: level, distortion, noise, response and more',
    load: async () => (await import('./analyze.js')).analyzeCommand(),
  },
  {
    name: 'calibration',
    summary: 'the history of measurements, their limits and baselines',
    load: async () => (await import('./calibration.js')).calibrationCommand(),
  },
  {
    name: 'report',
    summary: 'what was measured, as a page, as PDF, or as data',
    load: async () => (await import('./report.js')).reportCommand(),
  },
  {
    name: 'trust',
    summary: 'show, renew and sign trust bundles; revoke keys',
    load: async () => (await import('./trust.js')).trustCommand(),
  },
  {
    name: 'tls',
    summary: 'renew or revoke the transport certificates of a rig',
    load: async () => (await import('./tls.js')).tlsCommand(),
  },
  {
    name: 'seal',
    summary: 'encrypt a file for age recipients',
    load: async () => (await import('./seal.js')).sealCommand(),
  },
  {
    name: 'open',
    summary: 'decrypt a sealed file with an age identity',
    load: async () => (await import('./open.js')).openCommand(),
  },
];

const EXAMPLES = `
Examples:
  outboard demo                                  see it work, without any hardware
  outboard init studio --rig rig-01              make everything for a new rig in ./studio
  outboard check --config studio/rig/rig.yaml    is it all in order?
  outboardd --config studio/rig/rig.yaml         run the rig
  outboard bounce song.wav --to studio/client.yaml --processor gain-1 gain=-6

\`outboard COMMAND --help\` explains one command and shows examples of it.
Exit status: 0, or a number of sysexits(3): 64 usage, 65 data, 66 no input, 69 unavailable, 73 cannot create,
74 input/output, 75 try again later, 77 not allowed, 78 configuration.`;

async function main(argv: string[]): Promise<number> {
  const json = argv.includes('--json');
  // `help init` is `init --help`: only then is the command's own file loaded.
  const words = argv[0] === 'help' && argv.length > 1 ? [...argv.slice(1), '--help'] : argv;
  try {
    const program = await createProgram(words.find((word) => !word.startsWith('-')));
    if (words.length === 0) {
      program.outputHelp({ error: true });
      return ERRORS.usage.exit;
    }
    await program.parseAsync(words, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0; // --help and --version
      const usage = new OutboardError('usage', error.message.replace(/^error: /, ''));
      printError(usage, { json });
      return usage.exitCode;
    }
    if (wasInterrupted()) {
      if (!json) process.stderr.write('interrupted\n');
      return INTERRUPTED_EXIT;
    }
    const known = asOutboardError(error);
    printError(known, { json });
    return known.exitCode;
  }
}

async function createProgram(asked: string | undefined): Promise<Command> {
  const program = new Command('outboard')
    .description('Runs an analog audio rig: signed bounce jobs in, sealed takes out.')
    .version(packageVersion(), '--version')
    .helpCommand('help [command]', 'explain a command')
    .addHelpText('after', EXAMPLES);
  for (const entry of COMMANDS) {
    program.addCommand(entry.name === asked ? await entry.load() : new Command(entry.name).description(entry.summary));
  }
  forAll(program, (command) => {
    command.exitOverride().configureOutput({ outputError: () => {} });
  });
  return program;
}

/** Commander hands these settings down only to commands made with `.command()`; ours are added. */
function forAll(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) forAll(child, apply);
}

function packageVersion(): string {
  // build/daemon/cli/main.js: the package is three folders up.
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// `outboard processors show eq | head` is no fault of anybody.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (!interrupt('nobody reads the output any more')) process.exit(UNREAD_EXIT);
});

const status = await main(process.argv.slice(2));
// Pipes are written asynchronously: leave only when the last line is out. Sockets and workers of a command must not hold us.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
process.exit(status);
