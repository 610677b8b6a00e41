/** `outboard status`: what the rig of this host is doing and how it is, asked on control.sock. */
import { Command } from 'commander';
import { StatusAnswer } from '../../core/contract/local-api.js';
import { nowSeconds } from '../../core/units.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { createOutput, formatSpan, formatTime, type Output } from './output.js';

export function statusCommand(): Command {
  return withSocketOptions(new Command('status'))
    .description('Shows mode, health, processors and open jobs of the rig on this host.')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  outboard status
  outboard status --config studio/rig/rig.yaml
  outboard status --json | jq .state.mode
The same without outboard: curl --unix-socket /run/outboard/control.sock http://rig/status`,
    )
    .action(async (o: SocketOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const status = await client.get('/status', StatusAnswer);
        output.object({ ok: true, ...status });
        showStatus(output, status, nowSeconds());
      } finally {
        client.close();
      }
    });
}

/** @param now wall clock, seconds */
export function showStatus(output: Output, status: StatusAnswer, now: number): void {
  const { state } = status;
  const ago = (at: number) => `${formatSpan(now - at)} ago`;
  output.table([
    ['rig', `${status.rig}, outboard ${state.version}${state.virtual ? ', simulated interface' : ''}`],
    ['mode', `${state.mode}, since ${formatTime(state.since)} (${ago(state.since)})`],
    ...(state.maintenance
      ? [['maintenance', `until ${formatTime(state.maintenance.until)}: ${state.maintenance.reason}`]]
      : []),
    ...(state.lastFault
      ? [
          [
            'last fault',
            `${state.lastFault.problem.code}: ${state.lastFault.problem.message} (${ago(state.lastFault.at)})`,
          ],
        ]
      : []),
    [
      'trust',
      state.trust
        ? `version ${state.trust.version}, until ${formatTime(state.trust.exp)}${state.trust.exp <= now ? ' (expired)' : ''}`
        : 'no bundle in force',
    ],
    ['courier', linkText(status.link)],
    ['rates', `${state.rates.join(', ')} Hz`],
    ['audit log', `${state.audit.seq} entries`],
  ]);

  heading(output, 'Health');
  output.table(
    status.health.flatMap((document) =>
      document.checks.map((check) => [document.subsystem, check.status, check.name, check.detail]),
    ),
    ['SUBSYSTEM', 'STATUS', 'CHECK', 'DETAIL'],
  );

  heading(output, 'Processors');
  output.table(
    state.processors.map((unit) => [unit.name, unit.profile, unit.insert ?? '-', unit.state]),
    ['NAME', 'PROFILE', 'INSERT', 'STATE'],
  );

  heading(output, `Jobs (${status.jobs.length})`);
  if (status.jobs.length === 0) return;
  output.table(
    status.jobs.map((job) => [
      job.job,
      job.dispatcher,
      job.attempt > 0 ? `${job.state} (attempt ${job.attempt})` : job.state,
      job.problem ? job.problem.code : progressText(job.progress),
      ago(job.updatedAt),
    ]),
    ['JOB', 'DISPATCHER', 'STATE', 'PROGRESS', 'CHANGED'],
  );
}

function heading(output: Output, text: string): void {
  output.line();
  output.line(text);
}

function progressText(progress: StatusAnswer['jobs'][number]['progress']): string {
  return progress ? `${progress.phase} ${Math.round(progress.percent)} %` : '-';
}

function linkText(link: StatusAnswer['link']): string {
  if (!link) return 'not there';
  const protocol = link.protocol ? ` (${link.protocol})` : '';
  const certificate = link.certificateExpires ? `, certificate until ${formatTime(link.certificateExpires)}` : '';
  const problem = link.problem ? `, ${link.problem.code}: ${link.problem.message}` : '';
  return `broker ${link.broker}${protocol}, store ${link.store}${certificate}${problem}`;
}
