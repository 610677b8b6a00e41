/** `outboard processors`: the units of the running rig. Looking is free; setting needs maintenance and a technician's key. */
import { Command } from 'commander';
import type { RecalledSetting } from '../../core/contract/event.js';
import { ProcessorAnswer, type ProcessorSummary, ProcessorsAnswer } from '../../core/contract/local-api.js';
import type { SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import { parseSettings } from './chain-options.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { createOutput, type Output } from './output.js';
import { requestSession, type SignedOptions, withSignature } from './session-request.js';

/** Every parameter of a large unit on a slow line. */
const SHOW_MS = 120_000;

interface LookOptions extends SocketOptions {
  json?: boolean;
}

interface ActOptions extends SignedOptions {
  json?: boolean;
}

export function processorsCommand(): Command {
  return new Command('processors')
    .description('The processors of the running rig: state, identity, what they have. In maintenance they can be set.')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(showCommand())
    .addCommand(setCommand())
    .addCommand(safeCommand())
    .addCommand(identifyCommand())
    .addHelpText(
      'after',
      `
Examples:
  outboard processors
  outboard processors show eq-1
  outboard maintenance enter --key technician/key.jwk --reason "check the new EQ"
  outboard processors set eq-1 gain=-6 mute=off --key technician/key.jwk --reason "check the new EQ"`,
    );
}

function listCommand(): Command {
  return withSocketOptions(new Command('list'))
    .description('Lists every processor: state, where it hangs, what it says it is, the last error. Asks none of them.')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  outboard processors list --json | jq -r \'.processors[] | select(.state != "ready") | .name\'',
    )
    .action(async (o: LookOptions) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const answer = await client.get('/processors', ProcessorsAnswer);
        output.object({ ok: true, ...answer });
        output.table(answer.processors.map(summaryRow), [
          'NAME',
          'STATE',
          'ON',
          'PROFILE',
          'IDENTITY',
          'PORT',
          'LAST ERROR',
        ]);
      } finally {
        client.close();
      }
    });
}

function summaryRow(unit: ProcessorSummary): string[] {
  return [
    unit.name,
    unit.safeOwed ? `${unit.state}, not safe` : unit.state,
    unit.patchbay ? 'patchbay' : (unit.insert ?? '-'),
    `${unit.profile.id} ${unit.profile.version}`,
    identityText(unit),
    unit.port,
    unit.lastError ? `${unit.lastError.code}: ${unit.lastError.message}` : '-',
  ];
}

function identityText({ identity, identityStrength }: ProcessorSummary): string {
  const said = Object.entries(identity ?? {}).map(([name, value]) => `${name} ${value}`);
  if (said.length > 0) return said.join(', ');
  return identity && identityStrength === 'none' ? 'cannot be asked' : '-';
}

function showCommand(): Command {
  return withSocketOptions(new Command('show'))
    .description('Shows every parameter of a processor; in maintenance with its present value, read from the unit now.')
    .argument('<name>', 'the processor')
    .option('--json', 'JSON on stdout')
    .addHelpText('after', '\nExample:\n  outboard processors show eq-1 --config studio/rig/rig.yaml')
    .action(async (name: string, o: LookOptions) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const path = `/processors/${encodeURIComponent(name)}`;
        const answer = await client.get(path, ProcessorAnswer, { timeoutMs: SHOW_MS });
        output.object({ ok: true, ...answer });
        showProcessor(output, answer);
      } finally {
        client.close();
      }
    });
}

function showProcessor(output: Output, { processor, parameters, read, mode }: ProcessorAnswer): void {
  output.table([
    ['processor', `${processor.name}: ${processor.device}`],
    ['profile', `${processor.profile.id} ${processor.profile.version}`],
    ['state', processor.safeOwed ? `${processor.state}, not in its safe state` : processor.state],
    ['safe state', processor.lastSafe === null ? 'not reached since it answers' : `last ${processor.lastSafe}`],
    ['on', processor.patchbay ? 'no insert: a patchbay' : (processor.insert ?? 'no insert')],
    ['port', processor.port],
    ['identity', identityText(processor)],
    ...(processor.lastError ? [['last error', `${processor.lastError.code}: ${processor.lastError.message}`]] : []),
  ]);
  output.line();
  output.table(
    parameters.map(({ name, present, unit, range, safe, verify, hazard }) => [
      name,
      shown(present),
      unit ?? '-',
      range,
      shown(safe),
      verify === 'none' || verify === 'ack' ? 'no' : verify,
      hazard ?? '-',
    ]),
    ['SETTING', 'PRESENT', 'UNIT', 'RANGE', 'SAFE', 'READ BY', 'HAZARD'],
  );
  if (!read) output.note(`present values are read in maintenance only, from a unit that answers; the rig is ${mode}`);
}

function shown(value: SettingValue | null): string {
  return value === null ? '-' : String(value);
}

function setCommand(): Command {
  return actCommand('set')
    .description('Sets a processor as a recall does: ordered, read back, settled. In maintenance only.')
    .argument('<name>', 'the processor')
    .argument('<key=value...>', 'settings, such as gain=-6 or gain@in=3=-6')
    .addHelpText(
      'after',
      '\nExample:\n  outboard processors set eq-1 gain=-6 --key technician/key.jwk --reason "check the new EQ"',
    )
    .action(async (name: string, words: string[], o: ActOptions) => {
      const output = createOutput(o);
      const wanted = { action: 'processors.set', processor: name, settings: parseSettings(words), seconds: 1 } as const;
      const answer = await requestSession(wanted, o);
      output.object({ ok: true, processor: name, ...answer });
      output.table((answer.settings ?? []).map(settingRow), ['SETTING', 'REQUESTED', 'READ BACK', 'UNIT', 'STATE']);
      if (answer.settings === undefined) throw new OutboardError('rig.answer', 'the rig does not say what it set');
    });
}

function settingRow({ name, requested, readBack, unit, state }: RecalledSetting): string[] {
  return [name, String(requested), shown(readBack ?? null), unit ?? '-', state];
}

function safeCommand(): Command {
  return actCommand('safe')
    .description(
      'Brings a processor into its safe state and verifies it, as far as it can be read back. In maintenance only.',
    )
    .argument('<name>', 'the processor')
    .addHelpText(
      'after',
      '\nExample:\n  outboard processors safe eq-1 --key technician/key.jwk --reason "before I open the rack"',
    )
    .action(async (name: string, o: ActOptions) => {
      const output = createOutput(o);
      const answer = await requestSession({ action: 'processors.safe', processor: name, seconds: 1 }, o);
      output.object({ ok: true, processor: name, ...answer });
      const unread = (answer.settings ?? []).flatMap((setting) => (setting.state === 'verified' ? [] : [setting.name]));
      output.line(
        unread.length === 0
          ? `${name} is in its safe state, verified`
          : `${name} was sent its safe state, unverified: it does not report ${unread.join(', ')}`,
      );
    });
}

function identifyCommand(): Command {
  return actCommand('identify')
    .description('Asks a processor again who it is. In maintenance only.')
    .argument('<name>', 'the processor')
    .addHelpText(
      'after',
      '\nExample:\n  outboard processors identify eq-1 --key technician/key.jwk --reason "new cable"',
    )
    .action(async (name: string, o: ActOptions) => {
      const output = createOutput(o);
      const answer = await requestSession({ action: 'processors.identify', processor: name, seconds: 1 }, o);
      output.object({ ok: true, processor: name, ...answer });
      const said = Object.entries(answer.identity ?? {});
      if (said.length === 0) output.line(`${name} answers, and says nothing of itself`);
      output.table(said);
    });
}

function actCommand(name: string): Command {
  return withSignature(withSocketOptions(new Command(name))).option('--json', 'JSON on stdout');
}
