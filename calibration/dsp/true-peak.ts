/**
 * True peak, ITU-R BS.1770-5 Annex 2: the highest value between the samples, on a grid four times as dense, by a windowed sinc of 32 samples' reach.
 * What cannot become the highest value, because no sample near is high enough, is not interpolated.
 */

const OVERSAMPLING = 4;
const TAPS = 32;
/** Of the Kaiser window. */
const BETA = 8;
const BLOCK = 64;

/** Three interpolated phases of TAPS each; the fourth are the samples. */
const PHASES: readonly Float64Array[] = Array.from({ length: OVERSAMPLING - 1 }, (_, i) =>
  phase((i + 1) / OVERSAMPLING),
);
/** The largest that a phase can make of samples of at most 1. */
const MOST_GAIN = Math.max(...PHASES.map((taps) => taps.reduce((sum, x) => sum + Math.abs(x), 0)));

export class TruePeakMeter {
  readonly #channels: number;
  /** Per channel: the last TAPS samples, then what is added. */
  readonly #held: Float64Array[];
  readonly #peaks: Float64Array;
  #pending = 0;

  constructor(channels: number) {
    this.#channels = channels;
    this.#held = Array.from({ length: channels }, () => new Float64Array(TAPS + BLOCK));
    this.#peaks = new Float64Array(channels);
  }

  /** @param interleaved full scale 1 */
  add(interleaved: Float64Array, frames: number): void {
    for (let n = 0; n < frames; n++) {
      for (let c = 0; c < this.#channels; c++)
        this.#held[c]![TAPS + this.#pending] = interleaved[n * this.#channels + c]!;
      if (++this.#pending === BLOCK) this.#flush();
    }
  }

  /** Highest value of each channel so far, linear. The samples added last are taken to be followed by silence. */
  peaks(): Float64Array {
    const silence = new Float64Array(BLOCK * this.#channels);
    this.add(silence, BLOCK);
    return this.#peaks;
  }

  #flush(): void {
    for (let c = 0; c < this.#channels; c++) {
      const held = this.#held[c]!;
      this.#peaks[c] = highest(held, this.#peaks[c]!);
      held.copyWithin(0, BLOCK);
    }
    this.#pending = 0;
  }
}

function highest(x: Float64Array, so: number): number {
  let top = 0;
  for (let n = 0; n < x.length; n++) top = Math.max(top, Math.abs(x[n]!));
  if (top * MOST_GAIN <= so) return so;
  let peak = Math.max(so, top);
  for (let n = 0; n < BLOCK; n++)
    for (const taps of PHASES) {
      let sum = 0;
      for (let k = 0; k < TAPS; k++) sum += taps[k]! * x[n + k]!;
      peak = Math.max(peak, Math.abs(sum));
    }
  return peak;
}

/** Weights of TAPS samples for the value `part` of the way between the two in the middle. */
function phase(part: number): Float64Array {
  const taps = Float64Array.from({ length: TAPS }, (_, k) => {
    const t = k - (TAPS / 2 - 1) - part;
    const sinc = Math.sin(Math.PI * t) / (Math.PI * t);
    return sinc * bessel0(BETA * Math.sqrt(Math.max(0, 1 - (t / (TAPS / 2)) ** 2)));
  });
  const sum = taps.reduce((a, b) => a + b, 0);
  return taps.map((x) => x / sum);
}

/** The modified Bessel function of order 0, from its series. */
function bessel0(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
