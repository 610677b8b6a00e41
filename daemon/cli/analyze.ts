/** `outboard analyze`: the measurements of a calibration on WAV files, without a rig. */
import { basename } from 'node:path';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { flat } from '../../calibration/measures/flat.js';
import type { Measurement } from '../../calibration/measures/measurement.js';
import { ERRORS } from '../../core/error-codes.js';
import { OutboardError } from '../../core/errors.js';
import { analyzeKind, KINDS, type Kind } from './analyze-kinds.js';
import { createOutput, type Output } from './output.js';
import { readWav, type WavSamples } from './read-wav.js';

interface Options {
  json?: boolean;
  fullScaleDbu?: number;
  at?: number[];
  channel?: number;
  expectHz?: number;
  tones?: [number, number];
  carrierHz?: number;
  maxOutputDbfs?: number;
}

/** A capture that gives no number: the data are at fault. */
const REFUSED_EXIT = ERRORS['wav.malformed'].exit;

export function analyzeCommand(): Command {
  return new Command('analyze')
    .description('Measures WAV files: level, distortion, noise, response and more, each with its definition.')
    .addArgument(new Argument('<kind>', 'what to measure').choices(KINDS))
    .argument('<file...>', 'WAV files; of response the stimulus, then what came back')
    .option('--channel <n>', 'this channel alone, from 1', whole)
    .option('--full-scale-dbu <dBu>', 'level of a full-scale sine: adds dBu, dBV and volts', number)
    .option('--at <hz...>', 'response: where to tell gain and phase; thirds of an octave otherwise', frequencies)
    .option('--expect-hz <hz>', 'tone, dynamic-range, crosstalk: the frequency that was played', frequency)
    .option('--tones <low,high>', 'smpte: 60,7000 unless said (DIN: 250,8000); dfd: 19000,20000', pair)
    .option('--carrier-hz <hz>', 'wow-flutter: as recorded; 3150 or 3000, the nearer one, otherwise', frequency)
    .option('--max-output-dbfs <dBFS>', 'dynamic-range: the highest level of the path; 0 otherwise', number)
    .option('--json', 'one JSON object a file on stdout')
    .addHelpText(
      'after',
      `
Examples:
  outboard analyze tone loop-997.wav --full-scale-dbu 24
  outboard analyze noise idle.wav --json | jq .noise_a_dbfs
  outboard analyze response sweep.wav back.wav --at 20 100 1000 10000 --json
  outboard analyze smpte din.wav --tones 250,8000

The keys are explained in docs/measurements.md. With --json the keys at the top are those of the first channel (of --channel, if given);
\`channels\` has one object for each. Exit status 65: a capture is refused (\`valid\` is false, \`refusal\` says why) or no WAV.`,
    )
    .action(async (kind: Kind, files: string[], o: Options) => {
      const output = createOutput(o);
      const { channel, ...options } = o;
      if (kind === 'response' && files.length !== 2)
        throw new OutboardError('usage', 'response needs two files: the stimulus and what came back');
      const stimulus = kind === 'response' ? await readWav(files[0]!) : null;
      for (const file of kind === 'response' ? files.slice(1) : files) {
        const wav = await readWav(file);
        const found = analyzeKind(kind, wav, stimulus, channel, options);
        tell(output, kind, file, wav, found);
        if (found.flat().some(({ valid }) => !valid)) process.exitCode = REFUSED_EXIT;
      }
    });
}

function tell(output: Output, kind: Kind, file: string, wav: WavSamples, found: Measurement[][]): void {
  const channels = found.map((list) => ({
    ...(list[0]?.channel !== undefined && { channel: list[0].channel }),
    ...flat(list),
    ...(kind === 'mains' && list.every(({ name, valid }) => valid && name !== 'hum_dbfs') && { hum_dbfs: [] }),
    ...(kind === 'tone' && !list.some(({ name }) => name === 'sideband_dbc') && { sidebands: [] }),
  }));
  output.object({
    ok: found.flat().every(({ valid }) => valid),
    kind,
    file: basename(file),
    rate: wav.rate,
    frames: wav.channels[0]!.length,
    ...channels[0],
    channels,
    measurements: found.flat(),
  });
  for (const list of found) {
    const [first] = list;
    output.line(`${basename(file)}${first?.channel === undefined ? '' : `, channel ${first.channel}`}: ${kind}`);
    const refusal = list.find((one) => one.refusal)?.refusal;
    if (refusal) output.line(`  refused, ${refusal.reason}: ${refusal.message}`);
    output.table(
      list
        .filter(({ valid }) => valid)
        .map((one) => [`  ${label(one)}`, shown(one), one.definition, one.detector, one.reference]),
      ['  MEASUREMENT', 'VALUE', 'DEFINITION', 'DETECTOR', 'REFERENCE'],
    );
  }
}

function label({ name, conditions }: Measurement): string {
  const hz = conditions['hz'];
  return typeof hz === 'number' ? `${name} at ${Number(hz.toPrecision(6))} Hz` : name;
}

function shown({ value, unit, name }: Measurement): string {
  if (value === null) return name === 'mains_hz' || name === 'hum_total_dbfs' ? 'none' : 'digital silence';
  if (name === 'polarity_inverted') return value === 1 ? 'yes' : 'no';
  const digits = Math.abs(value) >= 0.001 || value === 0 ? value.toFixed(4) : value.toExponential(3);
  return `${digits} ${unit}`.trimEnd();
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError(`${text} is no number.`);
  return value;
}

function frequency(text: string): number {
  const value = number(text);
  if (!(value > 0)) throw new InvalidArgumentError('A frequency is more than 0 Hz.');
  return value;
}

function frequencies(text: string, before: number[] | undefined): number[] {
  return [...(before ?? []), ...text.split(',').map(frequency)];
}

function whole(text: string): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('A whole number from 1.');
  return value;
}

function pair(text: string): [number, number] {
  const [low, high, ...more] = text.split(',').map(frequency);
  if (low === undefined || high === undefined || more.length > 0 || low >= high)
    throw new InvalidArgumentError('Two frequencies, the lower one first: 250,8000.');
  return [low, high];
}
