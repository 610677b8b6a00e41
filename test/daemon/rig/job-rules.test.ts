/** What a job may ask of the processor that it names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateIdentity } from '../../../certs/sealing.js';
import type { BounceJob, ChainLink, GrantPayload, RigConfig } from '../../../core/contract/index.js';
import { planJob } from '../../../daemon/rig/job-rules.js';
import { loadProfiles } from '../../../drivers/processors/profile.js';

const profiles = await loadProfiles();
/** A matrix that serves as a gain stage on an insert of its own: its routes are there, and nobody's. */
const config = {
  interface: { rates: [48_000] },
  limits: { maxFrames: 1e6, maxTailSeconds: 60, maxChain: 4, maxRecipients: 4 },
  inserts: { a: { sends: [1], returns: [1], latencyFrames: 0 } },
  processors: { matrix: { profile: 'extron.crosspoint300-hva', insert: 'a', port: { serial: '/dev/null' } } },
} as unknown as RigConfig;
const format = { rate: 48_000, channels: 1, encoding: 'pcm24', frames: 1000 } as const;
const { recipient } = await generateIdentity();
const grant = { tenant: 't', recipients: [recipient], source: { format } } as unknown as GrantPayload;

async function planned(settings: ChainLink['settings']) {
  const job = {
    kind: 'bounce',
    chain: [{ processor: 'matrix', settings, verify: 'required' }],
    tail: 0,
    output: { encoding: 'pcm24' },
    maxAttempts: 1,
  } as unknown as BounceJob;
  return await planJob(job, grant, config, profiles, null);
}

test('a route is no setting of a job, on whatever the processor stands', async () => {
  const plan = await planned({ 'inGain@in=1': -3 });
  assert.deepEqual(plan.hops[0]?.settings, { 'inGain@in=1': -3 });
  await assert.rejects(planned({ 'inGain@in=1': -3, 'tie@out=3': 1 }), {
    code: 'job.setting',
    message: /tie@out=3: a route is no setting of a job/,
    details: { path: 'job.chain[0].settings.tie@out=3', value: 1 },
  });
});
