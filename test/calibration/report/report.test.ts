/** What the report says: figures, limits, failures, conditions, and nothing that was put into it as text becomes a part of the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { History } from '../../../calibration/history/history.js';
import { assess, effectiveLimits } from '../../../calibration/limits/index.js';
import { csvOf } from '../../../calibration/report/csv.js';
import { html } from '../../../calibration/report/html.js';
import { reportPage, runsToReport } from '../../../calibration/report/page.js';
import { conditionsOf, figure, limitOf } from '../../../calibration/report/words.js';
import type { CalibrationRun, RunAnswer } from '../../../core/contract/index.js';
import { calibrationReport } from '../../peers/calibration-report.js';
import { calibrationRun, runId, unlimited } from '../../peers/calibration-runs.js';

/** The page as it is read. */
function textOf(page: string): string {
  return page
    .replace(/<style>[\s\S]*?<\/style>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, ' ');
}

const REPORT = calibrationReport();
const PAGE = reportPage(REPORT);
const TEXT = textOf(PAGE);

function onlyRun(change: (run: CalibrationRun) => void): string {
  const report = structuredClone(REPORT);
  change(report.inserts[0]!.runs[0]!.document);
  return reportPage(report);
}

test('the page says insert, conditions, definitions, calibration and limits', () => {
  for (const words of [
    'Calibration of rig-01',
    'Insert a',
    'Insert b',
    'Technician technician.kim',
    'Reason weekly check',
    '48 kHz, 2 channels, loop of 64 frames taken out',
    'Level ceiling −1 dBFS peak',
    'Calibration 2026-01-05.1',
    'send 22.00, 22.00 dBu; return 22.00, 22.00 dBu',
    'send not measured; return not measured',
    'virtual.gain 1.0.0 ; bypass@channel=1 true, gain 0',
    'default-3, class loopback',
    'default-3, class line',
    'thdn.aes17/1',
    'outboard 0.1.0',
  ])
    assert.ok(TEXT.includes(words), words);
});

test('a simulated rig is badged on top, in the table and at each run; a real one is not', () => {
  assert.equal(TEXT.match(/VIRTUAL: measured on a simulated interface/g)?.length, 1);
  const runs = REPORT.inserts.flatMap(({ runs }) => runs).length;
  assert.equal(PAGE.match(/<span class="badge warn">virtual<\/span>/g)?.length, 2 * runs);
  const real = structuredClone(REPORT);
  for (const { runs } of real.inserts) for (const { document } of runs) document.virtual = false;
  assert.doesNotMatch(reportPage(real), /VIRTUAL|simulated|>virtual</);
});

test('what failed, was refused, could not be judged and has moved is said in words', () => {
  const [, aged] = REPORT.inserts;
  const run = aged!.runs[0]!.document;
  const gain = run.measurements.find(({ name, channel }) => name === 'loop_gain_db' && channel === 1)!;
  assert.equal(run.passed, false);
  for (const words of [
    `Gain (channel 1, 997 Hz, −20 dBFS): ${figure(gain.value!, 'dB')} dB; the limit is ±0.2`,
    'Dynamic range was refused (full scale from sample 4711 on): channel 2, 997 Hz, −60 dBFS',
    'The limit noise was not judged: the limit is in dBu',
    'are allowed either way',
  ])
    assert.ok(TEXT.includes(words), words);
  assert.ok(TEXT.includes('Every limit was kept, and nothing has moved.'), 'insert a is in order');
});

test('a run that was aborted, and one that no limit speaks of, say so', () => {
  const problem = { code: 'calibration.aborted', message: 'the technician went home', advice: 'x' };
  const aborted = onlyRun((run) => Object.assign(run, { problem, passed: null }));
  assert.match(textOf(aborted), /did not come to its end: the technician went home calibration\.aborted/);
  const open = onlyRun((run) => Object.assign(run, { limits: null, verdicts: [], drifts: [], passed: null }));
  assert.match(textOf(open), /No limit says anything of this run/);
});

test('a document that is not the one that was signed is told from one that is', () => {
  assert.match(TEXT, /signed with the key k{43}/);
  assert.doesNotMatch(TEXT, /not the document that was signed/);
  const forged = onlyRun((run) => {
    run.measurements[0]!.value! += 1;
  });
  assert.equal(textOf(forged).match(/This is not the document that was signed/g)?.length, 1);
});

test('digital silence is minus infinity, and an empty rig has a page', () => {
  const silent = onlyRun((run) => {
    const noise = run.measurements.find(({ name }) => name === 'noise_a_dbfs')!;
    noise.value = null;
  });
  assert.match(textOf(silent), /noise_a_dbfs .{0,20}−∞/);
  const [first] = REPORT.inserts;
  const empty = { ...first!, runs: [], history: { ...first!.history, series: [], baselines: [] } };
  assert.match(textOf(reportPage({ ...REPORT, inserts: [empty] })), /Nothing was measured yet/);
});

test('no text that is put in becomes a part of the page', () => {
  const evil = `"'><script>alert(1)</script><img src=//example.org/x>&`;
  const page = onlyRun((run) => {
    run.reason = evil;
    run.technician = evil as never;
    run.measurements[0] = { ...run.measurements[0]!, reference: evil, conditions: { [evil]: evil } };
    run.traces[0] = { ...run.traces[0]!, y: { name: evil, unit: evil }, conditions: { [evil]: evil } };
    run.conditions.processors = [
      { name: evil, profile: { id: evil, version: evil, hash: 'x' }, settings: { [evil]: evil } },
    ];
  });
  assert.doesNotMatch(page, /<script|<img/);
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.doesNotMatch(html`${text}`.text, /[<>"']/);
    }),
  );
});

test('the page asks no network and runs nothing', () => {
  assert.doesNotMatch(PAGE, /<(script|link|img|iframe|object|embed|base)\b|@import|url\((?!#)/i);
  assert.deepEqual(
    [...PAGE.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(([, address]) => address).filter((to) => !to!.startsWith('#')),
    [],
  );
  assert.match(PAGE, /http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;|default-src 'none'/);
});

test('the newest suite and what was measured since is reported', () => {
  const history = new History(':memory:');
  history.open();
  for (const [n, kind] of [
    [1, 'noise'],
    [2, 'suite'],
    [3, 'thd'],
    [4, 'self-test'],
    [5, 'thd'],
  ] as const)
    history.add(unlimited(calibrationRun({ n, kind })), 'a.b.c');
  const chosen = () => runsToReport(history.standing('a')).map(({ run }) => Number(run.slice(-2)));
  assert.deepEqual(chosen(), [5, 4, 2]);
  const problem = { code: 'take.aborted', message: 'x', advice: 'x' };
  history.add({ ...unlimited(calibrationRun({ n: 6 })), problem }, 'a.b.c');
  // The suite that was broken off says less than what came before it.
  assert.deepEqual(chosen(), [6, 5, 4, 2]);
  history.close();
});

test('beside the last whole suite, one that was broken off is a line', () => {
  const report = structuredClone(REPORT);
  const [whole] = report.inserts[0]!.runs;
  const problem = { code: 'calibration.aborted', message: 'the technician went home', advice: 'x' };
  const broken = { ...whole!, document: { ...whole!.document, run: runId(77), problem, passed: null } };
  report.inserts[0]!.runs = [broken, whole!];
  const page = reportPage(report);
  assert.match(
    textOf(page),
    /suite, .{16} UTC, did not come to its end: the technician went home calibration\.aborted/,
  );
  assert.equal(page.match(/<section /g)?.length, PAGE.match(/<section /g)?.length);
});

test('a figure that is only a bound says so, and belongs to the row of the others', () => {
  const page = onlyRun((run) => {
    run.measurements = run.measurements.map((m) => {
      if (m.name === 'max_level_dbfs' && m.channel === 1) return { ...m, value: -1, conditions: { limited: true } };
      if (m.name === 'max_level_dbfs') return { ...m, value: -3, conditions: { limited: false } };
      if (m.name === 'h2_dbc') return { ...m, value: -115, conditions: { ...m.conditions, noise_limited: true } };
      return m;
    });
  });
  const text = textOf(page);
  assert.match(text, /max_level_dbfs .{0,40}≥ −1\.00 .{0,4}−3\.00/);
  assert.match(text, /h2_dbc .{0,30}≤ −115\.00/);
  assert.match(text, /H2 ≤ −115\.00 dBc/);
  assert.doesNotMatch(text, /limited (true|false)/);
});

test('figures are written as they are read', () => {
  assert.deepEqual(
    [
      figure(-106.104, 'dB'),
      figure(-0.0001, 'dB'),
      figure(997, 'Hz'),
      figure(0.0001234567, '%'),
      figure(0, 'samples'),
      figure(0.00000428098, 'FS'),
    ],
    ['−106.10', '0.00', '997', '0.000123457', '0.000', '0.0000043'],
  );
  assert.deepEqual(
    [limitOf({ min: -0.5, max: 0.5 }, 'dB'), limitOf({ max: -100 }, 'dB'), limitOf({ min: 1, max: 2 }, '')],
    ['±0.5 dB', '≤ −100 dB', '1 … 2'],
  );
  assert.equal(
    conditionsOf({ hz: 10_000, driven: 1, undriven: 'b.2', level_dbfs: -21 }),
    '1 into b.2, 10 kHz, −21 dBFS',
  );
});

/** RFC 4180, by the letter. */
function parsedCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    rows.at(-1)!.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
    if (end === '') break;
  }
  return rows.slice(0, -1);
}

test('the table of values has every measurement with its limits, and survives any text', () => {
  const history = new History(':memory:');
  history.open();
  const run = assess(calibrationRun({ n: 1 }), effectiveLimits({ name: 'a', processors: [] }, null), history);
  history.close();
  const answer = (document: CalibrationRun): RunAnswer => ({ document, token: 'a.b.c' });
  const [head, ...rows] = parsedCsv(csvOf([answer(run)]));
  assert.equal(rows.length, run.measurements.length);
  const column = (name: string) => head!.indexOf(name);
  const gain = rows.find((row) => row[column('name')] === 'loop_gain_db')!;
  assert.deepEqual(
    ['channel', 'unit', 'rule', 'min', 'max', 'passed', 'valid'].map((name) => gain[column(name)]),
    ['1', 'dB', 'gain', '-0.05', '0.05', 'true', 'true'],
  );
  assert.equal(Number(gain[column('value')]), run.measurements[0]!.value);
  fc.assert(
    fc.property(fc.string(), (reference) => {
      const [m] = run.measurements;
      const rows = parsedCsv(
        csvOf([answer({ ...run, measurements: [{ ...m!, reference }], verdicts: [], drifts: [] })]),
      );
      const cell = rows[1]![column('reference')]!;
      assert.equal(cell.replace(/^'(?=[=+\-@\t\r])/, ''), reference);
      assert.doesNotMatch(cell, /^[=+\-@\t\r]/);
    }),
  );
});
