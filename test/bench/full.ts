/**
 * `npm run bench:full [-- --minutes N --block MS --channels N --rate HZ --dir FOLDER --no-sealing --only-sealing --json]`: the whole rig at
 * once. 32 in and 32 out at 96 kHz, 16 stereo takes that roll side by side on the user-space card for ten minutes, each from a WAV file of
 * noise to a WAV file; in the middle the event loop stands still for 500 ms. Then the same with sources and results sealed.
 *
 * Prints what the threads took, and the memory, and compares every sample afterwards in this process, which is not the measured one. Fails
 * when a sample was lost, repeated or changed, or a goal is missed. Ten minutes take up to 17 GB of disk in `--dir`, all removed in the end.
 */
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateIdentity } from '../../certs/sealing.js';
import { compare, samplesOf, writeNoisePair } from '../peers/noise-files.js';
import { type Rolled, rollingCard, rollTakes, sumOf } from '../peers/roll-takes.js';
import type { RollingOrder } from '../peers/rolling-rig.js';
import { openCopy, sealCopy } from '../peers/sealed-pairs.js';

const GOAL_PERCENT = 18;
const GOAL_MEGABYTES = 200;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    block: { type: 'string', default: '500' },
    channels: { type: 'string', default: '32' },
    rate: { type: 'string', default: '96000' },
    dir: { type: 'string', default: tmpdir() },
    'no-sealing': { type: 'boolean', default: false },
    'only-sealing': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const rate = Number(values.rate);
const channels = Number(values.channels);
const seconds = Number(values.minutes) * 60;
const frames = Math.round(rate * seconds);
const blockMs = Number(values.block);
const say = (line: string): void => {
  if (!values.json) console.log(line);
};

interface Outcome {
  sealed: boolean;
  rolled: Rolled;
  /** Frames of all takes that were not what they should be. */
  differing: number;
  compared: number;
}

const outcomes: Outcome[] = [];
let goalMissed = false;
await checkRoom();
const folder = await mkdtemp(join(values.dir, 'outboard-bench-'));
const card = await rollingCard(channels, rate);
try {
  say(`${channels} in, ${channels} out, ${rate / 1000} kHz, ${channels / 2} stereo takes, ${seconds} s`);
  say('writing the sources');
  const sources: string[] = [];
  for (let pair = 0; pair < channels / 2; pair++) {
    const file = join(folder, `in-${pair}.wav`);
    await writeNoisePair(file, { rate, frames, seed: pair + 1 });
    sources.push(file);
  }
  if (!values['only-sealing']) await run(sources, null);
  if (!values['no-sealing']) {
    const keys = await generateIdentity();
    say('sealing the sources');
    for (const file of sources) await sealCopy(file, keys.recipient);
    await run(sources, keys);
  }
} finally {
  await card.close();
  await rm(folder, { recursive: true });
}
if (values.json) console.log(JSON.stringify(outcomes));
if (goalMissed || outcomes.some(({ differing }) => differing > 0)) process.exitCode = 1;

async function checkRoom(): Promise<void> {
  const { bavail, bsize } = await statfs(values.dir);
  const bytes = frames * channels * 3 * (values['no-sealing'] ? 2.1 : 3.2);
  if (bavail * bsize > bytes) return;
  console.error(
    `${values.dir} needs ${Math.ceil(bytes / 1e9)} GB of room: name another folder with --dir, or fewer --minutes`,
  );
  process.exit(1);
}

async function run(sources: readonly string[], keys: RollingOrder['keys']): Promise<void> {
  const takes = sources.map((source, pair) => ({
    source: keys ? `${source}.age` : source,
    result: join(folder, `out-${pair}`),
  }));
  const block = blockMs > 0 ? { afterSeconds: seconds / 2, ms: blockMs } : null;
  const rolled = await rollTakes(card, { rate, takes, frames, keys, block }, { onRolling: () => say('rolling') });
  say('comparing');
  let differing = 0;
  let compared = 0;
  for (const [pair, { result }] of takes.entries()) {
    const plain = keys ? `${result}.wav` : result;
    if (keys) await openCopy(result, keys.identity, plain);
    const comparison = await compare(await samplesOf(sources[pair]!), await samplesOf(plain), 0);
    compared += comparison.frames;
    differing += comparison.differing + (frames - comparison.frames);
    if (comparison.firstDiffering !== null)
      say(`  take ${pair + 1} differs from frame ${comparison.firstDiffering} on`);
    await rm(plain);
    await rm(result, { force: true });
  }
  const outcome = { sealed: keys !== null, rolled, differing, compared };
  outcomes.push(outcome);
  tell(outcome);
}

function tell({ sealed, rolled, differing, compared }: Outcome): void {
  const { steady, memory, report } = rolled;
  const percent = (of: number): string => `${((100 * of) / steady.seconds).toFixed(1).padStart(6)} % of a core`;
  const { main, helpers, driver, sealing } = steady.cpuSeconds;
  const goal = (text: string): string => (sealed ? '' : ` (goal: at most ${text})`);
  const together = sumOf(steady.cpuSeconds) - sealing;
  const ours = memory.peakMegabytes - memory.sharedMegabytes;
  if (!sealed && ((100 * together) / steady.seconds > GOAL_PERCENT || ours > GOAL_MEGABYTES)) goalMissed = true;
  say(sealed ? '\nsources and results sealed' : '\nwithout sealing');
  say(`  ${percent(main)}  main thread: transport, WAV, channels, peaks, loudness`);
  say(`  ${percent(helpers)}  helper threads: files, garbage collection`);
  say(`  ${percent(driver)}  driver thread, and in it the plugin that is the simulated card`);
  say(`  ${percent(together)}  these together${goal(`${GOAL_PERCENT} %`)}`);
  if (sealed) say(`  ${percent(sealing)}  sealing threads`);
  say(
    `  ${ours.toFixed(0).padStart(6)} MB resident at most${goal(`${GOAL_MEGABYTES} MB`)}, ` +
      `without the ${memory.sharedMegabytes.toFixed(0)} MB that are the simulated card`,
  );
  if (report.blocked)
    say(
      `  the event loop stood still for ${report.blocked.ms} ms; ${report.blocked.frames} frames were captured meanwhile`,
    );
  say(`  faults of the stream: ${report.faults.join('; ') || 'none'}`);
  say(`  ${compared} frames compared, ${differing} lost, repeated or changed`);
}
