/**
 * The discrete Fourier transform of complex sequences whose length is a power of two: iterative radix 2, in place, decimation in time
 * (Cooley and Tukey 1965). Twiddle factors are computed one by one and not by recurrence, so that the error stays near the machine's.
 */

export class Fft {
  readonly size: number;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #swap: Uint32Array;

  /** @throws RangeError unless `size` is a power of two of at least 2 */
  constructor(size: number) {
    if (!Number.isInteger(Math.log2(size)) || size < 2) throw new RangeError(`size: ${size}`);
    this.size = size;
    this.#cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / size));
    this.#swap = new Uint32Array(size);
    for (let i = 1; i < size; i++) this.#swap[i] = (this.#swap[i >> 1]! >> 1) | (i & 1 ? size >> 1 : 0);
  }

  /** X[k] = sum of x[n] exp(-2 pi i k n / size), in place of x. Both arrays have `size` elements. */
  forward(re: Float64Array, im: Float64Array): void {
    this.#transform(re, im, -1);
  }

  /** The inverse of `forward`, with its 1 / size. */
  inverse(re: Float64Array, im: Float64Array): void {
    this.#transform(re, im, 1);
    const scale = 1 / this.size;
    for (let i = 0; i < this.size; i++) {
      re[i] = re[i]! * scale;
      im[i] = im[i]! * scale;
    }
  }

  #transform(re: Float64Array, im: Float64Array, sign: 1 | -1): void {
    const { size } = this;
    if (re.length !== size || im.length !== size) throw new RangeError(`${re.length} and ${im.length} of ${size}`);
    for (let i = 0; i < size; i++) {
      const j = this.#swap[i]!;
      if (j <= i) continue;
      const r = re[i]!;
      const q = im[i]!;
      re[i] = re[j]!;
      im[i] = im[j]!;
      re[j] = r;
      im[j] = q;
    }
    for (let half = 1; half < size; half *= 2) this.#stage(re, im, half, sign);
  }

  #stage(re: Float64Array, im: Float64Array, half: number, sign: number): void {
    const stride = this.size / (2 * half);
    for (let k = 0; k < half; k++) {
      const c = this.#cos[k * stride]!;
      const s = sign * this.#sin[k * stride]!;
      for (let a = k; a < this.size; a += 2 * half) {
        const b = a + half;
        const r = re[b]! * c - im[b]! * s;
        const q = re[b]! * s + im[b]! * c;
        re[b] = re[a]! - r;
        im[b] = im[a]! - q;
        re[a] = re[a]! + r;
        im[a] = im[a]! + q;
      }
    }
  }
}
