/** Jobs in a row on one insert, and how long the insert stood idle between their takes. For the test and for the bench. */
import { join } from 'node:path';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { OfferedJob } from '../../client/offered-job.js';
import type { SealedSource } from '../../client/source.js';
import { link, offerJob, storedSource } from './jobs.js';
import { scratch } from './scratch.js';
import { sine, writeSignal } from './signals.js';
import { Stack, until } from './stack.js';
import { type FinishedTake, finishedTake, streamOf } from './takes.js';
import { maintenance } from './technician.js';

export const GAP_RATE = 48_000;
/** What a rig may take between two takes, beyond recall, settling and tail. */
export const GAP_LIMIT_MS = 250;
const TAIL_SECONDS = 0.2;
/** What is played of each source, in seconds. */
const PLAYED_SECONDS = [2, 1.5, 1];
/** Longer than what is played, so that a source that was opened stays open until its take is over. */
const SOURCE_SECONDS = 40;

type Suite = { after(fn: () => unknown): void };

/** A rig with a clock that does not wait, and the sources, each with another tone. */
export async function gapStack(t: Suite): Promise<{ stack: Stack; dispatcher: Dispatcher; sources: SealedSource[] }> {
  const stack = await Stack.make(t, { rigConfig: { interface: { clock: 'realtime', rates: [GAP_RATE] } } });
  const dir = await scratch(t);
  const sources: SealedSource[] = [];
  for (const index of PLAYED_SECONDS.keys()) {
    const wav = join(dir, `${index}.wav`);
    const tone = sine(440 * (index + 1), -20, GAP_RATE);
    await writeSignal(wav, {
      rate: GAP_RATE,
      channels: 2,
      bits: 24,
      frames: SOURCE_SECONDS * GAP_RATE,
      sample: tone,
    });
    sources.push(await storedSource(t, stack, wav));
  }
  await stack.startRig();
  await stack.startCourier();
  return { stack, dispatcher: await stack.dispatcher(), sources };
}

/** The jobs, all ready before the first may start; each has another gain, so that there is something to recall. */
export async function jobsInARow(
  stack: Stack,
  dispatcher: Dispatcher,
  sources: readonly SealedSource[],
): Promise<OfferedJob[]> {
  await maintenance(stack, 'maintenance.enter');
  await until(async () => (await stack.status()).state.mode === 'maintenance');
  const jobs: OfferedJob[] = [];
  for (const [index, source] of sources.entries()) {
    const frames = PLAYED_SECONDS[index]! * GAP_RATE;
    const job = await offerJob(stack, dispatcher, source, {
      chain: [link('gain-1', { gain: -index })],
      region: { start: GAP_RATE, frames },
      tail: TAIL_SECONDS,
      maxAttempts: 1,
    });
    await job.until('ready');
    jobs.push(job);
  }
  await maintenance(stack, 'maintenance.exit');
  return jobs;
}

/** Follows the jobs to their ends; the gaps are from the last frame of one take (its tail too) to the first of the next, in ms. */
export async function gapsOf(
  t: Suite,
  stack: Stack,
  dispatcher: Dispatcher,
  jobs: readonly OfferedJob[],
): Promise<{ takes: FinishedTake[]; gapsMs: number[] }> {
  const takes = await Promise.all(jobs.map((job) => finishedTake(t, stack, dispatcher, job)));
  const gapsMs = takes
    .slice(1)
    .map((later, index) => ((streamOf(later).from - streamOf(takes[index]!).to) * 1000) / GAP_RATE);
  return { takes, gapsMs };
}
