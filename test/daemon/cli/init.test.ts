/** A new rig's folder: complete, private, consistent, all or nothing. Looked at with openssl and with what will read the files. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readPrivateJwk, thumbprint } from '../../../certs/keys.js';
import { openRootKey } from '../../../certs/root-key.js';
import { verifyTrust } from '../../../certs/trust-bundle.js';
import { ClientConfig, CourierConfig } from '../../../core/contract/config.js';
import { ERRORS } from '../../../core/error-codes.js';
import { isOutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import { type InitResult, initRig } from '../../../daemon/cli/init-rig.js';
import { readRoots } from '../../../daemon/cli/trust-edit.js';
import { loadConfig } from '../../../daemon/config-file.js';
import { loadRigConfig } from '../../../daemon/rig-config.js';
import { lastObject, outboard, run } from './run-cli.js';

const PASSPHRASES = ['correct horse battery', 'staple of another', 'third person here'];
let base: string;
let made: InitResult;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'outboard-init-'));
  made = await initRig({
    dir: join(base, 'studio'),
    rig: 'rig-01',
    roots: 3,
    passphrase: PASSPHRASES,
    scryptWorkFactor: 2,
    hosts: ['broker.example', 'store.example'],
  });
});
after(() => rm(base, { recursive: true, force: true }));

async function walk(dir: string): Promise<{ path: string; mode: number; folder: boolean }[]> {
  const found = [];
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    found.push({ path, mode: (await stat(path)).mode & 0o777, folder: entry.isDirectory() });
  }
  return found;
}

test('secrets are for their owner only, folders too, and no temporary file is left', async () => {
  assert.equal((await stat(made.dir)).mode & 0o777, 0o700);
  const secret = /(\.jwk|journal\.key|key\.pem|\.age|identity\.txt)$/;
  const all = await walk(made.dir);
  assert.ok(all.length > 50);
  for (const { path, mode, folder } of all) {
    if (folder) assert.equal(mode, 0o700, path);
    else if (secret.test(path)) assert.equal(mode, 0o600, path);
  }
  // 3 root keys, authority, 6 TLS keys, 6 signing or wrapping keys, journal key, identity
  assert.equal(all.filter(({ path }) => secret.test(path)).length, 18);
  assert.equal((await stat(join(made.dir, 'rig/keys/journal.key'))).size, 32);
  assert.deepEqual(
    (await readdir(base)).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('every private key is elsewhere: no file holds the secret of another holder', async () => {
  const secrets = await Promise.all(
    ['rig/keys/signing', 'rig/keys/wrapping', 'dispatcher/key', 'keeper/key', 'technician/key', 'monitor/key'].map(
      async (name) => (await readPrivateJwk(join(made.dir, `${name}.jwk`))).d,
    ),
  );
  for (const { path, folder } of await walk(made.dir)) {
    if (folder) continue;
    const text = await readFile(path, 'latin1');
    assert.ok(secrets.filter((d) => text.includes(d)).length <= (path.endsWith('.jwk') ? 1 : 0), path);
  }
});

test('the configurations are read by those who will read them', async () => {
  const rig = await loadRigConfig(made.files.rig);
  assert.equal(rig.config.rig, 'rig-01');
  assert.deepEqual(Object.keys(rig.config.inserts), ['a', 'b', 'm']);
  assert.equal(rig.config.trust.roots.threshold, 2);
  const courier = await loadConfig(made.files.courier, CourierConfig);
  assert.equal(courier.resolve(courier.config.socket), rig.resolve(rig.config.sockets.courier));
  assert.equal(courier.config.broker.url, 'mqtts://broker.example:8883');
  const client = await loadConfig(made.files.client, ClientConfig);
  assert.equal(client.config.store.url, 'https://store.example:8443');
  for (const path of Object.values(client.config.store.tls)) await stat(client.resolve(path));
});

test('the bundle carries every key, is signed by the roots, and nothing outlives its limit', async () => {
  const roots = await readRoots(join(made.dir, 'roots/roots.yaml'));
  const now = nowSeconds();
  const bundle = await verifyTrust(await readFile(made.files.trust, 'utf8'), roots, now);
  assert.deepEqual(bundle.payload.keys.map((key) => `${key.name} ${key.use}`).sort(), [
    'dispatcher.main sig',
    'keeper.main sig',
    'monitor.main sig',
    'rig-01 enc',
    'rig-01 sig',
    'technician.main sig',
  ]);
  assert.equal(bundle.payload.exp - bundle.payload.iat, 14 * 86_400);
  const kid = await thumbprint(await readPrivateJwk(join(made.dir, 'rig/keys/signing.jwk')));
  assert.equal(bundle.lookup(kid, now).name, 'rig-01');
  for (const [i, file] of made.files.roots.entries()) {
    const key = await openRootKey(file, PASSPHRASES[i]!);
    assert.equal(roots.keys[i]!.x, key.x);
  }
  await assert.rejects(openRootKey(made.files.roots[0]!, PASSPHRASES[1]!), (e) => isOutboardError(e, 'seal.open'));
});

test('openssl accepts the certificates, for the right purpose and name', async () => {
  const at = (path: string) => join(made.dir, path);
  for (const [folder, purpose, name] of [
    ['courier', 'sslclient', 'rig-01'],
    ['dispatcher', 'sslclient', 'dispatcher.main'],
    ['keeper', 'sslclient', 'keeper.main'],
    ['monitor', 'sslclient', 'monitor.main'],
    ['broker', 'sslserver', 'broker.example'],
    ['store', 'sslserver', 'store.example'],
  ] as const) {
    const cert = at(`${folder}/tls/cert.pem`);
    const checks = ['-crl_check', '-CRLfile', at('broker/tls/crl.pem'), '-purpose', purpose];
    const host = purpose === 'sslserver' ? ['-verify_hostname', name] : [];
    const ended = await run('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      at(`${folder}/tls/ca.pem`),
      ...checks,
      ...host,
      cert,
    ]);
    assert.equal(ended.code, 0, ended.stderr);
    const subject = await run('openssl', ['x509', '-noout', '-subject', '-in', cert]);
    assert.match(subject.stdout, new RegExp(`CN ?= ?${name.replace('.', '\\.')}\n`));
  }
});

test("the tenant's identity is one of age's own", async () => {
  const ended = await run('age-keygen', ['-y', join(made.dir, 'tenant/identity.txt')]);
  assert.equal(ended.stdout.trim(), made.tenant.recipient);
});

test('what is there already is left alone', async () => {
  const full = await outboard('init', made.dir, '--rig', 'rig-01', '--json');
  assert.equal(full.code, ERRORS['config.exists'].exit);
  assert.equal((lastObject(full) as { error: { code: string } }).error.code, 'config.exists');
  const file = join(base, 'file');
  await writeFile(file, 'mine');
  const options = { rig: 'rig-01', passphrase: 'x', scryptWorkFactor: 2 };
  await assert.rejects(initRig({ ...options, dir: file }), (e) => isOutboardError(e, 'config.exists'));
  assert.equal(await readFile(file, 'utf8'), 'mine');
});

test('of two at once one wins, and an empty folder may be there', async () => {
  const dir = join(base, 'race');
  await mkdir(dir);
  const options = { dir, rig: 'rig-02', passphrase: 'x', scryptWorkFactor: 2 };
  const outcomes = await Promise.allSettled([initRig(options), initRig(options)]);
  assert.deepEqual(outcomes.map((o) => o.status).sort(), ['fulfilled', 'rejected']);
  const lost = outcomes.find((o) => o.status === 'rejected') as PromiseRejectedResult;
  assert.ok(isOutboardError(lost.reason, 'config.exists'));
  assert.deepEqual(
    (await readdir(base)).filter((name) => name.includes('race')),
    ['race'],
  );
});

test('wrong options make nothing', async () => {
  const dir = join(base, 'none');
  const options = { dir, rig: 'rig-01', passphrase: 'x', scryptWorkFactor: 2 };
  const wrong = [
    [{ rig: 'rig.01' }, 'usage'],
    [{ roots: 0 }, 'usage'],
    [{ roots: 2, threshold: 3 }, 'usage'],
    [{ roots: 2, passphrase: ['only one'] }, 'usage'],
    [{ hosts: ['a', 'b', 'c'] }, 'usage'],
    [{ names: { keeper: 'dispatcher.main' } }, 'usage'],
    [{ hosts: ['no host!'] }, 'usage'],
    [
      { rigConfig: { processors: { 'gain-1': { profile: 'virtual.gain', insert: 'z', port: { virtual: true } } } } },
      'config.invalid',
    ],
    [{ rigConfig: { production: true } }, 'config.invalid'],
  ] as const;
  for (const [change, code] of wrong)
    await assert.rejects(
      initRig({ ...options, ...(change as object) }),
      (e) => isOutboardError(e, code),
      JSON.stringify(change),
    );
  assert.deepEqual(
    (await readdir(base)).filter((name) => name.includes('none')),
    [],
  );
});

test('overrides are worked into rig.yaml, and its comments stay', async () => {
  const dir = join(base, 'other');
  const { files } = await initRig({
    dir,
    rig: 'rig-03',
    passphrase: 'x',
    scryptWorkFactor: 2,
    rigConfig: {
      interface: { clock: 'realtime', in: 2, out: 2 },
      inserts: { only: { sends: [1, 2], returns: [2, 1], latencyFrames: 7 } },
      processors: {},
      limits: { queue: 5 },
    },
  });
  const { config } = await loadRigConfig(files.rig);
  assert.ok(config.interface.driver === 'virtual' && config.interface.clock === 'realtime');
  assert.deepEqual(config.interface.rates, [44_100, 48_000, 96_000]);
  assert.deepEqual(Object.keys(config.inserts), ['only']);
  assert.deepEqual(config.processors, {});
  assert.equal(config.limits.queue, 5);
  assert.match(await readFile(files.rig, 'utf8'), /# An insert is a pair of send and return channels/);
});

test('the command says what belongs where, and shows a made-up passphrase once', async () => {
  const dir = join(base, 'shown');
  const ended = await outboard('init', dir, '--rig', 'rig-04');
  assert.equal(ended.code, 0, ended.stderr);
  for (const folder of [
    'roots',
    'rig',
    'courier',
    'dispatcher',
    'keeper',
    'technician',
    'monitor',
    'tenant',
    'broker',
    'store',
  ])
    assert.match(ended.stdout, new RegExp(`^${folder}/ `, 'm'));
  assert.match(ended.stdout, /trust bundle .* until 20/);
  const passphrase = /^ {2}([0-9a-z]{5}(-[0-9a-z]{5}){5})$/m.exec(ended.stdout)?.[1];
  assert.ok(passphrase);
  await openRootKey(join(dir, 'roots/root.key.age'), passphrase);
  for (const { path, folder } of await walk(dir)) {
    if (!folder) assert.ok(!(await readFile(path, 'latin1')).includes(passphrase), path);
  }
});
