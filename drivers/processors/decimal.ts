/**
 * Exact decimal numbers. A setting such as -12.35 on a grid of 0.01 is judged by the decimal that a person wrote, never by a binary
 * remainder with a tolerance: 0.3 is on the grid, 0.1 + 0.2 is not.
 */

/** `digits` x 10^-`places`. */
export interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/;

/** The decimal that a finite number prints as (ECMAScript's shortest form); -0 is 0. @throws RangeError for NaN and infinities */
export function decimalOf(value: number): Decimal {
  if (Number.isSafeInteger(value)) return { digits: BigInt(value), places: 0 };
  const match = NUMBER.exec(String(value));
  if (match === null) throw new RangeError(`${value} is not a finite number`);
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const magnitude = BigInt(whole + fraction);
  const places = fraction.length - Number(exponent);
  const digits = sign === '-' ? -magnitude : magnitude;
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}

/** The same value with at least `places` places. */
function scaled(d: Decimal, places: number): bigint {
  return places === d.places ? d.digits : d.digits * 10n ** BigInt(places - d.places);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places);
  return { digits: scaled(a, places) + scaled(b, places), places };
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, { digits: -b.digits, places: b.places });
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, places: a.places + b.places };
}

/** Without trailing zeros after the point. */
export function normal(d: Decimal): Decimal {
  let { digits, places } = d;
  while (places > 0 && digits % 10n === 0n) {
    digits /= 10n;
    places--;
  }
  return { digits, places };
}

/** Negative, zero or positive, as a - b is. */
export function compare(a: Decimal, b: Decimal): number {
  const difference = subtract(a, b).digits;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export function absolute(d: Decimal): Decimal {
  return d.digits < 0n ? { digits: -d.digits, places: d.places } : d;
}

/** a / b where that is a whole number, else undefined. */
export function wholeQuotient(a: Decimal, b: Decimal): bigint | undefined {
  if (b.digits === 0n) return undefined;
  const places = Math.max(a.places, b.places);
  const [x, y] = [scaled(a, places), scaled(b, places)];
  return x % y === 0n ? x / y : undefined;
}

/** a x n / m, rounded half away from zero to a whole multiple of `step`. */
export function roundedTo(step: Decimal, a: Decimal, n: bigint, m: bigint): Decimal {
  const places = Math.max(a.places, step.places);
  const numerator = scaled(a, places) * n;
  const denominator = scaled(step, places) * m;
  const negative = numerator < 0n !== denominator < 0n;
  const [x, y] = [numerator < 0n ? -numerator : numerator, denominator < 0n ? -denominator : denominator];
  const count = (2n * x + y) / (2n * y);
  return { digits: step.digits * (negative ? -count : count), places: step.places };
}

/** The nearest double; never -0. */
export function toNumber(d: Decimal): number {
  return d.places === 0 ? Number(d.digits) : Number(`${d.digits}e-${d.places}`) + 0;
}

/** Fixed notation of the magnitude with exactly `places` places, or undefined where that would lose digits. */
export function fixedMagnitude(d: Decimal, places: number): string | undefined {
  let { digits } = absolute(d);
  if (d.places > places) {
    const surplus = 10n ** BigInt(d.places - places);
    if (digits % surplus !== 0n) return undefined;
    digits /= surplus;
  } else digits *= 10n ** BigInt(places - d.places);
  const text = digits.toString().padStart(places + 1, '0');
  return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
}
