/** `outboard init`: makes a new rig's folder and says what belongs where, what comes next and what ends when. */
import { relative } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { HOLDERS } from './holders.js';
import { type InitResult, initRig } from './init-rig.js';
import { createOutput, formatSpan, formatTime, type Output } from './output.js';
import { askNewPassphrases, canAsk, generatePassphrase, passphraseOf, readPassphraseFile } from './passphrase.js';

interface Options {
  rig: string;
  roots: number;
  threshold?: number;
  hosts?: string[];
  brokerPort?: number;
  storePort?: number;
  brokerDir?: string;
  brokerUser?: string;
  passphraseFile?: string;
  json?: boolean;
}

export function initCommand(): Command {
  return new Command('init')
    .description('Makes everything that a new rig needs, one folder for each holder. It never overwrites.')
    .argument('<dir>', 'the folder to make')
    .requiredOption('--rig <id>', 'id of the rig, for instance rig-01')
    .option('--roots <n>', 'number of root keys, each for another person', whole('--roots', 1, 10), 1)
    .option(
      '--threshold <n>',
      'how many of them must sign (default: 2 where there are several)',
      whole('--threshold', 1, 10),
    )
    .option('--hosts <broker[,store]>', 'host names of the broker and the store (default: this host)', splitHosts)
    .option('--broker-port <n>', 'port of the broker (default: 8883)', whole('--broker-port', 1, 65_535))
    .option('--store-port <n>', 'port of the store (default: 8443)', whole('--store-port', 1, 65_535))
    .option('--broker-dir <path>', "where broker/ will be on the broker's host (default: where it is made)")
    .option('--broker-user <name>', 'system user that mosquitto becomes when root starts it')
    .option('--passphrase-file <file>', 'passphrase of the root keys: one line for all, or one for each')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Without --passphrase-file the passphrases are asked for on a terminal; elsewhere strong ones are made up and shown once.

Examples:
  # one host, to try it out
  outboard init studio --rig rig-01
  # production: two of three persons sign, broker and store on hosts of their own
  outboard init rig-07 --rig rig-07 --roots 3 --threshold 2 --hosts broker.example,store.example \\
    --broker-dir /etc/mosquitto/outboard`,
    )
    .action(async (dir: string, o: Options) => {
      const output = createOutput(o);
      const { passphrases, generated } = await choosePassphrases(o);
      output.note('making keys and certificates …');
      const made = await initRig({
        dir,
        rig: o.rig,
        roots: o.roots,
        passphrase: passphrases,
        ...(o.threshold === undefined ? {} : { threshold: o.threshold }),
        ...(o.hosts === undefined ? {} : { hosts: o.hosts }),
        ...(o.brokerPort === undefined ? {} : { brokerPort: o.brokerPort }),
        ...(o.storePort === undefined ? {} : { storePort: o.storePort }),
        ...(o.brokerDir === undefined ? {} : { brokerDir: o.brokerDir }),
        ...(o.brokerUser === undefined ? {} : { brokerUser: o.brokerUser }),
      });
      output.object({
        ok: true,
        ...made,
        folders: HOLDERS,
        ...(generated ? { generatedPassphrases: passphrases } : {}),
      });
      show(output, made, generated ? passphrases : []);
    });
}

async function choosePassphrases(o: Options): Promise<{ passphrases: string[]; generated: boolean }> {
  const indices = Array.from({ length: o.roots }, (_, i) => i);
  if (o.passphraseFile !== undefined) {
    const file = o.passphraseFile;
    const lines = await readPassphraseFile(file);
    if (lines.length > 1 && lines.length !== o.roots)
      throw new OutboardError('usage', `${file} has ${lines.length} passphrases for ${o.roots} root keys`);
    return { passphrases: indices.map((i) => passphraseOf(lines, i, file)), generated: false };
  }
  // With --json somebody's program reads along: nothing is asked then.
  if (o.json || !canAsk()) return { passphrases: indices.map(generatePassphrase), generated: true };
  const names = indices.map((i) => `passphrase of ${o.roots === 1 ? 'the root key' : `root key ${i + 1}`}`);
  return { passphrases: await askNewPassphrases(names), generated: false };
}

function show(output: Output, made: InitResult, generated: string[]): void {
  const now = nowSeconds();
  const until = (at: number) => `${formatTime(at)} (${formatSpan(at - now)})`;
  const dir = relative(process.cwd(), made.dir) || made.dir;
  const shown = dir.startsWith('..') ? made.dir : dir;

  output.line(`${shown}: everything for ${made.rig}. Each folder belongs to another holder:`);
  output.line();
  output.table(
    HOLDERS.map(({ folder, host, holds }) => [folder, host, holds]),
    ['FOLDER', 'BELONGS ON', 'HOLDS'],
  );
  output.line();
  output.table([
    ['trust bundle', `version 1, until ${until(made.expires.trust)}; renew it with: outboard trust sign`],
    [
      'signing and wrapping keys',
      `until ${until(made.expires.keys)}; renew them with: outboard trust key, trust sign --add`,
    ],
    ['TLS certificates', `until ${until(made.expires.certificates)}; renew them with: outboard tls renew`],
    ['revocation list', `until ${until(made.expires.crl)}; renewed along with them`],
    ['transport authority', `until ${until(made.expires.authority)}`],
    ['root keys', `${made.roots.count}, of which ${made.roots.threshold} must sign; production needs at least two`],
  ]);
  if (generated.length > 0) {
    output.line();
    output.line(
      generated.length === 1
        ? 'The passphrase of the root key was made up. It is shown once and is not stored anywhere. Write it down:'
        : 'The passphrases of the root keys were made up. They are shown once and are not stored anywhere. Write them down:',
    );
    for (const [i, text] of generated.entries())
      output.line(`  ${generated.length === 1 ? '' : `root key ${i + 1}: `}${text}`);
  }
  output.line();
  const port = new URL(made.urls.store).port;
  const storePort = port === '8443' ? '' : ` --port ${port}`;
  output.line('What comes next, on one host:');
  for (const command of [
    `outboard check --config ${shown}/rig/rig.yaml`,
    `mosquitto -c ${shown}/broker/mosquitto.conf`,
    `outboard store --tls ${shown}/store/tls --dir ${shown}/store/blobs${storePort}`,
    `outboardd --config ${shown}/rig/rig.yaml`,
    `outboard-courier --config ${shown}/courier/courier.yaml`,
    `outboard bounce song.wav --to ${shown}/client.yaml --processor gain-1 gain=-6`,
  ])
    output.line(`  ${command}`);
  output.line(
    `outboard store is for trying out: the store is any HTTPS server with PUT and GET by digest and client certificates.`,
  );
  output.line('On several hosts: copy each folder to where it belongs, then delete this copy.');
}

function splitHosts(value: string): string[] {
  const hosts = value.split(',').map((host) => host.trim());
  if (hosts.length > 2 || hosts.some((host) => host === ''))
    throw new InvalidArgumentError('write broker.example or broker.example,store.example');
  return hosts;
}

function whole(option: string, min: number, max: number): (value: string) => number {
  return (value) => {
    const n = Number(value);
    if (!Number.isInteger(n) || n < min || n > max)
      throw new InvalidArgumentError(`${option} is a whole number from ${min} to ${max}`);
    return n;
  };
}
