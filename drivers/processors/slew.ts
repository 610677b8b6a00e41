/** The way from one value to another in steps that are never larger than a unit may jump while signal passes. */
import { compare, type Decimal } from './decimal.js';
import type { Parameter } from './parameter.js';

/**
 * The values to send, the last one `to`, each at most `maxStep` (in the parameter's unit) from the one before and a position of the unit. Where
 * the unit's own next position is farther away than `maxStep`, that position is the step.
 */
export function slewSteps(parameter: Parameter, from: Decimal, to: Decimal, maxStep: number): Decimal[] {
  const { taper } = parameter;
  const [start, end] = [taper.decode(from), taper.decode(to)];
  if (typeof start !== 'number' || typeof end !== 'number' || compare(from, to) === 0) return [to];
  const steps: Decimal[] = [];
  const up = end > start;
  for (let value = start; value !== end; ) {
    value = next(parameter, value, end, up ? maxStep : -maxStep);
    steps.push(taper.encode(value) as Decimal);
  }
  return steps;
}

/** The farthest position within the step; beyond it where there is none nearer; never beyond `end`. */
function next({ taper }: Parameter, value: number, end: number, step: number): number {
  const up = step > 0;
  // What a person would write: 0.1 + 0.2 is 0.3.
  const wanted = Number((value + step).toPrecision(12));
  if (up ? wanted >= end : wanted <= end) return end;
  if (taper.encode(wanted) !== undefined) return wanted;
  const [below, above] = taper.neighbours(wanted) as [number, number];
  const [near, far] = up ? [below, above] : [above, below];
  const found = (up ? near > value : near < value) ? near : far;
  return (up ? found > end : found < end) ? end : found;
}
