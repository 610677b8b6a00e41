/** Numbers of the wire that depend on the index of an axis. */
import { type Decimal, decimalOf, normal } from './decimal.js';
import { invalidProfile } from './invalid.js';
import type { PerIndex } from './schema-basics.js';

export interface IndexSpan {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/**
 * The number for every index; for null where there is no axis.
 *
 * @throws OutboardError profile.invalid for a step without an axis, one that never moves, and a number below 0
 */
export function spread(value: PerIndex, axis: IndexSpan | undefined, path: string): ReadonlyMap<number | null, number> {
  if (axis === undefined) {
    if (typeof value !== 'number') throw invalidProfile(path, 'there is no axis to step along');
    return new Map([[null, value]]);
  }
  const { first, step } = typeof value === 'number' ? { first: value, step: 0 } : value;
  const numbers = new Map<number | null, number>();
  for (let index = axis.from; index <= axis.to; index++) numbers.set(index, first + step * (index - axis.from));
  const below = [...numbers].find(([, number]) => number < 0);
  if (below !== undefined) throw invalidProfile(path, `is ${below[1]} for ${axis.name} = ${below[0]}`);
  return numbers;
}

export function exactInteger(value: number): Decimal {
  return decimalOf(value);
}

/** w as a whole number of so many bits. @throws RangeError */
export function wholeNumber(w: Decimal, bits: number, path: string): number {
  const { digits, places } = normal(w);
  if (places !== 0 || digits < 0n || digits >= 1n << BigInt(bits))
    throw new RangeError(`${path}: ${bits} bits have no room for ${digits}${places === 0 ? '' : `e-${places}`}`);
  return Number(digits);
}
