/**
 * Latency with its fraction, polarity and spread: the same burst five times, and a sweep as a second witness, which is another signal of the
 * same spectrum: both have to say the same. In a stream that is locked to one clock the spread is 0.
 */
import { dbToRatio } from '../../core/units.js';
import type { LatencyRun } from '../measures/latency.js';
import { fade, linearSweep } from '../signals/signals.js';
import { burst, latencyOf, playOnAll } from './located.js';
import type { Procedure, ProcedureContext } from './procedure.js';

const RUNS = 5;
const SWEEP_SECONDS = 0.5;
const SWEEP_DBFS = -20;
const FADE_SECONDS = 0.005;

export const measureLatency: Procedure = async (context) => {
  const runs: LatencyRun[][] = [];
  const stimulus = burst(context);
  for (let run = 0; run < RUNS; run++) {
    context.step(`burst ${run + 1} of ${RUNS}`, run / (RUNS + 1));
    runs.push(await playOnAll(context, stimulus));
  }
  context.step('sweep', RUNS / (RUNS + 1));
  return await latencyOf(context, runs, await playOnAll(context, sweepFor(context)));
};

/** Up to half the rate, as the burst: what is delayed by the ends of the band would be weighed otherwise. */
function sweepFor({ loop: { rate, ceilingDbfs } }: ProcedureContext): Float64Array {
  const peak = dbToRatio(Math.min(SWEEP_DBFS, ceilingDbfs));
  const sweep = linearSweep(rate, 0, rate / 2, Math.round(SWEEP_SECONDS * rate)).map((x) => x * peak);
  return fade(sweep, Math.round(FADE_SECONDS * rate));
}
