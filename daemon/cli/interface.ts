/** `outboard interface`: which sound devices this host has, and whether the running rig holds its own alone. */
import { Command } from 'commander';
import { InterfaceAnswer } from '../../core/contract/local-api.js';
import { ERRORS, type ErrorCode } from '../../core/error-codes.js';
import { parseDeviceName } from '../../drivers/audio/alsa/device-name.js';
import { listDevices } from '../../drivers/audio/alsa/proc.js';
import { holders } from '../../drivers/audio/alsa/proof.js';
import { deviceName } from '../audio-driver.js';
import { loadRigConfig } from '../rig-config.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { createOutput, type Output } from './output.js';

const PROC_ROOT = '/proc/asound';
/** The other process that tries the device is given up after a few seconds. */
const CHECK_MS = 20_000;

export function interfaceCommand(): Command {
  return new Command('interface')
    .description('The audio interface: which devices there are, and the proof that the rig holds its own alone.')
    .addCommand(listCommand())
    .addCommand(checkCommand());
}

interface ListOptions {
  config?: string;
  procRoot?: string;
  json?: boolean;
}

function listCommand(): Command {
  return new Command('list')
    .description(
      'Lists the sound devices by the names that rig.yaml takes, and who holds them. Opens none, needs no daemon.',
    )
    .option('--config <file>', 'rig.yaml, which may name another place than /proc/asound')
    .option('--proc-root <folder>', `where the kernel tells of its sound cards (default: ${PROC_ROOT})`)
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
A device goes into rig.yaml as  interface: {driver: alsa, device: "hw:CARD=NAME,DEV=N", …}

Examples:
  outboard interface list
  outboard interface list --json | jq -r '.devices[] | select(.heldBy == null) | .name'`,
    )
    .action(async (o: ListOptions) => {
      const output = createOutput(o);
      const procRoot = await procRootOf(o);
      const devices = listDevices(procRoot).map((device) => {
        const name = parseDeviceName(device.name);
        const held = new Set([holders(procRoot, name, 'playback'), holders(procRoot, name, 'capture')]);
        held.delete('');
        return { ...device, heldBy: held.size === 0 ? null : [...held].join(', ') };
      });
      output.object({ ok: true, devices });
      if (devices.length === 0) {
        output.line(`${procRoot} knows no sound card`);
        return;
      }
      output.table(
        devices.map(({ name, description, inChannels, outChannels, heldBy }) => [
          name,
          channels(inChannels),
          channels(outChannels),
          heldBy ?? '-',
          description,
        ]),
        ['DEVICE', 'IN', 'OUT', 'HELD BY', 'DESCRIPTION'],
      );
    });
}

async function procRootOf(o: ListOptions): Promise<string> {
  if (o.procRoot !== undefined) return o.procRoot;
  if (o.config === undefined) return PROC_ROOT;
  const { config, resolve } = await loadRigConfig(o.config);
  return config.interface.driver === 'virtual' ? PROC_ROOT : resolve(config.interface.procRoot);
}

/** How many there are is known only to who opens the device. */
function channels(count: number | null): string {
  if (count === null) return 'yes';
  return count === 0 ? 'no' : String(count);
}

function checkCommand(): Command {
  return withSocketOptions(new Command('check'))
    .description(
      'Has the running rig prove its hold on the interface: owner, refusal of another process, format, loop latency, faults.',
    )
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Each line is: ok, FAIL or ?, what was looked at, and what was found. The exit status is 0 when the hold was shown to be exclusive.

Examples:
  outboard interface check
  outboard interface check --config studio/rig/rig.yaml
  outboard interface check --json | jq .proof`,
    )
    .action(async (o: SocketOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const client = await controlClient(o);
      try {
        const answer = await client.get('/interface', InterfaceAnswer, {
          query: { probe: 'true' },
          timeoutMs: CHECK_MS,
        });
        const exclusive = answer.proof?.exclusive === true;
        output.object({ ok: exclusive && answer.problem === null, ...answer });
        showInterface(output, answer);
        process.exitCode = exitCodeOf(answer);
      } finally {
        client.close();
      }
    });
}

function showInterface(output: Output, answer: InterfaceAnswer): void {
  const { proof, problem, checks } = answer;
  const mark = (holds: boolean | null) => (holds === null ? '?' : holds ? 'ok' : 'FAIL');
  output.table([
    [
      mark(proof?.exclusive ?? false),
      'claim',
      `${deviceName(answer.device)}${proof ? '' : ' is not held'}, driver ${answer.driver}`,
    ],
    ...(proof?.checks ?? []).map((check) => [mark(check.holds), check.name, check.detail]),
    ...checks.map((check) => [
      check.status === 'failed' ? 'FAIL' : check.status === 'ok' ? 'ok' : '?',
      check.name,
      check.detail,
    ]),
    ...(problem ? [['FAIL', 'problem', `${problem.message} [${problem.code}] ${problem.advice}`]] : []),
  ]);
}

function exitCodeOf({ proof, problem }: InterfaceAnswer): number {
  if (problem) return ERRORS[problem.code as ErrorCode]?.exit ?? ERRORS['audio.gone'].exit;
  return proof?.exclusive ? 0 : ERRORS['audio.busy'].exit;
}
