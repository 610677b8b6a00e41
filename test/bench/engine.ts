/**
 * `npm run bench:engine [-- --seconds N --rounds N --channels 2,8,32 --rates 48000,96000 --dir FOLDER --no-sealing --json]`: what it costs to
 * play stereo WAV files of 24 bits and to record as many, side by side with `ecasound` and with `aplay` + `arecord`: CPU seconds (user and
 * system, all threads) per channel-minute, a channel being one output and one input.
 *
 * All carry the same samples over the same user-space card, in turn. The card is a plugin of alsa-lib that runs inside each program, in each
 * direction, so each figure has the same cost of it in it. What counts is the steady part (from 2 s after the beginning to 5 s before the
 * end); what start and end cost beyond it is told apart. A program whose recording is not the playback, bit for bit, has no figure. The last
 * line is the ratio to ecasound at the most channels and the highest rate.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateIdentity } from '../../certs/sealing.js';
import { rollingCard } from '../peers/roll-takes.js';
import { sealCopy } from '../peers/sealed-pairs.js';
import { aplayArecord, type Carried, type Cell, ecasound, makeMaterial, outboard } from './carriers.js';

/** An under-run of a program that another program's load caused is no cost of it: it tries again. */
const ATTEMPTS = 3;
const PROGRAMS = { outboard, ecasound, 'aplay + arecord': aplayArecord } as const;
type Program = keyof typeof PROGRAMS | 'outboard, sealed';

interface Result extends Cell, Carried {
  program: Program;
  round: number;
}

/** Two seconds of beginning, five of end, and as many in between. */
const LEAST_SECONDS = 12;

const USAGE = `npm run bench:engine -- [options]
  --seconds N        of each recording, at least ${LEAST_SECONDS} (20)
  --rounds N         how often everything is measured (1)
  --channels LIST    in and out at once (2,8,32)
  --rates LIST       Hz (48000,96000)
  --dir FOLDER       for the recordings, which are removed in the end
  --no-sealing       without the lines of sealed files
  --json             one object for programs`;

/** Of a program that did not come to its end. */
const NOTHING: Carried = {
  perChannelMinute: 0,
  percent: 0,
  startSeconds: 0,
  peakMegabytes: 0,
  sealingPercent: 0,
  exact: false,
  remark: '',
};

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '1' },
    channels: { type: 'string', default: '2,8,32' },
    rates: { type: 'string', default: '48000,96000' },
    dir: { type: 'string', default: tmpdir() },
    'no-sealing': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const seconds = Number(values.seconds);
if (!(seconds >= LEAST_SECONDS)) throw new Error(`--seconds is at least ${LEAST_SECONDS}: less has no steady part`);
const numbers = (list: string): number[] => list.split(',').map(Number);
const say = (line: string): void => {
  if (!values.json) console.log(line);
};

for (const program of ['ecasound', 'aplay', 'arecord'])
  if (spawnSync(program, ['--version']).error)
    throw new Error(`${program} is not here: apt-get install ecasound alsa-utils`);

const results: Result[] = [];
say(
  'CPU seconds per channel-minute, of all threads, in the steady part. In each figure is the cost of the simulated card,',
);
say('which runs as a plugin inside each program.');
for (const rate of numbers(values.rates))
  for (const channels of numbers(values.channels)) await measure({ channels, rate, seconds });
report();
if (results.some(({ exact }) => !exact)) process.exitCode = 1;

async function measure(cell: Cell): Promise<void> {
  const folder = await mkdtemp(join(values.dir, 'outboard-bench-'));
  const card = await rollingCard(cell.channels, cell.rate);
  try {
    say(`\n${cell.channels} channels, ${cell.rate / 1000} kHz, ${cell.seconds} s`);
    const material = await makeMaterial(cell, folder);
    const keys = await generateIdentity();
    if (!values['no-sealing']) for (const file of material.pairs) await sealCopy(file, keys.recipient);
    for (let round = 1; round <= Number(values.rounds); round++) {
      for (const [program, carry] of Object.entries(PROGRAMS))
        await note(cell, program as Program, round, () => carry(cell, material, card));
      if (!values['no-sealing'])
        await note(cell, 'outboard, sealed', round, () => outboard(cell, material, card, keys));
    }
  } finally {
    await card.close();
    await rm(folder, { recursive: true });
  }
}

async function note(cell: Cell, program: Program, round: number, carry: () => Promise<Carried>): Promise<void> {
  const attempt = async (): Promise<Carried> =>
    await carry().catch((error: Error) => ({ ...NOTHING, remark: error.message }));
  let carried = await attempt();
  for (let tried = 1; tried < ATTEMPTS && !carried.exact; tried++) {
    say(`  ${program}: ${carried.remark}; once more`);
    carried = await attempt();
  }
  results.push({ ...cell, ...carried, program, round });
  const figures = [
    program.padEnd(17),
    carried.exact ? carried.perChannelMinute.toFixed(3).padStart(7) : '      -',
    `${carried.percent.toFixed(1).padStart(6)} % of a core`,
    `start and end ${carried.startSeconds.toFixed(2)} s`,
    `${carried.peakMegabytes.toFixed(0)} MB`,
  ];
  if (carried.sealingPercent > 0) figures.push(`the sealing threads ${carried.sealingPercent.toFixed(1)} % of a core`);
  figures.push(carried.exact ? carried.remark || 'bit for bit' : `VOID: ${carried.remark}`);
  say(`  ${figures.join('  ')}`);
}

/** The middle one of the rounds that hold. */
function middle(cell: Pick<Cell, 'channels' | 'rate'>, program: Program): Result | undefined {
  const rounds = results
    .filter((r) => r.channels === cell.channels && r.rate === cell.rate && r.program === program && r.exact)
    .sort((a, b) => a.perChannelMinute - b.perChannelMinute);
  return rounds[Math.floor((rounds.length - 1) / 2)];
}

function report(): void {
  if (values.json) return console.log(JSON.stringify(results));
  const cells = numbers(values.rates).flatMap((rate) =>
    numbers(values.channels).map((channels) => ({ channels, rate })),
  );
  const programs = [...new Set(results.map(({ program }) => program))];
  const figure = (result: Result | undefined): string => (result ? result.perChannelMinute.toFixed(3) : 'void');
  console.log('\nCPU seconds per channel-minute');
  console.log(['channels', 'kHz', ...programs].map((name) => name.padStart(17)).join(''));
  for (const cell of cells) {
    const row = [
      `${cell.channels}`,
      `${cell.rate / 1000}`,
      ...programs.map((program) => figure(middle(cell, program))),
    ];
    console.log(row.map((column) => column.padStart(17)).join(''));
  }
  const largest = { channels: Math.max(...numbers(values.channels)), rate: Math.max(...numbers(values.rates)) };
  const title = `${largest.channels} channels, ${largest.rate / 1000} kHz`;
  const ours = middle(largest, 'outboard');
  const theirs = middle(largest, 'ecasound');
  const withSealing = middle(largest, 'outboard, sealed');
  const ratio = (a: Result | undefined): string =>
    a && theirs ? (a.perChannelMinute / theirs.perChannelMinute).toFixed(2) : 'void';
  console.log('');
  if (withSealing)
    console.log(
      `${title}, sources and results sealed: ${figure(withSealing)} CPU seconds per channel-minute, ` +
        `${ratio(withSealing)} times ecasound without; ${withSealing.percent.toFixed(1)} % of a core, ` +
        `of it ${withSealing.sealingPercent.toFixed(1)} in the sealing threads`,
    );
  console.log(`${title}: outboard / ecasound = ${ratio(ours)} (goal: at most 1)`);
}
