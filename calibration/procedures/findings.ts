/** Findings of many analyses as one. */
import type { Findings } from './procedure.js';

export function spread(findings: readonly Findings[]): Findings {
  return {
    measurements: findings.flatMap(({ measurements }) => measurements),
    traces: findings.flatMap(({ traces }) => traces),
  };
}
