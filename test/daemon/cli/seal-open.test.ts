/** `outboard seal` and `outboard open` against Debian's age, both ways, and what goes wrong with them. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRORS } from '../../../core/error-codes.js';
import { INTERRUPTED_EXIT } from '../../../daemon/cli/interrupt.js';
import { scratch } from '../../peers/scratch.js';
import { lastObject, MAIN, outboard, run, start } from './run-cli.js';

async function tenant(dir: string, name: string): Promise<{ identity: string; recipient: string }> {
  const identity = join(dir, `${name}.txt`);
  assert.equal((await run('age-keygen', ['-o', identity])).code, 0);
  return { identity, recipient: (await run('age-keygen', ['-y', identity])).stdout.trim() };
}

function codeOf(ended: Awaited<ReturnType<typeof outboard>>): string {
  return (lastObject(ended) as { error: { code: string } }).error.code;
}

test('age opens what was sealed, for each of two recipients; the digest is that of the file', async (t) => {
  const dir = await scratch(t);
  const [one, two] = [await tenant(dir, 'one'), await tenant(dir, 'two')];
  const [plain, sealed] = [join(dir, 'song.wav'), join(dir, 'song.age')];
  const bytes = randomBytes(1_000_003);
  await writeFile(plain, bytes);
  const ended = await outboard(
    'seal',
    plain,
    '--recipient',
    one.recipient,
    '--recipient',
    two.recipient,
    '--out',
    sealed,
    '--json',
  );
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  const file = await readFile(sealed);
  const answer = lastObject(ended);
  assert.equal(answer['digest'], `sha256:${createHash('sha256').update(file).digest('hex')}`);
  assert.equal(answer['bytes'], file.length);
  assert.equal((await stat(sealed)).mode & 0o777, 0o600);
  for (const { identity } of [one, two]) {
    const out = join(dir, 'opened');
    assert.equal((await run('age', ['-d', '-i', identity, '-o', out, sealed])).code, 0);
    assert.deepEqual(await readFile(out), bytes);
  }
});

test('what age sealed is opened, with progress in lines on stderr', async (t) => {
  const dir = await scratch(t);
  const { identity, recipient } = await tenant(dir, 'one');
  const [plain, sealed, out] = [join(dir, 'plain'), join(dir, 'sealed'), join(dir, 'out')];
  const bytes = randomBytes(1_000_003);
  await writeFile(plain, bytes);
  assert.equal((await run('age', ['-r', recipient, '-o', sealed, plain])).code, 0);
  const ended = await outboard('open', sealed, '--identity', identity, '--out', out);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(await readFile(out), bytes);
  assert.equal((await stat(out)).mode & 0o777, 0o600);
  assert.match(ended.stderr, /^opening: \d+ % \(/m);
});

test('nothing is overwritten, and a refusal leaves nothing', async (t) => {
  const dir = await scratch(t);
  const { identity, recipient } = await tenant(dir, 'one');
  const stranger = await tenant(dir, 'stranger');
  const [plain, sealed, there] = [join(dir, 'plain'), join(dir, 'sealed'), join(dir, 'there')];
  await writeFile(plain, randomBytes(300_000));
  await writeFile(there, 'mine');
  assert.equal((await outboard('seal', plain, '--recipient', recipient, '--out', sealed)).code, 0);
  const before = (await readdir(dir)).sort();

  const out = ['--out', join(dir, 'out'), '--json'];
  const broken = join(dir, 'broken');
  const cases: [string[], string][] = [
    [['seal', plain, '--recipient', recipient, '--out', there, '--json'], 'file.exists'],
    [['open', sealed, '--identity', identity, '--out', there, '--json'], 'file.exists'],
    [['open', sealed, '--identity', stranger.identity, ...out], 'seal.open'],
    [['open', plain, '--identity', identity, ...out], 'seal.open'],
    [['open', sealed, '--identity', plain, ...out], 'seal.open'],
    [['open', join(dir, 'nowhere'), '--identity', identity, ...out], 'file.unreadable'],
    [['seal', join(dir, 'nowhere'), '--recipient', recipient, ...out], 'file.unreadable'],
    [['seal', dir, '--recipient', recipient, ...out], 'file.unreadable'],
    [['seal', plain, '--recipient', 'age1nobody', ...out], 'grant.recipient'],
  ];
  for (const [args, code] of cases) {
    const ended = await outboard(...args);
    assert.equal(codeOf(ended), code, args.join(' '));
    assert.equal(ended.code, ERRORS[code as keyof typeof ERRORS].exit);
  }
  assert.equal(await readFile(there, 'utf8'), 'mine');
  assert.deepEqual((await readdir(dir)).sort(), before);

  // Cut off in the middle, and one bit turned: the plaintext never gets its name.
  const file = await readFile(sealed);
  for (const bad of [
    file.subarray(0, 200_000),
    Buffer.from(file.map((byte, i) => (i === 250_000 ? byte ^ 1 : byte))),
  ]) {
    await writeFile(broken, bad);
    assert.equal(codeOf(await outboard('open', broken, '--identity', identity, ...out)), 'seal.open');
    assert.deepEqual((await readdir(dir)).sort(), [...before, 'broken'].sort());
  }
});

test('an interrupted seal leaves nothing behind', async (t) => {
  const dir = await scratch(t);
  const { recipient } = await tenant(dir, 'one');
  const [pipe, sealed] = [join(dir, 'pipe'), join(dir, 'sealed')];
  assert.equal((await run('mkfifo', [pipe])).code, 0);
  const running = start(process.execPath, [MAIN, 'seal', pipe, '--recipient', recipient, '--out', sealed]);
  // A pipe that stays open: the command can only end by the signal.
  const feed = createWriteStream(pipe);
  t.after(() => feed.destroy());
  feed.on('error', () => {});
  const taken = new Promise((resolve) => feed.write(randomBytes(500_000), resolve));
  await running.says('sealing: ');
  // All but what the kernel holds was read: soon the command waits for more.
  await taken;
  assert.ok((await stat(sealed)).isFile());
  running.child.kill('SIGINT');
  const ended = await running.ended;
  assert.equal(ended.code, INTERRUPTED_EXIT);
  assert.equal(ended.stderr.split('\n').at(-2), 'interrupted');
  assert.deepEqual((await readdir(dir)).sort(), ['one.txt', 'pipe']);
});
