import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sealSource } from '../../client/source.js';
import { openResult } from '../../client/tenant.js';

const FORMAT = { rate: 48_000, channels: 2, encoding: 'pcm24' as const, frames: 1000 };

describe('sealing a source and opening a result', () => {
  let dir: string;
  const at = (name: string) => join(dir, name);
  const wav = randomBytes(1_000_003);
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-source-'));
    await writeFile(at('song.wav'), wav);
  });
  after(() => rm(dir, { recursive: true }));

  const digest = async (file: string) => {
    const bytes = await readFile(file);
    return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes: bytes.length };
  };

  it('seals a file so that age opens it, and names digest and size', async () => {
    const sealed = await sealSource(at('song.wav'), at('song.age'), FORMAT);
    assert.deepEqual(sealed.source, { ...(await digest(at('song.age'))), format: FORMAT });
    assert.equal(sealed.raw.length, 32);
    await writeFile(at('identity.txt'), `${sealed.identity}\n`, { mode: 0o600 });
    const opened = execFileSync('age', ['-d', '-i', at('identity.txt'), at('song.age')], { maxBuffer: 2 ** 24 });
    assert.deepEqual(opened, wav);
    await assert.rejects(sealSource(at('song.wav'), at('song.age'), FORMAT), { code: 'file.exists' });
    const again = await sealSource(at('song.wav'), at('again.age'), FORMAT);
    assert.notEqual(again.identity, sealed.identity, 'each source has an identity of its own');
  });

  it('leaves nothing behind when the source cannot be read', async () => {
    await assert.rejects(sealSource(at('no.wav'), at('no.age'), FORMAT), { code: 'file.unreadable' });
    assert.ok(!(await readdir(dir)).some((name) => name.startsWith('no.')));
  });

  it('opens what age has sealed', async () => {
    const identity = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const recipient = /public key: (age1\S+)/.exec(identity)![1]!;
    const secret = /AGE-SECRET-KEY-\S+/.exec(identity)![0];
    execFileSync('age', ['-r', recipient, '-o', at('result.age'), at('song.wav')]);
    const result = { ...(await digest(at('result.age'))), file: at('result.age') };
    await openResult(result, secret, at('result.wav'));
    assert.deepEqual(await readFile(at('result.wav')), wav);

    await assert.rejects(openResult(result, secret, at('result.wav')), { code: 'file.exists' });
    await assert.rejects(openResult({ ...result, bytes: 5 }, secret, at('a.wav')), { code: 'store.size' });
    await truncate(at('result.age'), result.bytes - 70_000);
    await assert.rejects(openResult(result, secret, at('a.wav')), { code: 'store.size' });
    const bytes = await readFile(at('result.age'));
    await writeFile(at('result.age'), Buffer.concat([bytes, Buffer.alloc(70_000)]));
    await assert.rejects(openResult(result, secret, at('a.wav')), { code: 'store.digest' });
    // Also when the certificate itself names a broken file, nothing stays under the name.
    const broken = { ...(await digest(at('result.age'))), file: at('result.age') };
    await assert.rejects(openResult(broken, secret, at('a.wav')), { code: 'seal.open' });
    assert.ok(!(await readdir(dir)).some((name) => name.startsWith('a.wav')));
  });
});
