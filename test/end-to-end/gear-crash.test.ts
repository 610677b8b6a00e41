/** The rig dies while a take rolls through a unit that goes on living: what the unit was left with does not outlast the next start. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExtronOnLine } from '../peers/gear/extron-on-line.js';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { sine, writeSignal } from '../peers/signals.js';
import { Stack, until } from '../peers/stack.js';
import { insertsOf } from '../peers/takes.js';

const RATE = 48_000;
/** Long enough to die in the middle of it, however busy the host is. */
const SECONDS = 60;

/** A take that sounds through a matrix with gain, no mute and no lowered volume. */
async function rolling(t: TestContext) {
  const { matrix, path } = await ExtronOnLine.lay(t);
  const { inserts, channels } = insertsOf({ a: { width: 1 } });
  const stack = await Stack.make(t, {
    rigConfig: {
      interface: { clock: 'realtime', rates: [RATE], in: channels, out: channels },
      inserts,
      processors: {
        matrix: { profile: 'extron.crosspoint300-hva', insert: 'a', port: { serial: path, anyPath: true } },
      },
    },
  });
  const wav = join(await scratch(t), 'tone.wav');
  const shape = { rate: RATE, channels: 1, bits: 24, frames: SECONDS * RATE } as const;
  await writeSignal(wav, { ...shape, sample: sine(997, -20, RATE) });
  const source = await storedSource(t, stack, wav);
  await stack.startRig();
  await stack.startCourier();
  const dispatcher = await stack.dispatcher();

  const settings = { 'inGain@in=1': 4, 'outVol@out=1': -60, 'mute@out=1': false };
  const job = await offerJob(stack, dispatcher, source, { chain: [link('matrix', settings)], maxAttempts: 1 });
  await until(
    async () =>
      (await stack.status()).jobs.some(({ progress }) => progress?.phase === 'rolling' && progress.percent > 0),
    150_000,
    `sound: ${stack.logs().slice(-2000)}`,
  );
  assert.equal(matrix.inputGain.get(1), 4);
  assert.equal(matrix.muted.has(1), false);
  return { stack, matrix, dispatcher, job };
}

test('SIGKILL in the middle of a take: the unit is made safe before anything else is said to it', {
  timeout: 400_000,
}, async (t) => {
  const { stack, matrix, dispatcher, job } = await rolling(t);
  stack.rig!.process.kill('SIGKILL');
  assert.equal(await stack.rig!.exit(), 'SIGKILL');
  assert.equal(matrix.inputGain.get(1), 4, 'nobody was left to make it safe');
  assert.equal(matrix.muted.has(1), false);

  const heard = matrix.commands.length;
  await stack.startRig();
  await until(async () => (await stack.status()).state.processors.every(({ state }) => state === 'ready'), 60_000);
  assert.equal(matrix.muted.size, 8);
  assert.ok([...matrix.volume.values()].every((step) => step === 0));
  assert.ok([...matrix.inputGain.values()].every((gainDb) => gainDb === 0));
  const set = matrix.commands.slice(heard).filter((command) => command.includes('*'));
  assert.deepEqual(
    set.slice(0, 8),
    Array.from({ length: 8 }, (_, i) => `${i + 1}*1Z`),
    'every output is muted first',
  );
  const { payload } = await settle(stack, dispatcher, job);
  assert.equal(payload.type, 'failed', stack.logs());
  assert.equal(matrix.inputGain.get(1), 0, 'the attempt was spent');
});

test('a stop in the middle of a take leaves the unit safe, and its panel to people', {
  timeout: 400_000,
}, async (t) => {
  const { stack, matrix } = await rolling(t);
  await stack.rig!.end();
  assert.equal(matrix.muted.size, 8);
  assert.ok([...matrix.volume.values()].every((step) => step === 0));
  assert.ok([...matrix.inputGain.values()].every((gainDb) => gainDb === 0));
  assert.equal(matrix.panelLock, 0);
});
