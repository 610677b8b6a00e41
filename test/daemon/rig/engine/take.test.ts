import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOutboardError } from '../../../../core/errors.js';
import { ArraySink, bench, expected, insert, noise, STEP, takeOf } from './bench-top.js';

const dbOf = (a: Int32Array, b: Int32Array): number => {
  let top = 0;
  let bottom = 0;
  a.forEach((value, i) => {
    top += value * value;
    bottom += b[i]! * b[i]!;
  });
  return 10 * Math.log10(top / bottom);
};

test('driveDb is heard at its level, on the first insert and behind a patch, with dither', async () => {
  const { engine } = await bench();
  const samples = noise(30_000, 1).map((sample) => sample / 4);
  const first = takeOf(samples, [insert('a', [1], { driveDb: 6.02 })], { bits: 'float' });
  assert.equal((await engine.roll(first).done).dither, 'tpdf-24');
  const source = expected(samples, 0, 1);
  assert.ok(Math.abs(dbOf(first.sink.samples, source) - 6.02) < 0.01);
  const second = takeOf(noise(30_000, 1), [insert('a', [1]), insert('b', [2], { driveDb: -12 })]);
  assert.equal((await engine.roll(second).done).dither, 'tpdf-24');
  assert.ok(Math.abs(dbOf(second.sink.samples, expected(noise(30_000, 1), 0, 1)) + 12) < 0.01);
  await engine.stop();
});

test('silence after a driven region is digital silence: dither ends with the source', async () => {
  const { engine } = await bench();
  const spec = takeOf(noise(1000, 1), [insert('a', [1], { driveDb: -1 })], { tailFrames: 500 });
  await engine.roll(spec).done;
  assert.ok(spec.sink.samples.slice(1000).every((sample) => sample === 0));
  await engine.stop();
});

test('a sample over full scale fails the take and names its frame in the file and its channel', async () => {
  const { engine, claim } = await bench();
  const samples = noise(20_000, 2).map((sample) => sample / 2);
  samples[2 * 12_345 + 1] = 1;
  const take = engine.roll(takeOf(samples, [insert('a', [1, 2])], { sourceStartFrame: 1_000_000, bits: 'float' }));
  await assert.rejects(take.done, (error) => {
    assert.ok(isOutboardError(error, 'source.full-scale'));
    assert.deepEqual(error.details, { frame: 1_012_345, channel: 2, value: 1, insert: 'a' });
    return true;
  });
  assert.ok(
    claim
      .ahead(1)
      .slice(480)
      .every((sample) => sample === 0),
  );
  const clean = takeOf(noise(5000, 2), [insert('a', [1, 2])]);
  await engine.roll(clean).done;
  assert.deepEqual(clean.sink.samples, expected(noise(5000, 2), 0, 2));
  await engine.stop();
});

test('a return that is too loud for the next insert fails the take with the frame', async () => {
  const { engine } = await bench();
  const samples = new Float64Array(9000);
  samples[8000] = 0.75;
  const hops = [insert('a', [1]), insert('b', [2], { driveDb: 3 })];
  const take = engine.roll(takeOf(samples, hops, { sourceStartFrame: 50 }));
  await assert.rejects(take.done, (error) => {
    assert.ok(isOutboardError(error, 'source.full-scale'));
    assert.equal(error.details['frame'], 8050);
    assert.equal(error.details['insert'], 'b');
    return true;
  });
  await engine.stop();
});

test('a region is played of a longer source, and a shorter source fails the take', async () => {
  const { engine } = await bench();
  const samples = noise(10_000, 1);
  const spec = takeOf(samples, [insert('a', [1])], { regionFrames: 1234, tailFrames: 10 });
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples.subarray(0, 1234), 10, 1));
  const short = engine.roll(takeOf(samples, [insert('a', [1])], { regionFrames: 10_001 }));
  await assert.rejects(short.done, (error) => isOutboardError(error, 'wav.truncated'));
  await engine.stop();
});

test('peak per channel, clipped samples and loudness are those of the recording', async () => {
  const wires = [
    { from: 1, to: 1, delayFrames: 0 },
    { from: 2, to: 2, delayFrames: 0, gain: 0.5 },
  ];
  const { engine } = await bench({ wires });
  const frames = 48_000;
  const samples = new Float64Array(frames * 2);
  for (let i = 0; i < frames; i++) {
    const sine = Math.round((0.1 * Math.sin((2 * Math.PI * 997 * i) / 48_000)) / STEP) * STEP;
    samples[2 * i] = sine;
    samples[2 * i + 1] = sine;
  }
  samples[2 * 100] = 1 - STEP;
  samples[2 * 200] = -1;
  samples[2 * 300] = -1 + STEP;
  samples[2 * 400 + 1] = 0.5;
  const report = await engine.roll(takeOf(samples, [insert('a', [1, 2])])).done;
  assert.deepEqual(report.peak, [1, 0.25]);
  assert.equal(report.clippedSamples, 2);
  assert.ok(
    report.integratedLufs !== null && Math.abs(report.integratedLufs + 22.05) < 0.5,
    `${report.integratedLufs}`,
  );
  const silent = await engine.roll(takeOf(new Float64Array(frames), [insert('a', [1])])).done;
  assert.deepEqual([silent.peak, silent.clippedSamples, silent.integratedLufs], [[0], 0, null]);
  await engine.stop();
});

test('a fast clock waits for a sink that is full, and loses nothing', async () => {
  const { engine, claim } = await bench({ ringFrames: 8192 });
  const samples = noise(60_000, 1);
  let looks = 0;
  let waited: () => void = () => {};
  const full = new Promise<void>((resolve) => {
    waited = resolve;
  });
  let open = false;
  class FullSink extends ArraySink {
    constructor() {
      super(1);
      Object.defineProperty(this, 'room', {
        get: () => {
          if (open || this.frames < 10_000) return true;
          if (++looks > 5) waited();
          return false;
        },
      });
    }
  }
  const spec = takeOf(samples, [insert('a', [1])]);
  const sink = new FullSink();
  const take = engine.roll({ ...spec, sink });
  await full;
  const stood = claim.now;
  assert.ok(sink.frames < 10_000 + 4096, `${sink.frames}`);
  assert.ok(stood < sink.frames + 2 * 8192 + 64, `${stood}`);
  open = true;
  await take.done;
  assert.deepEqual(sink.samples, expected(samples, 0, 1));
  await engine.stop();
});

test('what the source, the sink or a listener throws is the error of that take alone', async () => {
  const { engine } = await bench();
  const other = takeOf(noise(30_000, 1), [insert('b', [2])]);
  const going = engine.roll(other).done;
  const broken = new Error('disk');
  const sink = new ArraySink(1);
  sink.write = () => {
    throw broken;
  };
  await assert.rejects(engine.roll({ ...takeOf(noise(900, 1), [insert('a', [1])]), sink }).done, broken);
  const unready = takeOf(noise(900, 1), [insert('a', [1])]);
  unready.source.ready = () => Promise.reject(broken);
  await assert.rejects(engine.roll(unready).done, broken);
  const unread = takeOf(noise(900, 1), [insert('a', [1])]);
  unread.source.read = () => {
    throw broken;
  };
  await assert.rejects(engine.roll(unread).done, broken);
  const heard = takeOf(noise(900, 1), [insert('a', [1])], {
    onLastFrame: () => {
      throw broken;
    },
  });
  await assert.rejects(engine.roll(heard).done, broken);
  await going;
  assert.deepEqual(other.sink.samples, expected(noise(30_000, 1), 0, 1));
  await engine.stop();
});

test('a channel is held by one take at a time, and a spec that cannot be played is refused', async () => {
  const { engine } = await bench();
  const roll = (channels: number[], o: Parameters<typeof takeOf>[2] = {}) =>
    engine.roll(takeOf(noise(5000, channels.length), [insert('a', channels)], o));
  const first = roll([1, 2]);
  assert.throws(() => roll([2]), RangeError);
  await first.done;
  await roll([2]).done;
  assert.throws(() => roll([5]), /no channel 5/);
  assert.throws(() => roll([0]), RangeError);
  assert.throws(() => roll([1, 1]), RangeError);
  assert.throws(() => roll([1], { regionFrames: 0 }), RangeError);
  assert.throws(() => roll([1], { tailFrames: 1.5 }), RangeError);
  assert.throws(() => roll([1], { channels: 2 }), RangeError);
  const twice = [insert('a', [1]), insert('b', [2], { returns: [1] })];
  assert.throws(() => engine.roll(takeOf(noise(10, 1), twice)), /return channel 1/);
  await engine.stop();
});

test('flush measures what comes back over an insert while another take rolls, re a full-scale sine', async () => {
  const wires = [
    { from: 1, to: 1, delayFrames: 0 },
    { from: 1, to: 3, delayFrames: 0, gain: 0.01 },
  ];
  const { engine } = await bench({ wires });
  const sine = Float64Array.from({ length: 96_000 }, (_, i) => {
    const value = (1 - STEP) * Math.sin((2 * Math.PI * 1000 * i) / 48_000);
    return Math.round(value / STEP) * STEP;
  });
  const loud = engine.roll(takeOf(sine, [insert('a', [1])]));
  await loud.started;
  const { rmsDbfs } = await engine.flush({ sends: [3, 4], returns: [3, 4], seconds: 0.5, listenSeconds: 0.5 });
  assert.ok(Math.abs(rmsDbfs[0]! + 40) < 0.001, `${rmsDbfs[0]}`);
  assert.equal(rmsDbfs[1], Number.NEGATIVE_INFINITY);
  await loud.done;
  await engine.stop();
});
