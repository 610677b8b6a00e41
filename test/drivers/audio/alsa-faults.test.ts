/** What the alsa driver says of samples that were lost: the exact frames, the channels, and in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { block, claimCard, holdElsewhere, openCard, Pattern, RATE, request, runs, until } from './alsa-card.js';

test('frames that are armed and were not written are starved: exactly these, on these channels', async (t) => {
  const { claim, faults } = await claimCard(t);
  await claim.start(request);
  const at = claim.position().earliestWrite + 6000;
  claim.write(at, 1, 2, new Int32Array(2 * 1000));
  claim.write(at + 1500, 1, 2, new Int32Array(2 * 500));
  claim.write(at + 1200, 4, 1, new Int32Array(100));
  claim.arm({ channels: [1, 2], from: at, to: at + 2000 });
  claim.arm({ channels: [4], from: at + 1100, to: at + 1600 });
  // What was taken back is not missed.
  claim.arm({ channels: [3, 4], from: at + 1800, to: at + 1_000_000 });
  claim.disarm({ channels: [3], from: at + 1900 });
  claim.disarm({ channels: [4], from: 0 });
  claim.arm({ channels: [4], from: at + 1100, to: at + 1600 });
  await until(() => claim.position().played > at + 4000);
  const expected = [
    { atFrame: at + 1000, frames: 100, channels: [1, 2] },
    { atFrame: at + 1100, frames: 100, channels: [1, 2, 4] },
    { atFrame: at + 1200, frames: 100, channels: [1, 2] },
    { atFrame: at + 1300, frames: 200, channels: [1, 2, 4] },
    { atFrame: at + 1500, frames: 100, channels: [4] },
    { atFrame: at + 1800, frames: 100, channels: [3] },
  ];
  assert.deepEqual(runs(faults, 'starved'), expected);
  assert.ok(faults.every(({ kind, monotonicNs }) => kind === 'starved' && monotonicNs > 0n));
  assert.equal(claim.state, 'running');
  assert.equal((await claim.stop({ drain: false })).starved, 700);
});

test('a write that comes too late: its late frames are starved and never played, its others are played', async (t) => {
  const { claim, faults } = await claimCard(t, { ringSeconds: 0.5 });
  const granted = await claim.start(request);
  const pattern = new Pattern(claim, granted, faults);
  pattern.arm(pattern.from + 5000);
  await until(() => claim.position().earliestWrite > pattern.from + 700);
  const { earliestWrite } = claim.position();
  pattern.write(pattern.from + 5000, 5000);
  const known = runs(faults, 'starved');
  assert.equal(known.length, 1, JSON.stringify(known));
  assert.equal(known[0]!.atFrame, pattern.from);
  assert.ok(known[0]!.frames >= earliestWrite - pattern.from && known[0]!.frames < 5000, `${known[0]!.frames}`);
  assert.deepEqual(known[0]!.channels, [1, 2, 3, 4]);
  // The ring goes round twice: nothing comes back. The pattern begins with the first frame in time.
  pattern.distance = 64;
  while (pattern.heard < pattern.from + 2.5 * granted.ringFrames) {
    pattern.listen();
    await until(() => claim.position().captured > pattern.heard);
  }
  assert.deepEqual(runs(faults, 'starved'), known);
  assert.deepEqual(
    faults.filter(({ kind }) => kind !== 'starved'),
    [],
  );
  assert.equal((await claim.stop({ drain: false })).starved, known[0]!.frames);
});

test('writes at the very edge: what is not called starved is played, and nothing is played twice', async (t) => {
  // Periods as short as this make the buffer 85 ms: a host that stands still for longer takes the stream with it, and that is told.
  for (let attempt = 1; !(await playedAtTheEdge(t)); attempt++)
    assert.ok(attempt < 10, 'the host stood still each time');
});

/** @returns whether the stream came to the end */
async function playedAtTheEdge(t: Parameters<typeof claimCard>[0]): Promise<boolean> {
  const { claim, faults } = await claimCard(t, { ringSeconds: 0.7 });
  const granted = await claim.start({ ...request, periodFrames: 64, periods: 64 });
  const pattern = new Pattern(claim, granted, faults);
  pattern.distance = 64;
  pattern.atTheEdge = true;
  const end = pattern.from + 2 * RATE;
  while (pattern.heard < end) {
    // What happened to the device is told by the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    if (claim.state !== 'running') return false;
    // As close as can be: some of these frames are taken while they are written.
    const { earliestWrite } = claim.position();
    if (earliestWrite + 16 > pattern.written) pattern.write(earliestWrite + 16);
    pattern.listen();
  }
  assert.ok(pattern.matched > 1000, `${pattern.matched} frames were in time`);
  assert.ok(runs(faults, 'starved').length > 10);
  return true;
}

test('an event loop that is blocked for 500 ms loses nothing', async (t) => {
  const { claim, faults } = await claimCard(t);
  const granted = await claim.start(request);
  const pattern = new Pattern(claim, granted, faults);
  pattern.arm(pattern.from + 10 * RATE);
  for (let i = 0; i < 3; i++) {
    pattern.write();
    block(500);
    pattern.listen();
  }
  await pattern.run(pattern.heard + RATE / 2);
  assert.deepEqual(faults, []);
  assert.ok(pattern.read > 1.5 * RATE && pattern.read === pattern.heard);
  assert.ok(pattern.matched > 1.5 * RATE, `${pattern.matched}`);
});

test('an event loop that is blocked for 3 s: every frame is the right one, told as starved, or told as dropped', async (t) => {
  const { claim, faults } = await claimCard(t, { ringSeconds: 1 });
  const granted = await claim.start(request);
  const pattern = new Pattern(claim, granted, faults);
  pattern.arm(pattern.from + 20 * RATE);
  await pattern.run(RATE / 2);
  const { heard, written } = pattern;
  block(3000);
  const read = pattern.read;
  const { captured } = claim.position();
  const known = { starved: runs(faults, 'starved')[0]!, dropped: runs(faults, 'dropped')[0]! };
  assert.equal(known.starved.atFrame, written);
  // The ring was not empty when it began to fill: blocks go into it as long as they fit.
  const fits = known.dropped.atFrame - heard;
  assert.ok(fits <= granted.ringFrames && fits > granted.ringFrames - granted.periodFrames, `${fits}`);
  // What makes up for three seconds reaches into the frames that are being taken: late ones may have been played all the same.
  pattern.atTheEdge = true;
  await pattern.run(captured + RATE);
  const sum = (kind: 'starved' | 'dropped') => runs(faults, kind).reduce((frames, run) => frames + run.frames, 0);
  assert.ok(sum('dropped') > 1.5 * RATE && sum('starved') > 1.5 * RATE);
  assert.ok(read < pattern.read);
  assert.equal(pattern.read + sum('dropped'), pattern.heard);
  const tally = await claim.stop({ drain: false });
  assert.equal(tally.dropped, sum('dropped'));
  assert.equal(tally.starved, sum('starved'));
});

for (const kind of ['xrun-in', 'xrun-out'] as const) {
  test(`${kind}: the stream stands, and says at which frame`, async (t) => {
    const { card, claim, faults } = await claimCard(t);
    const granted = await claim.start(request);
    const pattern = new Pattern(claim, granted, faults);
    await pattern.run(RATE / 4);
    card.inject({ kind });
    await until(() => faults.length > 0);
    pattern.listen();
    const injectedAt = card.counters().lastInjectedAt!;
    const { captured, played } = claim.position();
    const { atFrame, frames } = faults[0]!;
    assert.equal(faults.length, 1);
    assert.equal(faults[0]!.kind, kind);
    assert.equal(frames, null);
    // From the first frame on that the device has not given, or has not said to have played.
    assert.equal(atFrame, kind === 'xrun-in' ? captured : played);
    assert.ok(atFrame! <= injectedAt && atFrame! > injectedAt - 2 * granted.periodFrames, `${atFrame} ${injectedAt}`);
    assert.equal(pattern.heard, captured);
    assert.equal(claim.state, 'faulted');
    assert.throws(() => claim.write(captured + 10_000, 1, 4, new Int32Array(4)), { code: 'audio.closed' });
    assert.equal((await claim.verifyClaim()).exclusive, true);
    assert.equal((await claim.stop({ drain: true })).xruns, 1);
    faults.splice(0);
    const again = new Pattern(claim, await claim.start(request), faults);
    await again.run(again.from + 5000);
    assert.deepEqual(faults, []);
  });
}

test('a process that is stopped for longer than its buffer has a real xrun, and says so when it goes on', async (t) => {
  const { card } = await openCard(t);
  const { child: holder, said } = await holdElsewhere(t, card);
  await until(() => card.counters().captured > RATE / 10);
  holder.kill('SIGSTOP');
  await sleep((3 * 1000 * request.periodFrames * request.periods) / RATE);
  holder.kill('SIGCONT');
  await until(() => /xrun-(in|out) \d+\n/.test(said()));
  const { captured, played } = card.counters();
  const at = Number(/xrun-(?:in|out) (\d+)/.exec(said())![1]);
  assert.ok(
    at > RATE / 10 - request.periodFrames && at <= Math.max(captured, played),
    `${said()}${captured} ${played}`,
  );
});

test('a device that stands still is stalled, and starts again when it goes on', async (t) => {
  const { card, claim, faults } = await claimCard(t);
  await claim.start(request);
  card.inject({ kind: 'stall' });
  const before = performance.now();
  await until(() => faults.length > 0, 30_000);
  assert.ok(performance.now() - before > 200);
  assert.deepEqual([faults[0]!.kind, faults[0]!.atFrame, faults[0]!.frames], ['stalled', null, null]);
  assert.equal(claim.state, 'faulted');
  card.plug();
  await claim.start(request);
  await until(() => claim.position().played > 1000);
  assert.equal(faults.length, 1);
});

test('an unplugged device is lost at once, and is closed at once', async (t) => {
  const { card, claim, faults, audio, device } = await claimCard(t);
  const granted = await claim.start(request);
  const pattern = new Pattern(claim, granted, faults);
  await pattern.run(RATE / 4);
  let lostAt = 0n;
  claim.onFault(({ monotonicNs }) => {
    lostAt = monotonicNs;
  });
  const before = process.hrtime.bigint();
  card.inject({ kind: 'unplug' });
  await until(() => faults.length > 0, 30_000);
  assert.equal(faults[0]!.kind, 'lost');
  assert.ok(lostAt - before < 100_000_000n, `${lostAt - before} ns`);
  assert.equal(claim.state, 'lost');
  assert.equal((await claim.verifyClaim()).exclusive, false);
  assert.throws(() => claim.write(1_000_000, 1, 4, new Int32Array(4)), { code: 'audio.gone' });
  await assert.rejects(claim.start(request), { code: 'audio.gone' });
  const closing = performance.now();
  await claim.close();
  assert.ok(performance.now() - closing < 500);
  await assert.rejects(audio.claim(device), { code: 'audio.gone' });
  card.plug();
  const again = await audio.claim(device);
  t.after(() => again.close());
  await again.start(request);
  await until(() => again.position().played > 1000);
});
