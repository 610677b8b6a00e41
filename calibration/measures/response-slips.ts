/**
 * Two clocks, and lost or repeated samples, in what came back of a stimulus: the samples where it has every frequency all the time, such as noise. Block by block the cross-spectrum with
 * the stimulus has the path's own phase, which does not change with time: from one block to the next each frequency is compared with itself, so that a
 * path may be as dispersive as it likes.
 */
import { Fft } from '../dsp/fft.js';
import { stepIn, type Turns } from './phase-steps.js';

const BLOCKS = 48;
const MOST_BLOCK_FRAMES = 4096;
const LEAST_BLOCK_FRAMES = 512;
/** Of the stimulus in the strongest block, as a power: in weaker ones it has ended. */
const WEAK = 1e-4;
/** A smaller turn is what blocks leave of a filter's ringing. */
const LEAST_RADIANS = 0.4;
/** Of a cell over the strongest, as a power; and the share of such cells that makes a stimulus broadband in every block. */
const OCCUPIED = 1e-4;
const BROAD = 0.3;
/** How alike neighbouring blocks are in a path that goes on, and where samples by the thousand are missing. */
const ALIKE = 0.7;
const UNLIKE = 0.35;
const SMOOTH = 5;
/** A stream that plays and records from one clock is much closer. */
const LOCKED = 20e-6;
/** A drift is read where a sample is much of a turn (400 Hz at 48 kHz), and from enough blocks. */
const QUICK = 0.05;
const LEAST_QUICK = 12;

/**
 * @param late by how many frames `captured` is late: where the correlation has its peak
 * @returns `slip`: about where in `captured` samples are missing or twice there, or null, also for every stimulus that is not broadband (what a path
 *   scatters over more than a block, such as a reverb, is never a slip); `driftPpm`: how much slower the clock of the capture is, or null
 */
export function compareBlocks(
  stimulus: Float64Array,
  captured: Float64Array,
  late: number,
): { slip: number | null; driftPpm: number | null } {
  const length = Math.max(1, Math.min(stimulus.length, captured.length - late));
  const wished = 2 ** Math.round(Math.log2(length / BLOCKS));
  const size = Math.min(MOST_BLOCK_FRAMES, Math.max(LEAST_BLOCK_FRAMES, wished));
  const pairs = neighbours(stimulus, captured, late, length, size);
  const loudest = pairs.reduce((most, { played }) => Math.max(most, played), 0);
  const played = pairs.filter((pair) => pair.played > WEAK * loudest);
  const driftPpm = driftOf(played, size / 2);
  const occupied = played.reduce((sum, pair) => sum + pair.occupied, 0) / played.length;
  if (played.length < SMOOTH || occupied < BROAD) return { slip: null, driftPpm };
  const found = tornAt(played) ?? steppedAt(played);
  return { slip: found && late + (found.block + 1) * (size / 2), driftPpm };
}

function steppedAt(played: readonly Pair[]): Pair | null {
  const turns: Turns = { re: new Float64Array(played.length - 1), im: new Float64Array(played.length - 1) };
  for (let m = 0; m + 1 < played.length; m++) {
    const [a, b] = [played[m]!, played[m + 1]!];
    turns.re[m] = a.re * b.re - a.im * b.im;
    turns.im[m] = a.re * b.im + a.im * b.re;
  }
  const found = stepIn(turns, () => LEAST_RADIANS);
  return found === null ? null : played[found + 1]!;
}

/** Of two clocks: every block is later than the one before by the same. Null where it is not, or less than locked clocks may be apart. */
function driftOf(played: readonly Pair[], hop: number): number | null {
  const quick = played.filter(({ radiansPerSample, alike }) => radiansPerSample > QUICK && alike > ALIKE);
  if (quick.length < LEAST_QUICK) return null;
  const later = quick.map(({ re, im, radiansPerSample }) => -Math.atan2(im, re) / radiansPerSample / hop);
  const sorted = later.sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(part * sorted.length)]!;
  const drift = at(0.5);
  const steady = at(0.8) - at(0.2) < Math.abs(drift);
  return steady && Math.abs(drift) > LOCKED ? 1e6 * drift : null;
}

/** What two blocks that overlap by half have in common: the sum of Z'[k] conj Z[k], Z = Y conj X. */
interface Pair {
  block: number;
  re: number;
  im: number;
  /** |sum| / sum of the sizes: 1 where every frequency has the phase that it had. */
  alike: number;
  /** Mean of the frequencies, each as much as it carries. */
  radiansPerSample: number;
  /** Of the stimulus: its power, and the share of the cells in which it has some. */
  played: number;
  occupied: number;
}

function neighbours(x: Float64Array, y: Float64Array, late: number, length: number, size: number): Pair[] {
  const fft = new Fft(size);
  const window = Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));
  const half = size / 2;
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  const empty = () => ({ re: new Float64Array(half), im: new Float64Array(half) });
  let [now, before] = [empty(), empty()];
  const pairs: Pair[] = [];
  for (let block = 0; block * half + size <= length; block++) {
    const from = block * half;
    for (let n = 0; n < size; n++) {
      re[n] = x[from + n]! * window[n]!;
      im[n] = y[late + from + n]! * window[n]!;
    }
    fft.forward(re, im);
    [now, before] = [before, now];
    const stimulus = crossSpectrum(re, im, now);
    if (block > 0) pairs.push({ block: block - 1, ...stimulus, ...compared(now, before) });
  }
  return pairs;
}

/** From the transform of x + iy, the cells of Y conj X into `z`. */
function crossSpectrum(re: Float64Array, im: Float64Array, z: Turns): Pick<Pair, 'played' | 'occupied'> {
  const size = re.length;
  const powers = new Float64Array(size / 2);
  let [played, most] = [0, 0];
  for (let k = 1; k < powers.length; k++) {
    const m = size - k;
    const [xr, xi] = [(re[k]! + re[m]!) / 2, (im[k]! - im[m]!) / 2];
    const [yr, yi] = [(im[k]! + im[m]!) / 2, (re[m]! - re[k]!) / 2];
    z.re[k] = yr * xr + yi * xi;
    z.im[k] = yi * xr - yr * xi;
    const power = xr * xr + xi * xi;
    powers[k] = power;
    played += power;
    most = Math.max(most, power);
  }
  const count = powers.reduce((sum, power) => sum + (power > OCCUPIED * most ? 1 : 0), 0);
  return { played, occupied: count / powers.length };
}

function compared(z: Turns, before: Turns): Pick<Pair, 're' | 'im' | 'alike' | 'radiansPerSample'> {
  let [re, im, sizes, moment] = [0, 0, 0, 0];
  for (let k = 1; k < z.re.length; k++) {
    const r = z.re[k]! * before.re[k]! + z.im[k]! * before.im[k]!;
    const i = z.im[k]! * before.re[k]! - z.re[k]! * before.im[k]!;
    re += r;
    im += i;
    const size = Math.hypot(r, i);
    sizes += size;
    moment += size * k;
  }
  const all = sizes || 1;
  return { re, im, alike: Math.hypot(re, im) / all, radiansPerSample: ((moment / all) * Math.PI) / z.re.length };
}

/** Where the stimulus is not found any more: so much is missing that the rest is compared with something else. */
function tornAt(pairs: readonly Pair[]): Pair | null {
  const smooth = pairs.slice(SMOOTH - 1).map((_, m) => {
    const few = pairs.slice(m, m + SMOOTH).map(({ alike }) => alike);
    return few.sort((a, b) => a - b)[SMOOTH >> 1]!;
  });
  if (Math.max(...smooth) < ALIKE || Math.min(...smooth) > UNLIKE) return null;
  const found = smooth.findIndex((alike, m) => m > 0 && alike <= UNLIKE !== smooth[m - 1]! <= UNLIKE);
  return pairs[found + (SMOOTH >> 1)] ?? null;
}
