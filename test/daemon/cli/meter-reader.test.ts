/** Readings of a meter as people type them. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { MeterReader } from '../../../daemon/cli/meter-reader.js';

function bench() {
  const input = new PassThrough();
  const output = new PassThrough();
  const reader = new MeterReader(input, output);
  return { input, reader, said: () => String(output.read() ?? '') };
}

const never = new AbortController().signal;

test('takes a number with a point or a comma, with the unit or without; one line is one answer', async () => {
  const { input, reader } = bench();
  input.write('1.228\n0,775 V\n  7.75e-1v\n-3\n');
  for (const wanted of [1.228, 0.775, 0.775, -3]) assert.equal(await reader.read('send 1', 'V', never), wanted);
  reader.close();
});

test('asks again until it is one, and says what was none', async () => {
  const { input, reader, said } = bench();
  input.write('about one\n\n1.2.3\n4 dBu\n2\n');
  assert.equal(await reader.read('send 1', 'V', never), 2);
  assert.equal(said().match(/is no number of V/g)?.length, 4);
  reader.close();
});

test('the end of the input is an answer, too, and so is an abort', async () => {
  const { input, reader } = bench();
  const abort = new AbortController();
  const waiting = reader.read('send 1', 'V', abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  input.end();
  await assert.rejects(reader.read('send 1', 'V', never), { code: 'calibration.answer' });
  reader.close();
});
