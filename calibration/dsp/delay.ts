/**
 * How much later a signal comes back than it was played: the whole frames from the peak of the cross-correlation, the fraction from the
 * slope of the cross-spectrum's phase over the band in which the signal has power (Knapp and Carter 1976, with the magnitude as weight).
 */
import { Fft } from './fft.js';

export interface Delay {
  /** Whole frames, the nearest. */
  frames: number;
  /** What is to be added to `frames`: between -0.5 and 0.5, or a little beyond. */
  fraction: number;
  /** Height of the correlation's peak over the RMS of the rest of it. Noise alone stays under 6 or so. */
  prominence: number;
  /** True where the signal comes back upside down. */
  inverted: boolean;
}

const SEGMENT_FRAMES = 4096;
/** Of the rate. Below are couplings, above are the converters' filters: their phase is not the path's delay. */
const LOWEST = 0.01;
const HIGHEST = 0.4;

/**
 * @param played what was played; broadband
 * @param captured what came back, from the frame on at which `played` began: at least `played.length + mostFrames` samples
 * @param mostFrames the longest delay looked for
 */
export function measureDelay(played: Float64Array, captured: Float64Array, mostFrames: number): Delay {
  const length = played.length + mostFrames;
  if (captured.length < length) throw new RangeError(`${captured.length} of ${length} samples`);
  const fft = new Fft(2 ** Math.ceil(Math.log2(length)));
  const a = padded(played, played.length, fft.size);
  const b = padded(captured, length, fft.size);
  // One transform for both: they are real.
  fft.forward(a, b);
  crossSpectrum(a, b);
  fft.inverse(a, b);
  let peak = 0;
  let energy = 0;
  for (let lag = 0; lag <= mostFrames; lag++) {
    energy += a[lag]! ** 2;
    if (Math.abs(a[lag]!) > Math.abs(a[peak]!)) peak = lag;
  }
  const rest = Math.sqrt(Math.max(0, energy - a[peak]! ** 2) / Math.max(1, mostFrames));
  const height = Math.abs(a[peak]!);
  const prominence = rest > 0 ? height / rest : height > 0 ? Number.POSITIVE_INFINITY : 0;
  const inverted = a[peak]! < 0;
  return { frames: peak, fraction: fractionAt(played, captured, peak, inverted), prominence, inverted };
}

function padded(from: Float64Array, length: number, size: number): Float64Array {
  const array = new Float64Array(size);
  array.set(from.subarray(0, length));
  return array;
}

/** From the transform Z of x + iy to Y conj(X), in place: X = (Z[k] + conj Z[-k]) / 2, Y = (Z[k] - conj Z[-k]) / 2i. */
function crossSpectrum(re: Float64Array, im: Float64Array): void {
  const size = re.length;
  for (let k = 0; k <= size / 2; k++) {
    const m = (size - k) % size;
    const xr = (re[k]! + re[m]!) / 2;
    const xi = (im[k]! - im[m]!) / 2;
    const yr = (im[k]! + im[m]!) / 2;
    const yi = (re[m]! - re[k]!) / 2;
    const r = yr * xr + yi * xi;
    const q = yi * xr - yr * xi;
    re[k] = r;
    im[k] = q;
    re[m] = r;
    im[m] = -q;
  }
}

/** The delay that is left when `captured` is read `lag` frames later. */
function fractionAt(played: Float64Array, captured: Float64Array, lag: number, inverted: boolean): number {
  const size = Math.min(SEGMENT_FRAMES, 2 ** Math.floor(Math.log2(played.length)));
  const fft = new Fft(size);
  const window = Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / size));
  const sumRe = new Float64Array(size / 2);
  const sumIm = new Float64Array(size / 2);
  const a = new Float64Array(size);
  const b = new Float64Array(size);
  for (let from = 0; from + size <= played.length; from += size / 2) {
    for (let n = 0; n < size; n++) {
      a[n] = played[from + n]! * window[n]!;
      b[n] = (captured[from + n + lag] ?? 0) * window[n]!;
    }
    fft.forward(a, b);
    crossSpectrum(a, b);
    for (let k = 0; k < size / 2; k++) {
      sumRe[k] = sumRe[k]! + a[k]!;
      sumIm[k] = sumIm[k]! + b[k]!;
    }
  }
  let top = 0;
  let bottom = 0;
  for (let k = Math.ceil(LOWEST * size); k < HIGHEST * size; k++) {
    const sign = inverted ? -1 : 1;
    const weight = Math.hypot(sumRe[k]!, sumIm[k]!);
    const phase = Math.atan2(sign * sumIm[k]!, sign * sumRe[k]!);
    const angle = (2 * Math.PI * k) / size;
    top -= weight * phase * angle;
    bottom += weight * angle * angle;
  }
  return bottom > 0 ? top / bottom : 0;
}
