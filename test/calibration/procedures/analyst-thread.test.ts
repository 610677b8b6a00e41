/** Analyses in a thread of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inThisThread } from '../../../calibration/procedures/analyst.js';
import { startAnalystThread } from '../../../calibration/procedures/analyst-thread.js';
import { sine } from '../../../calibration/signals/signals.js';

const RATE = 48_000;
const input = {
  samples: sine(RATE, 997, -20, 65_536),
  rate: RATE,
  channel: 1,
  fullScaleDbu: null,
  hz: 997,
  levelDbfs: -20,
};

test('finds what is found in the own thread, asked for one or for many at once; the samples stay ours', async () => {
  const analyst = startAnalystThread();
  const here = await inThisThread.analyze('tone', input);
  const there = await Promise.all([1, 2, 3].map(async () => await analyst.analyze('tone', input)));
  for (const findings of there) assert.deepEqual(findings, here);
  assert.equal(input.samples.length, 65_536);
  await analyst.stop();
});

test('what cannot be analyzed is told, and the next one is', async () => {
  const analyst = startAnalystThread();
  await assert.rejects(analyst.analyze('tone', { ...input, rate: Number.NaN, samples: null as never }), {
    code: 'internal',
  });
  assert.ok((await analyst.analyze('tone', input)).measurements.length > 0);
  await analyst.stop();
});

test('a thread that is stopped refuses what it was asked for, and what comes later', async () => {
  const analyst = startAnalystThread();
  const asked = assert.rejects(analyst.analyze('tone', input), { code: 'internal' });
  await analyst.stop();
  await asked;
  await assert.rejects(analyst.analyze('tone', input), { code: 'internal' });
  await analyst.stop();
});
