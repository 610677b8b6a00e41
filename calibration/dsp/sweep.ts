/**
 * The exponential sweep (Farina 2000) in its synchronised form (Novak et al. 2015): x(t) = sin(2 pi f1 L exp(t / L)). In the response that is
 * deconvolved with its analytic inverse, harmonic n stands L ln n earlier than the linear response, and apart from it.
 */

export interface Sweep {
  readonly rate: number;
  /** Hz. */
  readonly from: number;
  readonly to: number;
  /** L, seconds. */
  readonly growth: number;
  /** Peak 1, with half a cosine of `fadeFrames` at either end. */
  readonly samples: Float64Array;
  readonly fadeFrames: number;
}

const FADE_SECONDS = 0.01;

/**
 * @param seconds about how long: L is rounded so that f1 L is a whole number
 * @throws RangeError for a band that is none of this rate, or a length in which no whole number fits
 */
export function exponentialSweep(rate: number, from: number, to: number, seconds: number): Sweep {
  if (!(from > 0 && to > from && to <= rate / 2)) throw new RangeError(`${from} to ${to} Hz at ${rate} Hz`);
  const growth = Math.round((from * seconds) / Math.log(to / from)) / from;
  if (!(growth > 0)) throw new RangeError(`${seconds} s are too short for ${from} Hz`);
  const length = Math.ceil(growth * Math.log(to / from) * rate);
  const fadeFrames = Math.min(Math.round(FADE_SECONDS * rate), Math.floor(length / 4));
  const samples = Float64Array.from({ length }, (_, n) => {
    const edge = Math.min(n, length - 1 - n);
    const fade = edge >= fadeFrames ? 1 : 0.5 - 0.5 * Math.cos((Math.PI * edge) / fadeFrames);
    // Whole turns are taken out before the sine: f1 L exp(t / L) grows into the ten thousands.
    const turns = from * growth * Math.exp(n / rate / growth);
    return fade * Math.sin(2 * Math.PI * (turns % 1));
  });
  return { rate, from, to, growth, samples, fadeFrames };
}

/** By how many frames harmonic `order` comes earlier than the linear response; a fraction is usual. */
export function harmonicLeadFrames({ growth, rate }: Sweep, order: number): number {
  return growth * Math.log(order) * rate;
}

/**
 * The inverse spectrum 2 sqrt(f / L) exp(-2 pi i f L (1 - ln(f / f1)) + i pi / 4) at `hz`: a captured spectrum (in seconds, that is divided by the
 * rate) times this is the response of the path. Outside of the sweep's band it is 0.
 */
export function inverseAt({ from, to, growth }: Sweep, hz: number): { re: number; im: number } {
  if (hz < from || hz > to) return { re: 0, im: 0 };
  const size = 2 * Math.sqrt(hz / growth);
  // The angle in turns, so that whole ones can be taken out.
  const turns = -hz * growth * (1 - Math.log(hz / from)) + 1 / 8;
  const angle = 2 * Math.PI * (turns - Math.round(turns));
  return { re: size * Math.cos(angle), im: size * Math.sin(angle) };
}
