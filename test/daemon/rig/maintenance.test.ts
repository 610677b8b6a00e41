/** Maintenance by itself: a real journal; what the rig does around it is played. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
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
      drained: async () => undefined,
      quieten: async () => undefined,
      forgetClients: async () => undefined,
      ownInserts: () => undefined,
      endMeasuring: async () => undefined,
      attend: async () => undefined,
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
    await maintenance.enter(600, 'a test', 'technician.kim');
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
  it('gives the front panels to people when the gear is safe, and takes them back before it is made safe again', async (t) => {
    const said: string[] = [];
    const { enter, exit, becomes } = await bench(t, {
      quieten: async () => void said.push('quiet'),
      attend: async (attended) => void said.push(attended ? 'for people' : 'for the rig'),
      makeSafe: async () => {
        said.push('safe');
        return [];
      },
    });
    await enter();
    await becomes('maintenance');
    await exit();
    assert.deepEqual(said, ['quiet', 'for people', 'for the rig', 'safe']);
  });

  it('makes the processors safe when it is over, but not under a take that still rolls', async (t) => {
    let safe = 0;
    let drained = (): void => undefined;
    const { enter, exit, becomes } = await bench(t, {
      drained: (signal) =>
        new Promise<void>((resolve, reject) => {
          drained = resolve;
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
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

  it('lasts longer for the one who began it, and for nobody else; what is measured goes on', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_800_000_000_000 });
    let ended = 0;
    const { maintenance, enter, becomes, mode, again } = await bench(t, { endMeasuring: async () => void ended++ });
    await enter();
    await becomes('maintenance');
    t.mock.timers.tick(500_000);
    await maintenance.enter(600, 'it takes longer', 'technician.kim');
    assert.deepEqual(maintenance.session, { until: 1_800_001_100, reason: 'a test' });
    await assert.rejects(maintenance.enter(600, 'me too', 'technician.lee'), {
      code: 'rig.mode',
      message: 'technician.kim is in maintenance already: a test',
    });
    t.mock.timers.tick(599_000);
    await turn();
    assert.deepEqual([mode.mode, ended], ['maintenance', 0]);
    const restarted = again();
    restarted.maintenance.resume();
    assert.equal(restarted.maintenance.session?.until, 1_800_001_100);
    t.mock.timers.tick(1000);
    await becomes('ready');
    assert.equal(ended, 2, 'the sessions of both');
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
    const { enter, becomes, mode } = await bench(t, { quieten: () => Promise.reject(error) });
    mode.set('faulted');
    await enter();
    await becomes('maintenance');
    assert.equal(mode.lastFault?.error.code, 'insert.noisy');
  });

  it('is over only when what it does to the gear is over, also when it ends while it still drains', async (t) => {
    const told: string[] = [];
    let end = (): void => undefined;
    const { enter, exit, mode } = await bench(t, {
      quieten: () => new Promise<void>((resolve) => (end = resolve)).then(() => void told.push('quiet')),
      makeSafe: async () => {
        told.push('safe');
        return [];
      },
    });
    await enter();
    await turn();
    const over = exit();
    await turn();
    assert.equal(mode.mode, 'draining', 'no job begins under it');
    end();
    assert.equal(await over, 'ready');
    assert.deepEqual(told, ['quiet', 'safe']);
  });

  it('lets nothing begin while it is being ended or released', async (t) => {
    const modes: string[] = [];
    const { maintenance, enter, exit, becomes, mode } = await bench(t, {
      endMeasuring: async () => void modes.push(mode.mode),
      makeSafe: async () => {
        modes.push(mode.mode);
        return [];
      },
      takeBack: async () => void modes.push(mode.mode),
    });
    await enter();
    await becomes('maintenance');
    await maintenance.release('another program');
    assert.equal(mode.mode, 'released');
    assert.equal(await exit(), 'ready');
    assert.deepEqual(modes, Array(5).fill('draining'));
  });

  it('gives the interface up only when no insert holds a client, and notes that from then on others may be heard', async (t) => {
    const told: string[] = [];
    const noisy = new OutboardError('insert.noisy', 'the return of tape stays at -40.0 dBFS');
    let quiet = false;
    const { maintenance, enter, becomes, again, mode, journal } = await bench(t, {
      forgetClients: async () => {
        if (!quiet) throw noisy;
      },
      ownInserts: () => journal.setMeta('owned', `${told.push('owned')}`),
      giveUp: async () => void told.push('given up'),
    });
    await enter();
    await becomes('maintenance');
    await assert.rejects(maintenance.release('another program'), noisy);
    assert.equal(mode.mode, 'maintenance');
    assert.deepEqual(told, []);
    quiet = true;
    await maintenance.release('another program');
    assert.equal(mode.mode, 'released');
    assert.deepEqual(told, ['owned', 'given up']);

    await maintenance.stop();
    const restarted = again();
    assert.equal(await restarted.maintenance.resumeReleased(), true);
    restarted.maintenance.resume();
    assert.equal(restarted.mode.mode, 'released');
    assert.deepEqual(told, ['owned', 'given up', 'owned', 'given up']);
    const kinds = journal.db.all<{ kind: string }>('SELECT kind FROM audit').map(({ kind }) => kind);
    assert.deepEqual(kinds, ['maintenance.released']);
  });

  it('has nothing go on when it has stopped', async (t) => {
    let tookBack = (): void => undefined;
    const { maintenance, enter, becomes, mode } = await bench(t, {
      takeBack: () => new Promise<void>((resolve) => (tookBack = resolve)),
    });
    await enter();
    await becomes('maintenance');
    await maintenance.release('another program');
    const entered = maintenance.enter(600, 'again', 'technician.kim');
    await turn();
    mode.set('stopping');
    let stopped = false;
    const stop = maintenance.stop().then(() => (stopped = true));
    await turn();
    assert.equal(stopped, false);
    tookBack();
    await stop;
    await entered;
    assert.equal(mode.mode, 'stopping');
    await assert.rejects(maintenance.exit('too late'), { code: 'rig.mode' });
  });
});
