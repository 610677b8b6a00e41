/**
 * The discrete Fourier transform of real sequences in float64, of any even length; fast where the length is a power of two.
 *
 * Powers of two: a complex transform of half the length, radix 4 and self-sorting (Stockham; Cochran et al. 1967), of which the first pass
 * also reads the samples and multiplies them by a window, so that no copy of them is made. Twiddle factors are computed one by one. Other
 * lengths: Bluestein's convolution (1970) over the next power of two. Nothing is allocated after the constructor.
 */
export class RealFft {
  /** N: samples. */
  readonly size: number;
  readonly #half: HalfComplex | null;
  readonly #chirp: Chirp | null;

  /** @throws RangeError unless `size` is an even whole number of at least 4 */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < 4 || size % 2 !== 0) throw new RangeError(`${size} samples`);
    this.size = size;
    const isPower = Number.isInteger(Math.log2(size));
    this.#half = isPower ? new HalfComplex(size) : null;
    this.#chirp = isPower ? null : new Chirp(size);
  }

  /** N / 2 + 1: from 0 Hz to half the rate. */
  get bins(): number {
    return this.size / 2 + 1;
  }

  /**
   * X[k] = sum of w[n] x[n] exp(-2 pi i k n / N) for k from 0 to N / 2.
   * @param samples N samples from `from` on; they are left as they are
   * @param window N factors, or null for all 1
   * @param re, im at least `bins` elements each
   */
  forward(samples: Float64Array, window: Float64Array | null, re: Float64Array, im: Float64Array, from = 0): void {
    const { size, bins } = this;
    if (samples.length < from + size) throw new RangeError(`${samples.length - from} of ${size} samples`);
    if (window !== null && window.length !== size) throw new RangeError(`a window of ${window.length} for ${size}`);
    if (re.length < bins || im.length < bins) throw new RangeError(`${re.length} and ${im.length} of ${bins} bins`);
    if (this.#half) this.#half.forward(samples, window, re, im, from);
    else this.#chirp!.forward(samples, window, re, im, from);
  }
}

/** N a power of two. */
class HalfComplex {
  readonly #points: number;
  /** exp(-2 pi i k / N). */
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #re: [Float64Array, Float64Array];
  readonly #im: [Float64Array, Float64Array];

  constructor(size: number) {
    const points = size / 2;
    this.#points = points;
    this.#cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.#re = [new Float64Array(points), new Float64Array(points)];
    this.#im = [new Float64Array(points), new Float64Array(points)];
  }

  forward(samples: Float64Array, window: Float64Array | null, re: Float64Array, im: Float64Array, from: number): void {
    const points = this.#points;
    let [xr, yr] = this.#re;
    let [xi, yi] = this.#im;
    let span = points;
    let stride = 1;
    if (points % 4 === 0) {
      this.#first(samples, window, from, xr, xi);
      span = points / 4;
      stride = 4;
    } else this.#load(samples, window, from, xr, xi);
    while (span > 1) {
      if (span % 4 === 0) {
        this.#radix4(xr, xi, yr, yi, span, stride);
        span /= 4;
        stride *= 4;
      } else {
        radix2(xr, xi, yr, yi, stride);
        span /= 2;
        stride *= 2;
      }
      [xr, yr] = [yr, xr];
      [xi, yi] = [yi, xi];
    }
    this.#split(xr, xi, re, im);
  }

  #load(x: Float64Array, w: Float64Array | null, from: number, re: Float64Array, im: Float64Array): void {
    for (let n = 0; n < this.#points; n++) {
      re[n] = x[from + 2 * n]! * (w ? w[2 * n]! : 1);
      im[n] = x[from + 2 * n + 1]! * (w ? w[2 * n + 1]! : 1);
    }
  }

  /** The pass with stride 1, from the samples: even ones are real parts, odd ones imaginary. */
  #first(x: Float64Array, w: Float64Array | null, from: number, yr: Float64Array, yi: Float64Array): void {
    const cos = this.#cos;
    const sin = this.#sin;
    const m = this.#points / 4;
    const step = 2 * m;
    for (let p = 0; p < m; p++) {
      const a = 2 * p;
      const b = a + step;
      const c = b + step;
      const d = c + step;
      let ar = x[from + a]!;
      let ai = x[from + a + 1]!;
      let br = x[from + b]!;
      let bi = x[from + b + 1]!;
      let cr = x[from + c]!;
      let ci = x[from + c + 1]!;
      let dr = x[from + d]!;
      let di = x[from + d + 1]!;
      if (w !== null) {
        ar *= w[a]!;
        ai *= w[a + 1]!;
        br *= w[b]!;
        bi *= w[b + 1]!;
        cr *= w[c]!;
        ci *= w[c + 1]!;
        dr *= w[d]!;
        di *= w[d + 1]!;
      }
      const sumR = ar + cr;
      const sumI = ai + ci;
      const differenceR = ar - cr;
      const differenceI = ai - ci;
      const otherR = br + dr;
      const otherI = bi + di;
      // i (b - d)
      const turnedR = di - bi;
      const turnedI = br - dr;
      const y = 4 * p;
      yr[y] = sumR + otherR;
      yi[y] = sumI + otherI;
      const r1 = differenceR - turnedR;
      const i1 = differenceI - turnedI;
      const c1 = cos[2 * p]!;
      const s1 = sin[2 * p]!;
      yr[y + 1] = r1 * c1 - i1 * s1;
      yi[y + 1] = r1 * s1 + i1 * c1;
      const r2 = sumR - otherR;
      const i2 = sumI - otherI;
      const c2 = cos[4 * p]!;
      const s2 = sin[4 * p]!;
      yr[y + 2] = r2 * c2 - i2 * s2;
      yi[y + 2] = r2 * s2 + i2 * c2;
      const r3 = differenceR + turnedR;
      const i3 = differenceI + turnedI;
      const c3 = cos[6 * p]!;
      const s3 = sin[6 * p]!;
      yr[y + 3] = r3 * c3 - i3 * s3;
      yi[y + 3] = r3 * s3 + i3 * c3;
    }
  }

  #radix4(xr: Float64Array, xi: Float64Array, yr: Float64Array, yi: Float64Array, span: number, stride: number): void {
    const m = span / 4;
    const block = stride * m;
    for (let p = 0; p < m; p++) {
      // The table is of N = 2 x points, exp(-2 pi i p / span) is every (N / span)-th of it.
      const t = 2 * stride * p;
      const c1 = this.#cos[t]!;
      const s1 = this.#sin[t]!;
      const c2 = this.#cos[2 * t]!;
      const s2 = this.#sin[2 * t]!;
      const c3 = this.#cos[3 * t]!;
      const s3 = this.#sin[3 * t]!;
      const end = stride * (p + 1);
      let y = 4 * stride * p;
      for (let a = stride * p; a < end; a++, y++) {
        const b = a + block;
        const c = b + block;
        const d = c + block;
        const sumR = xr[a]! + xr[c]!;
        const sumI = xi[a]! + xi[c]!;
        const differenceR = xr[a]! - xr[c]!;
        const differenceI = xi[a]! - xi[c]!;
        const otherR = xr[b]! + xr[d]!;
        const otherI = xi[b]! + xi[d]!;
        const turnedR = xi[d]! - xi[b]!;
        const turnedI = xr[b]! - xr[d]!;
        yr[y] = sumR + otherR;
        yi[y] = sumI + otherI;
        const r1 = differenceR - turnedR;
        const i1 = differenceI - turnedI;
        yr[y + stride] = r1 * c1 - i1 * s1;
        yi[y + stride] = r1 * s1 + i1 * c1;
        const r2 = sumR - otherR;
        const i2 = sumI - otherI;
        yr[y + 2 * stride] = r2 * c2 - i2 * s2;
        yi[y + 2 * stride] = r2 * s2 + i2 * c2;
        const r3 = differenceR + turnedR;
        const i3 = differenceI + turnedI;
        yr[y + 3 * stride] = r3 * c3 - i3 * s3;
        yi[y + 3 * stride] = r3 * s3 + i3 * c3;
      }
    }
  }

  /** From the transform Z of even + i odd samples: X[k] = (Z[k] + Z*[h - k]) / 2 - i exp(-2 pi i k / N) (Z[k] - Z*[h - k]) / 2. */
  #split(zr: Float64Array, zi: Float64Array, re: Float64Array, im: Float64Array): void {
    const h = this.#points;
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
      const c = this.#cos[k]!;
      const s = this.#sin[k]!;
      const turnedR = oddR * c - oddI * s;
      const turnedI = oddR * s + oddI * c;
      re[k] = evenR + turnedR;
      im[k] = evenI + turnedI;
      re[m] = evenR - turnedR;
      im[m] = turnedI - evenI;
    }
  }
}

/** The last pass where two points are left: no twiddles. */
function radix2(xr: Float64Array, xi: Float64Array, yr: Float64Array, yi: Float64Array, stride: number): void {
  for (let a = 0; a < stride; a++) {
    const b = a + stride;
    const [ar, ai, br, bi] = [xr[a]!, xi[a]!, xr[b]!, xi[b]!];
    yr[a] = ar + br;
    yi[a] = ai + bi;
    yr[b] = ar - br;
    yi[b] = ai - bi;
  }
}

/** N any even number: X[k] = conj(c[k]) sum (x[n] conj(c[n])) c[k - n] with c[n] = exp(pi i n^2 / N). */
class Chirp {
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
    for (let k = 0; k <= this.#size / 2; k++) {
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

interface Complex {
  re: Float64Array;
  im: Float64Array;
}

function complex(length: number): Complex {
  return { re: new Float64Array(length), im: new Float64Array(length) };
}
