/** The loop card is a sound card like any other to the programs that open it: alone, in time, bit for bit, and shown under /proc. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scratch } from '../scratch.js';
import { hash } from '../signals.js';
import { until } from '../stack.js';
import { playAndRecord, type Running, shape, start } from './alsa-programs.js';
import { LoopCard, type LoopCardOptions } from './loop-card.js';

const STEREO = { channels: 2, rate: 48_000, format: 'S24_3LE' } as const;

async function makeCard(t: TestContext, options: Partial<LoopCardOptions> = {}): Promise<LoopCard> {
  const card = await LoopCard.open({ in: 2, out: 2, formats: ['S32_LE', 'S24_3LE'], ...options });
  t.after(() => card.close());
  return card;
}

/** aplay, or arecord, with nothing to say and no end; resolved when it rolls. */
async function roll(t: TestContext, card: LoopCard, program: 'aplay' | 'arecord', ...more: string[]): Promise<Running> {
  const count = program === 'aplay' ? 'played' : 'captured';
  const before = card.counters()[count];
  const file = program === 'aplay' ? '/dev/zero' : '/dev/null';
  const running = start(t, card, program, ...shape(card, STEREO), '-t', 'raw', ...more, file);
  await until(() => card.counters()[count] !== before || running.child.exitCode !== null);
  return running;
}

/** What opening says, with status 0 where a tenth of a second was played. */
async function tryOpen(t: TestContext, card: LoopCard, device: string, more: Partial<typeof STEREO | object> = {}) {
  const args = shape(card, { ...STEREO, ...more }, device);
  return start(t, card, 'aplay', ...args, '-t', 'raw', '-s', '4800', '/dev/zero').ended;
}

async function probe(t: TestContext): Promise<string> {
  const program = join(await scratch(t), 'duplex');
  const source = fileURLToPath(new URL('../../../../test/peers/loop-card/probe/duplex.c', import.meta.url));
  await promisify(execFile)('cc', ['-std=gnu11', '-O2', '-o', program, source, '-lasound']);
  return program;
}

for (const [name, formats] of [
  ['packed 24 bits', { format: 'S24_3LE', captureFormat: 'S24_3LE' }],
  ['32 bits', { format: 'S32_LE', captureFormat: 'S32_LE' }],
  ['32 bits to packed 24 bits', { format: 'S32_LE', captureFormat: 'S24_3LE' }],
] as const) {
  test(`what aplay plays comes to arecord bit for bit, at the frame that the clock says: ${name}`, async (t) => {
    const card = await makeCard(t, { delayFrames: 37 });
    const sample = hash(1);
    const frames = 30_000;
    const captured = await playAndRecord(t, card, { channels: 2, rate: 48_000, ...formats, frames, sample });
    assert.equal(captured.frames, 78_000);
    for (let frame = 0; frame < captured.frames; frame++)
      for (let channel = 0; channel < 2; channel++) {
        const n = frame - captured.first;
        const played = n >= 0 && n < frames ? Math.round(sample(n, channel) * 2 ** 23) * 256 : 0;
        const got = captured.at(frame, channel);
        if (got !== Math.min(played, 0x7fff_ff00))
          assert.fail(`frame ${n} channel ${channel}: ${got}, played ${played}`);
      }
  });
}

test('outputs without an input of the same number are lost, inputs without an output are silent', async (t) => {
  for (const [out, ins] of [
    [2, 4],
    [4, 2],
  ] as const) {
    const card = await makeCard(t, { out, in: ins });
    const o = { ...STEREO, channels: out, captureChannels: ins, frames: 2000 };
    const captured = await playAndRecord(t, card, { ...o, sample: (_, channel) => (channel + 1) / 8 });
    const row = Array.from({ length: ins }, (_, channel) => captured.at(captured.first + 1000, channel) / 2 ** 28);
    assert.deepEqual(row, [1, 2, 0, 0].slice(0, ins));
  }
});

test('both directions start on one edge: the delay is the same at every start', async (t) => {
  const program = await probe(t);
  for (const [access, skew] of [
    ['rw', 0],
    ['mmap', 0],
    ['rw', 10],
    ['rw', -10],
  ] as const) {
    const card = await makeCard(t, { in: 32, out: 32, startSkewFrames: skew });
    const args = [card.device, '32', '96000', '4096', '4', '5', '20000', access];
    const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, ...card.env } });
    const starts = stdout.split('\n').slice(0, 5);
    assert.deepEqual(starts, new Array(5).fill(`${64 + skew} 0`));
    assert.deepEqual([card.counters().xrunsIn, card.counters().xrunsOut], [0, 0]);
  }
});

test('it keeps real time, and costs little', async (t) => {
  const program = await probe(t);
  const card = await makeCard(t, { in: 32, out: 32 });
  // A buffer of a second: the program is an ordinary one, and a host that is busy with other tests lets it wait.
  const args = [card.device, '32', '96000', '4096', '24', '1', '384000', 'rw'];
  const before = process.hrtime.bigint();
  const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, ...card.env } });
  const seconds = Number(process.hrtime.bigint() - before) / 1e9;
  assert.ok(seconds > 4, `4 s took ${seconds} s`);
  t.diagnostic(
    `32 channels in and out at 96 kHz for 4 s, with the probe's own arithmetic: ${stdout.split('\n').at(-2)} s`,
  );
});

test('each sub-device and direction is open once', async (t) => {
  const card = await makeCard(t, { subdevices: 2 });
  const sub = (n: number) => `${card.device},SUBDEV=${n}`;
  await roll(t, card, 'aplay', '-D', sub(0));
  const busy = await tryOpen(t, card, sub(0));
  assert.notEqual(busy.code, 0);
  assert.match(busy.said, /Device or resource busy/);
  assert.equal((await tryOpen(t, card, sub(1))).code, 0);
  assert.equal((await tryOpen(t, card, card.device)).code, 0, 'the first free one');
  await roll(t, card, 'arecord', '-D', sub(0));
  const other = start(t, card, 'aplay', ...shape(card, STEREO, sub(1)), '-t', 'raw', '/dev/zero');
  await until(
    async () => (await proc(card, 'card0/pcm0p/sub1/status')) !== 'closed\n' || other.child.exitCode !== null,
  );
  assert.match((await tryOpen(t, card, card.device)).said, /busy/);
});

test('the hold ends with the process, however it ends', async (t) => {
  const card = await makeCard(t);
  const player = await roll(t, card, 'aplay');
  player.child.kill('SIGKILL');
  await player.ended;
  assert.deepEqual(await tryOpen(t, card, card.device), { code: 0, said: '' });
});

test('it opens under all the names of a card, and no other card does', async (t) => {
  const [card, second] = (await LoopCard.openAll([
    { in: 2, out: 2, formats: ['S24_3LE'] },
    { card: 'Other', in: 2, out: 2, formats: ['S24_3LE'] },
  ])) as [LoopCard, LoopCard];
  t.after(() => card.close());
  t.after(() => second.close());
  const names = ['hw:CARD=Loop,DEV=0', 'hw:CARD=Loop,DEV=0,SUBDEV=0', 'hw:Loop,0', 'hw:0,0', 'hw:0', '(hw:0,0)'];
  for (const name of [...names, second.device, '(hw:1,0)', 'hw:1,0']) {
    assert.deepEqual(await tryOpen(t, card, name), { code: 0, said: '' }, name);
  }
  assert.match((await tryOpen(t, card, 'hw:CARD=Nowhere,DEV=0')).said, /No such device/);
  assert.match((await tryOpen(t, card, 'hw:CARD=Loop,DEV=1')).said, /No such file or directory/);
  assert.match((await tryOpen(t, card, 'hw:2,0')).said, /No such device/);
  assert.notEqual((await tryOpen(t, card, 'bogus')).code, 0);
});

test('a width, format or rate that the card does not have is refused', async (t) => {
  const card = await makeCard(t, { formats: ['S24_3LE'], rates: [48_000, 96_000] });
  assert.equal((await tryOpen(t, card, card.device, { rate: 96_000 })).code, 0);
  assert.match((await tryOpen(t, card, card.device, { channels: 3 })).said, /Channels count non available/);
  assert.match((await tryOpen(t, card, card.device, { format: 'S32_LE' })).said, /Sample format non available/);
  // aplay takes the nearest rate and warns.
  const said = (
    await start(
      t,
      card,
      'aplay',
      ...shape(card, { ...STEREO, rate: 44_100 }).slice(1),
      '-s',
      '4800',
      '-t',
      'raw',
      '/dev/zero',
    ).ended
  ).said;
  assert.match(said, /rate is not accurate \(requested = 44100Hz, got = 48000Hz\)/);
});

test('a process that stands still for longer than its buffer has an xrun, and one that does not has none', async (t) => {
  const card = await makeCard(t);
  const buffers = ['--period-size=1024', '--buffer-size=9600'];
  for (const [program, count, message] of [
    ['aplay', 'xrunsOut', 'underrun'],
    ['arecord', 'xrunsIn', 'overrun'],
  ] as const) {
    const running = start(
      t,
      card,
      program,
      ...shape(card, STEREO).slice(1),
      ...buffers,
      '-t',
      'raw',
      program === 'aplay' ? '/dev/zero' : '/dev/null',
    );
    const moved = () => card.counters()[program === 'aplay' ? 'played' : 'captured'];
    await until(() => moved() > 4800);
    assert.equal(card.counters()[count], 0);
    running.child.kill('SIGSTOP');
    const stopped = performance.now();
    await until(() => performance.now() - stopped > 400);
    running.child.kill('SIGCONT');
    await until(() => running.said().includes(message));
    assert.equal(card.counters()[count], 1);
    // It goes on by itself: aplay and arecord begin a new stream.
    await until(() => moved() > 0 && moved() < 9600);
  }
});

async function proc(card: LoopCard, path: string): Promise<string> {
  return readFile(join(card.procRoot, path), 'utf8');
}

test('/proc/asound tells of it in the words of the kernel', async (t) => {
  const card = await makeCard(t, { subdevices: 2 });
  assert.equal(
    await proc(card, 'cards'),
    ` 0 [Loop           ]: Loop - Loop\n${' '.repeat(22)}Loop, outputs wired to inputs\n`,
  );
  assert.equal(await proc(card, 'card0/id'), 'Loop\n');
  assert.equal(await proc(card, 'Loop/id'), 'Loop\n');
  assert.match(
    await proc(card, 'card0/pcm0c/info'),
    /^card: 0\ndevice: 0\nsubdevice: 0\nstream: CAPTURE\nid: .*\nname: .*\nsubname: subdevice #0\nclass: 0\nsubclass: 0\nsubdevices_count: 2\nsubdevices_avail: 2\n$/,
  );
  for (const file of ['status', 'hw_params']) assert.equal(await proc(card, `card0/pcm0p/sub0/${file}`), 'closed\n');

  const player = await roll(t, card, 'aplay', '--period-size=1024', '--buffer-size=4096');
  const status = await proc(card, 'card0/pcm0p/sub0/status');
  assert.match(
    status,
    /^state: RUNNING\nowner_pid {3}: \d+\ntrigger_time: \d+\.\d{9}\ntstamp {6}: \d+\.\d{9}\ndelay {7}: \d+\navail {7}: \d+\navail_max {3}: \d+\n-----\nhw_ptr {6}: \d+\nappl_ptr {4}: \d+\n$/,
  );
  assert.equal(Number(/owner_pid +: (\d+)/.exec(status)?.[1]), player.child.pid);
  assert.equal(
    await proc(card, 'card0/pcm0p/sub0/hw_params'),
    'access: RW_INTERLEAVED\nformat: S24_3LE\nsubformat: STD\nchannels: 2\nrate: 48000 (48000/1)\nperiod_size: 1024\nbuffer_size: 4096\n',
  );
  assert.equal(await proc(card, 'card0/pcm0c/sub0/status'), 'closed\n');
  player.child.kill('SIGTERM');
  await player.ended;
  for (const file of ['status', 'hw_params']) assert.equal(await proc(card, `card0/pcm0p/sub0/${file}`), 'closed\n');
});

test('nothing is left when it is closed', async () => {
  const card = await LoopCard.open({ in: 2, out: 2 });
  const folder = join(card.procRoot, '..');
  assert.ok(existsSync(folder));
  await card.close();
  await card.close();
  assert.ok(!existsSync(folder));
});
