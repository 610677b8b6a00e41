/**
 * The report: one page of HTML that holds all it needs, asks no network and runs no script. What it shows is what was signed: every figure with its
 * conditions, definition, limit and calibration.
 */
import type { CalibrationRun, InsertHistoryAnswer, RunAnswer, RunSummary } from '../../core/contract/index.js';
import { runDigest } from '../history/history.js';
import { unmeasured } from '../limits/index.js';
import { crosstalkMatrices } from './crosstalk.js';
import { curves } from './curves.js';
import { type Content, type Html, html, raw } from './html.js';
import { STYLE } from './style.js';
import { definitionTable, findings, measurementTables } from './tables.js';
import { trends } from './trends.js';
import { conditionsOf, figure, hertz, limitOf, minus, nameOf, time, unitOf } from './words.js';

export interface InsertReport {
  history: InsertHistoryAnswer;
  /** Newest first. */
  runs: readonly RunAnswer[];
}

export interface Report {
  rig: string;
  /** Seconds since the epoch. */
  at: number;
  software: string;
  inserts: readonly InsertReport[];
}

/**
 * Which runs say how an insert stands: the newest suite that came to its end, and what was measured since.
 * @param newest of each kind, and the newest that came to its end
 */
export function runsToReport(newest: readonly RunSummary[]): RunSummary[] {
  const suite = newest.find(({ kind, problem }) => kind === 'suite' && problem === null);
  return newest.filter((run) => run === suite || !suite || run.startedAt > suite.startedAt);
}

/** A whole HTML document. */
export function reportPage(report: Report): string {
  const runs = report.inserts.flatMap((insert) => insert.runs);
  const title = `Calibration of ${report.rig}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}, ${time(report.at)}</title><style>${raw(STYLE)}</style></head>
<body>
<h1>${title}</h1>
<p class="quiet">Made ${time(report.at)} by outboard ${report.software}.</p>
${runs.some(({ document }) => document.virtual) && virtualNote()}
${overview(report)}
${report.inserts.map(insertSection)}
<footer>✓ within its limit; ✗ beyond it, or refused; ↕ moved from the baseline. Every document is signed by the rig; its digest is in the
rig's audit log. Levels in dBFS: 0 is the RMS of a full-scale sine (AES17).</footer>
</body></html>
`;
  return page.text;
}

function virtualNote(): Html {
  return html`<p class="virtual">VIRTUAL: measured on a simulated interface. Nothing here is true of any gear.</p>`;
}

function overview({ inserts }: Report): Html {
  if (inserts.every(({ runs }) => runs.length === 0)) return html`<p>Nothing was measured yet.</p>`;
  return html`<div class="scroll"><table><thead><tr><th>Insert</th><th>Run</th><th>When</th><th>By</th><th>Result</th><th class="figure">Measurements</th><th class="figure">Refused</th><th class="figure">Beyond limits</th><th class="figure">Moved</th><th>Calibration</th></tr></thead>
<tbody>${inserts
    .flatMap(({ runs }) => runs)
    .map(
      ({
        document: run,
      }) => html`<tr><th><a href="#${anchor(run)}">${run.insert}</a></th><td>${run.kind}</td><td>${time(run.startedAt)}</td><td>${run.technician ?? 'the rig itself'}</td><td>${outcome(run)} ${run.virtual && badge('virtual', 'warn')}</td><td class="figure">${run.measurements.length}</td><td class="figure">${run.measurements.filter(({ valid }) => !valid).length}</td><td class="figure">${run.verdicts.filter(({ passed }) => passed === false).length}</td><td class="figure">${run.drifts.filter(({ alarm }) => alarm).length}</td><td>${run.conditions.calibration ?? 'none'}</td></tr>
`,
    )}</tbody></table></div>`;
}

function insertSection({ history, runs }: InsertReport): Html {
  const past = trends(history);
  return html`<h2>Insert ${history.insert}</h2>
<p class="quiet">Judged as <code>${history.limits.class}</code> by limits ${history.limits.version}; calibration in force: ${history.calibration ?? 'none'}.</p>
${runs.length === 0 && html`<p>Nothing was measured yet.</p>`}
${runs.map((run) => (runs.length > 1 && run.document.problem ? brokenOff(run) : runSection(run)))}
${past.length > 0 && html`<h3>History of insert ${history.insert}</h3><div class="plots">${past}</div>`}
${limitTable(history)}`;
}

/** Beside others it says only that somebody has tried. */
function brokenOff({ document: run }: RunAnswer): Html {
  const { code, message } = run.problem!;
  return html`<p id="${anchor(run)}" class="quiet">${run.kind}, ${time(run.startedAt)}, did not come to its end: ${message} <code>${code}</code>; run <code>${run.run}</code></p>`;
}

function runSection({ document: run, token }: RunAnswer): Html {
  const { watched, others, crosstalk } = measurementTables(run);
  const drawings = [...curves(run), ...crosstalkMatrices(run.measurements)];
  return html`<section id="${anchor(run)}"><h3>${run.kind === 'self-test' ? 'Self-test' : run.kind}, ${time(run.startedAt)} ${outcome(run)} ${run.virtual && badge('virtual', 'warn')}</h3>
${findings(run)}
${conditions(run, token)}
${watched}
${drawings.length > 0 && html`<div class="plots">${drawings}</div>`}
${others && html`<h4>${watched ? 'All other measurements' : 'Measurements'}</h4>${others}`}
${crosstalk}
${definitionTable(run)}</section>`;
}

function conditions(run: CalibrationRun, token: string): Html {
  const { driver, device, rate, channels, loopLatencyFrames, ceilingDbfs, calibration, fullScaleDbu, processors } =
    run.conditions;
  const missing = run.limits ? unmeasured(run, run.limits) : [];
  const rows: [string, Content][] = [
    ['Technician', run.technician ?? 'none: the rig itself'],
    ['Reason', run.reason],
    ['Measured', `${time(run.startedAt)} to ${time(run.endedAt)}, ${figure(run.analogSeconds, 'dB')} s of signals`],
    ['Interface', `${driver}: ${device.playback}${device.capture === device.playback ? '' : `, ${device.capture}`}`],
    ['Stream', `${hertz(rate)}, ${channels} channels, loop of ${loopLatencyFrames} frames taken out`],
    ['Level ceiling', `${minus(String(ceilingDbfs))} dBFS peak`],
    ['Calibration', calibration ?? 'none in force'],
    ['Full scale', [fullScales('send', fullScaleDbu.send), fullScales('return', fullScaleDbu.return)].join('; ')],
    ['Processors', processors.length === 0 ? 'none: the insert is a loop' : processors.map(processor)],
    ['Limits', run.limits ? `${run.limits.version}, class ${run.limits.class}` : 'none: they could not be read'],
    [
      'Not measured',
      missing.length > 0 && html`${missing.map(({ rule }, n) => html`${n > 0 && ', '}<code>${rule}</code>`)}`,
    ],
    ['Software', `outboard ${run.software}`],
    ['Run', html`<code>${run.run}</code>`],
    ['Document', signature(run, token)],
  ];
  return html`<dl>${rows.filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** Who wants proof verifies the token itself; here stands what it says, and whether it says it of this document. */
function signature(run: CalibrationRun, token: string): Html {
  const [header, payload] = token.split('.').slice(0, 2).map(decoded);
  const digest = runDigest(run);
  return payload?.calibration?.document === digest
    ? html`<code>${digest}</code>, signed with the key <code>${header?.kid}</code>`
    : html`<span class="bad">This is not the document that was signed.</span> <code>${digest}</code>`;
}

function decoded(part: string): { kid?: string; calibration?: { document?: string } } {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
}

function processor({ name, profile, settings }: CalibrationRun['conditions']['processors'][number]): Html {
  return html`<div>${name}: <code>${profile.id} ${profile.version}</code>; ${conditionsOf(settings) || 'its settings could not be read'}</div>`;
}

function fullScales(side: string, dbu: readonly (number | null)[]): string {
  if (dbu.every((value) => value === null)) return `${side} not measured`;
  return `${side} ${dbu.map((value) => (value === null ? '?' : minus(value.toFixed(2)))).join(', ')} dBu`;
}

function limitTable({ limits, baselines }: InsertHistoryAnswer): Html {
  return html`<h3>Limits ${limits.version}, class ${limits.class}</h3>
<div class="scroll"><table><thead><tr><th>Rule</th><th>Measurement</th><th>Under</th><th>Limit</th></tr></thead>
<tbody>${limits.limits.map(
    (
      rule,
    ) => html`<tr><td><code>${rule.rule}</code></td><td>${nameOf(rule.measurement)} <code class="quiet">${rule.measurement}</code></td><td>${ranges(rule.when)}</td><td>${limitOf(rule, unitOf(rule))}</td></tr>
`,
  )}${limits.drift.map(
    ({
      rule,
      measurement,
      change,
      when,
    }) => html`<tr><td><code>${rule}</code></td><td>${nameOf(measurement)} <code class="quiet">${measurement}</code></td><td>${ranges(when)}</td><td>moves by ≤ ${change} ${unitOf({ measurement })}, or 3 σ once it is known</td></tr>
`,
  )}</tbody></table></div>
${
  baselines.length > 0 &&
  html`<p class="quiet">Baselines: ${baselines.map(
    ({ kind, run, at, setBy }, n) =>
      html`${n > 0 && '; '}${kind}: <code>${run}</code> since ${time(at)}, ${setBy ? `set by ${setBy}` : 'the first that did not fail'}`,
  )}.</p>`
}`;
}

function ranges(when: InsertHistoryAnswer['limits']['limits'][number]['when']): string {
  return Object.entries(when ?? {})
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.map(String).join(' … ') : String(value)}`)
    .join(', ');
}

function outcome({ passed }: CalibrationRun): Html {
  if (passed === null) return badge('not judged', 'warn');
  return passed ? badge('passed', 'good') : badge('failed', 'bad');
}

function badge(text: string, mood: 'good' | 'bad' | 'warn'): Html {
  return html`<span class="badge ${mood}">${text}</span>`;
}

function anchor({ run }: CalibrationRun): string {
  return `run-${run}`;
}
