import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TriangularDither } from '../../../../daemon/rig/engine/dither.js';
import { OverFullScale, Quantizer } from '../../../../daemon/rig/engine/quantize.js';

const STEPS = 2 ** 23;
const seeded = (): TriangularDither => new TriangularDither(Int32Array.of(1, 2, 3, 4));

function quantize(samples: number[], o: { gainDb?: number; bits?: number | 'float'; channels?: number }): Int32Array {
  const into = new Int32Array(samples.length);
  const { gainDb = 0, bits = 24, channels = 1 } = o;
  const quantizer = new Quantizer({ channels, gainDb, sourceBits: bits, dither: seeded() });
  quantizer.quantize(Float64Array.from(samples), into);
  return into;
}

test('every 24-bit value is carried bit for bit, both ends included', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -0x800000, max: 0x7fffff })), (words) => {
      const out = quantize(
        words.map((word) => word / STEPS),
        {},
      );
      assert.deepEqual(
        [...out],
        words.map((word) => word << 8),
      );
    }),
  );
  assert.deepEqual([...quantize([-1, 1 - 2 ** -23], {})], [-(2 ** 31), 0x7fffff00]);
});

test('the declared encoding or a gain decides about dither, not the samples', () => {
  const dithered = (sourceBits: number | 'float', gainDb: number): boolean =>
    new Quantizer({ channels: 1, gainDb, sourceBits }).dithered;
  assert.deepEqual(
    [16, 24, 32, 'float' as const].map((bits) => dithered(bits, 0)),
    [false, false, true, true],
  );
  assert.equal(dithered(16, -0.1), true);
});

test('a shortened word has 24 bits and is off by less than 1.5 steps', () => {
  const samples = Array.from({ length: 20_000 }, (_, i) => 0.7 * Math.sin(i * 0.37));
  quantize(samples, { bits: 'float' }).forEach((word, i) => {
    assert.equal(word & 0xff, 0);
    assert.ok(Math.abs(word / 256 - samples[i]! * STEPS) < 1.5);
  });
});

test('the error of the dithered word has no mean and a constant variance of 1/4 step, wherever the signal lies between two steps', () => {
  const count = 200_000;
  for (const between of [0, 0.25, 0.5, 0.8]) {
    const errors = quantize(new Array<number>(count).fill((1000 + between) / STEPS), { bits: 'float' });
    let sum = 0;
    let squares = 0;
    for (const word of errors) {
      const error = word / 256 - 1000 - between;
      sum += error;
      squares += error * error;
    }
    // TPDF dither: variance 2/12 of the dither plus 1/12 of the rounding; four standard errors of the mean.
    assert.ok(Math.abs(sum / count) < 4 * Math.sqrt(0.25 / count), `mean at ${between}`);
    assert.ok(Math.abs(squares / count - 0.25) < 0.01, `variance at ${between}`);
  }
});

test('two takes do not get the same dither', () => {
  const draw = (): number[] => {
    const dither = new TriangularDither();
    return Array.from({ length: 8 }, () => dither.next());
  };
  assert.notDeepEqual(draw(), draw());
});

test('a gain of 6.02 dB is 6.02 dB', () => {
  const samples = Array.from({ length: 48_000 }, (_, i) => 0.4 * Math.sin((2 * Math.PI * 997 * i) / 48_000));
  const rms = (values: Iterable<number>): number => {
    let sum = 0;
    for (const value of values) sum += value * value;
    return Math.sqrt(sum / samples.length);
  };
  const out = quantize(samples, { gainDb: 6.02 });
  const gained = 20 * Math.log10(rms(Float64Array.from(out, (word) => word / 2 ** 31)) / rms(samples));
  assert.ok(Math.abs(gained - 6.02) < 0.0001, `${gained}`);
});

test('over full scale is refused with its place; so is what is not a number', () => {
  const place = (samples: number[], o: Parameters<typeof quantize>[1]): { frame: number; channel: number } => {
    try {
      quantize(samples, o);
    } catch (error) {
      assert.ok(error instanceof OverFullScale);
      return { frame: error.frame, channel: error.channel };
    }
    assert.fail('was played');
  };
  assert.deepEqual(place([0, 0, 0, 1], { channels: 2 }), { frame: 1, channel: 2 });
  assert.deepEqual(place([0, 1], { bits: 'float' }), { frame: 1, channel: 1 });
  assert.deepEqual(place([0, 0, -1.0000001], { bits: 'float' }), { frame: 2, channel: 1 });
  assert.deepEqual(place([0.6], { gainDb: 6 }), { frame: 0, channel: 1 });
  assert.deepEqual(place([0, Number.NaN], { bits: 'float' }), { frame: 1, channel: 1 });
  assert.deepEqual(place([0, Number.NaN], {}), { frame: 1, channel: 1 });
  assert.deepEqual(place([Number.NEGATIVE_INFINITY], { gainDb: -3 }), { frame: 0, channel: 1 });
});

test('dither alone never refuses or wraps a sample at an end', () => {
  const top = quantize(new Array<number>(5000).fill(1 - 2 ** -23), { bits: 'float' });
  assert.ok(top.every((word) => word >= 0x7ffffe00));
  const bottom = quantize(new Array<number>(5000).fill(-1), { bits: 'float' });
  assert.ok(bottom.every((word) => word <= -0x7ffffe00));
});
