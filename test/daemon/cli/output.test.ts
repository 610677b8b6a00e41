/** What people and programs see: tables, spans, progress. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { OutboardError } from '../../../core/errors.js';
import { createOutput, formatBytes, formatSpan, formatTable, printError } from '../../../daemon/cli/output.js';

function streams(tty: boolean) {
  const stdout = Object.assign(new PassThrough(), { isTTY: tty });
  const stderr = Object.assign(new PassThrough(), { isTTY: tty });
  return {
    streams: { stdout, stderr },
    out: () => String(stdout.read() ?? ''),
    err: () => String(stderr.read() ?? ''),
  };
}

test('a table is aligned and has no trailing blanks', () => {
  assert.deepEqual(
    formatTable(
      [
        ['a', 'bbb', 'c'],
        ['aaaa', 'b', ''],
      ],
      ['X', 'Y', 'Z'],
    ),
    ['X     Y    Z', 'a     bbb  c', 'aaaa  b'],
  );
});

test('bytes and spans are written for people', () => {
  assert.equal(formatBytes(999), '999 B');
  assert.equal(formatBytes(1536), '1.5 KiB');
  assert.equal(formatBytes(3 * 2 ** 30), '3.0 GiB');
  assert.equal(formatSpan(14 * 86_400 - 1), '13 days 23 h');
  assert.equal(formatSpan(250), '4 min 10 s');
  assert.equal(formatSpan(-5), '0 s');
});

test('with --json people get nothing and programs get objects', () => {
  const s = streams(true);
  const output = createOutput({ json: true }, s.streams);
  output.line('x');
  output.note('x');
  output.table([['x']]);
  output.progress('x', 10, 'bytes').update(5);
  output.object({ ok: true });
  assert.equal(s.err(), '');
  assert.equal(s.out(), '{"ok":true}\n');
});

test('progress is lines of ten percent where there is no terminal, on stderr', () => {
  const s = streams(false);
  const progress = createOutput({}, s.streams).progress('sealing', 1000, 'bytes');
  for (let done = 0; done <= 1000; done += 50) progress.update(done);
  progress.end();
  progress.update(1000);
  const lines = s.err().trimEnd().split('\n');
  assert.equal(lines.length, 10);
  assert.equal(lines[0], 'sealing: 10 % (100 B of 1000 B)');
  assert.equal(lines[9], 'sealing: 100 % (1000 B of 1000 B)');
  assert.equal(s.out(), '');
});

test('progress is a bar on a terminal', () => {
  const s = streams(true);
  const progress = createOutput({}, s.streams).progress('opening', 100, 'percent');
  progress.update(50);
  progress.end();
  progress.end();
  assert.match(s.err(), /opening .*50 %/s);
});

test('an error has one line, whatever its message holds', () => {
  const s = streams(false);
  printError(new OutboardError('config.invalid', 'first\n   second'), { json: false }, s.streams);
  assert.match(s.err(), /^error config\.invalid: first second\n {2}.+\n$/);
});
