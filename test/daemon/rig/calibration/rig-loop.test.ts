/** The loop of a measurement on the real engine, over a perfect digital loop with faults on demand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InsertConfig } from '../../../../core/contract/index.js';
import { RigLoop, type RigLoopOptions } from '../../../../daemon/rig/calibration/rig-loop.js';
import { bench, noise, STEP } from '../engine/bench-top.js';

const RATE = 48_000;
const LSB = 256;
const signal = new AbortController().signal;
const inserts = {
  a: InsertConfig.parse({ sends: [1, 2], returns: [1, 2], latencyFrames: 0, ceilingDbfs: -6 }),
  b: InsertConfig.parse({ sends: [3], returns: [3], latencyFrames: 0 }),
  alsoA: InsertConfig.parse({ sends: [2], returns: [4], latencyFrames: 0 }),
};

async function loopOnA(more: Partial<RigLoopOptions> = {}) {
  const { engine, claim } = await bench();
  const connected: string[] = [];
  const loop = new RigLoop({
    insert: 'a',
    rate: RATE,
    config: { inserts },
    engineAt: async (rate) => {
      await engine.start({ rate });
      return engine;
    },
    patching: {
      connect: async (names) => {
        connected.push(...names);
        return [];
      },
      disconnect: async (names) => void connected.splice(0, names.length),
    },
    quiet: () => true,
    view: { watch: () => undefined },
    ...more,
  });
  return { loop, engine, claim, connected };
}

const quiet = (samples: ArrayLike<number>) => Array.from(samples).every((sample) => sample === 0);

test('what is played comes back at its place; silence is digital silence, and other inserts are heard', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 0, max: 3000 }), async (frames, tail) => {
      const { loop, engine, connected } = await loopOnA();
      const stimulus = noise(frames, 1).map((x) => x / 4);
      const { returns, others } = await loop.play([stimulus, null], { tailFrames: tail, listen: ['b'], signal });
      assert.deepEqual(
        [...returns, ...others.get('b')!].map(({ length }) => length),
        [frames + tail, frames + tail, frames + tail],
      );
      // TPDF dither over two steps, and rounding.
      const worst = Math.max(...stimulus.map((x, n) => Math.abs(x - returns[0]![n]!)));
      assert.ok(worst < 1.51 * STEP, `${worst / STEP} steps`);
      assert.ok(quiet(returns[1]!) && quiet(others.get('b')![0]!));
      assert.deepEqual(connected, []);
      await engine.stop();
    }),
    { numRuns: 15 },
  );
});

test('silence inside a stimulus is digital silence, too', async () => {
  const { loop, engine } = await loopOnA();
  const { returns } = await loop.play([new Float64Array(5000), noise(5000, 1).map((x) => x / 4)], {
    tailFrames: 0,
    signal,
  });
  assert.ok(quiet(returns[0]!) && !quiet(returns[1]!));
  await engine.stop();
});

test('silence alone is recorded for as long as the tail', async () => {
  const { loop, engine } = await loopOnA();
  const { returns } = await loop.play([null, null], { tailFrames: 5000, signal });
  assert.deepEqual(
    returns.map(({ length }) => length),
    [5000, 5000],
  );
  assert.ok(returns.every(quiet));
  await engine.stop();
});

test('a stimulus over the ceiling is refused before a sample of it is played', async () => {
  const { loop, engine, claim } = await loopOnA();
  const loud = new Float64Array(100).fill(-0.51);
  await assert.rejects(loop.play([null, loud], { tailFrames: 0, signal }), (error: Error) => {
    assert.match(error.message, /channel 2 of a would get peaks of -5\.85 dBFS; its ceiling is -6 dBFS/);
    return (error as { code?: string }).code === 'calibration.ceiling';
  });
  await loop.play([new Float64Array(10).fill(10 ** (-6 / 20)), null], { tailFrames: 0, signal });
  assert.ok(quiet(claim.heard[1]!));
  await engine.stop();
});

test('an abrupt stimulus is led up to and falls behind: no step is ever played', async () => {
  const { loop, engine, claim } = await loopOnA();
  await loop.play([new Float64Array(2000).fill(0.4), null], { tailFrames: 4800, signal });
  await engine.stop();
  const heard = claim.heard[0]!;
  const steepest = Math.max(...heard.slice(1).map((sample, n) => Math.abs(sample - heard[n]!)));
  // Half a cosine over 480 frames is steepest in its middle.
  assert.ok(steepest < 0.4 * 2 ** 31 * (Math.PI / 2 / 479) + 3 * LSB, `${steepest / 2 ** 31}`);
  assert.ok(Math.max(...heard) > 0.39 * 2 ** 31);
});

test('a stream that breaks once is begun anew; one that does not hold is told', async () => {
  let faults = 1;
  const { loop, engine, claim } = await loopOnA({
    view: {
      watch: () => {
        if (faults-- > 0) claim.fault({ kind: 'xrun-in', atFrame: claim.position().captured, frames: 32 }, 'faulted');
      },
    },
  });
  const stimulus = noise(30_000, 1).map((x) => x / 4);
  const { returns } = await loop.play([stimulus, null], { tailFrames: 0, signal });
  assert.ok(Math.abs(returns[0]![29_999]! - stimulus[29_999]!) < 2 * STEP);
  assert.ok(faults <= 0, 'there was a fault');
  faults = Number.POSITIVE_INFINITY;
  await assert.rejects(loop.play([stimulus, null], { tailFrames: 0, signal }), { code: 'take.spoiled' });
  await engine.stop();
});

test('an abort ramps down and gives its reason; a tone for a person plays until then', async () => {
  for (const how of ['play', 'hold'] as const) {
    const abort = new AbortController();
    const reason = new Error('enough');
    let blocks = 0;
    const { loop, engine, claim } = await loopOnA({
      view: {
        watch: () => {
          if (++blocks === 3) abort.abort(reason);
        },
      },
    });
    // Longer than may be ahead of the abort; the tone is far longer than its period.
    const stimulus = new Float64Array(how === 'play' ? 400_000 : 48).fill(0.4);
    if (how === 'play') {
      await assert.rejects(loop.play([stimulus, null], { tailFrames: 0, signal: abort.signal }), reason);
    } else await loop.hold([stimulus, null], abort.signal);
    // With this clock time stands still when nothing rolls: what is ahead is what will be played.
    const heard = [...claim.heard[0]!, ...claim.ahead(1)];
    assert.ok(heard.filter((sample) => sample > 0.39 * 2 ** 31).length > 48);
    const steepest = Math.max(...heard.slice(1).map((sample, n) => Math.abs(sample - heard[n]!)));
    assert.ok(steepest < 0.01 * 2 ** 31, `${how}: ${steepest / 2 ** 31}`);
    assert.ok(quiet(heard.slice(-1000)), how);
    await engine.stop();
  }
});

test('a tone for a person rises slowly', async () => {
  const abort = new AbortController();
  const { loop, engine, claim } = await loopOnA({ view: { watch: () => abort.abort() } });
  await loop.hold([Float64Array.from([0.4, -0.4]), null], abort.signal);
  const heard = [...claim.heard[0]!, ...claim.ahead(1)].filter((sample) => sample !== 0).map(Math.abs);
  assert.ok(Math.max(...heard) > 0.39 * 2 ** 31);
  assert.ok(Math.max(...heard.slice(0, 240)) < 0.01 * 2 ** 31, 'of the first 5 ms');
  await engine.stop();
});

test('inserts that share a channel, or hold somebody else, are not listened to', async () => {
  const { loop, engine } = await loopOnA();
  assert.deepEqual(
    loop.others.map(({ name }) => name),
    ['b'],
  );
  const alone = (await loopOnA({ quiet: (name) => name !== 'b' })).loop;
  assert.deepEqual(alone.others, []);
  await assert.rejects(alone.play([null, null], { tailFrames: 10, listen: ['b'], signal }), /cannot be listened to/);
  await engine.stop();
});
