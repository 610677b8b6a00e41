import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measureDelay } from '../../../calibration/dsp/delay.js';
import { Fft } from '../../../calibration/dsp/fft.js';

/** The definition itself. */
function slowTransform(re: readonly number[], im: readonly number[]): { re: number[]; im: number[] } {
  const size = re.length;
  const out = { re: [] as number[], im: [] as number[] };
  for (let k = 0; k < size; k++) {
    let r = 0;
    let q = 0;
    for (let n = 0; n < size; n++) {
      const angle = (-2 * Math.PI * ((k * n) % size)) / size;
      r += re[n]! * Math.cos(angle) - im[n]! * Math.sin(angle);
      q += re[n]! * Math.sin(angle) + im[n]! * Math.cos(angle);
    }
    out.re.push(r);
    out.im.push(q);
  }
  return out;
}

const numbers = (length: number) =>
  fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: length, maxLength: length });

test('the transform is the sum that defines it, and its inverse gives back what went in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }).chain((log) => fc.tuple(numbers(2 ** log), numbers(2 ** log))),
      ([re, im]) => {
        const fft = new Fft(re.length);
        const a = Float64Array.from(re);
        const b = Float64Array.from(im);
        fft.forward(a, b);
        const wanted = slowTransform(re, im);
        for (let k = 0; k < re.length; k++) {
          assert.ok(Math.abs(a[k]! - wanted.re[k]!) < 1e-12 * re.length);
          assert.ok(Math.abs(b[k]! - wanted.im[k]!) < 1e-12 * re.length);
        }
        fft.inverse(a, b);
        for (let n = 0; n < re.length; n++) assert.ok(Math.hypot(a[n]! - re[n]!, b[n]! - im[n]!) < 1e-13);
      },
    ),
    { numRuns: 50 },
  );
});

test('a length that is no power of two is refused, and arrays of another length', () => {
  for (const size of [0, 1, 3, 12, 2.5, -8]) assert.throws(() => new Fft(size), RangeError);
  assert.throws(() => new Fft(8).forward(new Float64Array(8), new Float64Array(4)), RangeError);
});

test('the error over 2^18 points stays near that of the numbers themselves', () => {
  const size = 2 ** 18;
  const re = Float64Array.from({ length: size }, (_, n) => Math.cos((2 * Math.PI * ((12_345 * n) % size)) / size));
  const im = new Float64Array(size);
  new Fft(size).forward(re, im);
  let worst = 0;
  for (let k = 0; k < size; k++)
    if (k !== 12_345 && k !== size - 12_345) worst = Math.max(worst, Math.hypot(re[k]!, im[k]!));
  const belowDb = 20 * Math.log10(worst / re[12_345]!);
  assert.ok(belowDb < -280, `${belowDb} dB`);
});

test('a delay is found whatever it is, whichever way up and however loud', () => {
  fc.assert(
    fc.property(
      fc.record({
        delay: fc.integer({ min: 0, max: 3000 }),
        gain: fc.double({ min: 0.001, max: 4, noNaN: true }),
        seed: fc.integer(),
        inverted: fc.boolean(),
      }),
      ({ delay, gain, seed, inverted }) => {
        let state = seed | 1;
        const played = Float64Array.from({ length: 4096 }, () => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
          return state / 2 ** 31;
        });
        const captured = new Float64Array(4096 + 3000);
        for (let n = 0; n < 4096; n++) captured[n + delay] = (inverted ? -gain : gain) * played[n]!;
        const found = measureDelay(played, captured, 3000);
        assert.equal(found.frames, delay);
        assert.equal(found.inverted, inverted);
        assert.ok(Math.abs(found.fraction) < 1e-9);
        assert.ok(found.prominence > 20);
      },
    ),
    { numRuns: 40 },
  );
});
