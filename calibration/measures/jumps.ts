/**
 * Where a tone breaks off and goes on elsewhere: a lost, repeated or foreign block of samples. A sine follows from its last two samples,
 * x[n] = 2 cos w x[n - 1] - x[n - 2]; what does not is distortion, which comes back every period, noise, or a jump, which stands alone.
 */

/** Error at a jump over the RMS of all errors. Noise stays under 7 over days, the sharpest of distortions under what two spikes a period allow. */
const JUMP_RATIO = 30;

/** @returns the first sample behind a jump, or null */
export function jumpAt(samples: Float64Array, rate: number, hz: number): number | null {
  const turn = 2 * Math.cos((2 * Math.PI * hz) / rate);
  const { length } = samples;
  let energy = 0;
  let largest = 0;
  for (let n = 2; n < length; n++) {
    const error = samples[n]! - turn * samples[n - 1]! + samples[n - 2]!;
    energy += error * error;
    if (error > largest) largest = error;
    else if (-error > largest) largest = -error;
  }
  // Around a jump a few samples carry the error: they must not hide it in a short record.
  const rest = Math.max(0, energy - 3 * largest ** 2) / length;
  if (!(largest > JUMP_RATIO * Math.sqrt(rest))) return null;
  const threshold = largest / 3;
  let places = 0;
  let first = -1;
  let last = Number.NEGATIVE_INFINITY;
  for (let n = 2; n < length; n++) {
    const error = samples[n]! - turn * samples[n - 1]! + samples[n - 2]!;
    if (Math.abs(error) <= threshold) continue;
    if (first < 0) first = n;
    if (n > last + 4) places++;
    last = n;
  }
  const periods = (hz * length) / rate;
  return places < periods / 2 ? first : null;
}
