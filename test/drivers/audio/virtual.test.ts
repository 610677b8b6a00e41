import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Claim, FaultKind, Granted } from '../../../drivers/audio/port.js';
import { createVirtualInterface, VIRTUAL_DEVICE } from '../../../drivers/audio/virtual.js';
import { VirtualAnalog } from '../../../drivers/audio/virtual-analog.js';
import { audioContract, randomSamples } from './contract.js';
import { makeRig, playMono, RATE, type TestRig } from './virtual-rig.js';

for (const clock of ['fast', 'realtime'] as const) {
  audioContract(`virtual, ${clock}`, async () => {
    const rig = makeRig({ clock, paths: { a: { delayFrames: 64 } } });
    return {
      interface: rig.interface,
      device: { playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE },
      request: rig.request,
      otherRate: 96_000,
      loop: { firstSend: 1, channels: 2, returns: [1, 2], delayFrames: 64 },
      pass: async (frames) => rig.tick(frames),
      loseCapture: async (claim, granted) => {
        if (clock === 'realtime') {
          rig.tick(granted.ringFrames + 100);
          assert.equal(claim.position().captured, granted.ringFrames + 100);
        } else {
          rig.interface.inject({ kind: 'dropped', frames: 100 });
          claim.arm({ channels: [1], from: 0, to: 1000 });
          claim.write(0, 1, 1, new Int32Array(1000));
        }
      },
      cleanup: async () => {},
    };
  });
}

/** Reads everything that is there; frames are numbered by counting, over the gaps that the faults tell of. */
function readRamp(rig: TestRig, claim: Claim, granted: Granted, into: Map<number, number>, from: number): number {
  const block = new Int32Array(512 * granted.inChannels);
  let frame = from;
  for (;;) {
    for (const fault of rig.faults) if (fault.kind === 'dropped' && fault.atFrame === frame) frame += fault.frames!;
    const got = claim.read(block);
    if (got === 0) return frame;
    for (let i = 0; i < got; i++) into.set(frame + i, block[i * granted.inChannels]!);
    frame += got;
  }
}

describe('the fast clock', () => {
  test('stands still while nothing is declared, or what is declared is not there', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    const into = new Int32Array(6 * 1000);
    claim.write(0, 1, 1, new Int32Array(500));
    assert.equal(claim.read(into), 0);
    claim.arm({ channels: [1, 2], from: 100, to: 2000 });
    assert.equal(claim.read(into), 100);
    assert.equal(claim.read(into), 0);
    claim.write(100, 2, 1, new Int32Array(1000));
    assert.equal(claim.read(into), 400);
    claim.write(500, 1, 1, new Int32Array(1500));
    claim.write(1100, 2, 1, new Int32Array(900));
    rig.tick(1_000_000);
    assert.equal(claim.position().played, 500);
    assert.equal(claim.read(into), 1000);
    assert.equal(claim.read(into), 500);
    assert.equal(claim.read(into), 0);
    assert.deepEqual(rig.faults, []);
  });

  test('goes no further than what was read into', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    claim.arm({ channels: [1], from: 0, to: 8000 });
    claim.write(0, 1, 1, new Int32Array(8000));
    assert.equal(claim.read(new Int32Array(6 * 10)), 10);
    assert.equal(claim.position().played, 10);
  });

  test('does not wait for what was taken back', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    const into = new Int32Array(6 * 5000);
    claim.arm({ channels: [1, 2], from: 0, to: 4000 });
    claim.write(0, 1, 2, new Int32Array(2 * 1000));
    claim.disarm({ channels: [1], from: 1000 });
    assert.equal(claim.read(into), 1000);
    claim.disarm({ channels: [2], from: 0 });
    claim.arm({ channels: [3], from: 2000, to: 2500 });
    claim.write(2000, 3, 1, new Int32Array(500));
    assert.equal(claim.read(into), 1500);
  });

  test('drains what was written when it is told to', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    claim.arm({ channels: [1], from: 0, to: 3000 });
    claim.write(0, 1, 1, new Int32Array(2000));
    assert.deepEqual(await claim.stop({ drain: true }), {
      captured: 2000,
      played: 2000,
      xruns: 0,
      starved: 0,
      dropped: 0,
    });
  });

  test('the ring is zero behind the converter: nothing comes round a second time', async () => {
    const rig = makeRig({ bufferFrames: 1024, loopLatencyFrames: 0 });
    const { claim } = await rig.start();
    const into = new Int32Array(6 * 1024);
    claim.arm({ channels: [1], from: 0, to: 1024 });
    claim.write(0, 1, 1, new Int32Array(1024).fill(2 ** 20));
    assert.equal(claim.read(into), 1024);
    claim.arm({ channels: [2], from: 1024, to: 2048 });
    claim.write(1024, 2, 1, new Int32Array(1024));
    claim.write(1100, 1, 1, new Int32Array(3).fill(2 ** 21));
    assert.equal(claim.read(into), 1024);
    for (let i = 0; i < 1024; i++) assert.equal(into[6 * i], i >= 76 && i < 79 ? 2 ** 21 : 0, `frame ${i}`);
  });

  test('two takes at once each get their own samples', async () => {
    const rig = makeRig({ paths: { a: {}, b: { delayFrames: 10 } }, loopLatencyFrames: 0 });
    const { claim } = await rig.start();
    const a = randomSamples(2 * 3000, 1);
    const b = randomSamples(2 * 2000, 2);
    claim.arm({ channels: [1, 2], from: 0, to: 3000 });
    claim.arm({ channels: [3, 4], from: 500, to: 2510 });
    claim.write(500, 3, 2, b);
    claim.write(2500, 3, 2, new Int32Array(20));
    claim.write(0, 1, 2, a);
    const into = new Int32Array(6 * 3000);
    assert.equal(claim.read(into), 3000);
    for (let frame = 0; frame < 3000; frame++) {
      const late = frame - 510;
      const expected = [a[2 * frame], a[2 * frame + 1], b[2 * late] ?? 0, b[2 * late + 1] ?? 0, 0, 0];
      assert.deepEqual([...into.subarray(6 * frame, 6 * frame + 6)], expected, `frame ${frame}`);
    }
  });
});

describe('the realtime clock', () => {
  test('a frame that is armed and not there is starved, exactly', async () => {
    const rig = makeRig({ clock: 'realtime' });
    const { claim } = await rig.start();
    claim.arm({ channels: [1, 2], from: 1000, to: 2000 });
    claim.write(1000, 1, 2, new Int32Array(2 * 100));
    claim.write(1150, 1, 2, new Int32Array(2 * 850));
    claim.arm({ channels: [3], from: 1140, to: 1160 });
    rig.tick(1120);
    assert.equal(claim.position().earliestWrite, 1120);
    assert.deepEqual(
      rig.faults.map(({ kind, atFrame, frames }) => ({ kind, atFrame, frames })),
      [{ kind: 'starved', atFrame: 1100, frames: 20 }],
    );
    rig.tick(1000);
    claim.read(new Int32Array(6));
    assert.deepEqual(
      rig.faults.slice(1).map(({ atFrame, frames }) => ({ atFrame, frames })),
      [{ atFrame: 1120, frames: 40 }],
    );
    // Too late for what is known to be missing: no second fault.
    claim.write(1100, 1, 2, new Int32Array(2 * 10));
    assert.equal(rig.faults.length, 2);
    const tally = await claim.stop({ drain: false });
    assert.equal(tally.starved, 60);
    assert.equal(tally.played, 2120);
  });

  test('what does not fit into the ring is dropped, exactly, and frames keep their numbers', async () => {
    const rig = makeRig({ clock: 'realtime', loopLatencyFrames: 0, bufferFrames: 1024 });
    const { claim, granted } = await rig.start();
    const heard = new Map<number, number>();
    const ramp = (from: number, frames: number) => Int32Array.from({ length: frames }, (_, i) => (from + i) << 8);
    let read = 0;
    let written = 0;
    const turn = (frames: number, reading: boolean) => {
      while (written < claim.position().played + 1024) {
        const now = Math.min(100, claim.position().played + 1024 - written);
        claim.write(written, 1, 1, ramp(written, now));
        written += now;
      }
      rig.tick(frames);
      claim.position();
      if (reading) read = readRamp(rig, claim, granted, heard, read);
    };
    turn(700, true);
    turn(1000, false);
    turn(300, false);
    turn(600, true);
    turn(1000, true);
    const dropped = rig.faults.filter((f) => f.kind === 'dropped');
    assert.deepEqual(dropped[0], { kind: 'dropped', atFrame: 1724, frames: 276, monotonicNs: dropped[0]!.monotonicNs });
    assert.equal(
      dropped.reduce((sum, f) => sum + f.frames!, 0),
      876,
    );
    assert.equal(read, 3600);
    assert.equal(heard.size, 3600 - 876);
    for (const [frame, value] of heard) assert.equal(value, frame << 8);
  });

  test('a stream that was left alone for a day is caught up with at once', async () => {
    const rig = makeRig({ clock: 'realtime', paths: { a: { memorySeconds: 2 } } });
    const { claim } = await rig.start();
    claim.write(0, 1, 1, new Int32Array(1).fill(2 ** 30));
    rig.tick(24 * 3600 * RATE);
    const before = process.hrtime.bigint();
    assert.equal(claim.position().captured, 24 * 3600 * RATE);
    assert.ok(process.hrtime.bigint() - before < 3_000_000_000n);
    const into = new Int32Array(6 * 8192);
    assert.equal(claim.read(into), 8192);
    rig.tick(1000);
    assert.equal(claim.read(into), 1000);
    assert.ok(into.subarray(0, 6000).every((sample) => sample === 0));
    assert.equal((await claim.stop({ drain: false })).dropped, 24 * 3600 * RATE - 8192);
  });

  test('runs on the monotonic clock of the machine', async () => {
    const rig = makeRig({ clock: 'realtime' });
    const device = createVirtualInterface(rig.config, rig.analog);
    const claim = await device.claim({ playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE });
    await claim.start(rig.request);
    const first = claim.position();
    const samples = first.earliestWrite + 2000;
    claim.write(samples, 1, 1, new Int32Array(480));
    const tally = await claim.stop({ drain: true });
    assert.ok(tally.played >= samples + 480, `${tally.played}`);
    await claim.close();
  });

  test('a changed setting is heard from the moment of the change on', async () => {
    const rig = makeRig({ clock: 'realtime', loopLatencyFrames: 0 });
    const { claim } = await rig.start();
    claim.write(0, 1, 1, new Int32Array(2000).fill(2 ** 30));
    rig.tick(777);
    rig.analog.modifier('a').muted = true;
    rig.tick(1000);
    const into = new Int32Array(6 * 2000);
    assert.equal(claim.read(into), 1777);
    for (let i = 0; i < 1777; i++) assert.equal(into[6 * i], i < 777 ? 2 ** 30 : 0, `frame ${i}`);
  });
});

describe('faults on demand', () => {
  const stays: FaultKind[] = ['starved', 'dropped'];
  const stands: FaultKind[] = ['xrun-in', 'xrun-out', 'stalled', 'claim-lost', 'lost'];

  for (const kind of [...stays, ...stands]) {
    test(`${kind} at a frame, between the samples before it and those after it`, async () => {
      const rig = makeRig({ loopLatencyFrames: 0 });
      const { claim } = await rig.start();
      rig.interface.inject({ kind, atFrame: 700, frames: 50 });
      claim.arm({ channels: [1], from: 0, to: 2000 });
      claim.write(0, 1, 1, new Int32Array(2000).fill(256));
      const into = new Int32Array(6 * 2000);
      assert.equal(claim.read(into.subarray(0, 6 * 600)), 600);
      assert.equal(rig.faults.length, 0);
      const got = claim.read(into);
      const counted = kind !== 'stalled' && kind !== 'lost' && kind !== 'claim-lost';
      const { monotonicNs, ...fault } = rig.faults[0]!;
      assert.deepEqual(fault, { kind, atFrame: counted ? 700 : null, frames: counted ? 50 : null });
      assert.ok(monotonicNs > 0n);
      if (kind === 'starved') {
        assert.equal(got, 1400);
        for (let i = 0; i < 1400; i++) assert.equal(into[6 * i], i >= 100 && i < 150 ? 0 : 256, `frame ${i}`);
        assert.equal((await claim.stop({ drain: false })).starved, 50);
      } else if (kind === 'dropped') {
        assert.equal(got, 100);
        assert.equal(claim.read(into), 1250);
        assert.equal((await claim.stop({ drain: false })).dropped, 50);
      } else {
        assert.equal(got, 100);
        assert.equal(claim.read(into), 0);
        assert.equal(claim.position().played, 700);
        assert.throws(() => claim.write(1000, 1, 1, new Int32Array(1)), {
          code: kind === 'lost' ? 'audio.gone' : 'audio.closed',
        });
        assert.equal(claim.state, kind === 'lost' ? 'lost' : 'faulted');
        const tally = await claim.stop({ drain: true });
        assert.equal(tally.xruns, kind.startsWith('xrun') ? 1 : 0);
      }
      await claim.close();
    });
  }

  for (const kind of ['xrun-in', 'xrun-out', 'stalled'] as const) {
    test(`after ${kind} nothing goes on by itself; start makes a new stream`, async () => {
      const rig = makeRig({ clock: 'realtime' });
      const { claim } = await rig.start();
      rig.tick(100);
      rig.interface.inject({ kind });
      rig.tick(1000);
      assert.equal(claim.position().captured, 100);
      assert.equal(claim.state, 'faulted');
      await rig.start();
      rig.tick(50);
      assert.equal(claim.position().captured, 50);
      assert.equal(claim.state, 'running');
    });
  }

  test('an unplugged device is gone until it is plugged in again', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    rig.interface.inject({ kind: 'lost' });
    assert.equal(claim.state, 'lost');
    assert.deepEqual(await rig.interface.list(), []);
    await assert.rejects(claim.start(rig.request), { code: 'audio.gone' });
    await claim.close();
    await assert.rejects(rig.start(), { code: 'audio.gone' });
    rig.interface.restore();
    const again = await rig.start();
    assert.equal(again.claim.state, 'running');
  });

  test('a lost claim says so in its proof, and can be taken back', async () => {
    const rig = makeRig();
    const { claim } = await rig.start();
    await claim.stop({ drain: false });
    rig.interface.inject({ kind: 'claim-lost' });
    assert.equal(rig.faults[0]!.kind, 'claim-lost');
    assert.equal(claim.proof.exclusive, false);
    await assert.rejects(claim.start(rig.request), { code: 'audio.busy' });
    rig.interface.restore();
    await claim.start(rig.request);
    assert.equal((await claim.verifyClaim()).exclusive, true);
  });

  test('a fault that needs a stream is refused without one; a removed listener hears nothing', async () => {
    const rig = makeRig();
    assert.throws(() => rig.interface.inject({ kind: 'starved' }), { code: 'audio.closed' });
    const { claim } = await rig.start();
    const heard: string[] = [];
    const remove = claim.onFault((fault) => {
      heard.push(fault.kind);
      claim.disarm({ channels: [1], from: 0 });
      assert.equal(claim.position().played, 0);
    });
    rig.interface.inject({ kind: 'starved' });
    remove();
    rig.interface.inject({ kind: 'dropped' });
    assert.deepEqual(heard, ['starved']);
  });
});

test('an analog side that does not fit the interface is refused', () => {
  const { config } = makeRig();
  const insert = (sends: number[], returns: number[], path?: object) => ({ sends, returns, ...(path ? { path } : {}) });
  const bad = (inserts: Record<string, object>, crosstalk: { from: string; to: string; db: number }[] = []) =>
    assert.throws(
      () => createVirtualInterface(config, new VirtualAnalog(inserts as never, crosstalk)),
      { code: 'config.invalid' },
      JSON.stringify(inserts),
    );
  bad({ a: insert([7], [1]) });
  bad({ a: insert([1], [7]) });
  bad({ a: insert([1, 2], [1]) });
  bad({ a: insert([1, 1], [1, 2]) });
  bad({ a: insert([1], [1]), b: insert([1], [2]) });
  bad({ a: insert([1], [1]), b: insert([2], [1]) });
  bad({ a: insert([1], [1]) }, [{ from: 'a', to: 'b', db: -80 }]);
  bad({
    a: insert([1], [1], { gainDb: 0, delayFrames: 0, poly: [], noiseDbfs: null, lowpassHz: 30_000, memorySeconds: 0 }),
  });
});

test('an input that no insert returns to hears nothing', async () => {
  const rig = makeRig();
  const { claim } = await rig.start();
  const heard = playMono(claim, { send: 3, back: 3, frames: 2000, signal: () => 0.5 });
  assert.ok(heard.every((x) => x === 0));
});
