import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { isOutboardError } from '../../../../core/errors.js';
import { bench, expected, insert, noise, takeOf } from './bench-top.js';

const REALTIME = { clock: 'realtime', ringFrames: 131_072 } as const;
const LEVEL = 0.5;
const RAMP = 480;

/** The first frame of a fall from a constant level to zero, after it was checked to be a smooth one that stays at zero. */
function checkFall(heard: number[], playFrom: number): number {
  const level = LEVEL * 2 ** 31;
  const from = heard.findIndex((value, at) => at >= playFrom && value < level);
  const fall = heard.slice(from, from + RAMP);
  for (let i = 0; i < fall.length; i++) {
    const before = i === 0 ? level : fall[i - 1]!;
    const step = before - fall[i]!;
    assert.ok(step >= 0 && step <= (level * Math.PI) / 2 / RAMP + 512, `step ${step} at ${i}`);
  }
  assert.ok(
    heard.slice(from + RAMP).every((value) => value === 0),
    'not silent after the ramp',
  );
  return from;
}

test('an aborted take ramps down within 10 ms and leaves zeros, in the ring as well', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const spec = takeOf(new Float64Array(400_000).fill(LEVEL), [insert('a', [1, 2])]);
  const take = engine.roll(spec);
  const { playFrom } = await take.started;
  while (spec.sink.frames < 10_000) await turn();
  const at = claim.now;
  take.abort('the dispatcher cancelled');
  take.abort('twice');
  await assert.rejects(take.done, (error) => {
    assert.ok(isOutboardError(error, 'take.aborted'));
    assert.equal(error.details['reason'], 'the dispatcher cancelled');
    return true;
  });
  claim.advance(130_000);
  for (const channel of [0, 1]) {
    const from = checkFall(claim.heard[channel]!, playFrom);
    assert.ok(from >= at && from <= at + 2400, `${from - at}`);
  }
  await engine.stop();
});

test('stopping the engine lets the ramp be played, ends the takes and may be done twice', async () => {
  const { engine, claim } = await bench(REALTIME);
  const spec = takeOf(new Float64Array(400_000).fill(LEVEL), [insert('a', [1, 2])]);
  const take = engine.roll(spec);
  const { playFrom } = await take.started;
  claim.advance(5000);
  const stopping = engine.stop();
  await turn();
  assert.equal(claim.stops, 0);
  claim.advance(4000);
  await Promise.all([stopping, engine.stop()]);
  await assert.rejects(take.done, (error) => isOutboardError(error, 'take.aborted'));
  checkFall(claim.heard[0]!, playFrom);
  assert.equal(claim.stops, 1);
  assert.equal(engine.state, 'stopped');
  assert.equal(engine.rate, null);
});

test('a take that follows an aborted one on the same sends does not cut into its ramp', async () => {
  const { engine, claim } = await bench();
  const take = engine.roll(takeOf(new Float64Array(400_000).fill(LEVEL), [insert('a', [1])]));
  const { playFrom } = await take.started;
  take.abort('cancelled');
  const samples = noise(5000, 1);
  const spec = takeOf(samples, [insert('a', [1])], { tailFrames: 7 });
  const next = engine.roll(spec);
  const started = await next.started;
  await next.done;
  assert.deepEqual(spec.sink.samples, expected(samples, 7, 1));
  assert.ok(started.playFrom >= playFrom);
  checkFall(claim.heard[0]!.slice(0, started.playFrom - RAMP), playFrom);
  await engine.stop();
});

test('an abort spoils no other take, also between two patched inserts', async () => {
  const { engine } = await bench();
  const other = takeOf(noise(50_000, 1), [insert('c', [3])]);
  const going = engine.roll(other).done;
  const spec = takeOf(new Float64Array(400_000).fill(LEVEL), [insert('a', [1]), insert('b', [2])], {
    onProgress: (frames) => {
      if (frames > 10_000) take.abort('enough');
    },
  });
  const take = engine.roll(spec);
  await assert.rejects(take.done, (error) => isOutboardError(error, 'take.aborted'));
  await going;
  assert.deepEqual(other.sink.samples, expected(noise(50_000, 1), 0, 1));
  await engine.stop();
});

test('a signal aborts a take before it rolls and while it rolls', async () => {
  const { engine } = await bench();
  const gone = engine.roll(takeOf(noise(10, 1), [insert('a', [1])], { signal: AbortSignal.abort('never mind') }));
  await assert.rejects(gone.done, /never mind/);
  await assert.rejects(gone.started);
  assert.equal(engine.takes, 0);
  const controller = new AbortController();
  const rolling = engine.roll(
    takeOf(new Float64Array(400_000), [insert('a', [1])], {
      signal: controller.signal,
      onProgress: () => controller.abort('now'),
    }),
  );
  await assert.rejects(rolling.done, (error) => isOutboardError(error, 'take.aborted'));
  assert.equal(engine.takes, 0);
  await engine.stop();
});

test('a take that still waits for its source is aborted without a sound', async () => {
  const { engine, claim } = await bench();
  const spec = takeOf(noise(10, 1), [insert('a', [1])]);
  spec.source.ready = () => new Promise(() => {});
  const take = engine.roll(spec);
  take.abort('no more');
  await assert.rejects(take.done, /no more/);
  assert.equal(claim.now, 0);
  await engine.roll(takeOf(noise(10, 1), [insert('a', [1])])).done;
  await engine.stop();
});

test('the next take on an insert begins right behind the last captured frame of the one before', async () => {
  const { engine, claim } = await bench(REALTIME);
  claim.turnFrames = 4800;
  const samples = noise(20_000, 1);
  const second = takeOf(noise(20_000, 1, 2), [insert('a', [1])]);
  let next: ReturnType<typeof engine.roll> | null = null;
  const report = await engine.roll(
    takeOf(samples, [insert('a', [1])], {
      tailFrames: 100,
      onLastFrame: () => {
        next = engine.roll(second);
      },
    }),
  ).done;
  const { playFrom } = await next!.started;
  // One look of the peer's clock, and the margin of 50 ms.
  assert.ok(playFrom - report.streamTo <= 4800 + 2400, `${playFrom - report.streamTo}`);
  await next!.done;
  assert.deepEqual(second.sink.samples, expected(noise(20_000, 1, 2), 0, 1));
  await engine.stop();
});
