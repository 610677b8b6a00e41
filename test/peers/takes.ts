/** A job to its end, as its dispatcher and its tenant: the certificate that the rig signed, and the samples of the opened result. */
import { join } from 'node:path';
import { downloadFile } from '../../client/blobs.js';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { OfferedJob } from '../../client/offered-job.js';
import type { SealedSource } from '../../client/source.js';
import { openResult } from '../../client/tenant.js';
import type { Certificate, RigConfig } from '../../core/contract/index.js';
import { type JobWishes, offerJob, settle } from './jobs.js';
import { samplesOf } from './recordings.js';
import { scratch } from './scratch.js';
import type { Stack } from './stack.js';

export interface FinishedTake {
  job: string;
  certificate: Certificate;
  /** Interleaved, full scale 1. */
  samples: Float64Array;
  /** The opened result. */
  wav: string;
}

type Suite = { after(fn: () => unknown): void };
type Inserts = RigConfig['inserts'];

/** Acknowledges, fetches and opens the result of a job. Throws when it ended otherwise than with a result. */
export async function finishedTake(
  t: Suite,
  stack: Stack,
  dispatcher: Dispatcher,
  job: OfferedJob,
): Promise<FinishedTake> {
  const { payload } = await settle(stack, dispatcher, job);
  if (payload.type !== 'closed' || !payload.certificate)
    throw new Error(`the job ended as ${payload.type}: ${JSON.stringify(payload.problem)}\n${stack.logs()}`);
  const { certificate } = payload;
  const dir = await scratch(t);
  const sealed = join(dir, 'result.age');
  const wav = join(dir, 'result.wav');
  await downloadFile(stack.parties.store, certificate.result, sealed);
  await openResult({ ...certificate.result, file: sealed }, stack.parties.tenant.identity, wav);
  return { job: job.id, certificate, samples: await samplesOf(wav), wav };
}

/** Offers a job and follows it to the opened result. */
export async function take(
  t: Suite,
  stack: Stack,
  dispatcher: Dispatcher,
  source: SealedSource,
  wishes: JobWishes = {},
): Promise<FinishedTake> {
  return await finishedTake(t, stack, dispatcher, await offerJob(stack, dispatcher, source, wishes));
}

/** Inserts with as many channels as `width` says, one after the other, each with its path and what the configuration says of it. */
export function insertsOf(
  specs: Record<
    string,
    Partial<Omit<Inserts[string], 'path'>> & { width: 1 | 2; path?: Partial<NonNullable<Inserts[string]['path']>> }
  >,
): { inserts: Inserts; channels: number } {
  const inserts: Inserts = {};
  let channels = 0;
  for (const [name, { width, path, ...rest }] of Object.entries(specs)) {
    const own = Array.from({ length: width }, (_, index) => channels + index + 1);
    channels += width;
    inserts[name] = {
      sends: own,
      returns: own,
      latencyFrames: 0,
      memorySeconds: 0,
      ceilingDbfs: 0,
      path: {
        gainDb: 0,
        delayFrames: 0,
        poly: [],
        noiseDbfs: null,
        lowpassHz: null,
        crosstalkDb: null,
        memorySeconds: 0,
        ...path,
      },
      ...rest,
    };
  }
  return { inserts, channels };
}

/** Positions of the recorded frames in the stream. */
export function streamOf({ certificate }: FinishedTake): { from: number; to: number } {
  return certificate.continuity.streamFrames;
}
