/** The generated broker configuration in a real mosquitto, asked by its own clients: what is allowed, what is refused, what is not dropped. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type InitResult, initRig } from '../../../daemon/cli/init-rig.js';
import { freePort } from '../../peers/mosquitto.js';
import { lastObject, outboard, type Running, run, start } from './run-cli.js';

const PASSPHRASE = 'a passphrase';
let base: string;
let made: InitResult;
let port: number;
let broker: Running;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'outboard-broker-'));
  port = await freePort();
  made = await initRig({
    dir: join(base, 'studio'),
    rig: 'rig-01',
    brokerPort: port,
    passphrase: PASSPHRASE,
    scryptWorkFactor: 2,
  });
  await writeFile(join(base, 'passphrase'), PASSPHRASE);
  broker = start('mosquitto', ['-c', made.files.mosquitto]);
  await broker.says('running');
});
after(async () => {
  broker.child.kill('SIGTERM');
  await broker.ended;
  await rm(base, { recursive: true, force: true });
});

function identity(folder: string): string[] {
  const tls = join(made.dir, folder, 'tls');
  return [
    ...['-h', 'localhost', '-p', String(port), '--tls-version', 'tlsv1.3', '-V', 'mqttv5'],
    ...['--cafile', join(tls, 'ca.pem'), '--cert', join(tls, 'cert.pem'), '--key', join(tls, 'key.pem')],
  ];
}

async function publish(folder: string, topic: string, ...more: string[]): Promise<'allowed' | 'refused'> {
  const ended = await run('mosquitto_pub', [...identity(folder), '-q', '1', '-t', topic, '-m', topic, ...more]);
  assert.equal(ended.code, 0, ended.stderr);
  return /Not authorized/.test(ended.stderr) ? 'refused' : 'allowed';
}

/** A subscriber that ends after so many messages, once the broker has granted the subscription. */
async function subscribe(folder: string, topic: string, count: number): Promise<Running> {
  const wanted = ['-d', '-q', '1', '-t', topic, '-C', String(count), '-W', '60', '-F', 'got %t'];
  // stdbuf: into a pipe it would say that it has subscribed only when it ends.
  const running = start('stdbuf', ['-oL', 'mosquitto_sub', ...identity(folder), ...wanted]);
  await running.says('Subscribed');
  return running;
}

async function received(running: Running): Promise<string[]> {
  return [...(await running.ended).stdout.matchAll(/^got (.*)$/gm)].map((match) => match[1]!);
}

const T = 'outboard/v1';
const PUBLISH: [folder: string, topic: string, expected: 'allowed' | 'refused'][] = [
  ['dispatcher', `${T}/rig-01/offer`, 'allowed'],
  ['dispatcher', `${T}/rig-77/control`, 'allowed'],
  ['dispatcher', `${T}/rig-01/state`, 'refused'],
  ['dispatcher', `${T}/rig-01/event/dispatcher.main`, 'refused'],
  ['dispatcher', `${T}/trust`, 'refused'],
  ['courier', `${T}/rig-01/state`, 'allowed'],
  ['courier', `${T}/rig-01/event/dispatcher.main`, 'allowed'],
  ['courier', `${T}/rig-01/health/host`, 'allowed'],
  ['courier', `${T}/rig-01/alert`, 'allowed'],
  ['courier', `${T}/rig-01/calibration/a/thdn`, 'allowed'],
  ['courier', `${T}/rig-02/state`, 'refused'],
  ['courier', `${T}/rig-01/offer`, 'refused'],
  ['courier', `${T}/trust`, 'refused'],
  ['keeper', `${T}/trust`, 'allowed'],
  ['keeper', `${T}/rig-01/offer`, 'refused'],
  ['monitor', `${T}/rig-01/state`, 'refused'],
  ['monitor', `${T}/rig-01/offer`, 'refused'],
  ['monitor', `${T}/trust`, 'refused'],
];
for (const [folder, topic, expected] of PUBLISH) {
  test(`${folder} publishes ${topic}: ${expected}`, async () => assert.equal(await publish(folder, topic), expected));
}

// Each subscribes to everything: mosquitto grants that, and the access list decides at delivery. What comes last may be heard, so that
// the subscriber ends; what must not be heard was published before it. (A client that published with the subscriber's own certificate
// would end it: they have one id.)
const HEARD: [reader: string, published: [folder: string, topic: string][], heard: string[]][] = [
  [
    'courier',
    [
      ['dispatcher', 'rig-02/offer'],
      ['dispatcher', 'rig-01/control'],
      ['keeper', 'trust'],
      ['dispatcher', 'rig-01/offer'],
    ],
    ['rig-01/control', 'trust', 'rig-01/offer'],
  ],
  [
    'dispatcher',
    [
      ['courier', 'rig-01/alert'],
      ['courier', 'rig-01/event/dispatcher.other'],
      ['courier', 'rig-01/health/host'],
      ['courier', 'rig-01/state'],
      ['courier', 'rig-01/event/dispatcher.main'],
    ],
    ['rig-01/health/host', 'rig-01/state', 'rig-01/event/dispatcher.main'],
  ],
  [
    'keeper',
    [
      ['dispatcher', 'rig-01/offer'],
      ['courier', 'rig-01/event/dispatcher.main'],
      ['courier', 'rig-01/health/host'],
      ['courier', 'rig-01/state'],
    ],
    ['rig-01/state'],
  ],
  [
    'monitor',
    [
      ['dispatcher', 'rig-01/offer'],
      ['courier', 'rig-01/event/dispatcher.main'],
      ['courier', 'rig-01/calibration/a/thdn'],
      ['courier', 'rig-01/alert'],
      ['courier', 'rig-01/state'],
    ],
    ['rig-01/calibration/a/thdn', 'rig-01/alert', 'rig-01/state'],
  ],
];
for (const [reader, published, heard] of HEARD) {
  test(`${reader} hears what is for it and nothing else`, async () => {
    const listening = await subscribe(reader, `${T}/#`, heard.length);
    for (const [folder, topic] of published) await publish(folder, `${T}/${topic}`);
    assert.deepEqual(
      await received(listening),
      heard.map((topic) => `${T}/${topic}`),
    );
  });
}

test('without a certificate of our authority nobody comes in', async () => {
  const ca = join(made.dir, 'courier/tls/ca.pem');
  const publishing = ['-q', '1', '-t', `${T}/rig-01/offer`, '-m', 'x'];
  const to = ['-h', 'localhost', '-p', String(port), '--cafile', ca];
  const none = await run('mosquitto_pub', [...to, ...publishing]);
  assert.notEqual(none.code, 0);
  const [key, cert] = [join(base, 'own.key'), join(base, 'own.pem')];
  const own = await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=dispatcher.main'],
  ]);
  assert.equal(own.code, 0, own.stderr);
  const stranger = await run('mosquitto_pub', [...to, '--cert', cert, '--key', key, ...publishing]);
  assert.notEqual(stranger.code, 0);
  const tls = (name: string) => join(made.dir, 'dispatcher/tls', name);
  const hello = [
    's_client',
    '-connect',
    `localhost:${port}`,
    '-CAfile',
    ca,
    '-cert',
    tls('cert.pem'),
    '-key',
    tls('key.pem'),
  ];
  assert.equal((await run('openssl', [...hello, '-tls1_3'])).code, 0);
  assert.notEqual((await run('openssl', [...hello, '-tls1_2'])).code, 0, 'TLS 1.2');
  // A server's certificate is for servers.
  const server = await run('mosquitto_pub', [...identity('store'), ...publishing]);
  assert.notEqual(server.code, 0, 'server certificate');
});

test('a client is its certificate: another id or user name changes nothing', async () => {
  assert.equal(await publish('dispatcher', `${T}/rig-01/state`, '-i', 'rig-01', '-u', 'rig-01', '-P', 'x'), 'refused');
});

test('10,000 offers for a rig that is away all wait for it', async () => {
  const burst = 10_000;
  const session = [...identity('courier'), '-i', 'rig-01', '-c', '-x', '3600', '-q', '1', '-t', `${T}/rig-01/offer`];
  const joined = await run('mosquitto_sub', [...session, '-E']);
  assert.equal(joined.code, 0, joined.stderr);
  const line = `${'o'.repeat(2000)}\n`;
  const sent = await run('mosquitto_pub', [...identity('dispatcher'), '-q', '1', '-t', `${T}/rig-01/offer`, '-l'], {
    input: line.repeat(burst),
  });
  assert.equal(sent.code, 0, sent.stderr);
  const got = await run('mosquitto_sub', [...session, '-C', String(burst), '-W', '60', '-F', '%l']);
  assert.equal(got.stdout.split('\n').filter((length) => length === '2000').length, burst);
});

test('a revoked certificate stays out, a renewed one comes in', async () => {
  const passphrase = ['--passphrase-file', join(base, 'passphrase')];
  const offer = ['-q', '1', '-t', `${T}/rig-01/offer`, '-m', 'x'];
  const connects = async () => (await run('mosquitto_pub', [...identity('dispatcher'), ...offer])).code === 0;
  assert.equal(await connects(), true);

  const revoked = await outboard('tls', 'revoke', made.dir, 'dispatcher.main', ...passphrase, '--json');
  assert.equal(revoked.code, 0, revoked.stdout);
  assert.equal((lastObject(revoked)['revoked'] as string[]).length, 1);
  broker.child.kill('SIGHUP');
  await broker.says('Reloading config');
  assert.equal(await connects(), false);
  assert.equal(await publish('keeper', `${T}/trust`), 'allowed');
  const twice = await outboard('tls', 'revoke', made.dir, 'dispatcher.main', ...passphrase);
  assert.equal(twice.code, 64);

  const serial = () => new X509Certificate(readFileSync(join(made.dir, 'dispatcher/tls/cert.pem'))).serialNumber;
  const before = serial();
  const idle = await outboard('tls', 'renew', made.dir, ...passphrase, '--json');
  assert.deepEqual(lastObject(idle)['renewed'], []);
  const all = await outboard('tls', 'renew', made.dir, '--all', ...passphrase, '--json');
  assert.deepEqual(lastObject(all)['renewed'], ['courier', 'dispatcher', 'keeper', 'monitor', 'broker', 'store']);
  assert.notEqual(serial(), before);
  assert.equal((await stat(join(made.dir, 'dispatcher/tls/key.pem'))).mode & 0o777, 0o600);
  broker.child.kill('SIGHUP');
  assert.equal(await connects(), true);
  const wrong = await outboard('tls', 'renew', made.dir, '--passphrase-file', made.files.mosquitto, '--json');
  assert.equal((lastObject(wrong)['error'] as { code: string }).code, 'seal.open');
});
