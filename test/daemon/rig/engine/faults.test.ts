import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { isOutboardError } from '../../../../core/errors.js';
import type { Fault } from '../../../../drivers/audio/port.js';
import { bench, expected, insert, noise, takeOf } from './bench-top.js';

const REALTIME = { clock: 'realtime', ringFrames: 131_072 } as const;

function spoiledBy(kind: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isOutboardError(error, 'take.spoiled'), String(error));
    const faults = error.details['faults'] as { kind: string }[];
    assert.equal(faults[0]?.kind, kind);
    return true;
  };
}

test('with a real clock three patched inserts are sample-exact', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const samples = noise(60_000, 1);
  const spec = takeOf(samples, [insert('a', [1]), insert('b', [2]), insert('c', [3])], { tailFrames: 100 });
  const { latency } = await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(samples, 100, 1));
  assert.equal(latency.patchFrames, 2 * 28_800);
  await engine.stop();
});

test('half a second without the event loop spoils nothing; two seconds do', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const samples = noise(150_000, 1);
  const spec = takeOf(samples, [insert('a', [1]), insert('b', [2])]);
  const take = engine.roll(spec);
  await take.started;
  while (spec.sink.frames < 10_000) await turn();
  claim.advance(24_000);
  await take.done;
  assert.deepEqual(spec.sink.samples, expected(samples, 0, 1));
  const late = engine.roll(takeOf(samples, [insert('a', [1]), insert('b', [2])]));
  await late.started;
  await turn();
  claim.advance(96_000);
  await assert.rejects(late.done, spoiledBy('starved'));
  assert.equal(engine.state, 'running');
  await engine.stop();
});

test('a source that falls behind starves its own take, and no other', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const good = takeOf(noise(200_000, 2), [insert('a', [1, 2])], { tailFrames: 50 });
  const slow = takeOf(noise(200_000, 1, 7), [insert('b', [3])]);
  slow.source.stallAfter = 90_000;
  const a = engine.roll(good);
  const b = engine.roll(slow);
  await assert.rejects(b.done, spoiledBy('starved'));
  await a.done;
  assert.deepEqual(good.sink.samples, expected(noise(200_000, 2), 50, 2));
  await engine.stop();
});

test('lost capture frames spoil the takes that use them; the next take on that insert is exact again', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const faults: Fault[] = [];
  engine.onFault((fault) => faults.push(fault));
  const spec = takeOf(noise(100_000, 1), [insert('a', [1])]);
  const take = engine.roll(spec);
  await take.started;
  while (spec.sink.frames < 20_000) await turn();
  claim.lose(37);
  await assert.rejects(take.done, spoiledBy('dropped'));
  assert.equal(engine.state, 'running');
  assert.equal(faults.reduce((sum, fault) => sum + (fault.frames ?? 0), 0) >= 37, true);
  const next = takeOf(noise(50_000, 1, 3), [insert('a', [1])], { tailFrames: 9 });
  await engine.roll(next).done;
  assert.deepEqual(next.sink.samples, expected(noise(50_000, 1, 3), 9, 1));
  await engine.stop();
});

test('frames that are lost while nothing rolls are only counted', async () => {
  const { engine, claim } = await bench({ clock: 'realtime', ringFrames: 16_384 });
  claim.advance(20_000);
  assert.equal(engine.state, 'running');
  claim.turnFrames = 4800;
  const spec = takeOf(noise(30_000, 2), [insert('a', [1, 2])], { tailFrames: 9 });
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(noise(30_000, 2), 9, 2));
  await engine.stop();
});

test('an xrun spoils what plays at its frames; one that has no place spoils all that rolls', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const first = engine.roll(takeOf(noise(100_000, 1), [insert('a', [1])]));
  const second = engine.roll(takeOf(noise(100_000, 1), [insert('b', [2])]));
  const { playFrom } = await first.started;
  await second.started;
  claim.fault({ kind: 'xrun-out', atFrame: playFrom - 1000, frames: 100 });
  claim.fault({ kind: 'dropped', atFrame: playFrom + 10_000_000, frames: 10 });
  await turn();
  assert.equal(engine.takes, 2);
  claim.fault({ kind: 'xrun-out', atFrame: null, frames: null });
  await assert.rejects(first.done, spoiledBy('xrun-out'));
  await assert.rejects(second.done, spoiledBy('xrun-out'));
  assert.equal(engine.takes, 0);
  await engine.stop();
});

test('captured frames that cannot be counted any more end the stream', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const take = engine.roll(takeOf(noise(100_000, 1), [insert('a', [1])]));
  await take.started;
  claim.fault({ kind: 'xrun-in', atFrame: 10, frames: null });
  await assert.rejects(take.done, spoiledBy('xrun-in'));
  assert.equal(engine.state, 'faulted');
  await engine.stop();
});

for (const kind of ['lost', 'stalled', 'claim-lost'] as const)
  test(`${kind} ends every take and the stream, and the engine waits to be started again`, async () => {
    const { engine, claim } = await bench(REALTIME);
    claim.turnFrames = 4800;
    const faults: string[] = [];
    const remove = engine.onFault((fault) => faults.push(fault.kind));
    const unready = takeOf(noise(10, 1), [insert('c', [3])]);
    unready.source.ready = () => new Promise(() => {});
    const takes = [
      engine.roll(takeOf(noise(200_000, 1), [insert('a', [1])])),
      engine.roll(takeOf(noise(200_000, 1), [insert('b', [2])])),
      engine.roll(unready),
    ];
    await takes[1]!.started;
    claim.fault({ kind, atFrame: null, frames: null }, kind === 'lost' ? 'lost' : 'faulted');
    for (const take of takes) await assert.rejects(take.done, spoiledBy(kind));
    assert.deepEqual(faults, [kind]);
    assert.equal(engine.state, 'faulted');
    assert.throws(
      () => engine.roll(takeOf(noise(10, 1), [insert('a', [1])])),
      (error) => isOutboardError(error, 'audio.closed'),
    );
    remove();
    await engine.start({ rate: 48_000 });
    const spec = takeOf(noise(10_000, 1), [insert('a', [1])]);
    await engine.roll(spec).done;
    assert.deepEqual(spec.sink.samples, expected(noise(10_000, 1), 0, 1));
    await engine.stop();
    assert.equal(claim.listeners, 0);
  });

test('a sink that is full at a real clock spoils its take', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const spec = takeOf(noise(50_000, 1), [insert('a', [1])], {
    onProgress: (frames) => {
      if (frames > 20_000) spec.sink.room = false;
    },
  });
  await assert.rejects(engine.roll(spec).done, spoiledBy('dropped'));
  await engine.stop();
});

test('a loop latency that nobody knows is refused, a measured one is used', async () => {
  const { engine, claim } = await bench({ loopLatencyFrames: null }).catch((error: unknown) => {
    assert.ok(isOutboardError(error, 'audio.latency'));
    return { engine: null, claim: null };
  });
  assert.equal(engine ?? claim, null);
});

test('a take that began too late gives the next one more time', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  // More than the margin passes between choosing a place and writing there.
  claim.slowFrames = 4000;
  await assert.rejects(engine.roll(takeOf(noise(60_000, 1), [insert('a', [1])])).done, spoiledBy('starved'));
  const spec = takeOf(noise(60_000, 1), [insert('a', [1])]);
  await engine.roll(spec).done;
  assert.deepEqual(spec.sink.samples, expected(noise(60_000, 1), 0, 1));
  await engine.stop();
});
