import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  generateSigningKey,
  generateWrappingKey,
  openRootKey,
  publicJwk,
  readPrivateJwk,
  sealRootKey,
  thumbprint,
  writePrivateJwk,
} from '../../certs/keys.js';
import { party } from './peer.js';

const folder = await mkdtemp(join(tmpdir(), 'outboard-keys-'));
after(() => rm(folder, { recursive: true }));
const place = (name: string) => join(folder, name);
const quickly = 4;

test('the thumbprint is that of RFC 8037 appendix A.3', async () => {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const;
  assert.equal(await thumbprint(jwk), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  const other = party('x', 'rig');
  assert.equal(await thumbprint(other.jwk), other.kid);
});

test('keys are written 0600, whatever the umask, read back, and never overwritten', async () => {
  const signing = await generateSigningKey();
  const wrapping = await generateWrappingKey();
  assert.deepEqual(Object.keys(publicJwk(signing)), ['kty', 'crv', 'x']);
  const old = process.umask(0o777);
  try {
    await writePrivateJwk(place('s.jwk'), signing);
  } finally {
    process.umask(old);
  }
  assert.equal((await stat(place('s.jwk'))).mode & 0o777, 0o600);
  assert.deepEqual(await readPrivateJwk(place('s.jwk'), 'Ed25519'), signing);
  await assert.rejects(writePrivateJwk(place('s.jwk'), wrapping), { code: 'file.exists' });
  assert.deepEqual(await readPrivateJwk(place('s.jwk')), signing);
  await writePrivateJwk(place('w.jwk'), wrapping);
  await assert.rejects(readPrivateJwk(place('w.jwk'), 'Ed25519'), { code: 'config.key' });
  await assert.rejects(writePrivateJwk(join(folder, 'none', 'k'), signing), { code: 'file.write' });
  assert.deepEqual((await readdir(folder)).sort(), ['s.jwk', 'w.jwk'], 'no temporary file stays');
});

test('a key that others can read is refused', async () => {
  const path = place('mode.jwk');
  await writePrivateJwk(path, await generateSigningKey());
  for (const mode of [0o640, 0o604, 0o644, 0o660, 0o700, 0o666]) {
    await chmod(path, mode);
    await assert.rejects(readPrivateJwk(path), { code: 'config.key', message: /mode/ });
  }
  await chmod(path, 0o400);
  await readPrivateJwk(path);
});

test('what is no key is refused, and not quoted', async () => {
  const a = await generateSigningKey();
  const b = await generateSigningKey();
  const cases = {
    'text.jwk': `secret ${a.d}`,
    'public.jwk': JSON.stringify(publicJwk(a)),
    'mixed.jwk': JSON.stringify({ ...a, x: b.x }),
    'more.jwk': JSON.stringify({ ...a, note: 1 }),
    'rsa.jwk': JSON.stringify({ kty: 'RSA', n: 'AQAB', e: 'AQAB' }),
    'large.jwk': ' '.repeat(5000) + JSON.stringify(a),
  };
  for (const [name, text] of Object.entries(cases)) {
    await writeFile(place(name), text, { mode: 0o600 });
    await assert.rejects(readPrivateJwk(place(name)), (error: Error & { code: string }) => {
      assert.equal(error.code, 'config.key');
      assert.ok(!`${error.stack}${String(error.cause)}`.includes(a.d), 'the secret is in the error');
      return true;
    });
  }
  await assert.rejects(readPrivateJwk(place('none.jwk')), { code: 'config.key', message: /ENOENT/ });
  await assert.rejects(readPrivateJwk(folder), { code: 'config.key' });
});

test('openssl takes our Ed25519 key for the same', async () => {
  const jwk = await generateSigningKey();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(jwk.d, 'base64url')]);
  const out = execFileSync('openssl', ['pkey', '-inform', 'DER', '-pubout', '-outform', 'DER'], { input: der });
  assert.equal(out.subarray(-32).toString('base64url'), jwk.x);
});

test('a root key rests in an age passphrase file', async () => {
  const path = place('root.key.age');
  const jwk = await generateSigningKey();
  await sealRootKey(path, jwk, 'correct horse battery staple', quickly);
  const text = await readFile(path, 'latin1');
  assert.match(text, /^age-encryption\.org\/v1\n-> scrypt [A-Za-z0-9+/]{22} 4\n/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await openRootKey(path, 'correct horse battery staple'), jwk);
  await assert.rejects(openRootKey(path, 'wrong'), { code: 'seal.open' });
  await assert.rejects(sealRootKey(path, jwk, 'x', quickly), { code: 'file.exists' });
  await assert.rejects(sealRootKey(place('r2'), jwk, ''), { code: 'usage' });
  await assert.rejects(sealRootKey(place('r2'), jwk, 'x', 30), { code: 'usage' });
  await assert.rejects(openRootKey(place('none'), 'x'), { code: 'file.unreadable' });
  await writeFile(place('garbage.age'), 'age-encryption.org/v1\n-> scrypt');
  await assert.rejects(openRootKey(place('garbage.age'), 'x'), { code: 'seal.open' });
  await sealRootKey(place('x.key.age'), await generateWrappingKey(), 'x', quickly);
  await assert.rejects(openRootKey(place('x.key.age'), 'x'), { code: 'config.key' });
});

test('the age program opens a root key with its passphrase', async () => {
  const jwk = await generateSigningKey();
  const passphrase = 'a b c';
  await sealRootKey(place('peer.key.age'), jwk, passphrase, quickly);
  // age asks for a passphrase on a terminal only; script(1) is one.
  const command = `age -d -o '${place('opened')}' '${place('peer.key.age')}'`;
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let screen = '';
  child.stdout.on('data', (data: Buffer) => {
    const before = screen;
    screen += data.toString();
    if (!/passphrase/i.test(before) && /passphrase/i.test(screen)) child.stdin.write(`${passphrase}\n`);
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(status, 0, screen);
  assert.deepEqual(JSON.parse(await readFile(place('opened'), 'utf8')), jwk);
});
