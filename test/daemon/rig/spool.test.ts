import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { Spool } from '../../../daemon/rig/spool.js';
import { scratch } from '../../peers/scratch.js';

const blob = randomBytes(300_000);
const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;

async function open(t: TestContext) {
  const dir = join(await scratch(t), 'spool');
  const spool = new Spool({ dir, ballastBytes: 4096 });
  await spool.open();
  return { spool, dir };
}

describe('spool', () => {
  it('takes a source in pieces, also over a restart, and knows it by its digest', async (t) => {
    const { spool, dir } = await open(t);
    assert.equal(await spool.receive(digest, blob.length, 0, Readable.from([blob.subarray(0, 100_000)])), false);
    assert.equal(await spool.offset(digest), 100_000);
    assert.equal(
      await spool.receive(digest, blob.length, 100_000, Readable.from([blob.subarray(100_000, 200_000)])),
      false,
    );
    const restarted = new Spool({ dir, ballastBytes: 4096 });
    assert.equal(await restarted.offset(digest), 200_000);
    assert.equal(await restarted.receive(digest, blob.length, 200_000, Readable.from([blob.subarray(200_000)])), true);
    assert.deepEqual(await readFile(restarted.sourcePath(digest)), blob);
    assert.equal((await stat(dir)).mode & 0o777, 0o700);
    assert.equal((await stat(restarted.sourcePath(digest))).mode & 0o777, 0o600);
  });

  it('keeps what came before a connection broke', async (t) => {
    const { spool } = await open(t);
    const broken = Readable.from(
      (async function* () {
        yield blob.subarray(0, 50_000);
        throw new Error('connection reset');
      })(),
    );
    assert.equal(await spool.receive(digest, blob.length, 0, broken), false);
    assert.equal(await spool.receive(digest, blob.length, 50_000, Readable.from([blob.subarray(50_000)])), true);
  });

  it('refuses another digest, too many bytes, a wrong offset, and keeps nothing of them', async (t) => {
    const { spool, dir } = await open(t);
    const wrong = Buffer.from(blob);
    wrong[7]! ^= 1;
    await assert.rejects(spool.receive(digest, blob.length, 0, Readable.from([wrong])), { code: 'source.digest' });
    await assert.rejects(spool.receive(digest, blob.length - 1, 0, Readable.from([blob])), { code: 'source.size' });
    await assert.rejects(spool.receive(digest, blob.length, 5, Readable.from([blob])), { code: 'blob.offset' });
    assert.deepEqual(await readdir(dir), ['ballast']);
  });

  it('sweeps what belongs to no open job', async (t) => {
    const { spool, dir } = await open(t);
    await spool.receive(digest, blob.length, 0, Readable.from([blob]));
    await writeFile(spool.growingPath(3, 1), 'half a result');
    await writeFile(spool.resultPath(`sha256:${'1'.repeat(64)}`), 'a result of a closed job');
    const removed = await spool.sweep({ sources: new Set([digest]), results: new Set() });
    assert.equal(removed.length, 2);
    assert.deepEqual((await readdir(dir)).sort(), ['ballast', `${digest.slice(7)}.source`].sort());
  });
});
