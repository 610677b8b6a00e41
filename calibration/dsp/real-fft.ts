/**
 * The discrete Fourier transform of real sequences in float64, of any length; fastest where the length is a power of two, fast where it is even and
 * has no prime factor above 7.
 *
 * Those: a complex transform of half the length, of which the first pass also reads the samples and multiplies them by a window, so that no copy of
 * them is made. Other lengths: Bluestein's convolution (1970) over the next power of two. Nothing is allocated after the constructor.
 */
import { Chirp } from './bluestein.js';
import {
  type Complex,
  complex,
  firstPass,
  type Pass,
  passesFor,
  radix4,
  radix8,
  smallRadix,
  twoSequences,
} from './fft-passes.js';

export class RealFft {
  /** N: samples. */
  readonly size: number;
  readonly #half: HalfComplex | null;
  readonly #chirp: Chirp | null;
  /** Of other lengths, whose powers take a detour. */
  readonly #scratch: Complex | null;

  /** @throws RangeError unless `size` is a whole number of at least 2 */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < 2) throw new RangeError(`${size} samples`);
    this.size = size;
    const isFast = size >= 4 && isFastLength(size);
    this.#half = isFast ? new HalfComplex(size) : null;
    this.#chirp = isFast ? null : new Chirp(size);
    this.#scratch = isFast ? null : complex(this.bins);
  }

  /** N / 2 + 1, rounded down: from 0 Hz to half the rate. */
  get bins(): number {
    return Math.floor(this.size / 2) + 1;
  }

  /**
   * X[k] = sum of w[n] x[n] exp(-2 pi i k n / N) for k from 0 to N / 2.
   * @param samples N samples from `from` on; they are left as they are
   * @param window N factors, or null for all 1
   * @param re, im at least `bins` elements each
   */
  forward(samples: Float64Array, window: Float64Array | null, re: Float64Array, im: Float64Array, from = 0): void {
    this.#check(samples, window, from, Math.min(re.length, im.length));
    if (this.#half) this.#half.forward(samples, window, from, re, im);
    else this.#chirp!.forward(samples, window, re, im, from);
  }

  /** |X[k]|^2 times `scale`: as `forward`, without a detour over X where the length is a fast one. */
  powers(samples: Float64Array, window: Float64Array | null, scale: number, power: Float64Array, from = 0): void {
    this.#check(samples, window, from, power.length);
    if (this.#half) {
      this.#half.powers(samples, window, from, scale, power);
      return;
    }
    const { re, im } = this.#scratch!;
    this.#chirp!.forward(samples, window, re, im, from);
    for (let k = 0; k < re.length; k++) power[k] = (re[k]! * re[k]! + im[k]! * im[k]!) * scale;
  }

  #check(samples: Float64Array, window: Float64Array | null, from: number, room: number): void {
    const { size, bins } = this;
    if (samples.length < from + size) throw new RangeError(`${samples.length - from} of ${size} samples`);
    if (window !== null && window.length !== size) throw new RangeError(`a window of ${window.length} for ${size}`);
    if (room < bins) throw new RangeError(`room for ${room} of ${bins} bins`);
  }
}

/** Even, and no prime factor above 7. */
export function isFastLength(size: number): boolean {
  if (size % 2 !== 0) return false;
  let rest = size;
  for (const factor of [2, 3, 5, 7]) while (rest % factor === 0) rest /= factor;
  return rest === 1;
}

const kept = new Map<number, RealFft>();
const MOST_KEPT = 4;

/** A transform of this length that everybody in the thread shares: its tables take longer to make than a transform. */
export function sharedFft(size: number): RealFft {
  const fft = kept.get(size) ?? new RealFft(size);
  kept.delete(size);
  kept.set(size, fft);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return fft;
}

/** N a fast length: Z, the transform of even + i odd samples, and X from it. */
class HalfComplex {
  readonly #points: number;
  readonly #passes: Pass[];
  /** cos and sin of exp(-2 pi i k / N), in turn, for the first quarter of the circle. */
  readonly #turns: Float64Array;
  readonly #buffers: [Complex, Complex];

  constructor(size: number) {
    const points = size / 2;
    this.#points = points;
    this.#passes = passesFor(points);
    this.#turns = new Float64Array(points + 2);
    for (let k = 0; 2 * k <= points; k++) {
      this.#turns[2 * k] = Math.cos((2 * Math.PI * k) / size);
      this.#turns[2 * k + 1] = -Math.sin((2 * Math.PI * k) / size);
    }
    this.#buffers = twoSequences(points);
  }

  /** X[k] = (Z[k] + Z*[h - k]) / 2 - i exp(-2 pi i k / N) (Z[k] - Z*[h - k]) / 2, h = N / 2. */
  forward(x: Float64Array, w: Float64Array | null, from: number, re: Float64Array, im: Float64Array): void {
    const { re: zr, im: zi } = this.#transform(x, w, from);
    const h = this.#points;
    const turns = this.#turns;
    re[0] = zr[0]! + zi[0]!;
    im[0] = 0;
    re[h] = zr[0]! - zi[0]!;
    im[h] = 0;
    for (let k = 1; k <= h - k; k++) {
      const m = h - k;
      const evenR = (zr[k]! + zr[m]!) / 2;
      const evenI = (zi[k]! - zi[m]!) / 2;
      // (Z[k] - Z*[m]) / 2i
      const oddR = (zi[k]! + zi[m]!) / 2;
      const oddI = (zr[m]! - zr[k]!) / 2;
      const c = turns[2 * k]!;
      const s = turns[2 * k + 1]!;
      const turnedR = oddR * c - oddI * s;
      const turnedI = oddR * s + oddI * c;
      re[k] = evenR + turnedR;
      im[k] = evenI + turnedI;
      re[m] = evenR - turnedR;
      im[m] = turnedI - evenI;
    }
  }

  powers(x: Float64Array, w: Float64Array | null, from: number, scale: number, power: Float64Array): void {
    const { re: zr, im: zi } = this.#transform(x, w, from);
    const h = this.#points;
    const turns = this.#turns;
    // What is halved in `forward` is squared here.
    const quarter = scale / 4;
    power[0] = (zr[0]! + zi[0]!) ** 2 * scale;
    power[h] = (zr[0]! - zi[0]!) ** 2 * scale;
    for (let k = 1; k <= h - k; k++) {
      const m = h - k;
      const evenR = zr[k]! + zr[m]!;
      const evenI = zi[k]! - zi[m]!;
      const oddR = zi[k]! + zi[m]!;
      const oddI = zr[m]! - zr[k]!;
      const c = turns[2 * k]!;
      const s = turns[2 * k + 1]!;
      const turnedR = oddR * c - oddI * s;
      const turnedI = oddR * s + oddI * c;
      const r1 = evenR + turnedR;
      const i1 = evenI + turnedI;
      const r2 = evenR - turnedR;
      const i2 = turnedI - evenI;
      power[k] = (r1 * r1 + i1 * i1) * quarter;
      power[m] = (r2 * r2 + i2 * i2) * quarter;
    }
  }

  #transform(x: Float64Array, w: Float64Array | null, from: number): Complex {
    let [read, write] = this.#buffers;
    const passes = this.#passes;
    let next = 0;
    if (passes[0]?.radix === 4) {
      firstPass(x, w, from, passes[0], read);
      next = 1;
    } else load(x, w, from, read);
    for (; next < passes.length; next++) {
      const pass = passes[next]!;
      if (pass.radix === 8) radix8(read, write, pass);
      else if (pass.radix === 4) radix4(read, write, pass);
      else smallRadix(read, write, pass);
      [read, write] = [write, read];
    }
    return read;
  }
}

function load(x: Float64Array, w: Float64Array | null, from: number, { re, im }: Complex): void {
  for (let n = 0; n < re.length; n++) {
    re[n] = x[from + 2 * n]! * (w ? w[2 * n]! : 1);
    im[n] = x[from + 2 * n + 1]! * (w ? w[2 * n + 1]! : 1);
  }
}
