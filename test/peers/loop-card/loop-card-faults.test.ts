/** The loop card does what a test asks of it, at the frame that it says, and the analog side behind it is the one that was asked for. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { scratch } from '../scratch.js';
import { hash, sine, writeSignal } from '../signals.js';
import { until } from '../stack.js';
import { type Captured, playAndRecord, type Running, shape, start } from './alsa-programs.js';
import { type AnalogModel, LoopCard, type LoopCardOptions } from './loop-card.js';

const RATE = 48_000;
const STEREO = { channels: 2, rate: RATE, format: 'S24_3LE' } as const;

async function makeCard(t: TestContext, options: Partial<LoopCardOptions> = {}): Promise<LoopCard> {
  const card = await LoopCard.open({ in: 2, out: 2, formats: ['S24_3LE'], ...options });
  t.after(() => card.close());
  return card;
}

function play(t: TestContext, card: LoopCard, ...more: string[]): Running {
  return start(t, card, 'aplay', ...shape(card, STEREO).slice(1), ...more, '-t', 'raw', '/dev/zero');
}

function record(t: TestContext, card: LoopCard, ...more: string[]): Running {
  return start(t, card, 'arecord', ...shape(card, STEREO).slice(1), ...more, '-t', 'raw', '/dev/null');
}

/** Waits for the frames of a stream, however long it takes to roll. */
async function moved(card: LoopCard, count: 'played' | 'captured', from: number): Promise<void> {
  await until(() => card.counters()[count] > from);
}

/** A sample that tells its frame: never 0, and no two alike. */
const NUMBERED = (frame: number) => (frame + 1) / 2 ** 20;

/** Which playback frame each captured one is; -1 for silence. */
function numbers(captured: Captured): number[] {
  return Array.from({ length: captured.frames }, (_, frame) => captured.at(frame, 0) / 2 ** 11 - 1);
}

test('lost frames: what follows comes earlier, from the very frame on', async (t) => {
  const card = await makeCard(t);
  const captured = await playAndRecord(t, card, {
    ...STEREO,
    frames: 40_000,
    sample: NUMBERED,
    meanwhile: async () => {
      assert.equal(card.counters().lastInjectedAt, null);
      card.inject({ kind: 'drop', frames: 7 });
      await until(() => card.counters().lastInjectedAt !== null);
    },
  });
  const at = card.counters().lastInjectedAt!;
  assert.ok(at > captured.first && at < captured.first + 30_000, `${at}`);
  const found = numbers(captured);
  for (let frame = captured.first; frame < captured.first + 39_000; frame++) {
    const expected = frame - captured.first + (frame >= at ? 7 : 0);
    if (found[frame] !== expected) assert.fail(`frame ${frame}: ${found[frame]}, not ${expected}; injected at ${at}`);
  }
  assert.deepEqual([card.counters().xrunsIn, card.counters().xrunsOut], [0, 0]);
});

test('frames are lost and repeated at the frames asked for', async (t) => {
  const card = await makeCard(t);
  card.inject({ kind: 'repeat', frames: 5, at: 60_000 });
  card.inject({ kind: 'drop', frames: 1, at: 70_000 });
  const captured = await playAndRecord(t, card, { ...STEREO, frames: 96_000, sample: NUMBERED });
  assert.equal(card.counters().lastInjectedAt, 70_000);
  const found = numbers(captured);
  const last = Math.min(captured.first + 95_000, captured.frames);
  assert.ok(last > 71_000);
  for (let frame = captured.first; frame < last; frame++) {
    const shift = frame < 60_000 ? 0 : frame < 70_000 ? -5 : -4;
    const expected = frame - captured.first + shift;
    if (found[frame] !== expected) assert.fail(`frame ${frame}: ${found[frame]}, not ${expected}`);
  }
});

test('an xrun on demand, in each direction, is told to the program and counted', async (t) => {
  const card = await makeCard(t);
  for (const [kind, count, counter] of [
    ['xrun-out', 'played', 'xrunsOut'],
    ['xrun-in', 'captured', 'xrunsIn'],
  ] as const) {
    const running = kind === 'xrun-out' ? play(t, card) : record(t, card);
    await moved(card, count, 10_000);
    const before = card.counters()[count];
    card.inject({ kind });
    await until(() => running.said().includes(kind === 'xrun-out' ? 'underrun' : 'overrun'));
    assert.equal(card.counters()[counter], 1);
    assert.ok(card.counters().lastInjectedAt! >= before);
    assert.equal(running.child.exitCode, null);
  }
});

test('what was played before an xrun is heard up to its frame, and silence after it', async (t) => {
  const card = await makeCard(t);
  const dir = await scratch(t);
  const sound = await writeSignal(join(dir, 'sound.wav'), {
    ...STEREO,
    bits: 24,
    frames: 4 * RATE,
    sample: () => 0.25,
  });
  const back = join(dir, 'back.raw');
  const recorder = start(t, card, 'arecord', ...shape(card, STEREO), '-t', 'raw', '-s', `${2 * RATE}`, back);
  await moved(card, 'captured', 0);
  const player = start(t, card, 'aplay', '-D', card.device, sound);
  await moved(card, 'played', 9600);
  const first = card.loopFrames()!;
  card.inject({ kind: 'xrun-out' });
  await until(() => player.said().includes('underrun'));
  const end = first + card.counters().lastInjectedAt!;
  await recorder.ended;
  const bytes = await readFile(back);
  const sounds = (frame: number) => bytes.readIntLE(frame * 6, 3) === 2 ** 21;
  assert.deepEqual([first - 1, first, end - 1, end].map(sounds), [false, true, true, false]);
});

test('the clock stands still for as long as asked, and nobody is told', async (t) => {
  const card = await makeCard(t);
  const player = play(t, card);
  const recorder = record(t, card);
  await moved(card, 'captured', 4800);
  await moved(card, 'played', 4800);
  card.inject({ kind: 'stall' });
  // The programs may not have looked for a period; a moment later they all have.
  let seen = card.counters();
  let since = performance.now();
  await until(() => {
    const now = card.counters();
    if (now.played !== seen.played || now.captured !== seen.captured) [seen, since] = [now, performance.now()];
    return performance.now() - since > 400;
  });
  card.plug();
  const resumed = performance.now();
  await moved(card, 'captured', seen.captured + RATE / 2);
  assert.ok(performance.now() - resumed > 400, 'the time of the stall is not made up for');
  assert.ok(card.counters().captured - seen.captured < RATE * ((performance.now() - resumed) / 1000 + 0.05));

  card.inject({ kind: 'stall', ms: 300 });
  const before = performance.now();
  const { captured } = card.counters();
  await moved(card, 'captured', captured + RATE / 2);
  assert.ok(performance.now() - before > 700);
  assert.deepEqual([card.counters().xrunsIn, card.counters().xrunsOut], [0, 0]);
  for (const running of [player, recorder]) assert.equal(running.child.exitCode, null);
});

test('unplugged: what is open dies at once, nothing opens, and it is gone from /proc/asound until it is back', async (t) => {
  const card = await makeCard(t);
  const player = play(t, card, '--period-size=24000', '--buffer-size=96000');
  const recorder = record(t, card);
  await moved(card, 'captured', 0);
  await moved(card, 'played', 0);
  const before = performance.now();
  card.inject({ kind: 'unplug' });
  for (const running of [player, recorder]) {
    const { code, said } = await running.ended;
    assert.notEqual(code, 0);
    assert.match(said, /No such device|File descriptor in bad state/);
  }
  assert.ok(performance.now() - before < 500);
  assert.equal(await readFile(join(card.procRoot, 'cards'), 'utf8'), '--- no soundcards ---\n');
  assert.ok(!existsSync(join(card.procRoot, 'card0')) && !existsSync(join(card.procRoot, 'Loop')));
  assert.match((await play(t, card, '-s', '4800').ended).said, /No such device/);
  card.plug();
  assert.match(await readFile(join(card.procRoot, 'cards'), 'utf8'), /Loop/);
  assert.equal(await readFile(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8'), 'closed\n');
  assert.equal((await play(t, card, '-s', '4800').ended).code, 0);
});

test('what was open when it was unplugged stays dead, and does not stand in the way', async (t) => {
  const card = await makeCard(t);
  const player = play(t, card);
  await moved(card, 'played', 0);
  player.child.kill('SIGSTOP');
  card.inject({ kind: 'unplug' });
  card.plug();
  const next = play(t, card);
  await until(() => next.said() !== '' || existsSync(join(card.procRoot, 'card0/pcm0p/sub0/status')));
  await until(async () =>
    (await readFile(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8')).startsWith('state: RUNNING'),
  );
  player.child.kill('SIGCONT');
  assert.notEqual((await player.ended).code, 0);
  const { played } = card.counters();
  await moved(card, 'played', played);
  assert.match(await readFile(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8'), /^state: RUNNING/);
  assert.equal(next.child.exitCode, null);
  // The card knows that playback runs: capture joins its clock.
  record(t, card);
  await moved(card, 'captured', 0);
  assert.notEqual(card.loopFrames(), null);
});

test('busy, denied, dying while opening: each says so, until it is over', async (t) => {
  const card = await makeCard(t);
  for (const [kind, message] of [
    ['busy', /audio open error: Device or resource busy/],
    ['deny', /audio open error: Permission denied/],
    ['die-while-opening', /Unable to install hw params/],
  ] as const) {
    card.inject({ kind });
    const { code, said } = await play(t, card, '-s', '4800').ended;
    assert.notEqual(code, 0);
    assert.match(said, message);
    card.plug();
    assert.equal((await play(t, card, '-s', '4800').ended).code, 0);
  }
});

test('another owner in /proc/asound, until it is over', async (t) => {
  const card = await makeCard(t);
  const owner = async () => {
    const status = await readFile(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8');
    return Number(/owner_pid +: (\d+)/.exec(status)?.[1]);
  };
  const player = play(t, card);
  await moved(card, 'played', 0);
  assert.equal(await owner(), player.child.pid);
  card.inject({ kind: 'steal' });
  assert.equal(await owner(), 1);
  assert.match(await readFile(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8'), /^state: RUNNING\n/);
  card.plug();
  assert.equal(await owner(), player.child.pid);
});

// ---- the analog side ----

/** What comes back of both channels once the sound is there, full scale 1. */
async function through(t: TestContext, analog: AnalogModel, sample: (frame: number, channel: number) => number) {
  const card = await makeCard(t, { analog });
  const captured = await playAndRecord(t, card, { ...STEREO, frames: 24_000, sample });
  return (n: number, channel: number) => captured.at(captured.first + n, channel) / 2 ** 31;
}

const STEP = 2 ** -23;

function close(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= STEP / 2 + 1e-12, `${what}: ${actual}, not ${expected}`);
}

test('an ideal analog side changes no bit, at full scale neither', async (t) => {
  const sample = hash(1);
  const at = await through(t, { gainDb: 0 }, (frame, c) =>
    frame === 0 ? 1 - STEP : frame === 1 ? -1 : sample(frame, c),
  );
  assert.deepEqual([at(0, 0), at(1, 0)], [1 - STEP, -1]);
  for (let n = 2; n < 20_000; n++) assert.equal(at(n, 1), Math.min(1 - STEP, Math.round(sample(n, 1) / STEP) * STEP));
});

test('gain, non-linearity, crosstalk and delay are those asked for, rounded to 24 bits', async (t) => {
  const tone = sine(997, -1, RATE);
  const other = sine(1499, -20, RATE);
  const sent = (n: number, c: number) => Math.round((c === 0 ? tone : other)(n) / STEP) * STEP;
  const analog = { gainDb: -6.5, poly: [0.01, -0.003], crosstalkDb: -40, delayFrames: 11 };
  const at = await through(t, analog, sent);
  const expected = (n: number, c: number) => {
    const x = sent(n, c) + 0.01 * sent(n, 1 - c);
    return (x + 0.01 * x ** 2 - 0.003 * x ** 3) * 10 ** (-6.5 / 20);
  };
  for (let n = 0; n < 20_000; n++) for (const c of [0, 1]) close(at(n, c), expected(n, c), `frame ${n} channel ${c}`);
});

test('beyond full scale it clips', async (t) => {
  const at = await through(t, { gainDb: 12 }, (n) => (n % 2 === 0 ? 0.5 : -0.5));
  assert.deepEqual([at(100, 0), at(101, 1)], [1 - STEP, -1]);
});

test('the noise has the level that was asked for, a full-scale sine being 0 dBFS, and no channel has that of another', async (t) => {
  const at = await through(t, { noiseDbfs: -60 }, () => 0);
  const sums = { left: 0, right: 0, both: 0, next: 0 };
  const frames = 20_000;
  for (let n = 0; n < frames; n++) {
    sums.left += at(n, 0) ** 2;
    sums.right += at(n, 1) ** 2;
    sums.both += at(n, 0) * at(n, 1);
    sums.next += at(n, 0) * at(n + 1, 0);
  }
  const dbfs = (sum: number) => 10 * Math.log10((2 * sum) / frames);
  // 20,000 values of a normal distribution have their level to 0.043 dB (one sigma).
  for (const sum of [sums.left, sums.right]) assert.ok(Math.abs(dbfs(sum) + 60) < 0.25, `${dbfs(sum)} dBFS`);
  for (const sum of [sums.both, sums.next]) assert.ok(Math.abs(sum) / sums.left < 0.05);
});
