/**
 * Wow and flutter (AES6-2008, IEC 60386, DIN 45507): the frequency of a steady carrier over time, its mean deviation (the speed error), and the
 * fast one weighted and stated as the value that is exceeded for 5 % of the time ("two sigma").
 *
 * Demodulation: the bins around the carrier become a complex envelope at a low rate; its phase's differences are the frequency. The weighting
 * is applied in the frequency domain.
 */
import { Fft } from './fft.js';
import { RealFft } from './real-fft.js';

export interface WowFlutter {
  /** Mean frequency of the carrier. */
  carrierHz: number;
  /** Two sigma, percent of the mean frequency. */
  unweightedPeakPercent: number;
  weightedPeakPercent: number;
  weightedRmsPercent: number;
  unweightedRmsPercent: number;
  /** Two sigma below and above 6 Hz, unweighted. */
  wowPeakPercent: number;
  flutterPeakPercent: number;
  /** Lowest level of the carrier within the measured part over its median, linear. */
  leastLevel: number;
  /** Where the carrier's phase jumps by the most, if it does so more than flutter and noise explain: seconds, and how far in radians. */
  jump: { seconds: number; radians: number } | null;
  /** Of what the statistic was made. */
  seconds: number;
}

/** AES6-2008 Table 1: Hz, dB. */
const WEIGHTING: readonly (readonly [number, number])[] = [
  [0.1, -48],
  [0.2, -30.6],
  [0.315, -19.7],
  [0.4, -15],
  [0.63, -8.4],
  [0.8, -6],
  [1, -4.2],
  [1.6, -1.8],
  [2, -0.9],
  [4, 0],
  [6.3, -0.9],
  [10, -2.1],
  [20, -5.9],
  [40, -10.4],
  [63, -14.2],
  [100, -17.3],
  [200, -23],
];
/** Demodulated on either side of the carrier, and looked at. */
const SIDE_HZ = 400;
const HIGHEST_HZ = 250;
/** Not used at either end: a little for the demodulation, the rest for the weighting, which rings on for a while. */
const TRIM_SECONDS = 1;
const EDGE_SECONDS = 0.1;
/** The statistic wants five seconds. */
export const LEAST_SECONDS = 5 + 2 * TRIM_SECONDS;
const SPLIT_HZ = 6;
/** A jump of the phase is an impulse of the frequency: seen above what machines do, and below the ends of the demodulation. */
const JUMP_BAND_HZ = [100, 390] as const;
/** Over what 40 % of the time stay under: noise is at 8 sigmas there. */
const JUMP_RATIO = 16;

/** The curve at a frequency, linear, with straight lines over log f; it goes on as it ends. */
export function flutterWeighting(hz: number): number {
  if (hz <= 0) return 0;
  const above = WEIGHTING.findIndex(([f]) => f > hz);
  const i = above < 0 ? WEIGHTING.length - 1 : Math.max(1, above);
  const [[f0, d0], [f1, d1]] = [WEIGHTING[i - 1]!, WEIGHTING[i]!];
  return 10 ** ((d0 + ((d1 - d0) * Math.log(hz / f0)) / Math.log(f1 / f0)) / 20);
}

/**
 * @param samples at least 7 s: one second at either end is not used, and the statistic wants five
 * @param carrierHz about where the carrier is: within 5 %
 * @throws RangeError when it is shorter
 */
export function wowFlutter(samples: Float64Array, rate: number, carrierHz: number): WowFlutter {
  if (samples.length < rate * LEAST_SECONDS) throw new RangeError(`${samples.length / rate} s are too short`);
  const { re, im, rate: slow } = envelope(samples, rate, carrierHz);
  const edge = Math.round(EDGE_SECONDS * slow);
  const used = Math.floor((samples.length / rate) * slow) - 2 * edge;
  const rest = Math.round((TRIM_SECONDS - EDGE_SECONDS) * slow);
  const deviation = new Float64Array(used);
  const levels = new Float64Array(used);
  // The mean is weighted with half a sine squared, so that a wow of which the record holds no whole number of turns does not move it.
  let [sum, weights] = [0, 0];
  for (let n = 0; n < used; n++) {
    const k = n + edge;
    const weight = Math.sin((Math.PI * (n + 0.5)) / used) ** 2;
    const r = re[k]! * re[k - 1]! + im[k]! * im[k - 1]!;
    const i = im[k]! * re[k - 1]! - re[k]! * im[k - 1]!;
    deviation[n] = (Math.atan2(i, r) * slow) / (2 * Math.PI);
    levels[n] = Math.hypot(re[k]!, im[k]!);
    sum += weight * deviation[n]!;
    weights += weight;
  }
  const mean = sum / weights;
  const carrier = carrierHz + mean;
  for (let n = 0; n < used; n++) deviation[n] = (100 * (deviation[n]! - mean)) / carrier;
  const sorted = Float64Array.from(levels).sort();
  const all = (gain: (hz: number) => number): Float64Array =>
    filtered(deviation, slow, gain).subarray(rest, used - rest);
  const through = (gain: (hz: number) => number): Float64Array => all((hz) => (hz <= HIGHEST_HZ ? gain(hz) : 0));
  const plain = through(() => 1);
  const weighted = through(flutterWeighting);
  const wow = through((hz) => (hz <= SPLIT_HZ ? 1 : 0));
  const flutter = through((hz) => (hz > SPLIT_HZ ? 1 : 0));
  return {
    carrierHz: carrier,
    unweightedPeakPercent: twoSigma(plain),
    weightedPeakPercent: twoSigma(weighted),
    weightedRmsPercent: rms(weighted),
    unweightedRmsPercent: rms(plain),
    wowPeakPercent: twoSigma(wow),
    flutterPeakPercent: twoSigma(flutter),
    leastLevel: sorted[0]! / sorted[sorted.length >> 1]!,
    jump: largestJump(all, carrier, slow),
    seconds: plain.length / slow,
  };
}

function largestJump(all: (gain: (hz: number) => number) => Float64Array, carrierHz: number, slow: number) {
  const [low, high] = JUMP_BAND_HZ;
  const sharp = all((hz) => (hz >= low && hz <= high ? 1 : 0)).map(Math.abs);
  const usual = Float64Array.from(sharp).sort()[Math.floor(0.4 * sharp.length)]!;
  const at = sharp.reduce((best, size, n) => (size > sharp[best]! ? n : best), 0);
  if (!(sharp[at]! > JUMP_RATIO * usual)) return null;
  // An impulse of one radian is 1 / (2 pi) of a period: its height in a band is that times twice the band's width.
  const hz = (sharp[at]! / 100) * carrierHz;
  return { seconds: TRIM_SECONDS + at / slow, radians: (Math.PI * hz) / (high - low) };
}

/** The carrier turned down to 0 Hz, at a rate that is a power of two below. */
function envelope(samples: Float64Array, rate: number, carrierHz: number) {
  const size = 2 ** Math.ceil(Math.log2(samples.length));
  const padded = new Float64Array(size);
  padded.set(samples);
  const fft = new RealFft(size);
  const [xr, xi] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(padded, null, xr, xi);
  const binHz = rate / size;
  const points = 2 ** Math.ceil(Math.log2((4 * SIDE_HZ) / binHz));
  const [re, im] = [new Float64Array(points), new Float64Array(points)];
  const centre = Math.round(carrierHz / binHz);
  const side = Math.floor(SIDE_HZ / binHz);
  for (let d = -side; d <= side; d++) {
    const k = centre + d;
    if (k <= 0 || k >= xr.length) continue;
    re[(d + points) % points] = xr[k]!;
    im[(d + points) % points] = xi[k]!;
  }
  new Fft(points).inverse(re, im);
  const slow = (rate * points) / size;
  // What the centre bin is off the carrier is turned back, so that the differences of the phase are about 0.
  const off = (carrierHz - centre * binHz) / slow;
  for (let n = 0; n < points; n++) {
    const angle = -2 * Math.PI * ((off * n) % 1);
    const [r, i] = [re[n]!, im[n]!];
    re[n] = r * Math.cos(angle) - i * Math.sin(angle);
    im[n] = r * Math.sin(angle) + i * Math.cos(angle);
  }
  return { re, im, rate: slow };
}

/** A gain for every frequency. The record is mirrored at its ends, so that they do not meet with a step. */
function filtered(x: Float64Array, rate: number, gain: (hz: number) => number): Float64Array {
  const { length } = x;
  const size = 2 ** Math.ceil(Math.log2(2 * length));
  const fft = new Fft(size);
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  for (let n = 0; n < size; n++) {
    const around = n % (2 * length);
    re[n] = x[around < length ? around : 2 * length - 1 - around]!;
  }
  fft.forward(re, im);
  for (let k = 0; k < size; k++) {
    const hz = (Math.min(k, size - k) * rate) / size;
    // A difference over one sample is a mean over it, whose response is divided out.
    const mean = hz > 0 ? Math.sin((Math.PI * hz) / rate) / ((Math.PI * hz) / rate) : 1;
    const g = gain(hz) / mean;
    re[k] = re[k]! * g;
    im[k] = im[k]! * g;
  }
  fft.inverse(re, im);
  return re.slice(0, length);
}

/** The size that is exceeded for 5 % of the time. */
function twoSigma(x: Float64Array): number {
  const sizes = x.map(Math.abs).sort();
  return sizes[Math.min(sizes.length - 1, Math.floor(0.95 * sizes.length))]!;
}

function rms(x: Float64Array): number {
  return Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
}
