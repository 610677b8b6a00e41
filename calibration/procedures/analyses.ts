/** Every analysis that a procedure may ask for, by name, from plain data that can go to another thread. */
import type { Measurement } from '../../core/contract/calibration.js';
import { isRefusal } from '../measures/measurement.js';
import { analyzeTone } from '../measures/tone.js';
import type { Findings } from './procedure.js';

export interface AnalysisInputs {
  frequency: { samples: Float64Array; rate: number; channel: number };
}
export type AnalysisKind = keyof AnalysisInputs;

export const ANALYSES: { [K in AnalysisKind]: (input: AnalysisInputs[K]) => Findings } = {
  frequency: ({ samples, rate, channel }) => {
    const tone = analyzeTone(samples, rate);
    const refusal = isRefusal(tone) ? tone : undefined;
    const measurement: Measurement = {
      name: 'frequency_hz',
      channel,
      value: isRefusal(tone) ? null : tone.hz,
      unit: 'Hz',
      definition: 'frequency.ieee1057/1',
      band: null,
      detector: 'fit',
      reference: 'sample clock',
      samples: samples.length,
      conditions: {},
      valid: refusal === undefined,
      ...(refusal && { refusal }),
    };
    return { measurements: [measurement], traces: [] };
  },
};
