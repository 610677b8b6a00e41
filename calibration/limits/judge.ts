/** What limits say of the measurements of a run. */
import type {
  CalibrationRun,
  EffectiveLimits,
  LimitRule,
  Measurement,
  UnjudgedRun,
  Verdict,
} from '../../core/contract/index.js';

/** A frequency that was set may have been moved onto a bin of the transform. */
const SAME_NUMBER = 1e-3;

/**
 * One verdict for each measurement that a rule is about. A refused measurement does not pass; what no rule is about has no verdict.
 *
 * @param run its measurements, and the full-scale levels for limits in dBu
 */
export function judge(run: Pick<UnjudgedRun, 'measurements' | 'conditions'>, limits: EffectiveLimits): Verdict[] {
  return limits.limits.flatMap((rule) =>
    run.measurements.flatMap((m, measurement) =>
      isAbout(rule, m) ? [{ measurement, ...verdict(rule, m, run.conditions.fullScaleDbu.return) }] : [],
    ),
  );
}

/** Rules that the run measured nothing for. */
export function unmeasured(run: Pick<UnjudgedRun, 'measurements'>, limits: EffectiveLimits): LimitRule[] {
  return limits.limits.filter((rule) => !run.measurements.some((m) => isAbout(rule, m)));
}

/** Of the whole run: it fails with any limit, and passes only when it came to its end and something was judged. */
export function outcome(verdicts: readonly Verdict[], problem: CalibrationRun['problem']): CalibrationRun['passed'] {
  if (verdicts.some(({ passed }) => passed === false)) return false;
  return problem === undefined && verdicts.some(({ passed }) => passed === true) ? true : null;
}

/** Whether a rule speaks of a measurement: its name, and the conditions that the rule names. */
export function isAbout(
  { measurement, when }: Pick<LimitRule, 'measurement' | 'when'>,
  m: Pick<Measurement, 'name' | 'conditions'>,
): boolean {
  return (
    m.name === measurement &&
    Object.entries(when ?? {}).every(([name, wanted]) => {
      const is = m.conditions[name];
      if (Array.isArray(wanted)) return typeof is === 'number' && is >= wanted[0] && is <= wanted[1];
      if (typeof wanted === 'number' && typeof is === 'number')
        return Math.abs(is - wanted) <= SAME_NUMBER * Math.abs(wanted);
      return is === wanted;
    })
  );
}

function verdict(
  { rule, unit, min, max }: LimitRule,
  m: Measurement,
  returnFullScaleDbu: readonly (number | null)[],
): Omit<Verdict, 'measurement'> {
  const bounds = { rule, ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
  if (!m.valid) return { ...bounds, passed: false, reason: m.refusal?.message ?? 'the measurement was refused' };
  let shiftDb = 0;
  if (unit === 'dBu' && m.value !== null) {
    const fullScale = returnFullScaleDbu[(m.channel ?? 1) - 1];
    if (fullScale == null)
      return { ...bounds, passed: null, reason: 'the limit is in dBu, and nobody measured what full scale is there' };
    shiftDb = fullScale;
  }
  // Digital silence has no level in decibels: it is below every one.
  const value = m.value === null ? Number.NEGATIVE_INFINITY : m.value + shiftDb;
  return {
    ...bounds,
    passed: value >= (min ?? Number.NEGATIVE_INFINITY) && value <= (max ?? Number.POSITIVE_INFINITY),
  };
}
