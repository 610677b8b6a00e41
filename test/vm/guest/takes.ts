/** Takes through the installed rig, and what is done to it meanwhile. */
import { downloadFile, uploadFile } from '../../../client/blobs.js';
import type { JobEvent, OfferedJob } from '../../../client/offered-job.js';
import { type SealedSource, sealSource } from '../../../client/source.js';
import { openResult } from '../../../client/tenant.js';
import { type Certificate, FINAL_EVENTS } from '../../../core/contract/index.js';
import { within } from '../../../core/duration.js';
import { wavFormat } from '../../../daemon/cli/run-bounce.js';
import { link, offerJob, settle } from '../../peers/jobs.js';
import { expectSameSamples, writeNoise } from './noise.js';
import { expect, until } from './shell.js';
import type { Desk } from './site.js';

/** A take of some seconds, with a restart in it. */
const JOB_SECONDS = 300;

export interface Source {
  wav: string;
  channels: number;
  sealed: SealedSource;
}

export async function storeNoise(desk: Desk, name: string, seconds: number, channels = 2): Promise<Source> {
  const wav = `/root/${name}.wav`;
  await writeNoise(wav, seconds, 0x2545f491, channels);
  const sealed = await sealSource(wav, `/root/${name}.age`, await wavFormat(wav));
  await uploadFile(desk.parties.store, { ...sealed.source, file: sealed.file });
  return { wav, channels, sealed };
}

/** An offered job, and the promise of its end: the result is acknowledged as soon as it is delivered. */
export async function offer(
  desk: Desk,
  source: Source,
  chain = [link('gain-1', { gain: 0 })],
): Promise<{ job: OfferedJob; settled: Promise<JobEvent> }> {
  const job = await offerJob(desk, desk.dispatcher, source.sealed, {
    chain,
    maxAttempts: 5,
  });
  const late = () => new Error(`the job did not end within ${JOB_SECONDS} s; it was ${typesOf(job).join(', ')}`);
  const settled = within(JOB_SECONDS * 1000, settle(desk, desk.dispatcher, job), late);
  settled.catch(() => undefined);
  return { job, settled };
}

/** An attempt rolls, and some of it has been played. @returns its number */
export async function rolls(desk: Desk, job: OfferedJob): Promise<number> {
  return await until(`the take rolls (${job.id})`, 120, async () => {
    const mine = desk.heard.filter(({ payload }) => payload.job === job.id).map(({ payload }) => payload);
    const { progress } = mine.at(-1) ?? {};
    if (progress?.phase !== 'rolling' || progress.percent < 10) return null;
    return mine.findLast(({ type }) => type === 'rolling')?.attempt ?? null;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it was ${typesOf(job).join(', ')}`);
  });
}

/**
 * The job has come to its end once, with a take that is the source bit for bit.
 * @returns the certificate
 */
export async function expectWhole(
  desk: Desk,
  source: Source,
  job: OfferedJob,
  settled: Promise<JobEvent>,
): Promise<Certificate> {
  const final = await settled;
  const { type, certificate, problem } = final.payload;
  expect(type === 'closed' && certificate !== undefined, `the job ended as ${type}: ${JSON.stringify(problem)}`);
  const sealed = `/root/${job.id}.age`;
  const wav = `/root/${job.id}.wav`;
  await downloadFile(desk.parties.store, certificate.result, sealed);
  await openResult({ ...certificate.result, file: sealed }, desk.parties.tenant.identity, wav);
  await expectSameSamples(source.wav, wav, source.channels);
  const mine = desk.heard.filter(({ payload }) => payload.job === job.id).map(({ payload }) => payload);
  const finals = mine.filter((event) => FINAL_EVENTS.includes(event.type));
  expect(finals.length === 1, `${finals.length} final events`);
  const attempts = mine.filter((event) => event.type === 'rolling').map((event) => event.attempt);
  expect(new Set(attempts).size === attempts.length, `attempts ${attempts.join(', ')}: a number was used twice`);
  return certificate;
}

export function typesOf(job: OfferedJob): string[] {
  return job.past.map(({ payload }) => payload.progress?.phase ?? payload.type);
}
