import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { isOutboardError } from '../../../../core/errors.js';
import { FULL_SCALE_INT32 } from '../../../../core/units.js';
import { createLogger } from '../../../../daemon/log.js';
import { Engine } from '../../../../daemon/rig/engine/engine.js';
import { SyncMonitor } from '../../../../daemon/rig/engine/sync-monitor.js';
import { SyncSequence } from '../../../../daemon/rig/engine/sync-sequence.js';
import { LoopClaim, type LoopOptions } from '../../../peers/loop-interface.js';
import { ArraySink, expected, insert, noise, takeOf } from './bench-top.js';

const LEVEL_DBFS = -20;
const MOST = 6000;
const FROM = 777;

/** What an input hears of the sequence: `delay` frames late, through `taps` (the first one belongs to the delay), with noise. */
function heard(
  frames: number,
  o: { delay: number; taps?: number[]; noise?: number; inverted?: boolean },
): Float64Array {
  const sequence = new SyncSequence(LEVEL_DBFS);
  const taps = o.taps ?? [1];
  let state = 99;
  return Float64Array.from({ length: frames }, (_, n) => {
    let sum = 0;
    taps.forEach((tap, t) => {
      const frame = n - o.delay - t;
      if (frame >= FROM) sum += (tap * sequence.word(frame)) / FULL_SCALE_INT32;
    });
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const value = (o.inverted ? -sum : sum) + (o.noise ?? 0) * (state / 2 ** 31);
    return Math.round(value * 2 ** 23) * 256;
  });
}

/** Feeds blocks of changing length, as a driver would. */
function listen(monitor: SyncMonitor, samples: Float64Array, from = 0): boolean {
  let at = from;
  let well = true;
  for (let size = 311; at < from + samples.length; size = (size * 7) % 4093) {
    const block = Int32Array.from(samples.subarray(at - from, at - from + size));
    well = monitor.add(block, at) && well;
    at += block.length;
  }
  return well;
}

const monitorOf = () => new SyncMonitor({ sequence: new SyncSequence(LEVEL_DBFS), mostDelayFrames: MOST, from: FROM });

test('the sequence has the level that it is asked for, and no two frames of a second alike', () => {
  const sequence = new SyncSequence(-20);
  const words = new Float64Array(96_000);
  sequence.fill(2 ** 33 + 5, words);
  const rms = Math.sqrt(words.reduce((sum, word) => sum + (word / FULL_SCALE_INT32) ** 2, 0) / words.length);
  assert.ok(Math.abs(20 * Math.log10(rms * Math.SQRT2) + 20) < 0.05);
  assert.ok(words.every((word) => word % 256 === 0));
  assert.ok(new Set(words).size > 90_000);
  assert.equal(sequence.word(2 ** 33 + 6), words[1]);
});

test('a digital wire is found to be exact, with its whole delay', () => {
  for (const delay of [0, 1, 63, 5999, -40]) {
    const monitor = monitorOf();
    assert.ok(listen(monitor, heard(40_000, { delay })));
    const { lock } = monitor;
    assert.deepEqual([lock?.frames, lock?.wire], [delay, 'exact']);
    assert.ok(Math.abs(lock!.fraction) < 1e-6, `${lock!.fraction}`);
    assert.equal(monitor.provenTo, 40_000);
    assert.equal(monitor.slip, null);
  }
});

test('the delay of an analog wire is measured to a hundredth of a frame, whatever its gain, noise and polarity', () => {
  for (const fraction of [0, 0.1, 0.25, -0.37, 0.5]) {
    // A windowed sinc: a delay of `fraction` frames for everything below 0.45 of the rate.
    const taps = Array.from({ length: 33 }, (_, i) => {
      const x = i - 16 - fraction;
      const window = 0.42 + 0.5 * Math.cos((Math.PI * x) / 17) + 0.08 * Math.cos((2 * Math.PI * x) / 17);
      return 0.3 * window * (Math.abs(x) < 1e-12 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
    });
    const monitor = monitorOf();
    listen(monitor, heard(60_000, { delay: 100, taps, noise: 1e-4, inverted: fraction > 0.2 }));
    const { lock } = monitor;
    assert.equal(lock?.wire, 'analog');
    const measured = lock.frames + lock.fraction;
    assert.ok(Math.abs(measured - 116 - fraction) < 0.01, `${measured} instead of ${116 + fraction}`);
    assert.ok(Math.abs(lock.gainDb - 20 * Math.log10(0.3)) < 0.5);
    assert.equal(monitor.slip, null);
    assert.ok(monitor.provenTo > 59_900);
  }
});

test('lost, repeated and changed samples are found at their frame, on a digital and on an analog wire', () => {
  fc.assert(
    fc.property(
      fc.record({
        at: fc.integer({ min: 30_000, max: 34_000 }),
        frames: fc.oneof(fc.integer({ min: 1, max: 2500 }), fc.integer({ min: -2500, max: -1 })),
        analog: fc.boolean(),
      }),
      ({ at, frames, analog }) => {
        const wire = analog ? { delay: 90, taps: [0.02, 0.5, -0.04, 0.01], noise: 2e-5 } : { delay: 90 };
        const whole = heard(44_000, wire);
        const cut = Float64Array.of(
          ...whole.subarray(0, at),
          ...(frames > 0 ? [] : whole.subarray(at + frames, at)),
          ...whole.subarray(frames > 0 ? at + frames : at),
        ).subarray(0, 41_000);
        const monitor = monitorOf();
        listen(monitor, cut);
        assert.equal(monitor.slip?.frames, frames);
        // Behind filters neighbouring samples share what they are made of: there the place is known to a frame or two.
        const off = monitor.slip.atFrame - at;
        assert.ok(analog ? Math.abs(off) <= 2 : off === 0, `${off} frames off`);
        assert.ok(monitor.provenTo <= at);
      },
    ),
    { numRuns: 30 },
  );
  const changed = heard(40_000, { delay: 5 });
  changed[33_333]! += 256;
  const monitor = monitorOf();
  listen(monitor, changed);
  assert.deepEqual(monitor.slip, { atFrame: 33_333, frames: 0 });
});

test('a sequence that stops is a slip without a length; one that is never heard is refused', () => {
  const samples = heard(40_000, { delay: 5 });
  samples.fill(0, 32_000);
  const monitor = monitorOf();
  listen(monitor, samples);
  assert.deepEqual(monitor.slip, { atFrame: 32_000, frames: null });
  assert.equal(listen(monitorOf(), new Float64Array(60_000)), false);
  const other = Float64Array.from(noise(60_000, 1), (value) => value * FULL_SCALE_INT32);
  assert.equal(listen(monitorOf(), other), false);
});

test('a gap that the driver told of is no slip', () => {
  const samples = heard(50_000, { delay: 90 });
  const monitor = monitorOf();
  listen(monitor, samples.subarray(0, 35_000));
  listen(monitor, samples.subarray(35_500), 35_500);
  assert.equal(monitor.slip, null);
  assert.equal(monitor.provenTo, 50_000);
});

test('what was not played is no slip, and nothing of it is proven before what follows is heard in its place', () => {
  const samples = heard(70_000, { delay: 90 });
  samples.fill(0, 35_000, 60_090);
  const whole = monitorOf();
  const torn = monitorOf();
  for (const monitor of [whole, torn]) {
    listen(monitor, samples.subarray(0, 35_000));
    monitor.skip(60_000);
    listen(monitor, samples.subarray(35_000, 60_000), 35_000);
    assert.deepEqual([monitor.slip, monitor.provenTo], [null, 35_000]);
  }
  listen(whole, samples.subarray(60_000), 60_000);
  assert.deepEqual([whole.slip, whole.provenTo], [null, 70_000]);
  listen(torn, samples.subarray(60_003), 60_000);
  assert.equal(torn.slip?.frames, 3, 'what was lost meanwhile is found behind it');
});

const REALTIME: LoopOptions = {
  clock: 'realtime',
  channels: 4,
  loopLatencyFrames: null,
  ringFrames: 120_000,
  wires: [
    { from: 1, to: 1, delayFrames: 300 },
    { from: 4, to: 4, delayFrames: 300 },
  ],
};

async function synced(options: Partial<LoopOptions> = {}): Promise<{ engine: Engine; claim: LoopClaim }> {
  const claim = new LoopClaim({ ...REALTIME, ...options });
  claim.turnFrames = 4000;
  const logger = createLogger('test', 'silent');
  const sync = { send: 4, return: 4, levelDbfs: LEVEL_DBFS };
  const engine = new Engine({ claim, inChannels: 4, outChannels: 4, logger, sync });
  return { engine, claim };
}

test('the engine measures the loop latency of its stream by itself, and takes line up with it', async () => {
  const { engine } = await synced();
  await engine.start({ rate: 48_000 });
  assert.equal(engine.latency?.frames, 300);
  assert.equal(engine.latency.source, 'sync');
  assert.ok(Math.abs(engine.latency.fraction) < 0.01);
  for (const seed of [1, 2, 3]) {
    const samples = noise(40_000, 1, seed);
    const spec = takeOf(samples, [insert('a', [1])], { tailFrames: 5 });
    const report = await engine.roll(spec).done;
    assert.equal(report.latency.interfaceFrames, 300);
    assert.deepEqual(spec.sink.samples, expected(samples, 5, 1));
  }
  await engine.stop();
});

test('a slip that the driver does not tell of spoils the take at its frame, and a restart measures anew', async () => {
  const { engine, claim } = await synced();
  await engine.start({ rate: 48_000 });
  const take = engine.roll(takeOf(noise(200_000, 1), [insert('a', [1])]));
  const { streamFrom } = await take.started;
  let at = 0;
  claim.slipAt(streamFrom + 50_000, 7, (frame) => {
    at = frame;
  });
  await assert.rejects(take.done, (error) => {
    assert.ok(isOutboardError(error, 'take.spoiled'));
    assert.deepEqual(error.details['faults'], [{ kind: 'slipped', atFrame: streamFrom + 50_000, frames: 7 }]);
    return true;
  });
  assert.equal(at, streamFrom + 50_000);
  assert.equal(engine.state, 'faulted');
  await engine.start({ rate: 48_000 });
  const samples = noise(20_000, 1);
  const again = takeOf(samples, [insert('a', [1])]);
  await engine.roll(again).done;
  assert.deepEqual(again.sink.samples, expected(samples, 0, 1));
  await engine.stop();
});

test('a slip in the last frames of a take spoils it, one right behind them does not', async () => {
  for (const { offset, spoils } of [
    { offset: -1, spoils: true },
    { offset: 0, spoils: false },
  ]) {
    const { engine, claim } = await synced();
    await engine.start({ rate: 48_000 });
    const spec = takeOf(noise(30_000, 1), [insert('a', [1])]);
    const take = engine.roll(spec);
    const { streamFrom } = await take.started;
    claim.slipAt(streamFrom + 30_000 + offset, 3);
    if (spoils) await assert.rejects(take.done, { code: 'take.spoiled' });
    else {
      await take.done;
      assert.deepEqual(spec.sink.samples, expected(noise(30_000, 1), 0, 1));
    }
    await engine.stop();
  }
});

test('a sync channel that is not heard, and no sync channel at all, are refused', async () => {
  const deaf = await synced({ wires: [{ from: 1, to: 1, delayFrames: 0 }] });
  await assert.rejects(deaf.engine.start({ rate: 48_000 }), { code: 'audio.sync' });
  assert.equal(deaf.claim.state, 'idle');
  const claim = new LoopClaim(REALTIME);
  const logger = createLogger('test', 'silent');
  const bare = new Engine({ claim, inChannels: 4, outChannels: 4, logger });
  await assert.rejects(bare.start({ rate: 48_000 }), { code: 'audio.latency' });
});

test('with a fast clock the sync channel proves takes too', async () => {
  const { engine, claim } = await synced({
    clock: 'fast',
    loopLatencyFrames: 64,
    wires: [
      { from: 1, to: 1, delayFrames: 0 },
      { from: 4, to: 4, delayFrames: 0 },
    ],
  });
  claim.turnFrames = 0;
  await engine.start({ rate: 48_000 });
  assert.deepEqual(engine.latency, { frames: 64, fraction: 0, source: 'driver' });
  const samples = noise(50_000, 1);
  const spec = takeOf(samples, [insert('a', [1])]);
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 0, 1));
  await engine.stop();
});

test('trims of calibration are heard before and behind the insert, per channel', async () => {
  const { engine } = await synced({
    wires: [1, 2, 4].map((channel) => ({ from: channel, to: channel, delayFrames: 300 })),
  });
  await engine.start({ rate: 48_000 });
  const samples = Float64Array.from({ length: 20_000 }, () => 0.25);
  const hop = insert('a', [1, 2], { sendTrimDb: [-6.0206, 0], returnTrimDb: [0, 6.0206] });
  const spec = takeOf(samples, [hop]);
  const report = await engine.roll(spec).done;
  assert.equal(report.dither, 'tpdf-24');
  assert.ok(Math.abs(report.peak[0]! - 0.125) < 1e-5 && Math.abs(report.peak[1]! - 0.5) < 1e-5, `${report.peak}`);
  const loud = { ...insert('a', [1]), returnTrimDb: [13] };
  await assert.rejects(engine.roll({ ...takeOf(samples, [loud]), sink: new ArraySink(1) }).done, {
    code: 'take.full-scale',
  });
  await engine.stop();
});

test('a host that hardly reads as fast as time passes measures the latency all the same, and finds no slip', async () => {
  const { engine, claim } = await synced();
  claim.turnFrames = 30_000;
  claim.readingShare = 0.8;
  await engine.start({ rate: 48_000 });
  claim.turnFrames = 4000;
  claim.readingShare = 0;
  assert.equal(engine.latency?.frames, 300);
  const samples = noise(30_000, 1);
  const spec = takeOf(samples, [insert('a', [1])]);
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 0, 1));
  await engine.stop();
});

test('a host that is late with the sequence measures anew, and no slip comes of what was not played', async () => {
  const { engine, claim } = await synced();
  const starting = engine.start({ rate: 48_000 });
  claim.leadFrames = 30_000; // while it is measured, everything nearer than this is too late
  while (claim.now < 8000) await turn();
  claim.leadFrames = 0;
  await starting;
  assert.equal(engine.latency?.frames, 300);
  assert.equal(engine.syncLock?.wire, 'exact');
  claim.leadFrames = 90_000;
  const samples = noise(30_000, 1);
  await assert.rejects(engine.roll(takeOf(samples, [insert('a', [1])])).done, (error) => {
    assert.ok(isOutboardError(error, 'take.spoiled'));
    assert.equal((error.details['faults'] as { kind: string }[])[0]!.kind, 'starved');
    return true;
  });
  claim.leadFrames = 0;
  assert.equal(engine.state, 'running');
  const spec = takeOf(samples, [insert('a', [1])]);
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 0, 1));
  await engine.stop();
});
