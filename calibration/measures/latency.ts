/** How late a stimulus comes back, from one or several runs: a loop that is locked to its clock has the same latency every time. */
import type { Measurement } from '../../core/contract/calibration.js';
import type { MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, measured, refused } from './measurement.js';
import { analyzeResponse, type ResponseOptions } from './response.js';

export interface LatencyRun {
  stimulus: Float64Array;
  /** From the frame on at which the stimulus began. */
  captured: Float64Array;
}

const NAMES = [
  'latency_samples',
  'latency_ms',
  'latency_spread_samples',
  'polarity_inverted',
] as const satisfies readonly MeasurementName[];

const WITNESS_NAMES = [
  'latency_sweep_samples',
  'latency_difference_samples',
] as const satisfies readonly MeasurementName[];

/**
 * @param runs one or more, best with two different stimuli (broadband); linear, full scale 1
 * @param rate Hz
 * @param o.witness another stimulus over the same path
 * @returns the median latency, the spread of all (only of several runs), polarity (1: inverted), and what the witness says. Runs of different
 * polarity are refused.
 */
export function latencyMeasurements(
  runs: readonly LatencyRun[],
  rate: number,
  o: MeasureOptions & ResponseOptions & { witness?: LatencyRun } = {},
): Measurement[] {
  const basis = { ...o, samples: runs[0]?.captured.length ?? 0, conditions: { ...o.conditions, runs: runs.length } };
  const latencies: number[] = [];
  let inverted = 0;
  for (const { stimulus, captured } of runs) {
    const found = analyzeResponse(stimulus, captured, rate, o);
    if (isRefusal(found)) return refused(NAMES, found, basis);
    latencies.push(found.latencySamples);
    if (found.inverted) inverted++;
  }
  if (runs.length === 0 || (inverted > 0 && inverted < runs.length))
    return refused(NAMES, { reason: 'too-noisy', message: `${inverted} of ${runs.length} runs are inverted` }, basis);
  latencies.sort((a, b) => a - b);
  const samples = latencies[latencies.length >> 1]!;
  const latency = measured(
    {
      latency_samples: samples,
      latency_ms: (1000 * samples) / rate,
      ...(runs.length > 1 && { latency_spread_samples: latencies.at(-1)! - latencies[0]! }),
      polarity_inverted: inverted > 0 ? 1 : 0,
    },
    basis,
  );
  return o.witness ? [...latency, ...heard(o.witness, samples, rate, o)] : latency;
}

function heard(
  { stimulus, captured }: LatencyRun,
  samples: number,
  rate: number,
  o: MeasureOptions & ResponseOptions,
): Measurement[] {
  const basis = { ...o, samples: captured.length };
  const found = analyzeResponse(stimulus, captured, rate, o);
  if (isRefusal(found)) return refused(WITNESS_NAMES, found, basis);
  return measured(
    { latency_sweep_samples: found.latencySamples, latency_difference_samples: found.latencySamples - samples },
    basis,
  );
}
