/** Completes a run: what its limits say, how it stands to its baseline, and whether it passed. */
import type { CalibrationRun, Drift, EffectiveLimits, UnjudgedRun } from '../../core/contract/index.js';
import type { History } from '../history/history.js';
import { drift, MOST_READINGS } from './drift.js';
import { isAbout, judge, outcome } from './judge.js';

export function assess(run: UnjudgedRun, limits: EffectiveLimits, history: History): CalibrationRun {
  const verdicts = judge(run, limits);
  return { ...run, limits, verdicts, drifts: drifts(run, limits, history), passed: outcome(verdicts, run.problem) };
}

function drifts(run: UnjudgedRun, limits: EffectiveLimits, history: History): Drift[] {
  return run.measurements.flatMap((m, measurement) => {
    if (m.value === null) return [];
    const rule = limits.drift.find((each) => isAbout(each, m));
    const since = rule && history.sinceBaseline(run, m, MOST_READINGS);
    if (!rule || !since) return [];
    return [{ measurement, baseline: since.baseline, ...drift(rule, m.value, since.readings[0]!, since.readings) }];
  });
}
