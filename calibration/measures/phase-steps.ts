/**
 * Steps of a phase: where samples were lost or repeated, what follows goes on at another phase than it left off. Noise, wow and drift move a phase too,
 * but a little all the time; a step stands alone.
 */

/** Steps over what the phase does anyway: Gaussian noise is at 8 sigmas there, and a modulation is far below. */
const STANDS_OUT = 10;
const USUAL = 0.6;
/** A step lights nine of its neighbours; of fewer than these, nobody can say what is usual. */
const LEAST_TURNS = 24;

/** The phase's turns from one block to the second one after it, as complex numbers (Z[m + 2] conj Z[m]). */
export interface Turns {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/**
 * @param leastStep radians for each turn: smaller ones are none
 * @returns the index of the turn with the largest step, or null where none stands out
 */
export function stepIn(turns: Turns, leastStep: (index: number) => number): number | null {
  const { length } = turns.re;
  if (length < LEAST_TURNS) return null;
  const sizes = Float64Array.from({ length }, (_, m) => Math.abs(bendAt(turns, m)));
  const usual = Float64Array.from(sizes).sort()[Math.floor(USUAL * length)]!;
  const stands = (m: number): boolean => sizes[m]! > Math.max(STANDS_OUT * usual, leastStep(m));
  let found: number | null = null;
  for (let m = 0; m < length; m++) if (stands(m) && (found === null || sizes[m]! > sizes[found]!)) found = m;
  return found;
}

/** How far a turn is from the mean of its neighbours, or at the ends from where the next two lead: a steady drift has none. */
function bendAt({ re, im }: Turns, m: number): number {
  const { length } = re;
  const unit = (i: number): [number, number] => {
    const size = Math.hypot(re[i]!, im[i]!) || 1;
    return [re[i]! / size, im[i]! / size];
  };
  const [r, i] = unit(m);
  if (m >= 2 && m + 2 < length) {
    const [[ar, ai], [br, bi]] = [unit(m - 2), unit(m + 2)];
    return angle(r, i, ar + br, ai + bi);
  }
  const step = m < 2 ? 2 : -2;
  const [[ar, ai], [br, bi]] = [unit(m + step), unit(m + 2 * step)];
  // a^2 conj b; it is twice as uncertain as a mean.
  const [sr, si] = [ar * ar - ai * ai, 2 * ar * ai];
  return angle(r, i, sr * br + si * bi, si * br - sr * bi) / 2;
}

/** Of the first over the second. */
function angle(ar: number, ai: number, br: number, bi: number): number {
  return Math.atan2(ai * br - ar * bi, ar * br + ai * bi);
}
