/** The frame of the command line: help, exit statuses, and errors for people and for programs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../../core/error-codes.js';
import { lastObject, MAIN, outboard, start } from './run-cli.js';

const COMMANDS = [
  ['demo'],
  ['init'],
  ['check'],
  ['status'],
  ['bounce'],
  ['store'],
  ['maintenance'],
  ['maintenance', 'enter'],
  ['maintenance', 'exit'],
  ['maintenance', 'status'],
  ['trust'],
  ['trust', 'show'],
  ['trust', 'key'],
  ['trust', 'sign'],
  ['trust', 'cosign'],
  ['trust', 'install'],
  ['tls'],
  ['tls', 'renew'],
  ['tls', 'revoke'],
  ['seal'],
  ['open'],
];
const GROUPS = new Set(['maintenance', 'trust', 'tls']);

for (const words of COMMANDS) {
  test(`outboard ${words.join(' ')} --help explains itself`, async () => {
    const help = await outboard(...words, '--help');
    assert.equal(help.code, 0, help.stderr);
    assert.equal(help.stderr, '');
    assert.match(help.stdout, new RegExp(`^Usage: outboard ${words.join(' ')}`));
    const isGroup = words.length === 1 && GROUPS.has(words[0]!);
    if (!isGroup) {
      assert.match(help.stdout, /--json/);
      assert.match(help.stdout, /Examples?:?/);
    }
  });
}

test('a reader that has seen enough ends a command without a word', async () => {
  const piped = `set -o pipefail; '${process.execPath}' '${MAIN}' profiles list --json | true`;
  const { code, stderr } = await start('bash', ['-c', piped]).ended;
  assert.deepEqual([code, stderr], [141, '']);
});

test('the overview names every command, the same under help and --help', async () => {
  const [help, word] = await Promise.all([outboard('--help'), outboard('help')]);
  assert.equal(help.code, 0);
  assert.equal(word.stdout, help.stdout);
  for (const [command] of COMMANDS) assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
  assert.equal((await outboard('help', 'seal')).stdout, (await outboard('seal', '--help')).stdout);
});

test('--version is the package version', async () => {
  assert.match((await outboard('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('wrong usage ends with 64 and says what to do', async () => {
  for (const args of [
    [],
    ['frobnicate'],
    ['seal'],
    ['check', '--nonsense'],
    ['init', 'x', '--rig', 'r', '--roots', 'many'],
  ]) {
    const ended = await outboard(...args);
    assert.equal(ended.code, ERRORS.usage.exit, args.join(' '));
    assert.equal(ended.stdout, '');
    if (args.length > 0) assert.match(ended.stderr, /^error usage: .+\n {2}.+--help.+\n$/);
  }
});

test('an error is two lines for people, one object on stdout for programs', async () => {
  const args = [
    'open',
    '/nonexistent/file.age',
    '--identity',
    '/nonexistent/identity.txt',
    '--out',
    '/nonexistent/out',
  ];
  const people = await outboard(...args);
  assert.equal(people.code, ERRORS['file.unreadable'].exit);
  assert.equal(people.stdout, '');
  assert.match(people.stderr, /^error file\.unreadable: .+\n {2}.+\n$/);
  const programs = await outboard(...args, '--json');
  assert.equal(programs.code, ERRORS['file.unreadable'].exit);
  assert.equal(programs.stderr, '');
  const { ok, error } = lastObject(programs) as { ok: boolean; error: { code: string; advice: string } };
  assert.equal(ok, false);
  assert.equal(error.code, 'file.unreadable');
  assert.equal(error.advice, ERRORS['file.unreadable'].advice);
});

test('usage errors are objects too under --json', async () => {
  const ended = await outboard('seal', '--json');
  assert.equal(ended.code, ERRORS.usage.exit);
  assert.equal((lastObject(ended) as { error: { code: string } }).error.code, 'usage');
});
