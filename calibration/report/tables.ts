/** The measurements of a run as tables: what was measured, its figure for each channel, its limit, its definition. */
import type { CalibrationRun, Drift, Measurement, Verdict } from '../../core/contract/index.js';
import { grouped } from './grouped.js';
import { type Content, type Html, html } from './html.js';
import { cellOf, conditionsOf, figure, hertz, limitOf, nameOf } from './words.js';

interface Row {
  /** The same in all channels but for the figure. */
  first: Measurement;
  byChannel: Map<number, number>;
}

/** All measurements of a run: first those that limits speak of, or whose drift is watched, then the others; crosstalk by pairs. */
export function measurementTables(run: CalibrationRun): Record<'watched' | 'others' | 'crosstalk', Html | null> {
  const marks = marksOf(run);
  const rows = rowsOf(run.measurements);
  const isWatched = ({ byChannel }: Row) => [...byChannel.values()].some((index) => marks.isWatched(index));
  return {
    watched: table(marks, rows.filter(isWatched)),
    others: table(
      marks,
      rows.filter((row) => !isWatched(row)),
    ),
    crosstalk: crosstalkTables(marks),
  };
}

/** What is said of each measurement, by its index. */
function marksOf(run: CalibrationRun) {
  const verdicts = grouped(run.verdicts, ({ measurement }) => String(measurement));
  const drifts = new Map(run.drifts.map((drift) => [drift.measurement, drift]));
  const of = (index: number) => verdicts.get(String(index)) ?? [];
  return {
    run,
    of,
    isWatched: (index: number) => verdicts.has(String(index)) || drifts.has(index),
    cell: (index: number | undefined) => {
      if (index === undefined) return html`<td></td>`;
      const m = run.measurements[index]!;
      const failed = !m.valid || of(index).some(({ passed }) => passed === false);
      const passed = of(index).some((verdict) => verdict.passed === true);
      const moved = drifts.get(index)?.alarm === true;
      const mood = failed ? 'bad' : moved ? 'warn' : '';
      return html`<td class="figure ${mood}" title="${m.refusal?.message}">${cellOf(m)}${failed ? ' ✗' : passed && ' ✓'}${moved && ' ↕'}</td>`;
    },
  };
}
type Marks = ReturnType<typeof marksOf>;

function table(marks: Marks, rows: readonly Row[]): Html | null {
  if (rows.length === 0) return null;
  const channels = [...new Set(rows.flatMap(({ byChannel }) => [...byChannel.keys()]))].sort((a, b) => a - b);
  const limited = rows.some(({ byChannel }) => [...byChannel.values()].some((index) => marks.of(index).length > 0));
  return html`<div class="scroll"><table>
<thead><tr><th>Measurement</th><th>Conditions</th>${channels.map((channel) => html`<th class="figure">${channel === 0 ? 'Insert' : `Channel ${channel}`}</th>`)}<th>Unit</th>${limited && html`<th>Limit</th>`}<th>Definition</th><th class="figure">Samples</th></tr></thead>
<tbody>${rows.map(({ first, byChannel }) => {
    const ruled = [...byChannel.values()].flatMap(marks.of);
    return html`<tr><th>${nameOf(first.name)} <code class="quiet">${first.name}</code></th><td>${conditionsOf(first.conditions)}</td>${channels.map(
      (channel) => marks.cell(byChannel.get(channel)),
    )}<td>${first.unit}</td>${limited && html`<td class="whole">${limits(ruled, marks.run)}</td>`}<td><code>${first.definition}</code></td><td class="figure">${first.samples}</td></tr>
`;
  })}</tbody></table></div>`;
}

/** Who is driven into whom, at which frequency: one row for each pair. */
function crosstalkTables(marks: Marks): Html | null {
  const found = marks.run.measurements.flatMap((m, index) => (isPair(m) ? [{ m, index }] : []));
  if (found.length === 0) return null;
  return html`${[...grouped(found, ({ m }) => m.name).values()].map((all) => {
    const hz = [...new Set(all.map(({ m }) => Number(m.conditions['hz'])))].sort((a, b) => a - b);
    const pairs = grouped(all, ({ m: { conditions } }) => `${conditions['driven']} into ${conditions['undriven']}`);
    const { name, unit, definition } = all[0]!.m;
    const rules = new Map(all.flatMap(({ index }) => marks.of(index)).map((verdict) => [verdict.rule, verdict]));
    const ruled = [...rules.values()].map((verdict) => `${verdict.rule} ${limitText(verdict, marks.run)}`).join(', ');
    return html`<h4>${nameOf(name)} <code class="quiet">${definition}</code></h4>
<p class="quiet">${unit} re driven channel.${ruled !== '' && html` Limits: ${ruled}.`}</p>
<div class="scroll"><table><thead><tr><th>Driven</th>${hz.map((each) => html`<th class="figure">${hertz(each)}</th>`)}</tr></thead>
<tbody>${[...pairs].map(
      ([
        pair,
        cells,
      ]) => html`<tr><th>${pair}</th>${hz.map((each) => marks.cell(cells.find(({ m }) => m.conditions['hz'] === each)?.index))}</tr>
`,
    )}</tbody></table></div>`;
  })}`;
}

function isPair({ name, conditions }: Measurement): boolean {
  return name.startsWith('crosstalk_') && 'driven' in conditions && 'undriven' in conditions;
}

/** What each definition id of a run means. */
export function definitionTable({ measurements }: CalibrationRun): Html | null {
  const rows = new Map(measurements.map((m) => [[m.definition, m.detector, m.reference, band(m)].join('|'), m]));
  if (rows.size === 0) return null;
  const sorted = [...rows.values()].sort((a, b) => a.definition.localeCompare(b.definition));
  return html`<h4>Definitions</h4>
<div class="scroll"><table><thead><tr><th>Definition</th><th>Of</th><th>Detector</th><th>Band</th><th>Reference</th></tr></thead>
<tbody>${sorted.map(
    (
      m,
    ) => html`<tr><td><code>${m.definition}</code></td><td>${nameOf(m.name)}</td><td>${m.detector}</td><td class="whole">${band(m)}</td><td>${m.reference}</td></tr>
`,
  )}</tbody></table></div>`;
}

/** What failed and what could not be judged, one line each; a run without either says so. */
export function findings(run: CalibrationRun): Html {
  const failed = run.verdicts.filter(({ passed }) => passed === false);
  const refused = grouped(
    run.measurements.filter(({ valid }) => !valid),
    (m) => `${nameOf(m.name)} was refused (${m.refusal?.message})`,
  );
  const open = new Map(run.verdicts.filter(({ passed }) => passed === null).map((each) => [each.rule, each]));
  const bad: Content[] = [
    run.problem &&
      html`<li>The run did not come to its end: ${run.problem.message} <code>${run.problem.code}</code></li>`,
    ...failed
      .filter(({ measurement }) => run.measurements[measurement]!.valid)
      .map((verdict) => html`<li>${failure(verdict, run)}</li>`),
    ...[...refused].map(([text, all]) => html`<li>${text}: ${all.map(where).join('; ')}</li>`),
  ].filter((line) => line);
  const doubts = [
    ...run.drifts.filter(({ alarm }) => alarm).map((drift) => html`<li>${moved(drift, run)}</li>`),
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
    if (isPair(m)) return;
    const { name, unit, definition, reference, conditions } = m;
    const { limited: _, noise_limited: __, ...set } = conditions;
    const key = JSON.stringify([name, unit, definition, reference, set]);
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
  const place = where(m);
  return place === '' ? nameOf(m.name) : `${nameOf(m.name)} (${place})`;
}

function where({ channel, conditions }: Measurement): string {
  const pair = 'driven' in conditions;
  return [channel === undefined || pair ? '' : `channel ${channel}`, conditionsOf(conditions)]
    .filter((part) => part !== '')
    .join(', ');
}

function failure(verdict: Verdict, run: CalibrationRun): string {
  const m = run.measurements[verdict.measurement]!;
  return `${what(m)}: ${cellOf(m)} ${m.unit}; the limit is ${limitText(verdict, run)}`;
}

function moved({ measurement, was, change, allowed }: Drift, run: CalibrationRun): string {
  const m = run.measurements[measurement]!;
  // The difference of two levels is in decibels, whatever they are told against.
  const unit = m.unit.startsWith('dB') ? 'dB' : m.unit;
  const moves = `${change > 0 ? '+' : ''}${figure(change, unit)} ${unit}`;
  return `${what(m)} has moved by ${moves} from its baseline of ${figure(was, m.unit)} ${m.unit}; ${figure(allowed, unit)} ${unit} are allowed either way`;
}
