/** `outboard calibration`: what was measured when, by which limits it is judged, and what it is compared with. */
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { DEFAULT_CLASSES } from '../../calibration/limits/index.js';
import { limitOf, unitOf } from '../../calibration/report/words.js';
import {
  CALIBRATION_KINDS,
  InsertHistoryAnswer,
  type LimitsFile,
  type RunSummary,
  RunsAnswer,
  StatusAnswer,
} from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import type { LocalClient } from '../local-client.js';
import { verifyCommand } from './calibration-verify.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { parseDay } from './day.js';
import { createOutput, formatTime } from './output.js';
import { requestSession, type SignedOptions, withSignature } from './session-request.js';

interface CommonOptions extends SocketOptions {
  insert?: string;
  json?: boolean;
}

export function calibrationCommand(): Command {
  return new Command('calibration')
    .description('The history of what was measured, the limits that it is judged by, and the baselines of its drift.')
    .addCommand(historyCommand())
    .addCommand(limitsCommand())
    .addCommand(baselineCommand())
    .addCommand(verifyCommand());
}

function common(name: string): Command {
  return withSocketOptions(new Command(name))
    .option('--insert <name>', 'this insert only')
    .option('--json', 'JSON on stdout');
}

function historyCommand(): Command {
  return common('history')
    .description('The runs, newest first.')
    .addOption(new Option('--kind <kind>', 'runs of this kind only').choices([...CALIBRATION_KINDS, 'self-test']))
    .option('--since <day>', 'from this day on, YYYY-MM-DD', parseDay)
    .option('--limit <n>', 'at most so many', '50')
    .addHelpText(
      'after',
      `
Examples:
  outboard calibration history --insert a --since 2026-01-01
  outboard calibration history --json | jq -r '.runs[] | select(.passed == false) | .run'`,
    )
    .action(async (o: CommonOptions & { kind?: string; since?: number; limit: string }) => {
      const output = createOutput(o);
      const { insert, kind, since, limit } = o;
      const asked = Object.entries({ insert, kind, since, limit }).filter(([, value]) => value !== undefined);
      const answer = await asking(o, (client) =>
        client.get('/calibration/runs', RunsAnswer, { query: Object.fromEntries(asked) as Record<string, string> }),
      );
      output.object({ ok: true, ...answer });
      if (answer.runs.length === 0) output.line('Nothing was measured yet.');
      else output.table(answer.runs.map(historyRow), HISTORY);
    });
}

const HISTORY = ['WHEN', 'INSERT', 'KIND', 'RESULT', 'FAILED', 'MOVED', 'REFUSED', 'BY', 'RUN'];

function historyRow(run: RunSummary): string[] {
  const result = run.problem ?? (run.passed === null ? 'not judged' : run.passed ? 'passed' : 'FAILED');
  return [
    formatTime(run.startedAt),
    run.insert,
    `${run.kind}${run.baseline ? ' (baseline)' : ''}`,
    `${result}${run.virtual ? ', simulated' : ''}`,
    String(run.failed),
    String(run.alarms),
    String(run.refused),
    run.technician ?? 'the rig',
    run.run,
  ];
}

function limitsCommand(): Command {
  return common('limits')
    .description('The limits of each insert, and how far its measurements may move.')
    .addOption(
      new Option('--yaml', 'instead: the built-in classes as a file to begin with; it asks no rig').conflicts([
        'insert',
        'json',
      ]),
    )
    .addHelpText(
      'after',
      `
Examples:
  outboard calibration limits --insert a
  outboard calibration limits --yaml > limits.yaml      edit it, name it in rig.yaml: measurementLimits: limits.yaml
The file is read for every run: the rig need not be restarted. Give it a new version with every change.`,
    )
    .action(async (o: CommonOptions & { yaml?: boolean }) => {
      if (o.yaml) {
        process.stdout.write(beginning());
        return;
      }
      const output = createOutput(o);
      const inserts = await asking(o, (client) => historyOf(client, o.insert));
      output.object({ ok: true, limits: inserts.map(({ insert, limits }) => ({ insert, ...limits })) });
      for (const { insert, limits } of inserts) {
        output.line(`insert ${insert}: class ${limits.class}, limits ${limits.version}`);
        const when = (conditions: object = {}) =>
          Object.entries(conditions)
            .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('..') : value}`)
            .join(', ');
        output.table([
          ...limits.limits.map((rule) => [
            `  ${rule.rule}`,
            rule.measurement,
            limitOf(rule, unitOf(rule)),
            when(rule.when),
          ]),
          ...limits.drift.map((rule) => [
            `  ${rule.rule}`,
            rule.measurement,
            `moves by ≤ ${rule.change} ${unitOf(rule)}`,
            when(rule.when),
          ]),
        ]);
      }
    });
}

function beginning(): string {
  const file: LimitsFile = {
    version: new Date(nowSeconds() * 1000).toISOString().slice(0, 10),
    classes: DEFAULT_CLASSES,
    processors: {},
    inserts: {},
  };
  const text = stringify(file, { lineWidth: 120, aliasDuplicateObjects: false });
  return `# Limits of measurements, for rig.yaml (measurementLimits: FILE). A new version with every change.
# Under processors and inserts: NAME: {class: line, limits: {gain: {measurement: loop_gain_db, min: -1, max: 1}, noise: off}}
${text}`;
}

function baselineCommand(): Command {
  const set = withSignature(withSocketOptions(new Command('set')))
    .description('Later runs of its insert and kind are compared with this run.')
    .argument('<run>', 'the run, as `outboard calibration history` names it')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Example:
  outboard calibration baseline set RUN --key technician.jwk --reason "new valves in eq-1"`,
    )
    .action(async (run: string, o: SignedOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const answer = await requestSession({ action: 'calibrate.baseline', seconds: 1, baseline: run }, o);
      output.object({ ok: true, ...answer });
      output.line(`${run} is the baseline from now on`);
    });
  return new Command('baseline')
    .description('What readings are compared with.')
    .addCommand(
      common('show')
        .description('The baselines in force.')
        .action(async (o: CommonOptions) => {
          const output = createOutput(o);
          const baselines = (await asking(o, (client) => historyOf(client, o.insert))).flatMap(
            (each) => each.baselines,
          );
          output.object({ ok: true, baselines });
          if (baselines.length === 0) output.line('There is none yet: the first run that does not fail becomes one.');
          else
            output.table(
              baselines.map((b) => [b.insert, b.kind, formatTime(b.at), b.setBy ?? 'the rig', b.reason, b.run]),
              ['INSERT', 'KIND', 'SINCE', 'BY', 'REASON', 'RUN'],
            );
        }),
    )
    .addCommand(set);
}

async function historyOf(client: LocalClient, insert: string | undefined): Promise<InsertHistoryAnswer[]> {
  const names =
    insert === undefined ? (await client.get('/status', StatusAnswer)).state.inserts.map(({ name }) => name) : [insert];
  const found: InsertHistoryAnswer[] = [];
  // Limits and baselines, not what was measured.
  const query = { points: 0 };
  for (const name of names)
    found.push(await client.get(`/calibration/inserts/${encodeURIComponent(name)}`, InsertHistoryAnswer, { query }));
  return found;
}

async function asking<T>(o: SocketOptions, ask: (client: LocalClient) => Promise<T>): Promise<T> {
  const client = await controlClient(o);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}
