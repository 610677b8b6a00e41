/** `outboard demo`: the whole path in one command, on a simulated rig, with nothing in it stubbed. */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { writeNewFile } from '../../certs/durable-file.js';
import type { SourceFormat } from '../../core/contract/grant.js';
import { OutboardError } from '../../core/errors.js';
import { BounceProgressDisplay } from './bounce-progress.js';
import { bounceObject, printLevels, printSettings, printTake } from './bounce-report.js';
import { DemoRig } from './demo-rig.js';
import { demoWav } from './demo-tone.js';
import { interruptSignal } from './interrupt.js';
import { measureWav, type WavLevels } from './measure-wav.js';
import { createOutput, type Output } from './output.js';
import { type BounceOutcome, runBounce, wavFormat } from './run-bounce.js';

interface Options {
  input?: string;
  keep?: string;
  json?: boolean;
}

const RATES = [44_100, 48_000, 96_000];
const GAIN_DB = -6;

/** What `--keep` leaves, in the order in which somebody looks at it. */
const KEPT: readonly [string, string][] = [
  ['source.wav', 'what went in'],
  ['source.age', 'the same, sealed as it was uploaded'],
  ['result.age', 'the take as the store holds it, sealed for the tenant'],
  ['identity.txt', "the tenant's age identity: age -d -i identity.txt result.age > result.wav"],
  ['result.wav', 'the take, opened'],
  ['event.jws', "the rig's last event, with the certificate of the take"],
  ['trust.jws', 'the trust bundle that it was verified with'],
];

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Runs a whole rig for a moment: broker, store, both processes, one job signed, sent, bounced and opened.',
    )
    .option('--input <file.wav>', 'what to bounce, mono or stereo (default: five seconds made here)')
    .option('--keep <dir>', 'leave source, take, certificate and identity in a new folder')
    .option('--json', 'JSON on stdout, one object a line; the last one is the result')
    .addHelpText('after', '\nExamples:\n  outboard demo\n  outboard demo --input song.wav --keep demo')
    .action(demo);
}

async function demo(o: Options): Promise<void> {
  const output = createOutput(o);
  const startedMs = performance.now();
  const signal = interruptSignal();
  const keep = o.keep === undefined ? undefined : await newFolder(resolve(o.keep));
  const input = o.input === undefined ? undefined : { file: resolve(o.input), format: await wavFormat(o.input) };
  const rig = new DemoRig({
    rates: [...new Set([...RATES, ...(input ? [input.format.rate] : [])])],
    onStage: (what) => output.note(what),
  });
  const forget = abandonAtSecondSignal(rig, signal);
  const display = new BounceProgressDisplay(output);
  try {
    await rig.start(signal);
    output.note(`ready; the courier speaks ${rig.courierProtocol} with the broker`);
    output.object({ courier: { protocol: rig.courierProtocol } });
    const wav = input?.file ?? (await writeTone(rig.workDir));
    const outcome = await runBounce(
      rig.parties,
      {
        wav,
        chain: [{ processor: processorFor(input?.format), settings: { gain: GAIN_DB }, verify: 'required' }],
        tailSeconds: 0,
        encoding: 'pcm24',
        maxAttempts: 3,
        out: join(rig.workDir, 'result.wav'),
        workDir: rig.workDir,
        verdictSeconds: 60,
      },
      { signal, withdraw: false, repeatMs: 1000, onStep: (step) => display.show(step) },
    );
    display.stop();
    const before = await measureWav(wav);
    if (keep !== undefined) await keepFiles(keep, rig, wav, outcome);
    await rig.stop();
    const wallSeconds = (performance.now() - startedMs) / 1000;
    printSummary(output, { outcome, before, wallSeconds, keep, protocol: rig.courierProtocol });
    output.object(bounceObject(outcome, wallSeconds));
  } finally {
    display.stop();
    await rig.stop();
    forget();
  }
}

/** A stereo and a mono insert are there; what is wider goes to the stereo one, and the rig says what is wrong with that. */
function processorFor(format: SourceFormat | undefined): string {
  return format?.channels === 1 ? 'gain-m' : 'gain-1';
}

async function writeTone(folder: string): Promise<string> {
  const file = join(folder, 'tone.wav');
  await writeNewFile(file, demoWav(), 0o600);
  return file;
}

/**
 * The first signal stops in order; the second one does not wait for it. Neither it nor a crash of this process leaves a child behind.
 */
function abandonAtSecondSignal(rig: DemoRig, first: AbortSignal): () => void {
  const names = ['SIGINT', 'SIGTERM'] as const;
  const disarm = () => {
    for (const name of names) process.removeListener(name, second);
  };
  const second = (name: NodeJS.Signals) => {
    // Still listening meanwhile: a third signal shall not end the cleaning up.
    rig.abandon();
    disarm();
    process.kill(process.pid, name);
  };
  const arm = () => {
    for (const name of names) process.on(name, second);
  };
  const crash = () => rig.abandon();
  process.once('exit', crash);
  first.addEventListener('abort', arm, { once: true });
  return () => {
    first.removeEventListener('abort', arm);
    process.removeListener('exit', crash);
    disarm();
  };
}

/** @throws OutboardError file.exists | file.write */
async function newFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await readdir(folder)).length === 0) return folder;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.write', `${folder}: cannot be made (${code})`, { cause });
  }
  throw new OutboardError('file.exists', `${folder} is not empty`);
}

async function keepFiles(folder: string, rig: DemoRig, wav: string, outcome: BounceOutcome): Promise<void> {
  try {
    await copyFile(wav, join(folder, 'source.wav'));
    await copyFile(outcome.files.source, join(folder, 'source.age'));
    await copyFile(outcome.files.result, join(folder, 'result.age'));
    await copyFile(rig.identityFile, join(folder, 'identity.txt'));
    await copyFile(outcome.files.opened, join(folder, 'result.wav'));
    await writeFile(join(folder, 'event.jws'), `${outcome.event.token}\n`);
    await writeFile(join(folder, 'trust.jws'), outcome.trustText);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.write', `${folder}: cannot be written (${code})`, { cause });
  }
}

interface Summary {
  outcome: BounceOutcome;
  before: WavLevels;
  wallSeconds: number;
  keep: string | undefined;
  protocol: string | null;
}

function printSummary(output: Output, { outcome, before, wallSeconds, keep, protocol }: Summary): void {
  const { certificate } = outcome;
  output.line();
  printLevels(output, certificate, before);
  output.line();
  printSettings(output, certificate);
  output.line();
  printTake(output, certificate);
  output.line();
  const seconds = certificate.result.frames / certificate.result.rate;
  output.line(`${seconds.toFixed(1)} s of audio in ${wallSeconds.toFixed(1)} s, all in all; courier over ${protocol}`);
  if (keep === undefined) {
    output.line('Nothing was left behind. --keep DIR keeps the files.');
    return;
  }
  output.line(`Left in ${keep}:`);
  output.table(KEPT.map(([name, what]) => [`  ${name}`, what]));
}
