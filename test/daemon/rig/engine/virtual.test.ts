/**
 * The engine on the virtual interface of the rig. With clock 'realtime' the interface follows a clock of the test's, which goes on with the
 * event loop: a host that is busy with other tests is slow, but no frame is late unless the test wants it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InsertConfig, VirtualInterfaceConfig } from '../../../../core/contract/config.js';
import { isOutboardError } from '../../../../core/errors.js';
import { createLogger } from '../../../../daemon/log.js';
import { Engine } from '../../../../daemon/rig/engine/engine.js';
import type { Take } from '../../../../daemon/rig/engine/spec.js';
import { createVirtualInterface, VIRTUAL_DEVICE, type VirtualInterface } from '../../../../drivers/audio/virtual.js';
import { VirtualAnalog } from '../../../../drivers/audio/virtual-analog.js';
import { expected, insert, noise, takeOf } from './bench-top.js';

interface VirtualRig {
  engine: Engine;
  device: VirtualInterface;
  /** Lets time pass without the event loop. */
  block(ms: number): void;
  stop(): Promise<void>;
}

async function virtualRig(clock: 'fast' | 'realtime'): Promise<VirtualRig> {
  let nowNs = 0n;
  const block = (ms: number): void => {
    nowNs += BigInt(ms) * 1_000_000n;
  };
  const ticking = setInterval(() => block(10), 10);
  ticking.unref();
  const inserts = {
    a: InsertConfig.parse({ sends: [1, 2], returns: [1, 2], latencyFrames: 64, path: { delayFrames: 64 } }),
    b: InsertConfig.parse({ sends: [3, 4], returns: [3, 4], latencyFrames: 10, path: { delayFrames: 10 } }),
  };
  const config = VirtualInterfaceConfig.parse({ driver: 'virtual', clock, rates: [48_000, 96_000], in: 4, out: 4 });
  const device = createVirtualInterface(config, new VirtualAnalog(inserts), { now: () => nowNs });
  const claim = await device.claim({ playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE });
  const engine = new Engine({ claim, inChannels: 4, outChannels: 4, logger: createLogger('test', 'silent') });
  await engine.start({ rate: 48_000 });
  const stop = async (): Promise<void> => {
    await engine.stop();
    clearInterval(ticking);
  };
  return { engine, device, block, stop };
}

const A = insert('a', [1, 2], { latencyFrames: 64 });
const B = insert('b', [3, 4], { latencyFrames: 10 });

test('fast: one insert, both patched in either order, and both at once are sample-exact', async () => {
  const { engine, stop } = await virtualRig('fast');
  for (const hops of [[A], [A, B], [B, A]]) {
    const spec = takeOf(noise(100_000, 2), hops, { tailFrames: 480 });
    const report = await engine.roll(spec).done;
    assert.deepEqual(spec.sink.samples, expected(noise(100_000, 2), 480, 2));
    assert.equal(report.latency.interfaceFrames, 64 * hops.length);
  }
  const one = takeOf(noise(70_000, 2, 3), [A], { tailFrames: 10 });
  const other = takeOf(noise(50_000, 2, 4), [B], { tailFrames: 10 });
  await Promise.all([engine.roll(one).done, engine.roll(other).done]);
  assert.deepEqual(one.sink.samples, expected(noise(70_000, 2, 3), 10, 2));
  assert.deepEqual(other.sink.samples, expected(noise(50_000, 2, 4), 10, 2));
  await stop();
});

test('realtime: takes in a row on one insert are exact and follow each other within a tenth of a second', async () => {
  const { engine, stop } = await virtualRig('realtime');
  const gaps: number[] = [];
  const specs = [1, 2, 3].map((seed) => takeOf(noise(9600, 2, seed), [A], { tailFrames: 100 }));
  const takes: Take[] = [];
  const next = (): void => {
    const spec = specs[takes.length];
    if (spec) takes.push(engine.roll({ ...spec, onLastFrame: next }));
  };
  next();
  let end: number | null = null;
  for (let i = 0; i < specs.length; i++) {
    const take = takes[i]!;
    const { streamTo, latency } = await take.done;
    const { playFrom } = await take.started;
    if (end !== null) gaps.push(playFrom - end);
    end = streamTo;
    assert.equal(latency.totalFrames, 128);
    assert.deepEqual(specs[i]!.sink.samples, expected(noise(9600, 2, i + 1), 100, 2));
  }
  assert.ok(
    gaps.every((frames) => frames > 0 && frames < 4800),
    `${gaps}`,
  );
  await stop();
});

test('realtime: a chain of two inserts is exact', async () => {
  const { engine, stop } = await virtualRig('realtime');
  const spec = takeOf(noise(4800, 2), [A, B], { tailFrames: 100 });
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(noise(4800, 2), 100, 2));
  await stop();
});

for (const clock of ['fast', 'realtime'] as const)
  test(`${clock}: dropped frames spoil what uses them and no later take; an xrun ends the stream, a new start mends it`, async () => {
    const { engine, device, stop } = await virtualRig(clock);
    const first = engine.roll(takeOf(noise(40_000, 2), [A]));
    const { streamFrom } = await first.started;
    device.inject({ kind: 'dropped', atFrame: streamFrom + 5000, frames: 7 });
    await assert.rejects(first.done, (error) => isOutboardError(error, 'take.spoiled'));
    const next = takeOf(noise(9000, 2, 5), [A], { tailFrames: 64 });
    await engine.roll(next).done;
    assert.deepEqual(next.sink.samples, expected(noise(9000, 2, 5), 64, 2));
    const second = engine.roll(takeOf(noise(40_000, 2), [B]));
    await second.started;
    device.inject({ kind: 'xrun-out', frames: 100 });
    await assert.rejects(second.done, (error) => isOutboardError(error, 'take.spoiled'));
    assert.equal(engine.state, 'faulted');
    await engine.start({ rate: 96_000 });
    assert.equal(engine.rate, 96_000);
    const last = takeOf(noise(9000, 2, 6), [B]);
    await engine.roll(last).done;
    assert.deepEqual(last.sink.samples, expected(noise(9000, 2, 6), 0, 2));
    await stop();
  });

test('realtime: an engine that was blocked long enough to lose frames spoils the take and goes on', async () => {
  const { engine, block, stop } = await virtualRig('realtime');
  const take = engine.roll(takeOf(noise(240_000, 2), [A]));
  await take.started;
  block(1800);
  await assert.rejects(take.done, (error) => isOutboardError(error, 'take.spoiled'));
  const next = takeOf(noise(4800, 2, 5), [A]);
  await engine.roll(next).done;
  assert.deepEqual(next.sink.samples, expected(noise(4800, 2, 5), 0, 2));
  await stop();
});

test('realtime: half a second without the event loop spoils nothing, not even between patched inserts', async () => {
  const { engine, block, stop } = await virtualRig('realtime');
  const spec = takeOf(noise(33_600, 2), [A, B]);
  const take = engine.roll(spec);
  await take.started;
  block(500);
  await take.done;
  assert.deepEqual(spec.sink.samples, expected(noise(33_600, 2), 0, 2));
  await stop();
});
