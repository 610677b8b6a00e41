/** Maintenance by itself: a real journal; what the rig does around it is played. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { Maintenance, type MaintenanceOptions } from '../../../daemon/rig/maintenance.js';
import { ModeKeeper } from '../../../daemon/rig/mode.js';
import { scratch } from '../../peers/scratch.js';

async function bench(t: TestContext, around: Partial<MaintenanceOptions> = {}) {
  const journal = new Journal({
    path: join(await scratch(t), 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(Buffer.alloc(32, 7));
  t.after(() => journal.close());
  const again = (begins: 'ready' | 'faulted' = 'ready') => {
    const mode = new ModeKeeper();
    mode.set(begins);
    const maintenance = new Maintenance({
      journal,
      mode,
      log: createLogger('test', 'silent'),
      drain: async () => undefined,
      endMeasuring: async () => undefined,
      makeSafe: async () => [],
      giveUp: async () => undefined,
      takeBack: async () => undefined,
      trouble: () => null,
      ...around,
    });
    t.after(() => maintenance.stop());
    return { maintenance, mode };
  };
  const { maintenance, mode } = again();
  const enter = async () => {
    await maintenance.enter(600, 'a test');
    return mode.mode;
  };
  const exit = async () => {
    await maintenance.exit('a test');
    return mode.mode;
  };
  const becomes = (wanted: string) =>
    new Promise<void>((resolve) => {
      if (mode.mode === wanted) return resolve();
      mode.onChange((now) => now === wanted && resolve());
    });
  return { maintenance, mode, enter, exit, becomes, again, journal };
}

describe('maintenance', () => {
  it('makes the processors safe when it is over, but not under a take that still rolls', async (t) => {
    let safe = 0;
    let drained = (): void => undefined;
    const { enter, exit, becomes } = await bench(t, {
      drain: () => new Promise<void>((resolve) => (drained = resolve)),
      makeSafe: async () => {
        safe++;
        return [];
      },
    });
    await enter();
    assert.equal(await exit(), 'ready');
    assert.equal(safe, 0);
    await enter();
    drained();
    await becomes('maintenance');
    await exit();
    assert.equal(safe, 1);
  });

  it('does not say ready of a rig that lost its interface meanwhile, and names the gear that is not safe', async (t) => {
    const lost = await bench(t, { trouble: () => new OutboardError('audio.gone', 'pulled out') });
    await lost.enter();
    await lost.becomes('maintenance');
    assert.equal(await lost.exit(), 'faulted');

    const error = new OutboardError('processor.lost', 'gone');
    const unsafe = await bench(t, { makeSafe: async () => [{ processor: 'deck', error }] });
    await unsafe.enter();
    await unsafe.becomes('maintenance');
    // The unit owes its safe state and takes no job; that does not keep the others from working.
    assert.equal(await unsafe.exit(), 'ready');
    assert.equal(unsafe.mode.lastFault?.error, error);
  });

  it('goes on after a restart until its time is over: somebody may have his hands in the gear', async (t) => {
    const { enter, becomes, again, journal } = await bench(t);
    await enter();
    await becomes('maintenance');
    const restarted = again();
    restarted.maintenance.resume();
    assert.equal(restarted.mode.mode, 'draining');
    const without = again('faulted');
    without.maintenance.resume();
    assert.equal(without.maintenance.mode, 'draining', 'also while the interface is away');
    assert.equal(restarted.maintenance.session?.reason, 'a test');
    journal.db.commit('later', () => journal.setMeta('maintenance', JSON.stringify({ until: 1, reason: 'long over' })));
    const late = again();
    late.maintenance.resume();
    assert.equal(late.mode.mode, 'ready');
  });

  it('begins also when not everything is in order, and says what is not: that is when a rig needs somebody', async (t) => {
    const error = new OutboardError('insert.noisy', 'the return of tape stays at -40.0 dBFS');
    const { enter, becomes, mode } = await bench(t, { drain: () => Promise.reject(error) });
    mode.set('faulted');
    await enter();
    await becomes('maintenance');
    assert.equal(mode.lastFault?.error.code, 'insert.noisy');
  });
});
