/** Flushing an insert between tenants: in which order, and what is noted; engine and gear are played. */
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
async function bench(t: TestContext, levels: number[], safe: (name: string) => Promise<void> = async () => undefined) {
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
    profiles: new Map(),
    config: {
      inserts: {
        tape: { sends: [1], returns: [2], memorySeconds: 3 },
        other: { sends: [3], returns: [3], memorySeconds: 0 },
      },
      processors: { deck: { insert: 'tape' }, elsewhere: { insert: 'other' } },
      isolation: { quietDbfs: -90 },
    },
    journal,
    rack: {
      safe: async (names: string[]) => {
        order.push(`safe ${names}`);
        return await Promise.all(names.map((name) => safe(name).catch((error) => ({ processor: name, error }))));
      },
    },
    log: createLogger('test', 'silent'),
  } as unknown as InsertMemoryOptions);
  const engine = {
    flush: async (spec: FlushSpec) => {
      order.push(`flush ${spec.sends} ${spec.returns} ${spec.seconds}`);
      return { rmsDbfs: [levels.shift()!] };
    },
  } as unknown as Engine;
  return { flush: () => memory.flush('tape', engine, new AbortController().signal), order, journal };
}

describe('a flush', () => {
  it('listens to gear in its safe state, so that no mute hides what is left, and notes the insert as quiet', async (t) => {
    const { flush, order, journal } = await bench(t, [Number.NEGATIVE_INFINITY]);
    await flush();
    assert.deepEqual(order, ['safe deck', 'flush 1 2 3']);
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

  it('is made also when the processor does not answer: maintenance must be able to begin', async (t) => {
    const { flush, order } = await bench(t, [-120], () => Promise.reject(new OutboardError('processor.lost', 'gone')));
    await flush();
    assert.deepEqual(order, ['safe deck', 'flush 1 2 3']);
  });
});
