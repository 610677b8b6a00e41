import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createLogger } from '../../../daemon/log.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { beginEpoch, recover } from '../../../daemon/rig/recovery.js';
import { Spool } from '../../../daemon/rig/spool.js';
import { scratch } from '../../peers/scratch.js';

const log = createLogger('test', 'silent');

async function afterCrash(t: TestContext) {
  const dir = await scratch(t);
  const journal = new Journal({
    path: join(dir, 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(Buffer.alloc(32, 7));
  t.after(() => journal.close());
  const spool = new Spool({ dir: join(dir, 'spool'), ballastBytes: 0 });
  await spool.open();
  const source = (n: number) => `sha256:${String(n).repeat(64)}`;
  const job = async (n: number, maxAttempts: number) => {
    const row = journal.db.commit('accepted', () =>
      journal.jobs.insertAccepted({
        dispatcher: 'dispatcher.main',
        jti: randomUUID(),
        digest: source(9),
        tenant: 'tenant-one',
        token: 'a.b.c',
        startBy: null,
        maxAttempts,
        sourceDigest: source(n),
        sourceBytes: 5,
        resultReserved: 5,
      }),
    );
    await writeFile(spool.sourcePath(source(n)), 'bytes');
    journal.jobs.transition(row.id, 'ready');
    return row.id;
  };
  return { journal, spool, job, state: (id: number) => journal.jobs.get(id).state };
}

describe('recovery', () => {
  it('spends a take that had begun, goes on with the rest, and keeps only what an open job needs', async (t) => {
    const { journal, spool, job, state } = await afterCrash(t);
    const [waiting, again, last] = [await job(1, 1), await job(2, 2), await job(3, 1)];
    for (const id of [again, last]) journal.jobs.transition(id, 'rolling', { attempt: 1 });
    await writeFile(spool.growingPath(again, 1), 'half a take');
    await recover(journal, spool, log);
    assert.deepEqual([waiting, again, last].map(state), ['ready', 'ready', 'failed']);
    assert.equal(journal.jobs.get(again).attempt, 1, 'never refunded');
    assert.equal(JSON.parse(journal.jobs.get(last).problem!).code, 'job.attempts');
    assert.equal(await spool.hasSource(journal.jobs.get(last).sourceDigest!, 5), false);
    assert.equal(await spool.hasSource(journal.jobs.get(waiting).sourceDigest!, 5), true);
  });

  it('begins a new epoch: open jobs end, trust is forgotten, and whose sound is where is not believed', async (t) => {
    const { journal, job, state } = await afterCrash(t);
    const id = await job(1, 1);
    journal.db.commit('before', () => {
      journal.setMeta('trust.chain', 'a bundle');
      journal.setInsertTenant('tape', 'tenant-one');
    });
    beginEpoch(journal, 'restored from Monday');
    assert.equal(state(id), 'failed');
    assert.equal(journal.meta('epoch'), '2');
    assert.equal(journal.meta('trust.chain'), '');
    assert.equal(journal.insertTenant('tape'), undefined);
    assert.ok(Number(journal.meta('epoch.floor')) > 1_700_000_000);
  });
});
