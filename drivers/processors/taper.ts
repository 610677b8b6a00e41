/**
 * Tapers: the one-to-one relation between the engineering value that a person names and the number w on the wire. The legal values are
 * exactly those that a wire position stands for, so nothing is ever rounded on the way out.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import {
  add,
  compare,
  type Decimal,
  decimalOf,
  multiply,
  normal,
  roundedTo,
  subtract,
  toNumber,
  wholeQuotient,
} from './decimal.js';
import { invalidProfile } from './invalid.js';
import type { Param } from './profile-schema.js';
import type { Taper as TaperDocument } from './wire-schema.js';

export interface Taper {
  /** w of a legal value, else undefined. */
  encode(value: SettingValue): Decimal | undefined;
  /** The value that w stands for, else undefined. */
  decode(w: Decimal): SettingValue | undefined;
  /** What is allowed, for people. */
  readonly range: string;
  /** The legal values next to one that is in the range but between two steps. */
  neighbours(value: number): [number, number] | undefined;
  /** Decimal places that w can need. */
  readonly wirePlaces: number;
  /** Legal values over the whole range, both ends included; at most about `count`. */
  sample(count: number): SettingValue[];
}

const MAX_POSITIONS = 65_536;

/** @throws OutboardError profile.invalid for a taper that does not fit the kind, is not monotonic or does not reach min and max */
export function compileTaper(param: Param, path: string): Taper {
  const { taper } = param;
  if (param.kind === 'route') {
    if (taper.t !== 'linear') throw invalidProfile(`${path}.taper`, 'a route has the taper linear');
    const { min, max } = param;
    const inputs = linear({ min, max, step: 1, unit: '' }, taper.scale ?? 1, taper.offset ?? 0, path);
    return { ...inputs, range: `0 (none) to ${max}` };
  }
  if (param.kind === 'number') {
    if (!(param.min < param.max)) throw invalidProfile(`${path}.min`, `must be below max (${param.max})`);
    if (taper.t === 'linear') return linear(param, taper.scale ?? 1, taper.offset ?? 0, path);
    if (taper.t === 'table') return positions(param, tablePositions(param, taper, path), path);
    if (taper.t === 'log') return positions(param, logPositions(param, taper.wire, path), path);
    throw invalidProfile(`${path}.taper`, 'enum is for parameters of kind bool or enum');
  }
  if (taper.t !== 'enum') throw invalidProfile(`${path}.taper`, `a parameter of kind ${param.kind} has the taper enum`);
  return labels(param.kind, taper.map, path);
}

/** What a taper needs of a number. */
type NumberParam = Pick<Extract<Param, { kind: 'number' }>, 'unit' | 'min' | 'max' | 'step'>;

function numericRange(param: NumberParam): string {
  const step = param.step === undefined ? '' : ` in steps of ${param.step}`;
  return `${param.min} to ${param.max} ${param.unit}${step}`;
}

function finite(value: SettingValue): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function linear(param: NumberParam, scaleNumber: number, offsetNumber: number, path: string): Taper {
  if (param.step === undefined) throw invalidProfile(`${path}.step`, 'a linear taper needs a step');
  const [min, max, step] = [decimalOf(param.min), decimalOf(param.max), decimalOf(param.step)];
  const [scale, offset] = [decimalOf(scaleNumber), decimalOf(offsetNumber)];
  if (scale.digits === 0n) throw invalidProfile(`${path}.taper.scale`, 'with 0 the taper is not monotonic');
  const last = wholeQuotient(subtract(max, min), step);
  if (last === undefined) throw invalidProfile(`${path}.step`, `max is not a whole number of steps above min`);
  const wireOf = (value: Decimal): Decimal => add(multiply(value, scale), offset);
  const [first, wireStep] = [wireOf(min), multiply(step, scale)];
  const valueAt = (k: bigint): number => toNumber(add(min, multiply(step, { digits: k, places: 0 })));
  return {
    encode(value) {
      if (!finite(value) || value < param.min || value > param.max) return undefined;
      const exact = decimalOf(value);
      return wholeQuotient(subtract(exact, min), step) === undefined ? undefined : wireOf(exact);
    },
    decode(w) {
      const k = wholeQuotient(subtract(w, first), wireStep);
      return k === undefined || k < 0n || k > last ? undefined : valueAt(k);
    },
    range: numericRange(param),
    neighbours(value) {
      const below = roundedTo(step, subtract(decimalOf(value), min), 1n, 1n);
      const k = wholeQuotient(below, step) as bigint;
      const low = valueAt(k) > value ? k - 1n : k;
      return [valueAt(low), valueAt(low + 1n)];
    },
    wirePlaces: Math.max(normal(first).places, normal(wireStep).places),
    sample(count) {
      const stride = last / BigInt(Math.max(1, count - 1)) || 1n;
      const values: number[] = [];
      for (let k = 0n; k < last; k += stride) values.push(valueAt(k));
      return [...values, valueAt(last)];
    },
  };
}

/** Every wire position with its value, w rising. */
type Positions = Map<number, number>;

function tablePositions(param: NumberParam, taper: Extract<TaperDocument, { t: 'table' }>, path: string): Positions {
  const at = `${path}.taper.points`;
  const { points } = taper;
  const [[w0], [w1]] = [points[0] as [number, number], points.at(-1) as [number, number]];
  if (w1 - w0 >= MAX_POSITIONS) throw invalidProfile(at, `more than ${MAX_POSITIONS} positions`);
  // Without a step every position has to be a short decimal of its own.
  const step = decimalOf(param.step ?? 1e-6);
  const found: Positions = new Map();
  points.forEach(([w, value], i) => {
    const next = points[i + 1];
    if (next !== undefined && next[0] <= w) throw invalidProfile(at, `w does not rise after ${w}`);
    const [exact, rise] = [decimalOf(value), subtract(decimalOf(next?.[1] ?? value), decimalOf(value))];
    const span = next === undefined ? 1 : next[0] - w;
    const count = next === undefined || taper.interp === 'none' ? 1 : span;
    for (let i = 0; i < count; i++) {
      // value + rise x i / span, over one denominator so that it is rounded once.
      const sum = add(multiply(exact, decimalOf(span)), multiply(rise, decimalOf(i)));
      const rounded = roundedTo(step, sum, 1n, BigInt(span));
      const isExact = compare(multiply(rounded, decimalOf(span)), sum) === 0;
      if (!isExact && (param.step === undefined || i === 0))
        throw invalidProfile(at, `w = ${w + i} stands for a value that is on no grid; set a step that it lies on`);
      found.set(w + i, toNumber(rounded));
    }
  });
  return found;
}

function logPositions(param: NumberParam, [from, to]: [number, number], path: string): Positions {
  if (param.step === undefined) throw invalidProfile(`${path}.step`, 'a log taper needs a step to name its values by');
  if (!(param.min > 0)) throw invalidProfile(`${path}.min`, 'must be above 0 for a log taper');
  if (from >= to) throw invalidProfile(`${path}.taper.wire`, 'w does not rise');
  if (to - from >= MAX_POSITIONS) throw invalidProfile(`${path}.taper.wire`, `more than ${MAX_POSITIONS} positions`);
  const step = decimalOf(param.step);
  const found: Positions = new Map();
  for (let w = from; w <= to; w++) {
    const value = w === to ? param.max : param.min * (param.max / param.min) ** ((w - from) / (to - from));
    found.set(w, toNumber(roundedTo(step, decimalOf(value), 1n, 1n)));
  }
  return found;
}

function positions(param: NumberParam, byWire: Positions, path: string): Taper {
  const entries = [...byWire];
  const [first, last] = [entries[0] as [number, number], entries.at(-1) as [number, number]];
  const rising = last[1] > first[1];
  entries.forEach(([w, value], i) => {
    const next = entries[i + 1];
    if (next !== undefined && (rising ? next[1] <= value : next[1] >= value))
      throw invalidProfile(`${path}.taper`, `not monotonic: w = ${w} is ${value} and w = ${next[0]} is ${next[1]}`);
  });
  const [low, high] = rising ? [first[1], last[1]] : [last[1], first[1]];
  if (low !== param.min) throw invalidProfile(`${path}.min`, `is ${param.min}, but the taper begins at ${low}`);
  if (high !== param.max) throw invalidProfile(`${path}.max`, `is ${param.max}, but the taper ends at ${high}`);
  const byValue = new Map(entries.map(([w, value]) => [value, w]));
  const ascending = [...byValue.keys()].sort((a, b) => a - b);
  return {
    encode(value) {
      // A Map takes -0 for 0.
      const w = finite(value) ? byValue.get(value) : undefined;
      return w === undefined ? undefined : decimalOf(w);
    },
    decode: (w) => byWire.get(toNumber(w)),
    range: `${numericRange(param)}, ${byValue.size} positions`,
    neighbours(value) {
      const above = ascending.findIndex((v) => v > value);
      const [a, b] = [ascending[above - 1], ascending[above]];
      return a === undefined || b === undefined ? undefined : [a, b];
    },
    wirePlaces: 0,
    sample(count) {
      const stride = Math.max(1, Math.floor(ascending.length / count));
      return [...new Set([...ascending.filter((_, i) => i % stride === 0), ascending.at(-1) as number])];
    },
  };
}

const BOOLS = new Map<string, boolean>([
  ['off', false],
  ['on', true],
]);

/** One label and the numbers that mean it: the first is sent, all are understood. */
interface Meaning {
  readonly value: SettingValue;
  readonly from: number;
  readonly to: number;
}

/**
 * The numbers of each value of a bool or an enum.
 *
 * @throws OutboardError profile.invalid for numbers that belong to two values
 */
export function meaningsOf(
  kind: 'bool' | 'enum',
  map: Readonly<Record<string, number | readonly [number, number]>>,
  at: string,
): Meaning[] {
  const entries = Object.entries(map);
  if (entries.length < 2) throw invalidProfile(at, 'needs at least two values');
  if (kind === 'bool' && (entries.length !== 2 || !entries.every(([label]) => BOOLS.has(label))))
    throw invalidProfile(at, 'a bool has exactly "off" and "on"');
  const meanings = entries.map(([label, numbers]) => {
    const [from, to] = typeof numbers === 'number' ? [numbers, numbers] : numbers;
    if (from > to) throw invalidProfile(`${at}.${label}`, `${from} is above ${to}`);
    return { label, value: kind === 'bool' ? (BOOLS.get(label) as boolean) : label, from, to };
  });
  const sorted = [...meanings].sort((a, b) => a.from - b.from);
  sorted.forEach((meaning, i) => {
    const next = sorted[i + 1];
    if (next === undefined || next.from > meaning.to) return;
    const both = `"${meaning.label}" and "${next.label}"`;
    throw invalidProfile(at, `the wire ranges of ${both} overlap: ${next.from} is the same number for two values`);
  });
  return meanings;
}

function labels(kind: 'bool' | 'enum', map: Extract<TaperDocument, { t: 'enum' }>['map'], path: string): Taper {
  const meanings = meaningsOf(kind, map, `${path}.taper.map`);
  const toWire = new Map<SettingValue, number>(meanings.map(({ value, from }) => [value, from]));
  return {
    encode(value) {
      const w = toWire.get(value);
      return w === undefined ? undefined : decimalOf(w);
    },
    decode(w) {
      const number = normal(w).places === 0 ? toNumber(w) : Number.NaN;
      return meanings.find(({ from, to }) => number >= from && number <= to)?.value;
    },
    range: kind === 'bool' ? 'true or false' : [...toWire.keys()].join(' | '),
    neighbours: () => undefined,
    wirePlaces: 0,
    sample: () => [...toWire.keys()],
  };
}
