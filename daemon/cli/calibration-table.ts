/** A run of calibration for people: every number with its limit, one row for the channels of one quantity. */

import { boundOf } from '../../calibration/report/words.js';
import type { CalibrationRun, Measurement, Verdict } from '../../core/contract/index.js';
import type { Output } from './output.js';

const DIGITS = 5;

interface Row {
  name: string;
  unit: string;
  /** By channel; 0 is what belongs to no channel. */
  values: Map<number, Measurement>;
  verdicts: Verdict[];
}

export function showRun(output: Output, run: CalibrationRun): void {
  const badge = run.virtual ? ', SIMULATED interface' : '';
  output.line(`${run.kind} on insert ${run.insert}: ${run.analogSeconds.toFixed(1)} s of signals${badge}`);
  const rows = rowsOf(run);
  const channels = [...new Set(rows.flatMap(({ values }) => [...values.keys()]))].sort((a, b) => a - b);
  output.table(
    rows.map(({ name, unit, values, verdicts }) => [
      name,
      ...channels.map((channel) => valueText(values.get(channel))),
      unit,
      ...judgement(verdicts),
    ]),
    ['MEASUREMENT', ...channels.map((channel) => (channel === 0 ? 'ALL' : `CHANNEL ${channel}`)), 'UNIT', 'LIMIT', ''],
  );
  for (const { refusal, name, channel } of run.measurements)
    if (refusal)
      output.line(`${name}${channel ? `, channel ${channel}` : ''}: refused, ${refusal.reason}: ${refusal.message}`);
  for (const { alarm, measurement, change } of run.drifts)
    if (alarm)
      output.line(`moved from the baseline: ${nameText(run.measurements[measurement]!)} by ${change.toFixed(2)}`);
  const said = run.passed === null ? 'no limit says anything of it' : run.passed ? 'passed' : 'FAILED';
  output.line(run.problem ? `did not come to its end: ${run.problem.message}` : said);
}

function rowsOf({ measurements, verdicts }: CalibrationRun): Row[] {
  const rows = new Map<string, Row>();
  measurements.forEach((measurement, index) => {
    const name = nameText(measurement);
    const row: Row = rows.get(name) ?? { name, unit: measurement.unit, values: new Map(), verdicts: [] };
    rows.set(name, row);
    row.values.set(measurement.channel ?? 0, measurement);
    row.verdicts.push(...verdicts.filter((verdict) => verdict.measurement === index));
  });
  return [...rows.values()];
}

/** With what was set, where one run measures it at several. */
function nameText({ name, conditions }: Measurement): string {
  const { hz, level_dbfs: levelDbfs, peak_dbfs: peakDbfs, driven, undriven } = conditions;
  const set = [
    ...(typeof hz === 'number' ? [`${Number(hz.toPrecision(DIGITS))} Hz`] : []),
    ...(typeof levelDbfs === 'number' ? [`${Number(levelDbfs.toPrecision(4))} dBFS`] : []),
    ...(typeof peakDbfs === 'number' ? [`${Number(peakDbfs.toPrecision(4))} dBFS peak`] : []),
  ];
  const from = driven === undefined ? '' : ` ${driven} to ${undriven}`;
  return `${name}${from}${set.length > 0 ? ` at ${set.join(', ')}` : ''}`;
}

function valueText(measurement: Measurement | undefined): string {
  if (!measurement) return '';
  const { value, refusal } = measurement;
  if (refusal) return refusal.reason;
  return value === null ? 'silence' : `${boundOf(measurement)}${Number(value.toPrecision(DIGITS))}`;
}

/** All channels and rules as one: the limit once, and the worst of what it says. */
function judgement(verdicts: readonly Verdict[]): string[] {
  const limits = [...new Set(verdicts.map(limitText))].join('; ');
  if (verdicts.some(({ passed }) => passed === false)) return [limits, 'FAIL'];
  if (verdicts.some(({ passed }) => passed === null)) return [limits, 'not judged'];
  return [limits, verdicts.length > 0 ? 'ok' : ''];
}

function limitText({ min, max }: Verdict): string {
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  if (min !== undefined) return `at least ${min}`;
  return max === undefined ? '' : `at most ${max}`;
}
