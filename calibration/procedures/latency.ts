/**
 * Latency with its fraction, polarity and spread: the same burst five times, and a sweep as a second witness that knows nothing of the burst's
 * spectrum. In a stream that is locked to one clock the spread is 0.
 */
import { dbToRatio } from '../../core/units.js';
import { exponentialSweep } from '../dsp/sweep.js';
import type { LatencyRun } from '../measures/latency.js';
import { burst, latencyOf, playOnAll } from './located.js';
import type { Procedure, ProcedureContext } from './procedure.js';

const RUNS = 5;
const SWEEP_SECONDS = 0.5;
const SWEEP_DBFS = -20;

export const measureLatency: Procedure = async (context) => {
  const runs: LatencyRun[][] = [];
  const stimulus = burst(context);
  for (let run = 0; run < RUNS; run++) {
    context.step(`burst ${run + 1} of ${RUNS}`, run / (RUNS + 1));
    runs.push(await playOnAll(context, stimulus));
  }
  const found = await latencyOf(context, runs);
  context.step('sweep', RUNS / (RUNS + 1));
  const witness = await latencyOf(context, [await playOnAll(context, sweepFor(context))]);
  const second = witness.measurements
    .filter(({ name }) => name === 'latency_samples')
    .map((one) => ({ ...one, name: 'latency_sweep_samples' }));
  return { measurements: [...found.measurements, ...second], traces: [] };
};

function sweepFor({ loop }: ProcedureContext): Float64Array {
  const peak = dbToRatio(Math.min(SWEEP_DBFS, loop.ceilingDbfs));
  return exponentialSweep(loop.rate, 50, 0.42 * loop.rate, SWEEP_SECONDS).samples.map((x) => x * peak);
}
