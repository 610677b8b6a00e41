/** `outboard report`: how the inserts of the rig stand, as a page, as PDF, or as data. */
import { Command, Option } from 'commander';
import { csvOf } from '../../calibration/report/csv.js';
import { type InsertReport, type Report, reportPage, runsToReport } from '../../calibration/report/page.js';
import { writeNewFile } from '../../certs/durable-file.js';
import { InsertHistoryAnswer, RunAnswer, RunsAnswer, StatusAnswer } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { LocalClient } from '../local-client.js';
import { pdfOf } from './chromium-pdf.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { parseDay } from './day.js';
import { refuseExistingFile } from './files.js';
import { createOutput } from './output.js';

const FORMATS = ['html', 'pdf', 'csv', 'json'] as const;
/** As many as the rig lists at once. */
const MOST_RUNS = 10_000;
type Format = (typeof FORMATS)[number];

interface ReportOptions extends SocketOptions, Partial<Record<Format, boolean>> {
  insert?: string;
  run?: string;
  since?: number;
  out?: string;
}

export function reportCommand(): Command {
  const others = (format: Format) => FORMATS.filter((other) => other !== format);
  const command = withSocketOptions(new Command('report'))
    .description(
      'What was measured on the inserts of the rig on this host: the newest suite of each, what was measured since, and how it went over time.',
    )
    .option('--insert <name>', 'this insert only')
    .addOption(new Option('--run <id>', 'this run only').conflicts('insert'))
    .option('--since <day>', 'the history from this day on, YYYY-MM-DD; with --csv every run since then', parseDay);
  const what: Record<Format, string> = {
    html: 'one self-contained page (this is what you get without a format)',
    pdf: 'the same page on paper; needs chromium',
    csv: 'every measurement, one a line',
    json: 'the signed documents, limits and trends',
  };
  for (const format of FORMATS) command.addOption(new Option(`--${format}`, what[format]).conflicts(others(format)));
  return command
    .option('--out <file>', 'where to write it, - for stdout (default: a new file for a page, stdout for data)')
    .addHelpText(
      'after',
      `
Examples:
  outboard report                                          outboard-report-rig-01-2026-03-01.html
  outboard report --insert a --pdf --out insert-a.pdf
  outboard report --csv --since 2026-01-01 > measurements.csv
  outboard report --json | jq '.inserts[].runs[].document.passed'`,
    )
    .action(report);
}

async function report(o: ReportOptions): Promise<void> {
  const output = createOutput({});
  const format = FORMATS.find((each) => o[each]) ?? 'html';
  if (o.out !== undefined && o.out !== '-') await refuseExistingFile(o.out);
  const client = await controlClient(o);
  let made: Report;
  try {
    made = await gathered(client, o);
  } finally {
    client.close();
  }
  const content = await written(format, made);
  const toStdout = o.out === '-' || (o.out === undefined && (format === 'csv' || format === 'json'));
  if (toStdout) {
    process.stdout.write(content);
    return;
  }
  const file = o.out ?? fileName(made, o.insert, format);
  await writeNewFile(file, typeof content === 'string' ? Buffer.from(content) : content, 0o644);
  output.line(file);
}

async function written(format: Format, report: Report): Promise<string | Uint8Array> {
  switch (format) {
    case 'html':
      return reportPage(report);
    case 'pdf':
      return await pdfOf(reportPage(report));
    case 'csv':
      return csvOf(report.inserts.flatMap(({ runs }) => runs));
    case 'json':
      return `${JSON.stringify({ ok: true, ...report })}\n`;
  }
}

function fileName({ rig, at }: Report, insert: string | undefined, format: Format): string {
  const day = new Date(at * 1000).toISOString().slice(0, 10);
  return ['outboard-report', rig, ...(insert === undefined ? [] : [insert]), `${day}.${format}`].join('-');
}

/** @throws OutboardError calibration.insert | history.unknown, as the rig refuses them */
async function gathered(client: LocalClient, o: ReportOptions): Promise<Report> {
  const { rig, state } = await client.get('/status', StatusAnswer);
  const one =
    o.run === undefined ? undefined : await client.get(`/calibration/runs/${encodeURIComponent(o.run)}`, RunAnswer);
  const insert = one?.document.insert ?? o.insert;
  const names = insert === undefined ? state.inserts.map(({ name }) => name) : [insert];
  const inserts: InsertReport[] = [];
  for (const name of names) {
    const query: Record<string, number> = o.since === undefined ? {} : { since: o.since };
    const history = await client.get(`/calibration/inserts/${encodeURIComponent(name)}`, InsertHistoryAnswer, {
      query,
    });
    inserts.push({ history, runs: one ? [one] : await documentsOf(client, name, o) });
  }
  if (inserts.length === 0) throw new OutboardError('calibration.insert', 'this rig has no insert');
  return { rig, at: nowSeconds(), software: state.version, inserts };
}

/** A page shows how an insert stands; a table of values may hold all that was ever measured. */
async function documentsOf(client: LocalClient, insert: string, { csv, since }: ReportOptions): Promise<RunAnswer[]> {
  const all = csv === true && since !== undefined;
  const query: Record<string, string | number> = all ? { insert, since, limit: MOST_RUNS } : { insert, newest: 'true' };
  const { runs } = await client.get('/calibration/runs', RunsAnswer, { query });
  const documents: RunAnswer[] = [];
  for (const { run } of all ? runs : runsToReport(runs))
    documents.push(await client.get(`/calibration/runs/${run}`, RunAnswer));
  return documents;
}
