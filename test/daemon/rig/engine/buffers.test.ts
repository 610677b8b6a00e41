import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { isOutboardError } from '../../../../core/errors.js';
import { type FrameReader, PrefetchSource } from '../../../../daemon/rig/engine/prefetch-source.js';
import { BufferedSink } from '../../../../daemon/rig/engine/sample-sink.js';
import { bench, expected, insert, noise, takeOf } from './bench-top.js';

/** A reader over an array that gives blocks of its own size, each in a later turn of the event loop. */
function readerOf(samples: Float64Array, channels: number, blockFrames = 1000): FrameReader & { at: number } {
  const reader = {
    at: 0,
    async read(maxFrames: number): Promise<Float64Array | null> {
      await turn();
      const frames = Math.min(maxFrames, blockFrames, samples.length / channels - reader.at);
      if (frames === 0) return null;
      const block = samples.subarray(reader.at * channels, (reader.at + frames) * channels);
      reader.at += frames;
      return block;
    },
    async skip(frames: number): Promise<void> {
      reader.at += frames;
    },
  };
  return reader;
}

async function readAll(source: PrefetchSource, maxFrames: number): Promise<number[]> {
  const all: number[] = [];
  while (!source.ended) {
    const block = source.read(maxFrames);
    if (block === null) await source.ready(1);
    else all.push(...block);
  }
  return all;
}

test('a region comes out whole, whatever the blocks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        start: fc.integer({ min: 0, max: 300 }),
        frames: fc.integer({ min: 1, max: 3000 }),
        channels: fc.integer({ min: 1, max: 3 }),
        blockFrames: fc.integer({ min: 20, max: 1500 }),
        maxFrames: fc.integer({ min: 20, max: 5000 }),
        lookAheadFrames: fc.integer({ min: 1, max: 4000 }),
      }),
      async ({ start, frames, channels, blockFrames, maxFrames, lookAheadFrames }) => {
        const samples = noise(3300, channels);
        const reader = readerOf(samples, channels, blockFrames);
        const region = { start, frames };
        const source = new PrefetchSource({ reader, channels, encodingBits: 24, region, lookAheadFrames });
        const all = await readAll(source, maxFrames);
        assert.deepEqual(all, [...samples.subarray(start * channels, (start + frames) * channels)]);
        assert.equal(source.read(10), null);
      },
    ),
    { numRuns: 50 },
  );
});

test('it reads ahead as far as it may and no further', async () => {
  const reader = readerOf(noise(50_000, 1), 1);
  const source = new PrefetchSource({
    reader,
    channels: 1,
    encodingBits: 24,
    region: { start: 0, frames: 50_000 },
    lookAheadFrames: 5000,
  });
  assert.equal(source.read(1), null);
  await source.ready(1_000_000);
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(reader.at, 5000);
  assert.equal(source.bufferedFrames, 5000);
  assert.equal(source.read(700)?.length, 700);
  await source.ready(5000);
  assert.equal(reader.at, 6000);
});

test('a reader that ends early or fails is told after what it gave, to whoever reads or waits', async () => {
  const o = { channels: 1, encodingBits: 24, lookAheadFrames: 9000 } as const;
  const short = new PrefetchSource({ ...o, reader: readerOf(noise(1500, 1), 1), region: { start: 0, frames: 2000 } });
  await assert.rejects(short.ready(2000), (error) => isOutboardError(error, 'wav.truncated'));
  assert.equal(short.read(5000)?.length, 1000);
  assert.equal(short.read(5000)?.length, 500);
  assert.throws(
    () => short.read(1),
    (error) => isOutboardError(error, 'wav.truncated'),
  );
  const broken = new Error('cable');
  const reader = { read: () => Promise.reject(broken), skip: async () => {} };
  const failing = new PrefetchSource({ ...o, reader, region: { start: 0, frames: 10 } });
  await assert.rejects(failing.ready(1), broken);
});

test('what is wrong behind the last frame is told before the last frame is given', async () => {
  const o = { channels: 1, encodingBits: 24, lookAheadFrames: 9000, endsSource: true } as const;
  const region = { start: 100, frames: 1400 };
  const whole = new PrefetchSource({ ...o, reader: readerOf(noise(1500, 1), 1), region });
  assert.equal((await readAll(whole, 400)).length, 1400);
  const longer = new PrefetchSource({ ...o, reader: readerOf(noise(1501, 1), 1), region });
  await assert.rejects(readAll(longer, 400), (error) => isOutboardError(error, 'source.format'));
  const broken = new Error('torn');
  const reader = readerOf(noise(1500, 1), 1);
  const torn = {
    skip: reader.skip,
    read: async (frames: number) => (await reader.read(frames)) ?? Promise.reject(broken),
  };
  const failing = new PrefetchSource({ ...o, reader: torn, region });
  await failing.ready(1000);
  assert.equal(failing.read(5000)?.length, 1000);
  await assert.rejects(failing.ready(400), broken);
});

test('a stopped source gives nothing more and lets nobody wait', async () => {
  const reader = readerOf(noise(5000, 1), 1);
  const region = { start: 0, frames: 5000 };
  const source = new PrefetchSource({ reader, channels: 1, encodingBits: 24, region, lookAheadFrames: 9000 });
  const waiting = source.ready(5000);
  source.stop();
  await assert.rejects(waiting, (error) => isOutboardError(error, 'take.aborted'));
  assert.throws(() => source.read(1));
});

test('a sink hands chunks on in order, one at a time, and says when it is full and when it is empty', async () => {
  const seen: number[][] = [];
  const releases: (() => void)[] = [];
  const sink = new BufferedSink({
    channels: 2,
    maxFrames: 8,
    consume: async (chunk) => {
      await new Promise<void>((resolve) => releases.push(resolve));
      seen.push([...chunk]);
    },
  });
  await sink.drained();
  const slice = Int32Array.of(1, 1, 2, 2, 3, 3);
  sink.write(slice);
  slice.fill(0); // what was handed in is used again
  assert.equal(sink.room, true);
  assert.equal(releases.length, 1);
  sink.write(Int32Array.of(4, 4, 5, 5, 6, 6, 7, 7, 8, 8));
  assert.equal(sink.room, false);
  assert.equal(releases.length, 1);
  sink.write(Int32Array.of(9, 9));
  const drained = sink.drained();
  while (seen.length < 5) {
    releases.shift()?.();
    await turn();
  }
  await drained;
  assert.deepEqual(seen.flat(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]);
  assert.equal(sink.room, true);
  assert.equal(sink.bufferedFrames, 0);
});

test('a consumer that fails is told at the next write and to whoever waits', async () => {
  const broken = new Error('disk full');
  const sink = new BufferedSink({ channels: 1, maxFrames: 10, consume: () => Promise.reject(broken) });
  sink.write(new Int32Array(20));
  await assert.rejects(sink.drained(), broken);
  assert.equal(sink.room, true);
  assert.throws(() => sink.write(new Int32Array(1)), broken);
  await assert.rejects(sink.drained(), broken);
});

test('between slow buffers a take is exact, and the buffers stay bounded', async () => {
  const { engine } = await bench({ record: false });
  const frames = 120_000;
  const samples = noise(frames + 500, 2);
  const reader = readerOf(samples, 2);
  const source = new PrefetchSource({
    reader,
    channels: 2,
    encodingBits: 24,
    region: { start: 500, frames },
    lookAheadFrames: 8192,
  });
  const got: Int32Array[] = [];
  let most = 0;
  const sink = new BufferedSink({
    channels: 2,
    maxFrames: 8192,
    consume: async (block) => {
      most = Math.max(most, sink.bufferedFrames, source.bufferedFrames);
      await turn();
      got.push(block.slice());
    },
  });
  const spec = takeOf(samples, [insert('a', [1, 2])]);
  const report = await engine.roll({ ...spec, source, sink, regionFrames: frames, tailFrames: 33 }).done;
  await sink.drained();
  assert.equal(report.framesRecorded, frames + 33);
  assert.deepEqual(
    got.flatMap((block) => [...block]),
    [...expected(samples.subarray(1000), 33, 2)],
  );
  assert.ok(most <= 8192 + 4096, `${most}`);
  await engine.stop();
});
