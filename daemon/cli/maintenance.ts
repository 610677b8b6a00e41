/** `outboard maintenance`: a technician's session. */
import { Command, InvalidArgumentError } from 'commander';
import { StatusAnswer } from '../../core/contract/local-api.js';
import { OutboardError } from '../../core/errors.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { createOutput, formatTime } from './output.js';
import { requestSession, type SignedOptions, withSignature } from './session-request.js';

const DEFAULT_SECONDS = 3600;
const MAX_SECONDS = 12 * 3600;

interface MaintenanceOptions extends SignedOptions {
  for?: number;
  json?: boolean;
}

export function maintenanceCommand(): Command {
  return new Command('maintenance')
    .description('Maintenance mode: no job runs, technicians measure. Entering lets the running takes finish first.')
    .addCommand(sessionCommand('enter'))
    .addCommand(sessionCommand('exit'))
    .addCommand(sessionCommand('release'))
    .addCommand(insertCommand())
    .addCommand(maintenanceStatusCommand());
}

const ACTIONS = {
  enter: {
    does: 'Takes no new take, waits for those that roll, and enters maintenance. Takes the interface back that was released. In your own maintenance: it lasts for --for from now on.',
    because: 'new cable on insert a" --for 1800',
  },
  exit: {
    does: 'Ends maintenance: outputs mute, processors go into their safe state, which is verified; then jobs go on.',
    because: 'cable checked"',
  },
  release: {
    does: 'Gives the interface up, so that other programs can use it, until maintenance ends or is entered again.',
    because: 'latency of the driver with an outside tool"',
  },
} as const;

function sessionCommand(name: keyof typeof ACTIONS): Command {
  const { does, because } = ACTIONS[name];
  const command = withSignature(withSocketOptions(new Command(name)).description(does));
  if (name === 'enter')
    command.option('--for <seconds>', 'maintenance ends by itself after this long', parseSeconds, DEFAULT_SECONDS);
  return command
    .option('--json', 'JSON on stdout')
    .addHelpText('after', `\nExample:\n  outboard maintenance ${name} --key technician/key.jwk --reason "${because}`)
    .action(async (o: MaintenanceOptions) => {
      const output = createOutput(o);
      const answer = await requestSession({ action: `maintenance.${name}`, seconds: o.for ?? DEFAULT_SECONDS }, o);
      output.object({ ok: true, ...answer });
      output.line(`mode: ${answer.mode}${answer.until === null ? '' : `, until ${formatTime(answer.until)}`}`);
      if (answer.mode === 'draining')
        output.line('takes that roll are finished first; `outboard maintenance status` says when it is entered');
    });
}

interface InsertOptions extends SignedOptions {
  empty?: boolean;
  tenant?: string;
  json?: boolean;
}

function insertCommand(): Command {
  return withSignature(withSocketOptions(new Command('insert')))
    .description(
      "Says, in maintenance, what an insert that remembers holds now (a tape that was changed): nothing, or one tenant's sound. Others are kept from it.",
    )
    .argument('<name>', 'the insert')
    .option('--empty', 'it holds nothing')
    .option('--tenant <id>', "it holds this tenant's sound")
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  outboard maintenance insert deck --empty --key technician/key.jwk --reason "new tape, heard through"',
    )
    .action(async (insert: string, o: InsertOptions) => {
      const output = createOutput(o);
      if ((o.empty === true) === (o.tenant !== undefined))
        throw new OutboardError('usage', 'say what the insert holds: either --empty or --tenant ID');
      const tenant = o.tenant ?? null;
      const answer = await requestSession({ action: 'maintenance.insert', holds: { insert, tenant }, seconds: 1 }, o);
      output.object({ ok: true, insert, tenant, ...answer });
      output.line(`${insert} ${tenant === null ? 'is empty' : `holds the sound of ${tenant}`}: noted and audited`);
    });
}

function maintenanceStatusCommand(): Command {
  return withSocketOptions(new Command('status'))
    .description('Says whether the rig is in maintenance, until when and why.')
    .option('--json', 'JSON on stdout')
    .addHelpText('after', '\nExample:\n  outboard maintenance status --config studio/rig/rig.yaml')
    .action(async (o: SocketOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const { rig, state, jobs } = await client.get('/status', StatusAnswer);
        const rolling = jobs.filter((job) => job.state.startsWith('rolling')).length;
        output.object({ ok: true, rig, mode: state.mode, maintenance: state.maintenance ?? null, rolling });
        output.line(`mode: ${state.mode}`);
        if (state.maintenance) output.line(`until ${formatTime(state.maintenance.until)}: ${state.maintenance.reason}`);
        if (rolling > 0) output.line(`takes that roll: ${rolling}`);
      } finally {
        client.close();
      }
    });
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SECONDS)
    throw new InvalidArgumentError(`whole seconds from 1 to ${MAX_SECONDS}`);
  return seconds;
}
