/** `outboard check`: is everything in order, before a daemon is started or a key runs out? One line for each thing looked at. */
import { Command } from 'commander';
import { parseDocument } from 'yaml';
import { ERRORS } from '../../core/error-codes.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { CheckReport } from './checks/report.js';
import { readText } from './files.js';
import { createOutput } from './output.js';

type Kind = 'rig' | 'courier' | 'client';

/** A field that only this kind of configuration has. */
const MARKS: readonly [string, Kind][] = [
  ['stateDir', 'rig'],
  ['interface', 'rig'],
  ['inserts', 'rig'],
  ['dispatcher', 'client'],
  ['tenant', 'client'],
  ['socket', 'courier'],
];

export function checkCommand(): Command {
  return new Command('check')
    .description(
      'Validates rig.yaml, courier.yaml or client.yaml and all that it names: keys, trust, certificates, clock, devices.',
    )
    .requiredOption('--config <file>', 'the file to check; may be given several times', collect, [])
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Each line is: ok, warn or fail, what was looked at, and what was found. Exit status 78 when something fails.

Examples:
  outboard check --config studio/rig/rig.yaml
  outboard check --config studio/rig/rig.yaml --config studio/courier/courier.yaml --config studio/client.yaml
  outboard check --config rig.yaml --json | jq -r '.checks[] | select(.status != "ok") | .detail'`,
    )
    .action(async (o: { config: string[]; json?: boolean }) => {
      const output = createOutput(o);
      if (o.config.length === 0) throw new OutboardError('usage', 'name a configuration with --config');
      const reports: { file: string; report: CheckReport }[] = [];
      for (const file of o.config) {
        const report = new CheckReport();
        await checkFile(report, file);
        reports.push({ file, report });
      }
      const ok = reports.every(({ report }) => !report.failed);
      output.object({
        ok,
        checks: reports.flatMap(({ file, report }) => report.rows.map((row) => ({ file, ...row }))),
      });
      const rows = reports.flatMap(({ report }) => report.rows);
      // One line each: the advice stands behind what it is about.
      output.table(
        rows.map((row) => [
          row.status,
          row.what,
          row.advice ? `${row.detail} [${row.code}] ${row.advice}` : row.detail,
        ]),
      );
      if (!ok) process.exitCode = ERRORS['config.invalid'].exit;
    });
}

async function checkFile(report: CheckReport, file: string): Promise<void> {
  const kind = await report.run('file', async () => {
    const value = await kindOf(file);
    return { finding: `${file} is a ${value} configuration`, value };
  });
  const now = nowSeconds();
  if (kind === 'rig') await (await import('./checks/rig.js')).checkRig(report, file, now);
  else if (kind === 'courier') await (await import('./checks/courier.js')).checkCourier(report, file, now);
  else if (kind === 'client') await (await import('./checks/client.js')).checkClient(report, file, now);
}

/** @throws OutboardError config.unreadable | config.invalid */
async function kindOf(file: string): Promise<Kind> {
  const text = await readText(file).catch((cause) => {
    throw new OutboardError('config.unreadable', cause.message, { cause });
  });
  const document = parseDocument(text, { prettyErrors: true });
  const fault = document.errors[0];
  if (fault)
    throw new OutboardError(
      'config.unreadable',
      `${file}:${fault.linePos?.[0].line ?? 1}: ${fault.message.split('\n')[0]}`,
    );
  const value: unknown = document.toJS();
  const fields = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const kind = MARKS.find(([field]) => fields.includes(field))?.[1];
  if (!kind)
    throw new OutboardError('config.invalid', `${file}: is neither a rig.yaml nor a courier.yaml nor a client.yaml`);
  return kind;
}

function collect(value: string, all: string[]): string[] {
  return [...all, value];
}
