import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineFramer } from '../../../drivers/processors/framer.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const framer = (end = '\r\n', maxBytes = 8, gapMs = 50): LineFramer => new LineFramer({ end, maxBytes, gapMs });

test('lines come whole, however the bytes were split', () => {
  const f = framer();
  assert.deepEqual(f.push(bytes('one\r\ntw'), 0), ['one']);
  assert.deepEqual(f.push(bytes('o\r'), 1), []);
  assert.deepEqual(f.push(bytes('\n\r\nthree\r\n'), 2), ['two', '', 'three']);
});

test('bytes are latin1, one character each', () => {
  assert.deepEqual(framer().push(Uint8Array.of(0xe9, 0xff, 13, 10), 0), ['éÿ']);
});

test('a line that is too long is dropped to its end, and the next one counts', () => {
  const f = framer();
  assert.deepEqual(f.push(bytes('12345678\r\n'), 0), ['12345678']);
  assert.deepEqual(f.push(bytes('123456789'), 1), []);
  assert.deepEqual(f.push(bytes('x'.repeat(100_000)), 2), []);
  assert.deepEqual(f.push(bytes('tail\r\nnext\r\n'), 3), ['next']);
  assert.equal(f.dropped, 1);
});

test('the tail of a line that paused too long is no line', () => {
  const f = framer();
  assert.deepEqual(f.push(bytes('-1'), 0), []);
  assert.deepEqual(f.push(bytes('8.50\r\n+06\r\n'), 51), ['+06']);
  assert.equal(f.dropped, 1);
});

test('a pause between lines is no fault', () => {
  const f = framer();
  assert.deepEqual(f.push(bytes('a\r\n'), 0), ['a']);
  assert.deepEqual(f.push(bytes('b\r\n'), 100_000), ['b']);
  assert.equal(f.dropped, 0);
});

test('after a reset the next byte begins a line', () => {
  const f = framer();
  f.push(bytes('garbage that is long'), 0);
  f.reset();
  assert.deepEqual(f.push(bytes('ok\r\n'), 1), ['ok']);
});

/** The definition, without any state: what stands between two ends, unless it is too long. */
function lines(text: string, end: string, maxBytes: number): string[] {
  return text
    .split(end)
    .slice(0, -1)
    .filter((line) => line.length <= maxBytes);
}

test('any bytes in any pieces give the lines of the whole', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '\xff'), maxLength: 200 });
  const end = fc.constantFrom('\r\n', '\r', '\n');
  fc.assert(
    fc.property(text, end, fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), (whole, e, sizes) => {
      const f = framer(e, 5);
      const found: string[] = [];
      let at = 0;
      for (const size of [...sizes, whole.length]) {
        found.push(...f.push(bytes(whole.slice(at, at + size)), 0));
        at += size;
      }
      assert.deepEqual(found, lines(whole, e, 5));
    }),
    { numRuns: 2000 },
  );
});

test('any bytes at any times give only lines that were sent whole, and never one that is too long', () => {
  const piece = fc.tuple(fc.uint8Array({ maxLength: 12 }), fc.integer({ min: 0, max: 120 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const f = framer('\n', 6);
      let now = 0;
      const all = Buffer.concat(pieces.map(([b]) => b)).toString('latin1');
      const whole = lines(all, '\n', 6);
      for (const [b, pause] of pieces) {
        now += pause;
        for (const line of f.push(b, now)) {
          const at = whole.indexOf(line);
          assert.ok(at >= 0, JSON.stringify(line));
          whole.splice(0, at + 1);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
