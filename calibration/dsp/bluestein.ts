/**
 * The discrete Fourier transform of real sequences of any length as a convolution with a chirp (Bluestein 1970), over the next power of two:
 * X[k] = conj(c[k]) sum (x[n] conj(c[n])) c[k - n] with c[n] = exp(pi i n^2 / N).
 */
import { type Complex, complex } from './fft-passes.js';
import { RealFft } from './real-fft.js';

export class Chirp {
  readonly #size: number;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #fft: RealFft;
  /** The transform of c, real and imaginary sequences apart. */
  readonly #kernel: Complex;
  readonly #x: Complex;
  readonly #parts: [Float64Array, Float64Array];
  readonly #spectra: [Complex, Complex];

  constructor(size: number) {
    this.#size = size;
    // n^2 modulo 2 N, so that the angle stays exact.
    const angle = (n: number): number => (Math.PI * ((n * n) % (2 * size))) / size;
    this.#cos = Float64Array.from({ length: size }, (_, n) => Math.cos(angle(n)));
    this.#sin = Float64Array.from({ length: size }, (_, n) => Math.sin(angle(n)));
    const length = 2 ** Math.ceil(Math.log2(2 * size));
    this.#fft = new RealFft(length);
    this.#parts = [new Float64Array(length), new Float64Array(length)];
    this.#spectra = [complex(length / 2 + 1), complex(length / 2 + 1)];
    this.#x = complex(length);
    this.#kernel = complex(length);
    const [a, b] = this.#parts;
    for (let n = 0; n < size; n++) {
      a[n] = this.#cos[n]!;
      b[n] = this.#sin[n]!;
      if (n > 0) {
        a[length - n] = a[n]!;
        b[length - n] = b[n]!;
      }
    }
    this.#transform(this.#kernel);
  }

  forward(samples: Float64Array, window: Float64Array | null, re: Float64Array, im: Float64Array, from: number): void {
    const [a, b] = this.#parts;
    a.fill(0);
    b.fill(0);
    for (let n = 0; n < this.#size; n++) {
      const x = samples[from + n]! * (window ? window[n]! : 1);
      a[n] = x * this.#cos[n]!;
      b[n] = -x * this.#sin[n]!;
    }
    this.#transform(this.#x);
    const { re: xr, im: xi } = this.#x;
    const { re: kr, im: ki } = this.#kernel;
    const length = xr.length;
    // The inverse of the product is the conjugate of the transform of its conjugate.
    for (let k = 0; k < length; k++) {
      const r = xr[k]! * kr[k]! - xi[k]! * ki[k]!;
      const i = xr[k]! * ki[k]! + xi[k]! * kr[k]!;
      a[k] = r;
      b[k] = -i;
    }
    this.#transform(this.#x);
    for (let k = 0; 2 * k <= this.#size; k++) {
      const r = xr[k]! / length;
      const i = -xi[k]! / length;
      const c = this.#cos[k]!;
      const s = this.#sin[k]!;
      re[k] = r * c + i * s;
      im[k] = i * c - r * s;
    }
  }

  /** The complex transform of parts[0] + i parts[1]. */
  #transform(into: Complex): void {
    const [a, b] = this.#parts;
    const [p, q] = this.#spectra;
    const length = a.length;
    this.#fft.forward(a, null, p.re, p.im);
    this.#fft.forward(b, null, q.re, q.im);
    for (let k = 0; k <= length / 2; k++) {
      into.re[k] = p.re[k]! - q.im[k]!;
      into.im[k] = p.im[k]! + q.re[k]!;
      if (k === 0 || k === length / 2) continue;
      into.re[length - k] = p.re[k]! + q.im[k]!;
      into.im[length - k] = q.re[k]! - p.im[k]!;
    }
  }
}
