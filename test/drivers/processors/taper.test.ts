import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalOf, toNumber } from '../../../drivers/processors/decimal.js';
import type { Param } from '../../../drivers/processors/profile-schema.js';
import { compileTaper, type Taper } from '../../../drivers/processors/taper.js';

type NumberParam = Extract<Param, { kind: 'number' }>;
const numeric = (range: Partial<NumberParam>, taper: Param['taper']): Taper =>
  compileTaper(
    {
      kind: 'number',
      unit: 'dB',
      min: 0,
      max: 1,
      wire: { enc: 'ascii', tx: '{w}' },
      verify: { by: 'none' },
      ...range,
      taper,
    },
    'p',
  );
const wire = (taper: Taper, value: unknown): number | undefined => {
  const w = taper.encode(value as number);
  return w === undefined ? undefined : toNumber(w);
};

test('linear: every step and nothing else', () => {
  const taper = numeric({ min: -60, max: 24, step: 0.01 }, { t: 'linear' });
  fc.assert(
    fc.property(fc.integer({ min: -6000, max: 2400 }), (hundredths) => {
      const value = Number((hundredths / 100).toFixed(2));
      assert.equal(wire(taper, value), value + 0);
      assert.equal(taper.decode(decimalOf(value)), value + 0);
    }),
  );
  for (const value of [
    0.1 + 0.2,
    24.01,
    -60.01,
    0.005,
    1e308,
    -1e308,
    5e-324,
    NaN,
    Infinity,
    -Infinity,
    '0',
    true,
    null,
  ])
    assert.equal(wire(taper, value), undefined, String(value));
  assert.equal(wire(taper, -0), 0);
  assert.ok(Object.is(taper.decode(taper.encode(-0)!), 0));
  assert.deepEqual(taper.neighbours(0.1 + 0.2), [0.3, 0.31]);
  assert.deepEqual(taper.neighbours(-0.005), [-0.01, 0]);
});

test('linear with scale and offset: hundredths, offsets and falling wires', () => {
  const hundredths = numeric({ min: 0, max: 62.75, step: 0.25 }, { t: 'linear', scale: 100 });
  assert.equal(wire(hundredths, 10.25), 1025);
  assert.equal(hundredths.wirePlaces, 0);
  const offset = numeric({ min: -9, max: 76, step: 1 }, { t: 'linear', offset: 9 });
  assert.equal(wire(offset, -9), 0);
  const falling = numeric({ min: -63, max: 0, step: 1 }, { t: 'linear', scale: -1 });
  assert.equal(wire(falling, -63), 63);
  assert.equal(falling.decode(decimalOf(64)), undefined);
});

test('table: interpolated, listed, rising and falling', () => {
  const volume = numeric(
    { min: -85, max: 0 },
    {
      t: 'table',
      interp: 'linear',
      points: [
        [0, -85],
        [1, -63],
        [64, 0],
      ],
    },
  );
  assert.equal(wire(volume, -14), 50);
  assert.equal(wire(volume, -64), undefined);
  assert.deepEqual(volume.neighbours(-64), [-85, -63]);
  const listed = numeric(
    { min: 0, max: 9 },
    {
      t: 'table',
      interp: 'none',
      points: [
        [0, 9],
        [3, 4],
        [7, 0],
      ],
    },
  );
  assert.equal(wire(listed, 4), 3);
  assert.equal(listed.decode(decimalOf(1)), undefined);
  const rounded = numeric(
    { min: 0, max: 1, step: 0.01 },
    {
      t: 'table',
      interp: 'linear',
      points: [
        [0, 0],
        [3, 1],
      ],
    },
  );
  assert.deepEqual(rounded.sample(9), [0, 0.33, 0.67, 1]);
});

test('log: distinct named positions between the ends', () => {
  const taper = numeric({ min: 20, max: 20_000, step: 0.1 }, { t: 'log', wire: [0, 127] });
  assert.equal(wire(taper, 20), 0);
  assert.equal(wire(taper, 20_000), 127);
  const all = taper.sample(1000) as number[];
  assert.equal(all.length, 128);
  for (const value of all) assert.equal(taper.decode(taper.encode(value)!), value);
  assert.throws(
    () => numeric({ min: 20, max: 20_000, step: 100 }, { t: 'log', wire: [0, 127] }),
    /not monotonic|begins/,
  );
  assert.throws(() => numeric({ min: 0, max: 10, step: 1 }, { t: 'log', wire: [0, 10] }), /above 0/);
});

test('enum and bool take their own values only', () => {
  const common = { wire: { enc: 'ascii', tx: '{w}' }, verify: { by: 'none' } } as const;
  const mode = compileTaper({ kind: 'enum', taper: { t: 'enum', map: { lp: 1, hp: 7 } }, ...common }, 'p');
  assert.equal(wire(mode, 'hp'), 7);
  for (const value of ['toString', 'constructor', '', 7, true]) assert.equal(wire(mode, value), undefined);
  const mute = compileTaper({ kind: 'bool', taper: { t: 'enum', map: { off: 0, on: 127 } }, ...common }, 'p');
  assert.equal(wire(mute, true), 127);
  for (const value of ['on', 'true', 1, 0]) assert.equal(wire(mute, value), undefined);
});
