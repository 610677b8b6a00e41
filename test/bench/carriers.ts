/**
 * What carries stereo files over a card: outboard's engine, `ecasound`, and `aplay` with `arecord`. All play and record at once, on the same
 * card, from the same files (the last two programs know no several files: they get the same samples interleaved).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Comparison, compare, interleave, samplesOf, writeNoisePair } from '../peers/noise-files.js';
import { endedChildrenSeconds, memoryOf, threadSeconds } from '../peers/process-times.js';
import { type RollingCard, rollTakes, steadyPart, sumOf } from '../peers/roll-takes.js';
import type { RollingOrder } from '../peers/rolling-rig.js';

/** Frames per turn of ecasound's engine. From 1024 to 4096 its cost is the same; smaller ones under-ran now and then. */
const ECASOUND_BLOCK = 2048;

/** So many channels at a rate (Hz), for so many seconds. */
export interface Cell {
  channels: number;
  rate: number;
  seconds: number;
}

/** The files of a cell. */
export interface Material {
  folder: string;
  /** Stereo WAV files of 24 bits, one for each two channels. */
  pairs: string[];
  /** The same for RAW programs: all channels interleaved, 32-bit words. */
  raw: string;
}

export interface Carried {
  /** CPU seconds per channel-minute, in the steady part. */
  perChannelMinute: number;
  /** Of a core, in the steady part. */
  percent: number;
  /** CPU seconds beyond the steady ones: start, first compilation, end. */
  startSeconds: number;
  peakMegabytes: number;
  /** Of `percent`, what the threads took that seal and open files. */
  sealingPercent: number;
  /** Whether what was recorded is what was played. */
  exact: boolean;
  /** What differs, for people. */
  remark: string;
}

export async function makeMaterial(cell: Cell, folder: string): Promise<Material> {
  const { rate, seconds, channels } = cell;
  const pairs: string[] = [];
  for (let pair = 0; pair < channels / 2; pair++) {
    const file = join(folder, `in-${pair}.wav`);
    await writeNoisePair(file, { rate, frames: rate * seconds, seed: pair + 1 });
    pairs.push(file);
  }
  const raw = join(folder, 'in.raw');
  await interleave(pairs, raw);
  return { folder, pairs, raw };
}

/** @param keys with them the sources are the sealed ones beside the plain ones (`sealPairs`), and the results are sealed too */
export async function outboard(
  cell: Cell,
  { folder, pairs }: Material,
  card: RollingCard,
  keys: RollingOrder['keys'] = null,
): Promise<Carried> {
  const takes = pairs.map((source, pair) => ({
    source: keys ? `${source}.age` : source,
    result: join(folder, `outboard-${pair}`),
  }));
  for (const { result } of takes) await rm(result, { force: true });
  const order = { rate: cell.rate, takes, frames: cell.rate * cell.seconds, keys, block: null };
  const { report, steady, memory } = await rollTakes(card, order);
  const used = sumOf(steady.cpuSeconds);
  // That sealed files come back as they were is for the tests to show; here they would only be opened again.
  const verdict = keys
    ? { exact: true, remark: 'sealed: not compared' }
    : await verdictOf(cell, pairs, (pair) => takes[pair]!.result, 0);
  for (const { result } of takes) await rm(result, { force: true });
  return {
    ...costOf(cell, used / steady.seconds, report.cpuSeconds),
    peakMegabytes: memory.peakMegabytes,
    sealingPercent: (100 * steady.cpuSeconds.sealing) / steady.seconds,
    ...verdict,
  };
}

/**
 * One chain for each file on its way out and one for each on its way in, all in one process. A playback chain is widened to its two places
 * among the card's channels and not beyond, and chains are summed; without the second buffer (`-z:nodb`), which has a thread of its own and
 * costs a tenth more.
 */
export async function ecasound(cell: Cell, { folder, pairs }: Material, card: RollingCard): Promise<Carried> {
  const { rate, channels } = cell;
  const stereo = `-f:s24_le,2,${rate}`;
  const wide = `-f:s32_le,${channels},${rate}`;
  const device = `alsa,${card.device}`;
  const result = (pair: number): string => join(folder, `ecasound-${pair}.wav`);
  const both = pairs.length > 1;
  const args = ['-q', '-x', `-b:${ECASOUND_BLOCK}`, '-B:rt', '-z:nodb', '-z:mixmode,sum', `-t:${cell.seconds}`];
  for (const [pair, file] of pairs.entries()) {
    args.push(stereo, `-a:out${pair}`, `-i:${file}`);
    if (both) args.push(`-chorder:${'0,'.repeat(2 * pair)}1,2`);
  }
  args.push(wide, `-a:${pairs.map((_, pair) => `out${pair}`).join(',')}`, `-o:${device}`);
  args.push(`-a:${pairs.map((_, pair) => `in${pair}`).join(',')}`, `-i:${device}`);
  for (const pair of pairs.keys()) {
    args.push(`-a:in${pair}`, stereo);
    if (both) args.push(`-chorder:${2 * pair + 1},${2 * pair + 2}`);
    args.push(`-o:${result(pair)}`);
  }
  const cost = await watch(cell, card, [['ecasound', args]]);
  const verdict = await verdictOf(cell, pairs, result, null);
  for (const pair of pairs.keys()) await rm(result(pair), { force: true });
  return { ...cost, ...verdict };
}

/** Interleaved words from a file and to a file, nothing else: the least that a program can do. */
export async function aplayArecord(cell: Cell, { folder, raw }: Material, card: RollingCard): Promise<Carried> {
  const { rate, channels, seconds } = cell;
  const recorded = join(folder, 'out.raw');
  const common = ['-q', '-D', card.device, '-t', 'raw', '-f', 'S32_LE', '-c', `${channels}`, '-r', `${rate}`];
  const cost = await watch(cell, card, [
    ['arecord', [...common, '-d', `${seconds + 1}`, recorded]],
    ['aplay', [...common, raw]],
  ]);
  const frameBytes = channels * 4;
  const played = { file: raw, from: 0, frameBytes };
  const verdict = verdictOn(cell, [await compare(played, { file: recorded, from: 0, frameBytes }, null)]);
  await rm(recorded, { force: true });
  return { ...cost, ...verdict };
}

/** Runs programs side by side to their end and looks from outside at what they use. */
async function watch(
  cell: Cell,
  card: RollingCard,
  commands: [string, string[]][],
): Promise<Omit<Carried, 'exact' | 'remark'>> {
  const before = endedChildrenSeconds();
  const children: ChildProcess[] = [];
  const ended: Promise<unknown>[] = [];
  let said = '';
  try {
    for (const [command, args] of commands) {
      const child = spawn(command, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...card.env },
      });
      child.stderr!.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      children.push(child);
      ended.push(once(child, 'close'));
    }
    const { from, to } = steadyPart(cell.seconds);
    const pids = children.map(({ pid }) => pid!);
    const began = performance.now();
    const looks: { atMs: number; seconds: number }[] = [];
    let peakMegabytes = 0;
    for (const at of [from, to]) {
      await new Promise((resolve) => setTimeout(resolve, at * 1000 - (performance.now() - began)));
      for (const { exitCode, spawnfile } of children)
        if (exitCode !== null) throw new Error(`${spawnfile} ended early: ${said}`);
      const seconds = pids.flatMap((pid) => [...threadSeconds(pid).values()]).reduce((sum, now) => sum + now, 0);
      looks.push({ atMs: performance.now(), seconds });
      peakMegabytes = pids.reduce((sum, pid) => sum + memoryOf(pid).peakMegabytes, 0);
    }
    await Promise.all(ended);
    const [first, last] = looks as [(typeof looks)[0], (typeof looks)[0]];
    const rate = ((last.seconds - first.seconds) * 1000) / (last.atMs - first.atMs);
    return { ...costOf(cell, rate, endedChildrenSeconds() - before), peakMegabytes, sealingPercent: 0 };
  } finally {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}

/** @param rate CPU seconds per second in the steady part; @param whole CPU seconds of the whole run */
function costOf(
  { channels, seconds }: Cell,
  rate: number,
  whole: number,
): Pick<Carried, 'perChannelMinute' | 'percent' | 'startSeconds'> {
  return { perChannelMinute: (rate * 60) / channels, percent: 100 * rate, startSeconds: whole - rate * seconds };
}

async function verdictOf(
  cell: Cell,
  pairs: readonly string[],
  result: (pair: number) => string,
  shift: number | null,
): Promise<{ exact: boolean; remark: string }> {
  const comparisons: Comparison[] = [];
  for (const [pair, file] of pairs.entries())
    comparisons.push(await compare(await samplesOf(file), await samplesOf(result(pair)), shift));
  return verdictOn(cell, comparisons, shift === 0);
}

/** @param whole every frame must be there; without it, a program may begin or end its recording inside the playback */
function verdictOn(cell: Cell, comparisons: Comparison[], whole = false): { exact: boolean; remark: string } {
  const least = whole ? cell.rate * cell.seconds : cell.rate * (cell.seconds - 2);
  const bad = comparisons.findIndex(({ frames, differing }) => differing > 0 || frames < least);
  if (bad < 0) return { exact: true, remark: '' };
  const { frames, differing, firstDiffering } = comparisons[bad]!;
  const where = firstDiffering === null ? '' : `, the first at frame ${firstDiffering}`;
  return { exact: false, remark: `file ${bad + 1}: ${frames} frames compared, ${differing} differ${where}` };
}
