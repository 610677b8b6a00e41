/** `outboard check`: a fresh rig passes; each thing that can be wrong is named in a line of its own, and the exit status is 78. */
import assert from 'node:assert/strict';
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nowSeconds } from '../../../core/units.js';
import { checkClient } from '../../../daemon/cli/checks/client.js';
import { checkCourier } from '../../../daemon/cli/checks/courier.js';
import { CheckReport, type CheckRow } from '../../../daemon/cli/checks/report.js';
import { checkRig } from '../../../daemon/cli/checks/rig.js';
import { initRig } from '../../../daemon/cli/init-rig.js';
import { lastObject, outboard } from './run-cli.js';

const DAY = 86_400;
let base: string;
let dir: string;
let copies = 0;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'outboard-check-'));
  dir = join(base, 'fresh');
  await initRig({ dir, rig: 'rig-01', passphrase: 'x', scryptWorkFactor: 2 });
});
after(() => rm(base, { recursive: true, force: true }));

/** A copy of the fresh rig that a test may spoil. */
async function copy(): Promise<(path: string) => string> {
  const root = join(base, `copy-${copies++}`);
  await cp(dir, root, { recursive: true });
  return (path) => join(root, path);
}

async function edit(file: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = text.replace(from, to);
  assert.notEqual(changed, text, `${file} has no ${from}`);
  await writeFile(file, changed);
}

type Checks = (report: CheckReport, file: string, now: number) => Promise<void>;

async function rowsOf(checks: Checks, file: string, now = nowSeconds()): Promise<CheckRow[]> {
  const report = new CheckReport();
  await checks(report, file, now);
  return report.rows;
}

const failed = (rows: CheckRow[]) =>
  rows.filter((row) => row.status === 'fail').map((row) => `${row.what}: ${row.code}`);
const warned = (rows: CheckRow[]) => rows.filter((row) => row.status === 'warn').map((row) => row.what);

test('a fresh rig passes, one line for each thing', async () => {
  const files = ['rig/rig.yaml', 'courier/courier.yaml', 'client.yaml'].flatMap((path) => [
    '--config',
    join(dir, path),
  ]);
  const people = await outboard('check', ...files);
  assert.equal(people.code, 0, people.stdout + people.stderr);
  const lines = people.stdout.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^(ok {2}|warn) {2}\S/);
  assert.ok(lines.some((line) => /^warn {2}clock /.test(line)));
  const programs = await outboard('check', ...files, '--json');
  const { ok, checks } = lastObject(programs) as { ok: boolean; checks: CheckRow[] };
  assert.equal(ok, true);
  assert.equal(checks.length, lines.length);
});

test('a fault ends with 78, with a line that says what to do', async () => {
  const at = await copy();
  await chmod(at('rig/keys/signing.jwk'), 0o644);
  const people = await outboard('check', '--config', at('rig/rig.yaml'));
  assert.equal(people.code, 78);
  assert.match(people.stdout, /^fail {2}signing key .*0644.* \[config\.key\] .*0600/m);
  const programs = await outboard('check', '--config', at('rig/rig.yaml'), '--json');
  assert.equal(programs.code, 78);
  assert.equal(lastObject(programs)['ok'], false);
});

test('what is no configuration is one failing line', async () => {
  const file = join(base, 'odd.yaml');
  for (const [text, code] of [
    ['a: [', 'config.unreadable'],
    ['colour: red', 'config.invalid'],
    ['rig: r\nstateDir: 5\n', 'config.invalid'],
  ] as const) {
    await writeFile(file, text);
    const ended = await outboard('check', '--config', file, '--json');
    assert.equal(ended.code, 78);
    const { checks } = lastObject(ended) as { checks: CheckRow[] };
    assert.deepEqual(
      checks.filter((row) => row.status === 'fail').map((row) => row.code),
      [code],
    );
  }
  assert.equal((await outboard('check', '--config', join(base, 'nowhere.yaml'))).code, 78);
});

const RIG_FAULTS: [what: string, spoil: (at: (path: string) => string) => Promise<unknown>, expected: string[]][] = [
  [
    'a journal key of 31 bytes',
    (at) => writeFile(at('rig/keys/journal.key'), Buffer.alloc(31)),
    ['journal key: config.key'],
  ],
  ['a missing wrapping key', (at) => rm(at('rig/keys/wrapping.jwk')), ['wrapping key: config.key']],
  [
    "another holder's key",
    (at) => cp(at('keeper/key.jwk'), at('rig/keys/signing.jwk')),
    ['signing key: envelope.issuer'],
  ],
  [
    'a signing key where the wrapping key belongs',
    (at) => cp(at('rig/keys/signing.jwk'), at('rig/keys/wrapping.jwk')),
    ['wrapping key: config.key'],
  ],
  ['a missing bundle', (at) => rm(at('rig/trust.jws')), ['trust bundle: file.unreadable']],
  [
    'roots that did not sign',
    (at) => edit(at('rig/rig.yaml'), /x: ".{43}"/, 'x: "3qC9FXfpSbddIh4LLJW5iTHofkefvX1M3Ik9JFd5N0U"'),
    ['trust bundle: trust.signature'],
  ],
  [
    'a profile that does not exist',
    (at) => edit(at('rig/rig.yaml'), 'profile: virtual.delay', 'profile: virtual.echo'),
    ['processor delay-1: profile.unknown'],
  ],
  ['a state folder for everybody', (at) => chmod(at('rig/state'), 0o755), ['state folder: config.invalid']],
  [
    'a socket path that the kernel would cut off',
    (at) => edit(at('rig/rig.yaml'), 'run/control.sock', `${'d'.repeat(110)}/control.sock`),
    ['control socket: config.invalid'],
  ],
];
for (const [what, spoil, expected] of RIG_FAULTS) {
  test(`rig: ${what}`, async () => {
    const at = await copy();
    await spoil(at);
    assert.deepEqual(failed(await rowsOf(checkRig, at('rig/rig.yaml'))), expected);
  });
}

test('rig: time passes', async () => {
  const now = nowSeconds();
  const at = async (seconds: number) => rowsOf(checkRig, join(dir, 'rig/rig.yaml'), now + seconds);
  assert.ok(warned(await at(7 * DAY + 60)).includes('trust bundle'), 'half of its life');
  assert.deepEqual(failed(await at(14 * DAY)), ['trust bundle: trust.expired']);
  assert.deepEqual(failed(await at(-3600)), ['trust bundle: trust.clock']);
});

const TLS = ['broker certificate', 'store certificate'];

test('courier: certificates', async () => {
  const now = nowSeconds();
  const fresh = join(dir, 'courier/courier.yaml');
  assert.deepEqual(failed(await rowsOf(checkCourier, fresh)), []);
  assert.deepEqual(warned(await rowsOf(checkCourier, fresh, now + 21 * DAY)).slice(-2), TLS);
  const both = TLS.map((what) => `${what}: config.key`);
  assert.deepEqual(failed(await rowsOf(checkCourier, fresh, now + 31 * DAY)), both);

  const spoils: ((at: (path: string) => string) => Promise<unknown>)[] = [
    (at) => cp(at('keeper/tls'), at('courier/tls'), { recursive: true, force: true }), // another CN
    (at) => cp(at('keeper/tls/key.pem'), at('courier/tls/key.pem')), // another key
    (at) => cp(at('keeper/tls/cert.pem'), at('courier/tls/ca.pem')), // no authority of it
    (at) => chmod(at('courier/tls/key.pem'), 0o640),
    (at) => writeFile(at('courier/tls/cert.pem'), 'nothing'),
  ];
  for (const spoil of spoils) {
    const at = await copy();
    await spoil(at);
    assert.deepEqual(failed(await rowsOf(checkCourier, at('courier/courier.yaml'))), both, String(spoil));
  }
});

test('client: keys, certificates and the identity', async () => {
  assert.deepEqual(failed(await rowsOf(checkClient, join(dir, 'client.yaml'))), []);
  const at = await copy();
  await cp(at('keeper/key.jwk'), at('dispatcher/key.jwk'));
  await edit(at('client.yaml'), /age1[0-9a-z]+/, 'age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm');
  assert.deepEqual(failed(await rowsOf(checkClient, at('client.yaml'))), [
    'dispatcher key: envelope.issuer',
    'tenant identity: config.invalid',
  ]);
});
