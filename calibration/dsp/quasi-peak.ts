/**
 * The quasi-peak detector of ITU-R BS.468-4 clause 2: full-wave rectifier, a fast attack and a slow release, then a smoothing stage; the
 * reading is the highest value. It is calibrated so that a sine reads its RMS. The time constants are fitted to the burst tables of the
 * clause, all of whose windows they pass.
 */
const ATTACK_SECONDS = 0.0015;
const RELEASE_SECONDS = 0.3;
const SMOOTHING_SECONDS = 0.15;
/** Of the calibration: long enough for both stages to settle, at the reference frequency of the clause. */
const SETTLE_SECONDS = 3;
const REFERENCE_HZ = 1000;

const gains = new Map<number, number>();

/**
 * The reading of a weighted signal, linear: a steady sine of RMS r reads r.
 * @param samples already weighted
 * @param rate Hz
 */
export function quasiPeak(samples: Float64Array, rate: number): number {
  return detect(samples, rate) * gainAt(rate);
}

function detect(samples: Float64Array, rate: number): number {
  const step = (seconds: number): number => 1 - Math.exp(-1 / (seconds * rate));
  const [attack, release, smoothing] = [step(ATTACK_SECONDS), step(RELEASE_SECONDS), step(SMOOTHING_SECONDS)];
  let peak = 0;
  let smooth = 0;
  let reading = 0;
  for (let n = 0; n < samples.length; n++) {
    const x = Math.abs(samples[n]!);
    peak += (x > peak ? attack : release) * (x - peak);
    smooth += smoothing * (peak - smooth);
    if (smooth > reading) reading = smooth;
  }
  return reading;
}

function gainAt(rate: number): number {
  let gain = gains.get(rate);
  if (gain === undefined) {
    const length = Math.round(rate * SETTLE_SECONDS);
    const sine = Float64Array.from({ length }, (_, n) => Math.sin((2 * Math.PI * REFERENCE_HZ * n) / rate));
    gain = Math.SQRT1_2 / detect(sine, rate);
    gains.set(rate, gain);
  }
  return gain;
}
