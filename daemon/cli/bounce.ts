/** `outboard bounce`: sends a WAV through a rig and brings the take back, as the reference dispatcher and keeper. */
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { OutputEncoding } from '../../core/contract/job.js';
import { OutboardError } from '../../core/errors.js';
import { BounceProgressDisplay } from './bounce-progress.js';
import { bounceObject, printLevels, printSettings, printTake } from './bounce-report.js';
import { chainOptions } from './chain-options.js';
import { refuseExistingFile } from './files.js';
import { interruptSignal } from './interrupt.js';
import { createOutput } from './output.js';
import { loadParties } from './parties.js';
import { runBounce } from './run-bounce.js';

interface Options {
  to: string;
  tail: number;
  region?: { start: number; frames: number };
  encoding: OutputEncoding;
  attempts: number;
  wait: number;
  out?: string;
  json?: boolean;
}

export function bounceCommand(): Command {
  const command = new Command('bounce')
    .description('Seals a WAV, has a rig play it through its processors, and brings the take back.')
    .argument('<file.wav>', 'what to send; put it before the options')
    .requiredOption('--to <client.yaml>', 'rig, broker, store and keys, as `outboard init` makes it');
  const chain = chainOptions(command);
  return command
    .option('--tail <seconds>', 'recorded after the last frame', number('--tail', 0, 3600), 0)
    .option('--region <start:frames>', 'only this part of the source, in frames', region)
    .option('--encoding <encoding>', 'pcm24 or float32', encoding, 'pcm24')
    .option('--attempts <n>', 'how often the rig may start a take, 1 to 5', number('--attempts', 1, 5, true), 3)
    .option('--wait <seconds>', 'how long to ask for a verdict', number('--wait', 1, 604_800, true), 300)
    .option('--out <file.wav>', 'the take (default: FILE.bounced.wav here); nothing is overwritten')
    .option('--json', 'JSON on stdout, one object at the end')
    .addHelpText(
      'after',
      `
Examples:
  outboard bounce song.wav --to studio/client.yaml --processor gain-1 gain=-6
  outboard bounce song.wav --to studio/client.yaml --processor gain-1 gain=-6 --drive -3 \\
    --processor delay-1 delay=12.5 --tail 2 --encoding float32 --out wet.wav
A value is a number, true, false, on, off, or text; a setting of one channel is gain@channel=1=-6.
Ctrl-C withdraws the job.`,
    )
    .action((file: string, o: Options) => bounce(file, o, chain()));
}

async function bounce(file: string, o: Options, chain: ReturnType<ReturnType<typeof chainOptions>>): Promise<void> {
  const output = createOutput(o);
  const startedMs = performance.now();
  if (chain.length === 0) throw new OutboardError('usage', 'name at least one --processor');
  const out = resolve(o.out ?? `${basename(file).replace(/\.wav$/i, '')}.bounced.wav`);
  await refuseExistingFile(out);
  const parties = await loadParties(o.to);
  // Beside the result, where there has to be room anyway. Only ciphertext lies in it.
  const workDir = await mkdtemp(join(dirname(out), '.outboard-bounce-')).catch((cause) => {
    throw new OutboardError('file.write', `${dirname(out)}: cannot be written (${cause.code})`, { cause });
  });
  const display = new BounceProgressDisplay(output);
  try {
    const outcome = await runBounce(
      parties,
      {
        wav: file,
        chain,
        ...(o.region ? { region: o.region } : {}),
        tailSeconds: o.tail,
        encoding: o.encoding,
        maxAttempts: o.attempts,
        out,
        workDir,
        verdictSeconds: o.wait,
      },
      { signal: interruptSignal(), onStep: (step) => display.show(step) },
    );
    display.stop();
    printSettings(output, outcome.certificate);
    output.line();
    printLevels(output, outcome.certificate);
    output.line();
    printTake(output, outcome.certificate);
    output.line();
    output.line(out);
    output.object(bounceObject(outcome, (performance.now() - startedMs) / 1000));
  } finally {
    display.stop();
    await rm(workDir, { recursive: true, force: true });
  }
}

function number(option: string, from: number, to: number, whole = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= from && value <= to) || (whole && !Number.isInteger(value)))
      throw new InvalidArgumentError(`${option} is ${whole ? 'a whole number' : 'a number'} from ${from} to ${to}.`);
    return value;
  };
}

function region(text: string): { start: number; frames: number } {
  const [, start, frames] = /^(\d{1,15}):(\d{1,15})$/.exec(text) ?? [];
  if (start === undefined || frames === undefined || Number(frames) === 0)
    throw new InvalidArgumentError('START:FRAMES, for instance 48000:96000 for the second and third second at 48 kHz.');
  return { start: Number(start), frames: Number(frames) };
}

function encoding(text: string): OutputEncoding {
  if (text !== 'pcm24' && text !== 'float32') throw new InvalidArgumentError('pcm24 or float32.');
  return text;
}
