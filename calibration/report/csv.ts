/** Every measurement of the runs as comma-separated values (RFC 4180), one a line: for spreadsheets and statistics. */
import type { RunAnswer } from '../../core/contract/index.js';

const COLUMNS = [
  'rig',
  'virtual',
  'insert',
  'run',
  'kind',
  'started_at',
  'technician',
  'calibration',
  'name',
  'channel',
  'value',
  'unit',
  'definition',
  'band_from_hz',
  'band_to_hz',
  'detector',
  'reference',
  'samples',
  'conditions',
  'valid',
  'refusal',
  'limits',
  'rule',
  'min',
  'max',
  'passed',
  'baseline',
  'change',
  'drift_alarm',
] as const;
type Row = Record<(typeof COLUMNS)[number], string | number | boolean | null | undefined>;

/** A measurement with several limits has one line for each of them. Without a BOM; lines end with CRLF. */
export function csvOf(runs: readonly RunAnswer[]): string {
  const rows = runs.flatMap(({ document }) => rowsOf(document));
  return [COLUMNS.join(','), ...rows.map((row) => COLUMNS.map((column) => field(row[column])).join(','))]
    .map((line) => `${line}\r\n`)
    .join('');
}

function rowsOf(run: RunAnswer['document']): Row[] {
  return run.measurements.flatMap((m, index) => {
    const verdicts = run.verdicts.filter(({ measurement }) => measurement === index);
    const drift = run.drifts.find(({ measurement }) => measurement === index);
    return (verdicts.length > 0 ? verdicts : [undefined]).map((verdict) => ({
      rig: run.rig,
      virtual: run.virtual,
      insert: run.insert,
      run: run.run,
      kind: run.kind,
      started_at: new Date(run.startedAt * 1000).toISOString(),
      technician: run.technician,
      calibration: run.conditions.calibration,
      name: m.name,
      channel: m.channel,
      value: m.value,
      unit: m.unit,
      definition: m.definition,
      band_from_hz: m.band?.[0],
      band_to_hz: m.band?.[1],
      detector: m.detector,
      reference: m.reference,
      samples: m.samples,
      conditions: JSON.stringify(m.conditions),
      valid: m.valid,
      refusal: m.refusal?.reason,
      limits: run.limits?.version,
      rule: verdict?.rule,
      min: verdict?.min,
      max: verdict?.max,
      passed: verdict?.passed,
      baseline: drift?.baseline,
      change: drift?.change,
      drift_alarm: drift?.alarm,
    }));
  });
}

function field(value: Row[keyof Row]): string {
  if (value === null || value === undefined) return '';
  const text = String(value);
  // A spreadsheet takes what begins like a formula for one.
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
