import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { OutboardError } from '../../../../core/errors.js';
import type { JobState, NewJob } from '../../../../daemon/rig/journal/jobs.js';
import { Journal } from '../../../../daemon/rig/journal/journal.js';
import { scratch } from '../../../peers/scratch.js';

const KEY = randomBytes(32);
const PROBLEM = { code: 'take.spoiled', message: 'm', advice: 'a' };

async function openJournal(t: TestContext, options: { dir?: string; key?: Buffer; seen?: string[] } = {}) {
  const dir = options.dir ?? (await scratch(t));
  const indeterminate: OutboardError[] = [];
  const journal = new Journal({
    path: join(dir, 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => indeterminate.push(error),
    observer: {
      beforeCommit: (name) => options.seen?.push(`before ${name}`),
      afterCommit: (name) => options.seen?.push(`after ${name}`),
    },
  });
  journal.open(Buffer.from(options.key ?? KEY));
  t.after(() => journal.close());
  return { journal, dir, indeterminate };
}

function newJob(changes: Partial<NewJob> = {}): NewJob {
  return {
    dispatcher: 'dispatcher.main',
    jti: randomUUID(),
    digest: `sha256:${'a'.repeat(64)}`,
    tenant: 'tenant-one',
    token: 'header.payload.signature',
    startBy: null,
    maxAttempts: 2,
    sourceDigest: `sha256:${'b'.repeat(64)}`,
    sourceBytes: 1000,
    resultReserved: 2000,
    ...changes,
  };
}

describe('journal', () => {
  it('goes through a whole bounce, with one event and one audit entry for each state', async (t) => {
    const seen: string[] = [];
    const { journal } = await openJournal(t, { seen });
    const job = journal.db.commit('accepted', () => journal.jobs.insertAccepted(newJob()));
    journal.jobs.transition(job.id, 'ready');
    journal.jobs.transition(job.id, 'rolling', { attempt: 1 });
    journal.jobs.transition(job.id, 'sealed', { result: { digest: `sha256:${'c'.repeat(64)}`, bytes: 5 } });
    journal.jobs.transition(job.id, 'delivered');
    const closed = journal.jobs.transition(job.id, 'closed');
    assert.equal(journal.jobs.token(closed.id), '', 'the granted key leaves with the job');
    const events = journal.outbox
      .due(100, new Set())
      .map((row) => JSON.parse(row.payload) as { type: string; attempt?: number });
    assert.deepEqual(
      events.map((event) => event.type),
      ['accepted', 'ready', 'rolling', 'sealed', 'delivered', 'closed'],
    );
    assert.equal(events[2]!.attempt, 1);
    assert.equal(journal.audit.head().seq, 6);
    assert.equal(journal.audit.firstBreak(), null);
    assert.deepEqual(
      seen.filter((name) => name.startsWith('before')).map((name) => name.slice(7)),
      ['accepted', 'ready', 'rolling(1)', 'sealed', 'delivered', 'closed'],
    );
  });

  it('names every commit that is part of another one, before and after both', async (t) => {
    const seen: string[] = [];
    const { journal } = await openJournal(t, { seen });
    seen.length = 0;
    journal.db.commit('outer', () => journal.db.commit('inner', () => journal.setMeta('key', 'value')));
    assert.deepEqual(seen, ['before outer', 'before inner', 'after outer', 'after inner']);
  });

  it('refuses every transition that the state machine does not have', async (t) => {
    const { journal } = await openJournal(t);
    const all: JobState[] = [
      'accepted',
      'ready',
      'rolling',
      'sealed',
      'delivered',
      'closed',
      'refused',
      'failed',
      'cancelled',
      'expired',
    ];
    const job = journal.db.commit('accepted', () => journal.jobs.insertAccepted(newJob()));
    for (const to of all.filter((state) => !['ready', 'failed', 'cancelled', 'expired'].includes(state)))
      assert.throws(() => journal.jobs.transition(job.id, to), /cannot go from accepted/);
    journal.jobs.transition(job.id, 'cancelled');
    for (const to of all) assert.throws(() => journal.jobs.transition(job.id, to), /cannot go from cancelled/);
    assert.equal(journal.audit.head().seq, 2, 'a refused transition leaves no trace');
  });

  it('rolls back what throws, event and audit entry with it', async (t) => {
    const { journal } = await openJournal(t);
    assert.throws(() =>
      journal.db.commit('accepted', () => {
        journal.jobs.insertAccepted(newJob());
        throw new Error('no');
      }),
    );
    assert.equal(journal.audit.head().seq, 0);
    assert.equal(journal.outbox.open(), 0);
  });

  it('reports a commit whose outcome is unknown, and says nothing else', async (t) => {
    const { journal, indeterminate } = await openJournal(t);
    journal.db.commit('setup', () => {
      journal.db.run('CREATE TABLE parent (id INTEGER PRIMARY KEY)');
      journal.db.run('CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)');
    });
    // A deferred constraint fails in COMMIT itself: the place where a full disk or a dying disk would.
    assert.throws(() => journal.db.commit('broken', () => journal.db.run('INSERT INTO child VALUES (1)')), {
      code: 'journal.commit',
    });
    assert.equal(indeterminate.length, 1);
  });

  it('turns a second process away, and one with another key', async (t) => {
    const { dir, journal } = await openJournal(t);
    const other = () => new Journal({ path: join(dir, 'journal.db'), rig: 'rig-01', onIndeterminate: () => undefined });
    assert.throws(() => other().open(Buffer.from(KEY)), { code: 'instance.second' });
    journal.close();
    assert.throws(() => other().open(randomBytes(32)), { code: 'journal.open' });
    assert.doesNotMatch(
      (await readFile(join(dir, 'journal.db'))).toString('latin1'),
      /SQLite format/,
      'the file is encrypted',
    );
  });

  it('keeps events until their own dispatcher acknowledges them, and repeats them later each time', async (t) => {
    const { journal } = await openJournal(t);
    journal.db.commit('accepted', () => journal.jobs.insertAccepted(newJob()));
    const [row] = journal.outbox.due(10, new Set());
    assert.equal(
      journal.outbox.due(10, new Set([row!.jti])).length,
      0,
      'what is being carried is not handed out again',
    );
    journal.outbox.published([row!.jti]);
    assert.equal(journal.outbox.due(10, new Set()).length, 0, 'the broker has it; its repetition is not due yet');
    assert.ok(journal.outbox.nextDueAt()! > Date.now() / 1000 + 25);
    journal.db.commit('ack', () => assert.equal(journal.outbox.acknowledge('dispatcher.other', [row!.jti]), 0));
    assert.equal(journal.outbox.open(), 1);
    journal.db.commit('ack', () => assert.equal(journal.outbox.acknowledge('dispatcher.main', [row!.jti]), 1));
    assert.equal(journal.outbox.open(), 0);
  });

  it('is done with an alert when the broker has it', async (t) => {
    const { journal } = await openJournal(t);
    journal.db.commit('alert', () => journal.outbox.putAlert('critical', PROBLEM));
    journal.outbox.published(journal.outbox.due(1, new Set()).map((row) => row.jti));
    assert.equal(journal.outbox.open(), 0);
  });

  it('finds the entry that was changed, taken out or put in', async (t) => {
    const { journal } = await openJournal(t);
    journal.db.commit('fill', () => {
      for (let i = 0; i < 20; i++) journal.audit.append('entry', { i });
    });
    assert.equal(journal.audit.firstBreak(), null);
    const tamper = (sql: string) => journal.db.commit('tamper', () => journal.db.run(sql));
    tamper(`UPDATE audit SET detail = '{"i":99}' WHERE seq = 7`);
    assert.equal(journal.audit.firstBreak(), 7);
    tamper(`UPDATE audit SET detail = '{"i":6}' WHERE seq = 7`);
    assert.equal(journal.audit.firstBreak(), null);
    tamper('DELETE FROM audit WHERE seq = 12');
    assert.equal(journal.audit.firstBreak(), 13);
  });

  it('never holds more than one row for a jti, whatever comes in which order (property)', async (t) => {
    const { journal } = await openJournal(t);
    const token = fc.record({
      iss: fc.constantFrom('a', 'b'),
      jti: fc.constantFrom('1', '2', '3'),
      digest: fc.constantFrom('x', 'y'),
    });
    fc.assert(
      fc.property(fc.array(token), (tokens) => {
        journal.db.commit('clear', () => journal.db.run('DELETE FROM token'));
        const model = new Map<string, string>();
        for (const { iss, jti, digest } of tokens) {
          const known = model.get(`${iss}/${jti}`);
          assert.equal(
            journal.seen(iss, jti, digest),
            known === undefined ? 'new' : known === digest ? 'same' : 'other',
          );
          if (known !== undefined) continue;
          model.set(`${iss}/${jti}`, digest);
          journal.db.commit('remember', () => journal.remember(iss, jti, digest, 0));
        }
      }),
      { numRuns: 50 },
    );
  });
});
