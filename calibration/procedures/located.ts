/** Finding an insert: how late each of its channels is, before anything else is measured on it. Where nothing comes back, nothing is measured. */
import type { Measurement } from '../../core/contract/calibration.js';
import type { LatencyRun } from '../measures/latency.js';
import { binaryNoise, fade } from '../signals/signals.js';
import { spread } from './findings.js';
import type { Findings, Procedure, ProcedureContext } from './procedure.js';

/**
 * A procedure that is told how late the insert is, in frames: the mean of its channels.
 * @param before what was found in the same run, if anything
 */
export type LocatedProcedure = (context: ProcedureContext, delayFrames: number, before?: Findings) => Promise<Findings>;

const LEVEL_DBFS = -20;
/** Looked for beyond what the configuration says of the insert; the burst is as long as the search. */
const SEARCH_SECONDS = 0.3;
const FADE_SECONDS = 0.005;

/** Finds the insert first. What cannot be found is the only finding then: a cable is out, or a processor is muted. */
export function located(measure: LocatedProcedure): Procedure {
  return async (context) => {
    context.step('finding the insert', 0);
    const found = await locate(context);
    const delay = meanDelay(found.measurements);
    return delay === null ? found : await measure(context, delay);
  };
}

/** @returns `latency_samples`, `polarity_inverted` and what goes with them for each channel, or their refusals */
export async function locate(context: ProcedureContext): Promise<Findings> {
  return await latencyOf(context, [await playOnAll(context, burst(context))]);
}

/** Noise for as long as a delay is looked for. */
export function burst({ loop }: ProcedureContext): Float64Array {
  const frames = Math.round(searchSeconds(loop) * loop.rate);
  return fade(binaryNoise(Math.min(LEVEL_DBFS, loop.ceilingDbfs), frames), Math.round(FADE_SECONDS * loop.rate));
}

/** One run on every channel at once. @returns one for each channel */
export async function playOnAll({ loop, signal }: ProcedureContext, stimulus: Float64Array): Promise<LatencyRun[]> {
  const sends = Array.from({ length: loop.insert.channels }, () => stimulus);
  const tailFrames = Math.ceil(searchSeconds(loop) * loop.rate);
  const { returns } = await loop.play(sends, { tailFrames, signal });
  return returns.map((captured) => ({ stimulus, captured }));
}

/**
 * Of several runs, each with one capture a channel.
 * @param witness one more, with another stimulus
 */
export async function latencyOf(
  { loop, analyst }: ProcedureContext,
  runs: LatencyRun[][],
  witness?: LatencyRun[],
): Promise<Findings> {
  const { rate } = loop;
  const mostDelaySeconds = searchSeconds(loop);
  return spread(
    await Promise.all(
      Array.from({ length: loop.insert.channels }, (_, i) =>
        analyst.analyze('latency', {
          ...{ runs: runs.map((run) => run[i]!), rate, mostDelaySeconds, channel: i + 1 },
          ...(witness && { witness: witness[i]! }),
        }),
      ),
    ),
  );
}

/** Null when any channel was not found. */
export function meanDelay(measurements: readonly Measurement[]): number | null {
  const delays = measurements.filter(({ name }) => name === 'latency_samples').map(({ value }) => value);
  const found = delays.filter((value) => value !== null);
  return found.length > 0 && found.length === delays.length
    ? found.reduce((sum, value) => sum + value, 0) / found.length
    : null;
}

function searchSeconds({ insert, rate }: ProcedureContext['loop']): number {
  return SEARCH_SECONDS + insert.latencyFrames / rate;
}
