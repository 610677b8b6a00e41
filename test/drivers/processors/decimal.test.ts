import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  add,
  compare,
  decimalOf,
  fixedMagnitude,
  multiply,
  normal,
  roundedTo,
  subtract,
  toNumber,
  wholeQuotient,
} from '../../../drivers/processors/decimal.js';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

test('every finite number survives the way into a decimal and back', () => {
  fc.assert(fc.property(finite, (x) => Object.is(toNumber(decimalOf(x)), x + 0)));
  for (const x of [1e308, 5e-324, -1.5e-7, 123456789.125, 1e21]) assert.equal(toNumber(decimalOf(x)), x);
  assert.ok(Object.is(toNumber(decimalOf(-0)), 0));
});

test('what is not finite has no decimal', () => {
  for (const x of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.throws(() => decimalOf(x), RangeError);
});

test('the grid of 0.01 is the one that a person writes', () => {
  const step = decimalOf(0.01);
  const on = (x: number): boolean => wholeQuotient(decimalOf(x), step) !== undefined;
  for (const x of [0.3, 0.29, 0.07, -6, 1.1, 4.35, 1e3]) assert.ok(on(x), `${x}`);
  for (const x of [0.1 + 0.2, 0.005, 1.105, 1e-9, -0.001]) assert.ok(!on(x), `${x}`);
});

test('arithmetic is that of integers', () => {
  const cents = fc.integer({ min: -1_000_000, max: 1_000_000 });
  fc.assert(
    fc.property(cents, cents, (a, b) => {
      const [x, y] = [decimalOf(a / 100), decimalOf(b / 100)];
      assert.equal(compare(add(x, y), decimalOf((a + b) / 100)), 0);
      assert.equal(compare(subtract(x, y), decimalOf((a - b) / 100)), 0);
      assert.equal(toNumber(multiply(x, decimalOf(100))), a + 0);
      assert.equal(Math.sign(compare(x, y)), Math.sign(a - b));
    }),
  );
});

test('rounding goes to the nearest step, half away from zero', () => {
  const to = (step: number, value: number, n = 1n, m = 1n): number =>
    toNumber(roundedTo(decimalOf(step), decimalOf(value), n, m));
  assert.equal(to(0.5, 1.25), 1.5);
  assert.equal(to(0.5, -1.25), -1.5);
  assert.equal(to(1, 2, 1n, 3n), 1);
  assert.equal(to(0.01, 1, 1n, 3n), 0.33);
  assert.equal(to(3, 4), 3);
});

test('fixed notation never loses a digit', () => {
  assert.equal(fixedMagnitude(decimalOf(-6), 2), '6.00');
  assert.equal(fixedMagnitude(decimalOf(0.07), 2), '0.07');
  assert.equal(fixedMagnitude(decimalOf(0.075), 2), undefined);
  assert.equal(fixedMagnitude(multiply(decimalOf(0.25), decimalOf(4)), 0), '1');
  assert.deepEqual(normal({ digits: 100n, places: 2 }), { digits: 1n, places: 0 });
});
