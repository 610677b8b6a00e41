/**
 * Measurements as one object of flat keys, for programs: `{thd_f_db: -92.1, …, valid: true}`. What is measured at several frequencies becomes a
 * map or a list.
 */
import type { Measurement } from '../../core/contract/calibration.js';

export interface FlatMeasurements {
  [name: string]: number | boolean | string | null | Record<string, number | null> | (number | null)[] | FlatLine[];
}

interface FlatLine {
  hz: number;
  dbc: number | null;
}

/** Maps from Hz. */
const MAPS = new Set(['fr_db', 'phase_deg', 'inter_channel_level_db', 'inter_channel_phase_deg']);

/** @param measurements of one channel; a name stands once, or once for each frequency in its conditions */
export function flat(measurements: readonly Measurement[]): FlatMeasurements {
  const all: FlatMeasurements = {};
  for (const { name, value, conditions, valid } of measurements) {
    const hz = conditions['hz'];
    if (name === 'polarity_inverted') all[name] = value === null ? null : value === 1;
    else if (name === 'hum_dbfs') all[name] = valid ? [...((all[name] as number[]) ?? []), value] : null;
    else if (name === 'sideband_dbc')
      all['sidebands'] = [...((all['sidebands'] as FlatLine[]) ?? []), { hz: Number(hz), dbc: value }];
    else if (MAPS.has(name) && hz !== undefined)
      all[name] = { ...(all[name] as Record<string, number | null>), [String(hz)]: value };
    else all[name] = value;
  }
  const refusal = measurements.find((one) => one.refusal)?.refusal;
  all['valid'] = refusal === undefined && measurements.length > 0;
  if (refusal) {
    all['refusal'] = refusal.reason;
    all['refusal_message'] = refusal.message;
  }
  return all;
}
