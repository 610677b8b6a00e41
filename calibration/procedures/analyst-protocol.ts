/** What goes between a procedure's thread and the analyst's. */
import type { AnalysisInputs, AnalysisKind } from './analyses.js';
import type { Findings } from './procedure.js';

export interface ToAnalyst<K extends AnalysisKind = AnalysisKind> {
  id: number;
  kind: K;
  input: AnalysisInputs[K];
}

export type FromAnalyst = { id: number } & ({ findings: Findings } | { failed: string });
