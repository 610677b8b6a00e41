/** The measurements of a run as tables: what was measured, its figure for each channel, its limit, its definition. */
import type { CalibrationRun, Drift, Measurement, Verdict } from '../../core/contract/index.js';
import { type Content, type Html, html } from './html.js';
import { cellOf, conditionsOf, figure, hertz, limitOf, nameOf } from './words.js';

interface Row {
  /** The same in all channels but for the figure. */
  first: Measurement;
  byChannel: Map<number, number>;
}

/** All measurements of a run: first those that limits speak of, or whose drift is watched, then the others. */
export function measurementTables(run: CalibrationRun): { watched: Html | null; others: Html | null } {
  const judged = new Set([...run.verdicts, ...run.drifts].map(({ measurement }) => measurement));
  const rows = rowsOf(run.measurements);
  const isWatched = ({ byChannel }: Row) => [...byChannel.values()].some((index) => judged.has(index));
  return {
    watched: table(run, rows.filter(isWatched)),
    others: table(
      run,
      rows.filter((row) => !isWatched(row)),
    ),
  };
}

function table(run: CalibrationRun, rows: readonly Row[]): Html | null {
  if (rows.length === 0) return null;
  const channels = [...new Set(rows.flatMap(({ byChannel }) => [...byChannel.keys()]))].sort((a, b) => a - b);
  const verdicts = new Map<number, Verdict[]>();
  for (const verdict of run.verdicts)
    verdicts.set(verdict.measurement, [...(verdicts.get(verdict.measurement) ?? []), verdict]);
  const alarms = new Set(run.drifts.filter(({ alarm }) => alarm).map(({ measurement }) => measurement));
  return html`<div class="scroll"><table>
<thead><tr><th>Measurement</th><th>Conditions</th>${channels.map((channel) => html`<th class="figure">${channel === 0 ? 'Insert' : `Channel ${channel}`}</th>`)}<th>Unit</th><th>Limit</th><th>Definition</th><th>Band</th><th>Detector</th><th>Reference</th><th class="figure">Samples</th></tr></thead>
<tbody>${rows.map(({ first, byChannel }) => {
    const all = [...byChannel.values()];
    const ruled = all.flatMap((index) => verdicts.get(index) ?? []);
    return html`<tr><th>${nameOf(first.name)}<br><code class="quiet">${first.name}</code></th><td>${conditionsOf(first.conditions)}</td>${channels.map(
      (channel) => cell(run, byChannel.get(channel), verdicts, alarms),
    )}<td>${first.unit}</td><td class="whole">${limits(ruled, run)}</td><td class="whole"><code>${first.definition}</code></td><td class="whole">${band(first)}</td><td>${first.detector}</td><td>${first.reference}</td><td class="figure">${first.samples}</td></tr>
`;
  })}</tbody></table></div>`;
}

/** What failed and what could not be judged, one line each; a run without either says so. */
export function findings(run: CalibrationRun): Html {
  const failed = run.verdicts.filter(({ passed }) => passed === false);
  const judged = new Set(run.verdicts.map(({ measurement }) => measurement));
  const refused = run.measurements.filter(({ refusal }, index) => refusal && !judged.has(index));
  const open = new Map(run.verdicts.filter(({ passed }) => passed === null).map((each) => [each.rule, each]));
  const alarms = run.drifts.filter(({ alarm }) => alarm);
  const bad: Content[] = [
    run.problem &&
      html`<li>The run did not come to its end: ${run.problem.message} <code>${run.problem.code}</code></li>`,
    ...failed.map((verdict) => html`<li>${failure(verdict, run)}</li>`),
    ...refused.map((m) => html`<li>${what(m)} was refused: ${m.refusal!.message}</li>`),
  ].filter((line) => line);
  const doubts = [
    ...alarms.map((drift) => html`<li>${moved(drift, run)}</li>`),
    ...[...open.values()].map(
      ({ rule, reason }) => html`<li>The limit <code>${rule}</code> was not judged: ${reason}.</li>`,
    ),
  ];
  if (bad.length === 0 && doubts.length === 0)
    return html`<p class="findings fine">${
      run.passed === null ? 'No limit says anything of this run.' : 'Every limit was kept, and nothing has moved.'
    }</p>`;
  return html`${bad.length > 0 && html`<ul class="findings">${bad}</ul>`}${doubts.length > 0 && html`<ul class="findings drift">${doubts}</ul>`}`;
}

function rowsOf(measurements: readonly Measurement[]): Row[] {
  const rows = new Map<string, Row>();
  measurements.forEach((m, index) => {
    const { name, unit, definition, reference, conditions } = m;
    const key = JSON.stringify([name, unit, definition, reference, conditions]);
    let row = rows.get(key);
    const channel = m.channel ?? 0;
    if (!row || row.byChannel.has(channel)) {
      row = { first: m, byChannel: new Map() };
      rows.set(rows.has(key) ? `${key} ${index}` : key, row);
    }
    row.byChannel.set(channel, index);
  });
  return [...rows.values()];
}

function cell(
  run: CalibrationRun,
  index: number | undefined,
  verdicts: ReadonlyMap<number, readonly Verdict[]>,
  alarms: ReadonlySet<number>,
): Html {
  if (index === undefined) return html`<td></td>`;
  const m = run.measurements[index]!;
  const said = verdicts.get(index) ?? [];
  const failed = !m.valid || said.some(({ passed }) => passed === false);
  const passed = said.some((verdict) => verdict.passed === true);
  const [mark, word] = failed ? ['✗', 'bad'] : passed ? ['✓', ''] : ['', ''];
  const drifting = alarms.has(index);
  return html`<td class="figure ${word || (drifting ? 'warn' : '')}" title="${m.refusal?.message ?? ''}">${cellOf(m)}${mark && ` ${mark}`}${drifting && ' ↕'}</td>`;
}

function limits(verdicts: readonly Verdict[], run: CalibrationRun): Content {
  const rules = new Map(verdicts.map((verdict) => [verdict.rule, verdict]));
  return [...rules.values()].map((verdict, n) => html`${n > 0 && html`<br>`}${limitText(verdict, run)}`);
}

function limitText(verdict: Verdict, run: CalibrationRun): string {
  const inDbu = run.limits?.limits.find(({ rule }) => rule === verdict.rule)?.unit === 'dBu';
  return limitOf(verdict, inDbu ? 'dBu' : '');
}

function band({ band: edges }: Measurement): string {
  return edges ? `${hertz(edges[0])} … ${hertz(edges[1])}` : '';
}

function what(m: Measurement): string {
  const channel = m.channel === undefined ? '' : `, channel ${m.channel}`;
  const conditions = conditionsOf(m.conditions);
  return `${nameOf(m.name)}${channel}${conditions === '' ? '' : ` (${conditions})`}`;
}

function failure(verdict: Verdict, run: CalibrationRun): string {
  const m = run.measurements[verdict.measurement]!;
  if (!m.valid) return `${what(m)} was refused: ${verdict.reason}; the limit is ${limitText(verdict, run)}`;
  return `${what(m)}: ${cellOf(m)} ${m.unit}; the limit is ${limitText(verdict, run)}`;
}

function moved({ measurement, was, change, allowed }: Drift, run: CalibrationRun): string {
  const m = run.measurements[measurement]!;
  const more = change > 0 ? '+' : '';
  return `${what(m)} has moved by ${more}${figure(change, m.unit)} ${m.unit} from its baseline of ${figure(was, m.unit)} ${m.unit}; ${figure(allowed, m.unit)} ${m.unit} are allowed either way`;
}
