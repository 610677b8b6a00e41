/**
 * The K-weighting filter of ITU-R BS.1770-5 Annex 1 at any sample rate.
 *
 * The recommendation prints coefficients for 48 kHz only. They are the bilinear transform of an analog shelf and an analog high-pass,
 * whose parameters were recovered from the printed figures (De Man 2014; the same are used by libebur128): transformed again at 48 kHz they
 * agree with the printed ones to 1e-15, and at other rates they give the same weighting.
 */

/** b0 + b1 z^-1 + b2 z^-2 over 1 + a1 z^-1 + a2 z^-2. */
export interface Biquad {
  b0: number;
  b1: number;
  b2: number;
  a1: number;
  a2: number;
}

const SHELF = { hz: 1681.974450955533, gainDb: 3.999843853973347, q: 0.7071752369554196, power: 0.4996667741545416 };
const HIGH_PASS = { hz: 38.13547087602444, q: 0.5003270373238773 };
const PRINTED_RATE_HZ = 48_000;

/** Stage 1: the shelf that stands for the head. */
export function shelf(rateHz: number): Biquad {
  const k = Math.tan((Math.PI * SHELF.hz) / rateHz);
  const high = 10 ** (SHELF.gainDb / 20);
  const band = high ** SHELF.power;
  const a0 = 1 + k / SHELF.q + k * k;
  return {
    b0: (high + (band * k) / SHELF.q + k * k) / a0,
    b1: (2 * (k * k - high)) / a0,
    b2: (high - (band * k) / SHELF.q + k * k) / a0,
    a1: (2 * (k * k - 1)) / a0,
    a2: (1 - k / SHELF.q + k * k) / a0,
  };
}

/**
 * Stage 2: the high-pass (RLB). The recommendation prints its numerator as 1, -2, 1, which makes a pass band of +0.04 dB at 48 kHz; that
 * gain is kept at every rate, so that the constant of the loudness formula fits everywhere.
 */
export function highPass(rateHz: number): Biquad {
  const k = Math.tan((Math.PI * HIGH_PASS.hz) / rateHz);
  const a0 = denominator(k);
  const b0 = denominator(Math.tan((Math.PI * HIGH_PASS.hz) / PRINTED_RATE_HZ)) / a0;
  return { b0, b1: -2 * b0, b2: b0, a1: (2 * (k * k - 1)) / a0, a2: (1 - k / HIGH_PASS.q + k * k) / a0 };
}

function denominator(k: number): number {
  return 1 + k / HIGH_PASS.q + k * k;
}
