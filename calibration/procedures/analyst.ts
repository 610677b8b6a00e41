/**
 * Whoever turns captures into findings. A process that plays has this done in a thread of its own, because a transform over a million samples
 * must not hold up the stream.
 */
import { ANALYSES, type AnalysisInputs, type AnalysisKind } from './analyses.js';
import type { Findings } from './procedure.js';

export interface Analyst {
  analyze<K extends AnalysisKind>(kind: K, input: AnalysisInputs[K]): Promise<Findings>;
}

/** In the caller's own thread. */
export const inThisThread: Analyst = {
  analyze: async (kind, input) => ANALYSES[kind](input),
};
