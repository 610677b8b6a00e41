/** A dispatcher's and a keeper's work in small pieces, so that a test can do each of them right or wrong. */
import { join } from 'node:path';
import { uploadFile } from '../../client/blobs.js';
import type { Dispatcher } from '../../client/dispatcher.js';
import { makeGrant } from '../../client/keeper.js';
import type { JobEvent, OfferedJob } from '../../client/offered-job.js';
import { type SealedSource, sealSource } from '../../client/source.js';
import type { BounceJob, ChainLink, EventPayload, Source } from '../../core/contract/index.js';
import { wavFormat } from '../../daemon/cli/run-bounce.js';
import { scratch } from './scratch.js';
import type { Stack } from './stack.js';

/** Of a whole stack only this is needed here. */
export type Sides = Pick<Stack, 'parties'>;

export function link(processor: string, settings: ChainLink['settings'], more: Partial<ChainLink> = {}): ChainLink {
  return { processor, settings, verify: 'required', ...more };
}

/** Seals a WAV with an identity of its own and puts it into the store. */
export async function storedSource(
  t: { after(fn: () => unknown): void },
  stack: Sides,
  wav: string,
): Promise<SealedSource> {
  const sealed = await sealSource(wav, join(await scratch(t), 'source.age'), await wavFormat(wav));
  await uploadFile(stack.parties.store, { ...sealed.source, file: sealed.file });
  return sealed;
}

export interface JobWishes extends Partial<Omit<BounceJob, 'kind' | 'grant'>> {
  id?: string;
  tenant?: string;
  source?: Source;
  recipients?: string[];
  grantSeconds?: number;
}

/** A grant for a source and a job, signed by the stack's keeper. */
export async function grantFor(
  stack: Sides,
  sealed: SealedSource,
  id: string,
  wishes: JobWishes = {},
): Promise<string> {
  const { parties } = stack;
  return await makeGrant({
    keeper: parties.keeper,
    trust: parties.trust,
    rig: parties.rig,
    dispatcher: parties.dispatcher.name,
    job: id,
    tenant: wishes.tenant ?? parties.tenant.id,
    source: wishes.source ?? sealed.source,
    recipients: wishes.recipients ?? parties.tenant.recipients,
    identity: sealed.raw,
    ...(wishes.grantSeconds === undefined ? {} : { lifetimeSeconds: wishes.grantSeconds }),
  });
}

export async function jobFor(
  stack: Sides,
  sealed: SealedSource,
  id: string,
  wishes: JobWishes = {},
): Promise<BounceJob> {
  const { id: _id, tenant: _tenant, source: _source, recipients: _recipients, grantSeconds: _seconds, ...job } = wishes;
  return {
    kind: 'bounce',
    grant: await grantFor(stack, sealed, id, wishes),
    chain: [link('gain-m', {})],
    tail: 0,
    output: { encoding: 'pcm24' },
    maxAttempts: 3,
    ...job,
  };
}

/** Offers a job; resolves when it was published, not when it was accepted. */
export async function offerJob(
  stack: Sides,
  dispatcher: Dispatcher,
  sealed: SealedSource,
  wishes: JobWishes = {},
): Promise<OfferedJob> {
  const id = wishes.id ?? dispatcher.newJobId();
  return await dispatcher.offer({ id, job: await jobFor(stack, sealed, id, wishes) });
}

/** Does what a dispatcher does with a delivered result: reads it back from the store and says so. Resolves with the final event. */
export async function settle(stack: Sides, dispatcher: Dispatcher, job: OfferedJob): Promise<JobEvent> {
  const event = await job.until('delivered');
  const result = event.payload.certificate?.result;
  if (event.payload.type === 'delivered' && result) {
    const stored = await stack.parties.store.head(result.digest);
    if (stored?.bytes !== result.bytes) throw new Error('the store does not hold the result');
    return await dispatcher.ackResult(job.id, { digest: result.digest, bytes: result.bytes, outcome: 'stored' });
  }
  return await job.final;
}

/** Types of all that was said of a job, without progress. */
export async function typesOf(job: OfferedJob): Promise<EventPayload['type'][]> {
  await job.final;
  return job.past.map((event) => event.payload.type).filter((type) => type !== 'progress');
}
