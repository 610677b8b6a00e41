import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bench, expected, insert, noise, takeOf } from './bench-top.js';

/** 10 ms at the bench's rate. */
const RAMP_FRAMES = 480;

test('a stereo take over one insert comes back sample for sample, with its tail', async () => {
  const { engine } = await bench();
  const samples = noise(50_001, 2);
  const spec = takeOf(samples, [insert('a', [1, 2])], { tailFrames: 777 });
  const report = await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 777, 2));
  assert.equal(report.framesRecorded, 50_778);
  assert.equal(report.framesPlayed, 50_778);
  assert.equal(report.streamTo - report.streamFrom, 50_778);
  assert.equal(report.dither, 'none');
  assert.deepEqual([report.xruns, report.starvedFrames, report.droppedFrames], [0, 0, 0]);
  await engine.stop();
});

test('a mono take uses channels that are no neighbours, and crosses from send 3 to return 1', async () => {
  const wires = [{ from: 3, to: 1, delayFrames: 10 }];
  const { engine } = await bench({ wires });
  const samples = noise(5000, 1);
  const spec = takeOf(samples, [insert('a', [3], { returns: [1], latencyFrames: 10 })]);
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 0, 1));
  await engine.stop();
});

test('sends that are scattered and in another order keep their channels', async () => {
  const { engine } = await bench();
  const samples = noise(9000, 3);
  const spec = takeOf(samples, [insert('a', [4, 1, 2])], { tailFrames: 5 });
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 5, 3));
  await engine.stop();
});

test('the report names every part of the latency of three patched inserts', async () => {
  const wires = [1, 2, 3, 4, 5, 6].map((channel) => ({
    from: channel,
    to: channel,
    delayFrames: channel <= 2 ? 100 : channel <= 4 ? 7 : 0,
  }));
  const { engine } = await bench({ channels: 6, wires, loopLatencyFrames: 33 });
  const samples = noise(20_000, 2);
  const hops = [
    insert('a', [1, 2], { latencyFrames: 100 }),
    insert('b', [3, 4], { latencyFrames: 7 }),
    insert('c', [5, 6]),
  ];
  const spec = takeOf(samples, hops, { tailFrames: 300 });
  const { latency } = await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 300, 2));
  assert.deepEqual(latency.insertFrames, [
    { insert: 'a', frames: 100 },
    { insert: 'b', frames: 7 },
    { insert: 'c', frames: 0 },
  ]);
  assert.equal(latency.interfaceFrames, 99);
  assert.equal(latency.patchFrames, 2 * 4096);
  assert.equal(latency.totalFrames, 99 + 107 + 8192);
  await engine.stop();
});

test('an insert that is later than it says shifts the result by just that, and its own tail is heard', async () => {
  const wires = [{ from: 1, to: 1, delayFrames: 20 }];
  const { engine } = await bench({ wires });
  const samples = noise(3000, 1);
  samples[0] = 0;
  const spec = takeOf(samples, [insert('a', [1], { latencyFrames: 15 })], { tailFrames: 10 });
  await engine.roll(spec).done;
  const wanted = new Int32Array(3010);
  wanted.set(expected(samples, 0, 1), 5);
  assert.deepEqual(spec.sink.samples, wanted);
  await engine.stop();
});

test('takes on disjoint inserts roll at once, begin at different times and are bit-exact', async () => {
  const { engine } = await bench({ stepFrames: 500 });
  const first = takeOf(noise(40_000, 2, 1), [insert('a', [1, 2])], { tailFrames: 11 });
  const second = takeOf(noise(10_001, 2, 2), [insert('b', [3, 4])], { tailFrames: 5000 });
  let startSecond: (() => void) | null = null;
  const begun = new Promise<void>((resolve) => {
    startSecond = resolve;
  });
  first.onProgress = (frames) => {
    if (frames > 5000) startSecond?.();
  };
  const one = engine.roll(first);
  await begun;
  const other = engine.roll(second);
  const [a, b] = await Promise.all([one.done, other.done]);
  assert.ok(b.streamFrom > a.streamFrom && b.streamFrom < a.streamTo, 'they did not roll at once');
  assert.deepEqual(first.sink.samples, expected(noise(40_000, 2, 1), 11, 2));
  assert.deepEqual(second.sink.samples, expected(noise(10_001, 2, 2), 5000, 2));
  await engine.stop();
});

test('the outputs are zero outside of takes; a ramp leads up to the first sample, and no sample is changed', async () => {
  const { engine, claim } = await bench();
  const samples = noise(2000, 1);
  samples[0] = 0.5;
  const { playFrom } = await engine.roll(takeOf(samples, [insert('a', [2])], { sourceStartFrame: 1, tailFrames: 1 }))
    .started;
  const again = engine.roll(takeOf(noise(10, 1), [insert('b', [3])]));
  await again.done;
  const heard = claim.heard[1]!;
  assert.deepEqual(heard.slice(playFrom, playFrom + 2000), [...expected(samples, 0, 1)]);
  assert.ok(heard.every((value, at) => value === 0 || (at >= playFrom - RAMP_FRAMES && at < playFrom + 2000)));
  // Half a cosine: never a step of more than its steepest, and it ends where the source begins.
  const ramp = heard.slice(playFrom - RAMP_FRAMES, playFrom + 1);
  const steepest = (Math.PI / 2 / RAMP_FRAMES) * 0.5 * 2 ** 31;
  for (let i = 1; i < ramp.length; i++)
    assert.ok(ramp[i]! >= ramp[i - 1]! && ramp[i]! - ramp[i - 1]! <= steepest * 1.01);
  assert.ok(ramp[0]! < steepest && ramp.at(-2)! > 0.499 * 2 ** 31);
  assert.ok(claim.heard[0]!.every((value) => value === 0));
  await engine.stop();
});

test('a source that is played from its own beginning has no ramp before it', async () => {
  const { engine, claim } = await bench();
  const { playFrom } = await engine.roll(takeOf(noise(2000, 1), [insert('a', [2])])).started;
  await engine.roll(takeOf(noise(10, 1), [insert('b', [3])])).done;
  assert.ok(claim.heard[1]!.slice(0, playFrom).every((value) => value === 0));
  await engine.stop();
});

test('behind the recording the sends fall to zero; what is recorded, the tail too, has no ramp in it', async () => {
  const { engine, claim } = await bench();
  const samples = noise(2000, 1);
  samples[1999] = -0.25;
  const tailed = takeOf(samples, [insert('a', [1])], { tailFrames: 1000 });
  await engine.roll(tailed).done;
  assert.deepEqual(tailed.sink.samples, expected(samples, 1000, 1));
  const chained = takeOf(samples, [insert('a', [1]), insert('b', [2])]);
  const { playFrom } = await engine.roll(chained).started;
  await engine.roll(takeOf(noise(12_000, 1), [insert('c', [3])])).done; // lets the rest of the ramps be played
  assert.deepEqual(chained.sink.samples, expected(samples, 0, 1));
  const steepest = (Math.PI / 2 / RAMP_FRAMES) * 0.25 * 2 ** 31;
  for (const send of [0, 1]) {
    const heard = claim.heard[send]!.slice(playFrom);
    const end = heard.findLastIndex((value) => value !== 0);
    const fall = heard.slice(end - RAMP_FRAMES + 2, end + 2);
    assert.equal(fall[0]! < -0.24 * 2 ** 31, true);
    for (let i = 1; i < fall.length; i++) assert.ok(Math.abs(fall[i]! - fall[i - 1]!) <= steepest * 1.01);
  }
  await engine.stop();
});

test('output equals input shifted exactly, whatever the lengths, blocks and latencies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        frames: fc.integer({ min: 1, max: 9000 }),
        tail: fc.integer({ min: 0, max: 700 }),
        width: fc.integer({ min: 1, max: 2 }),
        hops: fc.integer({ min: 1, max: 3 }),
        ring: fc.integer({ min: 256, max: 5000 }),
        loop: fc.integer({ min: 0, max: 300 }),
        delay: fc.integer({ min: 0, max: 300 }),
        readFrames: fc.integer({ min: 1, max: 3000 }),
        stepFrames: fc.integer({ min: 1, max: 3000 }),
        blockFrames: fc.integer({ min: 1, max: 3000 }),
        seed: fc.integer({ min: 1, max: 1000 }),
      }),
      async (o) => {
        const channels = o.width * o.hops;
        const wires = Array.from({ length: channels }, (_, i) => ({ from: i + 1, to: i + 1, delayFrames: o.delay }));
        const { engine } = await bench({
          channels,
          wires,
          loopLatencyFrames: o.loop,
          ringFrames: o.ring,
          readFrames: Math.max(o.readFrames, 16),
          stepFrames: Math.max(o.stepFrames, 16),
          record: false,
        });
        const samples = noise(o.frames, o.width, o.seed);
        const hops = Array.from({ length: o.hops }, (_, hop) =>
          insert(
            `i${hop}`,
            Array.from({ length: o.width }, (_, i) => hop * o.width + i + 1),
            { latencyFrames: o.delay },
          ),
        );
        const spec = takeOf(samples, hops, { tailFrames: o.tail, blockFrames: Math.max(o.blockFrames, 16) });
        const report = await engine.roll(spec).done;
        assert.deepEqual(spec.sink.samples, expected(samples, o.tail, o.width));
        assert.equal(report.framesRecorded, o.frames + o.tail);
        await engine.stop();
      },
    ),
    { numRuns: 60 },
  );
});
