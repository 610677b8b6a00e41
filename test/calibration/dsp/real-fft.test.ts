/** The real transform against the sum that defines it, and its properties at lengths at which that sum would take too long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RealFft } from '../../../calibration/dsp/real-fft.js';

function noise(size: number, seed = 1): Float64Array {
  let state = seed;
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  });
}

function transform(x: Float64Array, window: Float64Array | null = null) {
  const fft = new RealFft(x.length);
  const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(x, window, re, im);
  return { re, im };
}

/** Relative to the RMS of all bins. */
function worstError(x: Float64Array, { re, im }: ReturnType<typeof transform>, bins: number[]): number {
  const rms = Math.sqrt(x.length * x.reduce((sum, v) => sum + v * v, 0)) / Math.sqrt(x.length);
  let worst = 0;
  for (const k of bins) {
    let [r, i] = [0, 0];
    for (let n = 0; n < x.length; n++) {
      const angle = (-2 * Math.PI * ((k * n) % x.length)) / x.length;
      r += x[n]! * Math.cos(angle);
      i += x[n]! * Math.sin(angle);
    }
    worst = Math.max(worst, Math.hypot(re[k]! - r, im[k]! - i) / rms);
  }
  return worst;
}

test('every length is the sum that defines it', () => {
  for (let size = 2; size <= 130; size++) {
    const x = noise(size, size);
    const bins = Array.from({ length: Math.floor(size / 2) + 1 }, (_, k) => k);
    assert.ok(worstError(x, transform(x), bins) < 1e-13, `${size}: ${worstError(x, transform(x), bins)}`);
  }
});

test('long lengths, powers of two and others, at some bins', () => {
  for (const size of [2 ** 14, 2 ** 15, 2 ** 16, 48_000, 44_100, 30_030, 16_384 + 1, 9973]) {
    const x = noise(size);
    const bins = [0, 1, 2, 3, size / 8, Math.floor(size / 3), size / 2 - 1, size / 2].map(Math.floor);
    assert.ok(worstError(x, transform(x), bins) < 2e-12, `${size}: ${worstError(x, transform(x), bins)}`);
  }
});

test('Parseval: the energy is the same on both sides, at 2^20 samples too', () => {
  for (const size of [2 ** 20, 96_000]) {
    const x = noise(size, 7);
    const { re, im } = transform(x);
    let energy = re[0]! ** 2 + re[size / 2]! ** 2;
    for (let k = 1; k < size / 2; k++) energy += 2 * (re[k]! ** 2 + im[k]! ** 2);
    const expected = size * x.reduce((sum, v) => sum + v * v, 0);
    assert.ok(Math.abs(energy / expected - 1) < 1e-13, `${energy / expected - 1}`);
  }
});

test('a window is a product, samples are left alone, and a part of an array will do', () => {
  fc.assert(
    fc.property(fc.constantFrom(8, 16, 24, 64, 100), fc.integer(), fc.nat(5), (size, seed, from) => {
      const long = noise(size + from, seed);
      const before = Float64Array.from(long);
      const x = long.subarray(from, from + size);
      const window = noise(size, seed + 1);
      const fft = new RealFft(size);
      const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
      fft.forward(long, window, re, im, from);
      const product = transform(x.map((v, n) => v * window[n]!));
      assert.deepEqual(long, before);
      for (let k = 0; k < fft.bins; k++) {
        assert.ok(Math.abs(re[k]! - product.re[k]!) < 1e-12);
        assert.ok(Math.abs(im[k]! - product.im[k]!) < 1e-12);
      }
    }),
  );
});

test('powers are the squares of the transform, at fast lengths and at others', () => {
  for (const size of [16, 30, 64, 210, 97, 1000, 4096]) {
    const x = noise(size, size);
    const window = noise(size, 3);
    const fft = new RealFft(size);
    const { re, im } = transform(x.map((v, n) => v * window[n]!));
    const power = new Float64Array(fft.bins);
    fft.powers(x, window, 0.5, power);
    for (let k = 0; k < fft.bins; k++)
      assert.ok(Math.abs(power[k]! - (re[k]! ** 2 + im[k]! ** 2) / 2) < 1e-12 * size, `${size}, bin ${k}`);
  }
});

test('what is no length, and what is too short, is refused', () => {
  for (const size of [0, 1, 7.5, -8, Number.NaN]) assert.throws(() => new RealFft(size), RangeError);
  const fft = new RealFft(16);
  const bins = () => new Float64Array(9);
  assert.throws(() => fft.forward(new Float64Array(15), null, bins(), bins()), RangeError);
  assert.throws(() => fft.forward(new Float64Array(16), new Float64Array(8), bins(), bins()), RangeError);
  assert.throws(() => fft.forward(new Float64Array(16), null, new Float64Array(8), bins()), RangeError);
});
