/**
 * The passes of a self-sorting complex transform (Stockham; Cochran et al. 1967), decimation in frequency: a pass of radix r reads x and writes
 *
 *   y[q + s (r p + j)] = w^(p j) sum over k of x[q + s (p + k m)] exp(-2 pi i j k / r),   w = exp(-2 pi i / (r m)), p < m, q < s
 *
 * and the next one has s times r. Of w^p there is a table; its powers are made from it, which costs half a step of float64 and spares the memory
 * that the passes wait for.
 */

/** A complex sequence. */
export interface Complex {
  re: Float64Array;
  im: Float64Array;
}

export interface Pass {
  readonly radix: number;
  /** m and s. */
  readonly groups: number;
  readonly stride: number;
  /** cos and sin of w^p, in turn. */
  readonly twiddles: Float64Array;
}

export function complex(length: number): Complex {
  return { re: new Float64Array(length), im: new Float64Array(length) };
}

/** 1 KiB: a quarter of what the sets of a first-level cache span. */
const SKEW = 128;

/**
 * Two sequences to write from the one into the other. Their four arrays begin at different places modulo 4 KiB: a pass walks along 32 streams whose
 * distances are powers of two, and streams that share a set of the cache throw each other out of it. This makes it twice as fast.
 */
export function twoSequences(points: number): [Complex, Complex] {
  const step = points + SKEW;
  const all = new Float64Array(4 * step);
  const at = (i: number): Float64Array => all.subarray(i * step, i * step + points);
  return [
    { re: at(0), im: at(1) },
    { re: at(2), im: at(3) },
  ];
}

/** The passes for so many points, whose prime factors are 2, 3, 5 and 7. */
export function passesFor(points: number): Pass[] {
  const passes: Pass[] = [];
  for (let span = points, stride = 1; span > 1; ) {
    const radix = radixFor(span, stride);
    const groups = span / radix;
    const twiddles = new Float64Array(2 * groups);
    for (let p = 0; p < groups; p++) {
      twiddles[2 * p] = Math.cos((2 * Math.PI * p) / span);
      twiddles[2 * p + 1] = -Math.sin((2 * Math.PI * p) / span);
    }
    passes.push({ radix, groups, stride, twiddles });
    span = groups;
    stride *= radix;
  }
  return passes;
}

/** The first pass also reads the samples: radix 4 leaves it the registers for that. 16 points are twice 4, not 8 and 2. */
function radixFor(span: number, stride: number): number {
  if (span % 8 === 0 && span !== 16 && stride > 1) return 8;
  return [4, 2, 3, 5, 7].find((radix) => span % radix === 0)!;
}

/** The first pass, radix 4, from real samples: even ones are real parts, odd ones imaginary. A window is multiplied with. */
export function firstPass(
  x: Float64Array,
  w: Float64Array | null,
  from: number,
  { groups, twiddles }: Pass,
  y: Complex,
): void {
  const { re: yr, im: yi } = y;
  const step = 2 * groups;
  for (let p = 0; p < groups; p++) {
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
    const c1 = twiddles[2 * p]!;
    const s1 = twiddles[2 * p + 1]!;
    const c2 = c1 * c1 - s1 * s1;
    const s2 = 2 * c1 * s1;
    const c3 = c1 * c2 - s1 * s2;
    const s3 = c1 * s2 + s1 * c2;
    const sumR = ar + cr;
    const sumI = ai + ci;
    const differenceR = ar - cr;
    const differenceI = ai - ci;
    const otherR = br + dr;
    const otherI = bi + di;
    // i (b - d)
    const turnedR = di - bi;
    const turnedI = br - dr;
    const t = 4 * p;
    yr[t] = sumR + otherR;
    yi[t] = sumI + otherI;
    let r = differenceR - turnedR;
    let i = differenceI - turnedI;
    yr[t + 1] = r * c1 - i * s1;
    yi[t + 1] = r * s1 + i * c1;
    r = sumR - otherR;
    i = sumI - otherI;
    yr[t + 2] = r * c2 - i * s2;
    yi[t + 2] = r * s2 + i * c2;
    r = differenceR + turnedR;
    i = differenceI + turnedI;
    yr[t + 3] = r * c3 - i * s3;
    yi[t + 3] = r * s3 + i * c3;
  }
}

export function radix4(
  { re: xr, im: xi }: Complex,
  { re: yr, im: yi }: Complex,
  { groups, stride, twiddles }: Pass,
): void {
  const block = stride * groups;
  for (let p = 0; p < groups; p++) {
    const c1 = twiddles[2 * p]!;
    const s1 = twiddles[2 * p + 1]!;
    const c2 = c1 * c1 - s1 * s1;
    const s2 = 2 * c1 * s1;
    const c3 = c1 * c2 - s1 * s2;
    const s3 = c1 * s2 + s1 * c2;
    const end = stride * (p + 1);
    for (let a = stride * p, y = 4 * stride * p; a < end; a++, y++) {
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
      let t = y + stride;
      let r = differenceR - turnedR;
      let i = differenceI - turnedI;
      yr[t] = r * c1 - i * s1;
      yi[t] = r * s1 + i * c1;
      t += stride;
      r = sumR - otherR;
      i = sumI - otherI;
      yr[t] = r * c2 - i * s2;
      yi[t] = r * s2 + i * c2;
      t += stride;
      r = differenceR + turnedR;
      i = differenceI + turnedI;
      yr[t] = r * c3 - i * s3;
      yi[t] = r * s3 + i * c3;
    }
  }
}

/** Two transforms of four points, of the even and of the odd ones, put together: as few passes over the memory as registers allow. */
export function radix8(
  { re: xr, im: xi }: Complex,
  { re: yr, im: yi }: Complex,
  { groups, stride, twiddles }: Pass,
): void {
  const block = stride * groups;
  const half = Math.SQRT1_2;
  for (let p = 0; p < groups; p++) {
    const c1 = twiddles[2 * p]!;
    const s1 = twiddles[2 * p + 1]!;
    const c2 = c1 * c1 - s1 * s1;
    const s2 = 2 * c1 * s1;
    const c3 = c1 * c2 - s1 * s2;
    const s3 = c1 * s2 + s1 * c2;
    const c4 = c2 * c2 - s2 * s2;
    const s4 = 2 * c2 * s2;
    const c5 = c4 * c1 - s4 * s1;
    const s5 = c4 * s1 + s4 * c1;
    const c6 = c3 * c3 - s3 * s3;
    const s6 = 2 * c3 * s3;
    const c7 = c4 * c3 - s4 * s3;
    const s7 = c4 * s3 + s4 * c3;
    const end = stride * (p + 1);
    for (let a = stride * p, y = 8 * stride * p; a < end; a++, y++) {
      const b = a + block;
      const c = b + block;
      const d = c + block;
      const e = d + block;
      const f = e + block;
      const g = f + block;
      const h = g + block;
      // Even: a, c, e, g.
      const aeR = xr[a]! + xr[e]!;
      const aeI = xi[a]! + xi[e]!;
      const amR = xr[a]! - xr[e]!;
      const amI = xi[a]! - xi[e]!;
      const cgR = xr[c]! + xr[g]!;
      const cgI = xi[c]! + xi[g]!;
      const cmR = xi[c]! - xi[g]!;
      const cmI = xr[g]! - xr[c]!;
      const e0R = aeR + cgR;
      const e0I = aeI + cgI;
      const e1R = amR + cmR;
      const e1I = amI + cmI;
      const e2R = aeR - cgR;
      const e2I = aeI - cgI;
      const e3R = amR - cmR;
      const e3I = amI - cmI;
      // Odd: b, d, f, h, turned by eighths.
      const bfR = xr[b]! + xr[f]!;
      const bfI = xi[b]! + xi[f]!;
      const bmR = xr[b]! - xr[f]!;
      const bmI = xi[b]! - xi[f]!;
      const dhR = xr[d]! + xr[h]!;
      const dhI = xi[d]! + xi[h]!;
      const dmR = xi[d]! - xi[h]!;
      const dmI = xr[h]! - xr[d]!;
      const o0R = bfR + dhR;
      const o0I = bfI + dhI;
      const o2R = bfI - dhI;
      const o2I = dhR - bfR;
      const plusR = bmR + dmR;
      const plusI = bmI + dmI;
      const minusR = bmR - dmR;
      const minusI = bmI - dmI;
      const o1R = (plusR + plusI) * half;
      const o1I = (plusI - plusR) * half;
      const o3R = (minusI - minusR) * half;
      const o3I = -(minusR + minusI) * half;
      yr[y] = e0R + o0R;
      yi[y] = e0I + o0I;
      let t = y + stride;
      let r = e1R + o1R;
      let i = e1I + o1I;
      yr[t] = r * c1 - i * s1;
      yi[t] = r * s1 + i * c1;
      t += stride;
      r = e2R + o2R;
      i = e2I + o2I;
      yr[t] = r * c2 - i * s2;
      yi[t] = r * s2 + i * c2;
      t += stride;
      r = e3R + o3R;
      i = e3I + o3I;
      yr[t] = r * c3 - i * s3;
      yi[t] = r * s3 + i * c3;
      t += stride;
      r = e0R - o0R;
      i = e0I - o0I;
      yr[t] = r * c4 - i * s4;
      yi[t] = r * s4 + i * c4;
      t += stride;
      r = e1R - o1R;
      i = e1I - o1I;
      yr[t] = r * c5 - i * s5;
      yi[t] = r * s5 + i * c5;
      t += stride;
      r = e2R - o2R;
      i = e2I - o2I;
      yr[t] = r * c6 - i * s6;
      yi[t] = r * s6 + i * c6;
      t += stride;
      r = e3R - o3R;
      i = e3I - o3I;
      yr[t] = r * c7 - i * s7;
      yi[t] = r * s7 + i * c7;
    }
  }
}

/** Cosines and sines of the small radices: index j k mod r. */
const ROOTS = new Map(
  [2, 3, 5, 7].map((radix) => [
    radix,
    {
      cos: Float64Array.from({ length: radix }, (_, k) => Math.cos((2 * Math.PI * k) / radix)),
      sin: Float64Array.from({ length: radix }, (_, k) => -Math.sin((2 * Math.PI * k) / radix)),
    },
  ]),
);

/** 2, 3, 5 or 7, by the sum that defines it. */
export function smallRadix(x: Complex, y: Complex, { radix, groups, stride, twiddles }: Pass): void {
  const { cos, sin } = ROOTS.get(radix)!;
  const block = stride * groups;
  for (let p = 0; p < groups; p++) {
    const [c1, s1] = [twiddles[2 * p]!, twiddles[2 * p + 1]!];
    let [c, s] = [1, 0];
    for (let j = 0; j < radix; j++) {
      for (let q = 0; q < stride; q++) {
        let r = 0;
        let i = 0;
        for (let k = 0, at = stride * p + q; k < radix; k++, at += block) {
          const turn = (j * k) % radix;
          r += x.re[at]! * cos[turn]! - x.im[at]! * sin[turn]!;
          i += x.re[at]! * sin[turn]! + x.im[at]! * cos[turn]!;
        }
        const t = stride * (radix * p + j) + q;
        y.re[t] = r * c - i * s;
        y.im[t] = r * s + i * c;
      }
      [c, s] = [c * c1 - s * s1, c * s1 + s * c1];
    }
  }
}
