/** The engine on a real alsa-lib, with the user-space card behind it: what it measures, and what it finds that no driver tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOutboardError } from '../../../../core/errors.js';
import { createLogger } from '../../../../daemon/log.js';
import { Engine } from '../../../../daemon/rig/engine/engine.js';
import { claimCard } from '../../../drivers/audio/alsa-card.js';
import type { LoopCardOptions } from '../../../peers/loop-card/loop-card.js';
import { expected, insert, noise, takeOf } from './bench-top.js';

const RATE = 48_000;
const SYNC = { send: 4, return: 4, levelDbfs: -20 };
/** Deep enough that a host that is busy with other tests does not make an xrun of its own. */
const STREAM = { format: 'S32_LE', periodFrames: 1024, periods: 32 } as const;

type Context = Parameters<typeof claimCard>[0];

async function engineOn(t: Context, o: Partial<LoopCardOptions> = {}) {
  const { card, claim } = await claimCard(t, o);
  const logger = createLogger('test', 'silent');
  const engine = new Engine({ claim, inChannels: 4, outChannels: 4, logger, stream: STREAM, sync: SYNC });
  t.after(() => engine.stop());
  return { card, engine };
}

test('the loop latency is measured at every start, also where the two directions start apart', async (t) => {
  const { card, engine } = await engineOn(t, { delayFrames: 91 });
  for (const skew of [0, 1, -40, 700]) {
    card.setStartSkew(skew);
    await engine.start({ rate: RATE });
    assert.deepEqual([engine.latency?.frames, engine.latency?.source], [91 + skew, 'sync']);
    assert.ok(Math.abs(engine.latency!.fraction) < 0.01);
    assert.equal(engine.syncLock?.wire, 'exact');
    const samples = noise(24_000, 2, skew + 50);
    const spec = takeOf(samples, [insert('a', [1, 2])], { tailFrames: 20 });
    await engine.roll(spec).done;
    assert.deepEqual(spec.sink.samples, expected(samples, 20, 2));
    await engine.stop();
  }
});

test('a chain of three inserts at once with another take is exact', async (t) => {
  const { engine } = await engineOn(t);
  await engine.start({ rate: RATE });
  const samples = noise(30_000, 1);
  const chain = takeOf(samples, [insert('a', [1]), insert('b', [2])], { tailFrames: 9 });
  const other = takeOf(noise(60_000, 1, 2), [insert('c', [3])]);
  const [report] = await Promise.all([engine.roll(chain).done, engine.roll(other).done]);
  assert.deepEqual(chain.sink.samples, expected(samples, 9, 1));
  assert.deepEqual(other.sink.samples, expected(noise(60_000, 1, 2), 0, 1));
  assert.equal(report.latency.interfaceFrames, 2 * engine.latency!.frames);
});

for (const { name, fault, frames } of [
  { name: 'lost', fault: { kind: 'drop', frames: 5 }, frames: 5 },
  { name: 'repeated', fault: { kind: 'repeat', frames: 3 }, frames: -3 },
] as const)
  test(`samples that are ${name} without a word spoil the take at their frame; it is exact the next time`, async (t) => {
    const { card, engine } = await engineOn(t);
    await engine.start({ rate: RATE });
    const samples = noise(60_000, 2);
    const take = engine.roll(takeOf(samples, [insert('a', [1, 2])]));
    const { streamFrom } = await take.started;
    card.inject({ ...fault, at: streamFrom + 20_000 });
    await assert.rejects(take.done, (error) => {
      assert.ok(isOutboardError(error, 'take.spoiled'));
      assert.deepEqual(error.details['faults'], [{ kind: 'slipped', atFrame: streamFrom + 20_000, frames }]);
      return true;
    });
    assert.equal(card.counters().lastInjectedAt, streamFrom + 20_000);
    await engine.start({ rate: RATE });
    const again = takeOf(samples, [insert('a', [1, 2])]);
    await engine.roll(again).done;
    assert.deepEqual(again.sink.samples, expected(samples, 0, 2));
  });

test('an analog wire, with gain, noise and crosstalk, is measured and watched as well', async (t) => {
  const { card, engine } = await engineOn(t, {
    delayFrames: 64,
    analog: { gainDb: -6, delayFrames: 17, noiseDbfs: -90, crosstalkDb: -80, poly: [0, 0.001] },
  });
  await engine.start({ rate: RATE });
  const { latency, syncLock } = engine;
  assert.ok(Math.abs(latency!.frames + latency!.fraction - 81) < 0.01, `${latency!.frames} + ${latency!.fraction}`);
  assert.equal(syncLock?.wire, 'analog');
  assert.ok(Math.abs(syncLock.gainDb + 6) < 0.05, `${syncLock.gainDb}`);
  const take = engine.roll(takeOf(noise(90_000, 1), [insert('a', [1])]));
  const { streamFrom } = await take.started;
  card.inject({ kind: 'drop', frames: 1, at: streamFrom + 30_000 });
  await assert.rejects(take.done, (error) => {
    assert.ok(isOutboardError(error, 'take.spoiled'));
    const [fault] = error.details['faults'] as { kind: string; atFrame: number; frames: number }[];
    assert.equal(fault!.kind, 'slipped');
    assert.equal(fault!.frames, 1);
    assert.ok(Math.abs(fault!.atFrame - streamFrom - 30_000) <= 2, `${fault!.atFrame}`);
    return true;
  });
});

test('an unplug in a take ends it, and the claim says that the device is lost', async (t) => {
  const { card, engine } = await engineOn(t);
  await engine.start({ rate: RATE });
  const take = engine.roll(takeOf(noise(400_000, 1), [insert('a', [1])]));
  await take.started;
  card.inject({ kind: 'unplug' });
  await assert.rejects(take.done, { code: 'take.spoiled' });
  assert.equal(engine.state, 'faulted');
});
