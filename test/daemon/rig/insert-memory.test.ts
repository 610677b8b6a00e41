/** What inserts remember: whose it is, what must be forgotten before whom, and how that is done. Engine and gear are played. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import type { Engine } from '../../../daemon/rig/engine/engine.js';
import type { FlushSpec } from '../../../daemon/rig/engine/spec.js';
import { InsertMemory, type InsertMemoryOptions } from '../../../daemon/rig/insert-memory.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { scratch } from '../../peers/scratch.js';

/** `levels`: what each flush hears, dBFS. */
async function bench(
  t: TestContext,
  levels: number[] = [],
  safe: (name: string) => Promise<void> = async () => undefined,
  /** What the deck, where it has to be erased, says of each step; null for a deck that just forgets. */
  erases: string | null = null,
  deck: object = {},
) {
  const journal = new Journal({
    path: join(await scratch(t), 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(Buffer.alloc(32, 7));
  t.after(() => journal.close());
  journal.db.commit('before', () => journal.setInsertTenant('tape', 'tenant-before'));
  const order: string[] = [];
  const memory = new InsertMemory({
    profiles: new Map<string, object>([
      ['a.plate', { memory: { seconds: 5 } }],
      ...(erases === null
        ? []
        : [['a.deck', { memory: { procedure: [{ set: { transport: 'record' } }] }, ...deck }] as const]),
    ]),
    config: {
      inserts: {
        tape: { sends: [1], returns: [2], memorySeconds: 3 },
        reverb: { sends: [3], returns: [3], memorySeconds: 0 },
        wire: { sends: [4], returns: [4], memorySeconds: 0 },
      },
      processors: {
        deck: { insert: 'tape', profile: 'a.deck' },
        plate: { insert: 'reverb', profile: 'a.plate' },
        amp: { insert: 'wire', profile: 'an.amp' },
      },
      isolation: { floorDbfs: -100, quietDbfs: -90, crosstalk: [{ from: 'tape', to: 'wire', db: -101 }] },
    },
    isolation: { floorDbfs: -100, crosstalk: [{ from: 'tape', to: 'wire', db: -101 }] },
    journal,
    patching: {
      connect: async ([insert]: string[]) => void order.push(`connect ${insert}`),
      disconnect: async ([insert]: string[]) => void order.push(`disconnect ${insert}`),
    },
    rack: {
      handBack: async (names: string[]) => void order.push(`hand back ${names}`),
      safe: async (names: string[]) => {
        order.push(`safe ${names}`);
        return await Promise.all(names.map((name) => safe(name).catch((error) => ({ processor: name, error }))));
      },
      unit: () => ({
        recall: async ({ transport }: { transport: string }) => {
          order.push(transport);
          return [{ name: 'transport', state: erases }];
        },
      }),
    },
    log: createLogger('test', 'silent'),
  } as unknown as InsertMemoryOptions);
  const engine = {
    flush: async (spec: FlushSpec) => {
      order.push(`flush ${spec.sends} ${spec.returns} ${spec.seconds}`);
      return { rmsDbfs: [levels.shift()!] };
    },
  } as unknown as Engine;
  return { memory, flush: () => memory.flush('tape', engine, new AbortController().signal), order, journal };
}

describe('a flush', () => {
  it('listens to gear in its safe state, so that no mute hides what is left, and notes the insert as quiet', async (t) => {
    const { flush, order, journal } = await bench(t, [Number.NEGATIVE_INFINITY]);
    await flush();
    assert.deepEqual(order, ['connect tape', 'safe deck', 'flush 1 2 3', 'disconnect tape', 'hand back deck']);
    assert.equal(journal.insertTenant('tape'), '');
  });

  it('is made again while the return is not quiet, three times at most, and then it is still somebody’s', async (t) => {
    const patient = await bench(t, [-50, -80, -90]);
    await patient.flush();
    assert.equal(patient.order.filter((step) => step.startsWith('flush')).length, 3);
    assert.equal(patient.journal.insertTenant('tape'), '');

    const hopeless = await bench(t, [-50, -60, -89.9]);
    await assert.rejects(hopeless.flush(), {
      code: 'insert.noisy',
      details: { insert: 'tape', rmsDbfs: [-89.9], limitDbfs: -90 },
    });
    assert.equal(hopeless.journal.insertTenant('tape'), 'tenant-before');
  });

  it('is not believed while the processor is not in its safe state: muted, it would be quiet and still hold a song', async (t) => {
    const { flush, order, journal } = await bench(t, [-120], () =>
      Promise.reject(new OutboardError('processor.lost', 'gone')),
    );
    await assert.rejects(flush(), { code: 'processor.lost' });
    assert.deepEqual(order, ['connect tape', 'safe deck', 'disconnect tape', 'hand back deck']);
    assert.equal(journal.insertTenant('tape'), 'tenant-before');
  });

  it('believes no procedure that the unit does not confirm: a deck that is off is quiet, too', async (t) => {
    const sure = await bench(t, [-120], undefined, 'verified');
    await sure.flush();
    assert.equal(sure.journal.insertTenant('tape'), '');

    const doubtful = await bench(t, [-120], undefined, 'sent, unverified');
    await assert.rejects(doubtful.flush(), {
      code: 'processor.unverified',
      details: { processor: 'deck', settings: ['transport'] },
    });
    assert.equal(doubtful.journal.insertTenant('tape'), 'tenant-before');
  });
});

describe('what lets nothing through when it is safe', () => {
  it('is brought to play what it holds before anybody calls it quiet', async (t) => {
    const hearing = [{ set: { transport: 'play' } }, { waitSeconds: 7 }];
    const { flush, order } = await bench(t, [-120, -120], undefined, 'verified', { hearing, silentWhenSafe: true });
    await flush();
    assert.deepEqual(order, [
      'connect tape',
      'safe deck',
      'record',
      'safe deck',
      'play',
      'flush 1 2 7',
      'flush 1 2 3',
      'safe deck',
      'disconnect tape',
      'hand back deck',
    ]);
  });

  it('is never called quiet where nobody says how it is heard', async (t) => {
    const { flush, journal } = await bench(t, [-120], undefined, 'verified', { silentWhenSafe: true });
    await assert.rejects(flush(), { code: 'insert.unheard', details: { insert: 'tape', processor: 'deck' } });
    assert.equal(journal.insertTenant('tape'), 'tenant-before');
  });
});

describe('a deck that confirms nothing', () => {
  const params = new Map([['transport', { verifyBy: 'none' }]]);
  const onTape = [{ name: 'tape', loudDb: 0, amplifyDb: 0 }];

  it('is not erased in vain: its insert is refused to others until a technician says what it holds', async (t) => {
    const { memory, flush, order, journal } = await bench(t, [], undefined, 'sent, unverified', { params });
    await assert.rejects(flush(), { code: 'insert.owner', details: { insert: 'tape', processor: 'deck' } });
    assert.deepEqual(order, []);
    assert.equal(memory.strange('tenant-next', onTape)?.code, 'insert.owner');
    assert.equal(memory.strange('tenant-before', onTape), undefined);

    memory.declare({ insert: 'tape', tenant: null }, 'technician.main', 'new tape');
    assert.equal(memory.strange('tenant-next', onTape), undefined);
    journal.db.commit('rolls', () => memory.own('tape', 'tenant-next'));
    assert.equal(memory.strange('tenant-next', onTape), undefined);
    assert.equal(memory.strange('tenant-before', onTape)?.code, 'insert.owner');

    const before = journal.audit.head().seq;
    memory.declare({ insert: 'tape', tenant: 'tenant-before' }, 'technician.main', 'the old tape again');
    assert.equal(journal.audit.head().seq, before + 1);
    assert.equal(memory.strange('tenant-before', onTape), undefined);
    assert.equal(memory.strange('tenant-next', onTape)?.code, 'insert.owner');
    for (const insert of ['wire', 'nothing'])
      assert.throws(() => memory.declare({ insert, tenant: null }, 'technician.main', 'a slip'), {
        code: 'chain.insert',
        message: /tape, reverb/,
      });
  });

  it('is no matter of one that does: a flush is believed there', async (t) => {
    const sure = new Map([['transport', { verifyBy: 'readback' }]]);
    const { memory } = await bench(t, [], undefined, 'verified', { params: sure });
    assert.equal(memory.strange('tenant-next', onTape), undefined);
  });
});

describe('what an insert remembers', () => {
  const own = (name: string, amplifyDb = 0) => [{ name, loudDb: 0, amplifyDb }];

  it('lasts as long as configuration or profile say, whichever is longer', async (t) => {
    const { memory } = await bench(t);
    const seconds = ['tape', 'reverb', 'wire', 'nothing'].map((name) => memory.secondsOf(name));
    assert.deepEqual(seconds, [3, 5, 0, 0]);
  });

  it('belongs to somebody until it was flushed, also when nobody knows to whom', async (t) => {
    const { memory, flush, journal } = await bench(t, [-120]);
    assert.deepEqual(memory.holdingOthers(null), ['tape', 'reverb']);
    assert.deepEqual(memory.holdingOthers('tenant-before'), ['reverb']);
    await flush();
    assert.deepEqual(memory.holdingOthers(null), ['reverb']);
    journal.db.commit('own', () => {
      for (const name of ['tape', 'wire']) memory.own(name, 'tenant-next');
    });
    assert.deepEqual(memory.holdingOthers('tenant-before'), ['tape', 'reverb']);
    assert.equal(journal.insertTenant('wire'), undefined, 'what remembers nothing is nobody’s');
  });

  it('is forgotten before a stranger’s take on the insert, and on one into which the echo could leak', async (t) => {
    const { memory, journal } = await bench(t);
    assert.deepEqual(memory.toFlush('tenant-before', own('tape')), ['reverb'], 'a pair that nobody measured');
    assert.deepEqual(memory.toFlush('tenant-next', own('tape')), ['tape', 'reverb']);
    journal.db.commit('quiet', () => journal.setInsertTenant('reverb', ''));
    assert.deepEqual(memory.toFlush('tenant-before', own('tape')), []);
    assert.deepEqual(memory.toFlush('tenant-next', own('wire')), [], 'measured, and below the floor');
    assert.deepEqual(memory.toFlush('tenant-next', own('wire', 2)), ['tape'], 'lifted over the floor');
    assert.deepEqual(memory.toFlush('tenant-next', own('reverb')), ['tape']);
  });
});
