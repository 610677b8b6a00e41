/** How far a reading has moved from its baseline, and whether that is more than chance and more than anyone should accept. */
import type { Drift } from '../../core/contract/calibration.js';
import type { DriftRule } from '../../core/contract/calibration-limits.js';

/** Fewer readings say nothing of their spread. */
const LEAST_READINGS = 8;
/** The spread is that of the time of the baseline: a slow drift must not widen what is allowed. */
export const MOST_READINGS = 20;
/** Mean distance of two neighbours of a normal distribution, in sigmas (ISO 7870-2, table 2: d2 for n = 2). */
const D2 = 1.128;

/** Standard deviation from the moving range, as the chart of individuals has it (ISO 7870-2); null while there are too few readings. */
export function spread(readings: readonly number[]): number | null {
  const used = readings.slice(0, MOST_READINGS);
  if (used.length < LEAST_READINGS) return null;
  let sum = 0;
  for (let n = 1; n < used.length; n++) sum += Math.abs(used[n]! - used[n - 1]!);
  return sum / (used.length - 1) / D2;
}

/**
 * @param was the reading of the baseline
 * @param readings from the baseline on, oldest first, without the present one
 */
export function drift(
  rule: DriftRule,
  value: number,
  was: number,
  readings: readonly number[],
): Pick<Drift, 'rule' | 'was' | 'change' | 'allowed' | 'sigma' | 'alarm'> {
  const sigma = spread(readings);
  const allowed = sigma === null ? rule.change : Math.min(rule.change, Math.max(3 * sigma, rule.resolution));
  const change = value - was;
  return { rule: rule.rule, was, change, allowed, sigma, alarm: Math.abs(change) > allowed };
}
