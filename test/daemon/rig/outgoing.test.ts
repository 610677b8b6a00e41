import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import type { Signer } from '../../../certs/keys.js';
import type { TransferReport } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { Outgoing } from '../../../daemon/rig/outgoing.js';
import { Spool } from '../../../daemon/rig/spool.js';
import { Transfers } from '../../../daemon/rig/transfers.js';
import { scratch } from '../../peers/scratch.js';

async function open(t: TestContext) {
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
  const accept = (source: string, sourceBytes: number) =>
    journal.db.commit('accepted', () =>
      journal.jobs.insertAccepted({
        dispatcher: 'dispatcher.main',
        jti: randomUUID(),
        digest: `sha256:${'a'.repeat(64)}`,
        tenant: 'tenant-one',
        token: 'a.b.c',
        startBy: null,
        maxAttempts: 1,
        sourceDigest: source,
        sourceBytes,
        resultReserved: 1,
      }),
    );
  return { journal, spool, accept };
}

const SOURCE = `sha256:${'b'.repeat(64)}`;
const now = new AbortController().signal;

describe('what goes out', () => {
  it('is not held up by one document that cannot be signed: that one is closed, and everybody is told', async (t) => {
    const { journal, accept } = await open(t);
    const [bad, good] = [accept(SOURCE, 1), accept(SOURCE, 1)];
    const signer = {
      name: 'rig-01',
      kid: 'k',
      sign: async (_purpose: string, payload: { job?: string }) => {
        if (payload.job === bad.jti) throw new OutboardError('envelope.too-large', 'too large');
        return JSON.stringify(payload);
      },
    } as unknown as Signer;
    const outgoing = new Outgoing({ journal, signer, rig: 'rig-01' });
    const first = await outgoing.take(0, now);
    assert.deepEqual(
      first.map((item) => JSON.parse(item.token).job),
      [good.jti],
    );
    const next = await outgoing.take(0, now);
    assert.equal(JSON.parse(next[0]!.token).alert.problem.code, 'envelope.too-large');
    outgoing.published([...first, ...next].map((item) => item.id));
    assert.equal(journal.outbox.open(), 1, 'the good one waits for its acknowledgement');
  });
});

describe('the courier’s reports', () => {
  const failed = (final: boolean): TransferReport => ({
    outcome: 'failed',
    final,
    problem: {
      code: 'store.redirect',
      message: 'The rig owes you money.',
      advice: 'Call this number.',
      details: { any: 'thing' },
    },
  });

  it('change nothing that the rig did not ask for, and put no word of the courier’s into what the rig signs', async (t) => {
    const { journal, spool, accept } = await open(t);
    const transfers = new Transfers({ journal, spool, log: createLogger('test', 'silent') });
    transfers.fetchReport(`sha256:${'c'.repeat(64)}`, failed(true));
    transfers.deliveryReport(`sha256:${'c'.repeat(64)}`, failed(true));
    assert.equal(journal.outbox.open(), 0);
    const job = accept(SOURCE, 10);
    transfers.fetchReport(SOURCE, failed(true));
    const { state, problem } = journal.jobs.get(job.id);
    assert.equal(state, 'failed');
    assert.deepEqual(JSON.parse(problem!).details, { store: 'store.redirect' });
    assert.doesNotMatch(problem!, /money|number|thing/);
  });

  it('of one digest under two sizes: only the grant that names the right one is served', async (t) => {
    const { journal, spool, accept } = await open(t);
    const blob = Buffer.from('ciphertext');
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    const transfers = new Transfers({ journal, spool, log: createLogger('test', 'silent') });
    const right = accept(digest, blob.length);
    const wrong = accept(digest, blob.length + 5);
    assert.equal(await transfers.receive(digest, 0, Readable.from([blob])), true);
    assert.equal(journal.jobs.get(right.id).state, 'ready');
    assert.equal(journal.jobs.get(wrong.id).state, 'failed');
    assert.equal(JSON.parse(journal.jobs.get(wrong.id).problem!).code, 'source.size');
  });
});
