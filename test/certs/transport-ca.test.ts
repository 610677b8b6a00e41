import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import {
  certificateFacts,
  createCa,
  createCrl,
  issueClient,
  issueServer,
  needsRenewal,
} from '../../certs/transport-ca.js';

const folder = await mkdtemp(join(tmpdir(), 'outboard-ca-'));
after(() => rm(folder, { recursive: true }));
const place = (name: string) => join(folder, name);
const DAY = 24 * 3600;
const NOW = Math.floor(Date.now() / 1000);

const ca = await createCa({ name: 'test-ca' });
const otherCa = await createCa({ name: 'test-ca' });
const server = await issueServer(ca, ['broker.example', '192.0.2.7', '2001:db8::1']);
const client = await issueClient(ca, 'dispatcher.label');
await writeFile(place('ca.pem'), ca.certPem);
await writeFile(place('server.pem'), server.certPem);
await writeFile(place('client.pem'), client.certPem);

function verify(file: string, ...more: string[]): { ok: boolean; text: string } {
  const run = spawnSync('openssl', ['verify', '-x509_strict', ...more, '-CAfile', place('ca.pem'), place(file)], {
    encoding: 'utf8',
  });
  return { ok: run.status === 0, text: run.stdout + run.stderr };
}

const text = (file: string) => execFileSync('openssl', ['x509', '-in', place(file), '-noout', '-text']).toString();

test('openssl accepts them, strictly, each for its own purpose', () => {
  assert.ok(verify('server.pem', '-purpose', 'sslserver', '-verify_hostname', 'broker.example').ok);
  assert.ok(verify('server.pem', '-purpose', 'sslserver', '-verify_ip', '192.0.2.7').ok);
  assert.ok(verify('server.pem', '-purpose', 'sslserver', '-verify_ip', '2001:db8::1').ok);
  assert.ok(!verify('server.pem', '-purpose', 'sslserver', '-verify_hostname', 'other.example').ok);
  assert.ok(!verify('server.pem', '-purpose', 'sslclient').ok);
  assert.ok(verify('client.pem', '-purpose', 'sslclient').ok);
  assert.ok(!verify('client.pem', '-purpose', 'sslserver').ok);
});

test('what they say', () => {
  const { commonName, serial, notBefore, notAfter } = certificateFacts(client.certPem);
  assert.equal(commonName, 'dispatcher.label');
  assert.match(serial, /^[0-9a-f]{32}$/);
  assert.equal(notAfter - notBefore, 31 * DAY);
  assert.ok(notBefore < NOW && notBefore > NOW - 600);
  assert.match(text('client.pem'), /RSA[\s\S]*\(2048 bit\)/);
  assert.match(text('ca.pem'), /\(3072 bit\)[\s\S]*CA:TRUE, pathlen:0[\s\S]*Certificate Sign, CRL Sign/);
  assert.match(text('server.pem'), /DNS:broker\.example, IP Address:192\.0\.2\.7, IP Address:2001:DB8/);
  assert.ok(new X509Certificate(client.certPem).checkPrivateKey(createPrivateKey(client.keyPem)));
});

test('bad orders are refused', async () => {
  await assert.rejects(issueClient(ca, 'a/b'), { code: 'config.invalid' });
  await assert.rejects(issueClient(ca, 'rig-01', { days: 32 }), { code: 'config.invalid' });
  await assert.rejects(issueClient(ca, 'rig-01', { days: Number.NaN }), { code: 'config.invalid' });
  await assert.rejects(issueServer(ca, []), { code: 'config.invalid' });
  await assert.rejects(issueServer(ca, ['a b']), { code: 'config.invalid' });
  await assert.rejects(issueServer({ certPem: 'x', keyPem: 'y' }, ['a']), { code: 'config.key' });
  assert.throws(() => createCrl(ca, ['xyz']), { code: 'config.invalid' });
  assert.throws(() => createCrl(ca, [], { days: 60 }), { code: 'config.invalid' });
});

test('renewal is due from two thirds of the life on', () => {
  const { notBefore } = certificateFacts(server.certPem);
  const due = notBefore + (31 * DAY * 2) / 3;
  assert.equal(needsRenewal(server.certPem, due - 1), false);
  assert.equal(needsRenewal(server.certPem, due), true);
  assert.throws(() => needsRenewal('nothing', NOW), { code: 'config.key' });
});

test('openssl refuses what the revocation list names, and nothing else', async () => {
  const gone = await issueClient(ca, 'dispatcher.gone');
  await writeFile(place('gone.pem'), gone.certPem);
  const { serial } = certificateFacts(gone.certPem);
  const check = async (crl: string, file: string) => {
    await writeFile(place('crl.pem'), crl);
    return verify(file, '-crl_check', '-CRLfile', place('crl.pem'));
  };
  assert.ok((await check(createCrl(ca, []), 'gone.pem')).ok);
  const list = createCrl(ca, [{ serial, revokedAt: NOW - 60 }, 'ff00', '00']);
  const refused = await check(list, 'gone.pem');
  assert.ok(!refused.ok);
  assert.match(refused.text, /certificate revoked/);
  assert.ok((await check(list, 'client.pem')).ok);
  assert.match((await check(createCrl(ca, [serial], { now: NOW - 40 * DAY }), 'client.pem')).text, /CRL has expired/);
  assert.ok(!(await check(createCrl(otherCa, []), 'client.pem')).ok, 'signed by another authority of the same name');
  await writeFile(place('crl.pem'), list);
  const shown = execFileSync(
    'openssl',
    ['crl', '-in', place('crl.pem'), '-noout', '-text', '-CAfile', place('ca.pem')],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  ).toString();
  assert.match(shown, /Version 2/);
  assert.match(shown, /X509v3 CRL Number/);
  assert.match(shown, /Serial Number: FF00/);
});

test('TLS 1.3 with both certificates; a client of another authority and a revoked one stay outside', async () => {
  const local = await issueServer(ca, ['localhost', '127.0.0.1']);
  const gone = await issueClient(ca, 'dispatcher.gone');
  const foreign = await issueClient(otherCa, 'dispatcher.label');
  const listener = createServer({
    ca: ca.certPem,
    cert: local.certPem,
    key: local.keyPem,
    crl: createCrl(ca, [certificateFacts(gone.certPem).serial]),
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
  });
  const names: string[] = [];
  listener.on('secureConnection', (socket: TLSSocket) => {
    names.push(String(socket.getPeerCertificate().subject.CN));
    socket.on('error', () => undefined);
    socket.end('welcome');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const greet = async (who: { certPem: string; keyPem: string }) => {
    const socket = connect({ host: '127.0.0.1', port, ca: ca.certPem, cert: who.certPem, key: who.keyPem });
    let heard = '';
    socket.on('data', (data) => {
      heard += data.toString();
    });
    let failed = false;
    socket.on('error', () => {
      failed = true;
    });
    await new Promise((resolve) => socket.on('close', resolve));
    return failed ? 'refused' : heard;
  };
  assert.equal(await greet(client), 'welcome');
  assert.notEqual(await greet(gone), 'welcome');
  assert.notEqual(await greet(foreign), 'welcome');
  assert.deepEqual(names, ['dispatcher.label']);
  listener.close();
});
