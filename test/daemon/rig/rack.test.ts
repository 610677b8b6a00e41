/** A rack whose unit is played: what the rig owes a unit that could not be made safe. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecalledSetting, RigConfig } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { Rack } from '../../../daemon/rig/rack.js';
import type { ProcessorUnit, UnitState } from '../../../drivers/processors/processor-unit.js';
import { until } from '../../peers/stack.js';

function bench() {
  const listeners: ((state: UnitState) => void)[] = [];
  const unit = {
    name: 'deck',
    state: 'ready' as UnitState,
    reachable: true,
    asked: 0,
    panels: [] as string[],
    safeAs: 'verified' as RecalledSetting['state'],
    async start() {},
    async stop() {},
    async safe() {
      unit.asked++;
      if (!unit.reachable) throw new OutboardError('processor.lost', 'gone');
      return [{ name: 'reel', requested: 'stop', sent: 'stop', state: unit.safeAs }];
    },
    async panel(to: string) {
      unit.panels.push(to);
    },
    onLocalChange: () => () => undefined,
    onState(listener: (state: UnitState) => void) {
      listeners.push(listener);
      return () => undefined;
    },
  };
  const become = (state: UnitState) => {
    unit.state = state;
    for (const listener of listeners) listener(state);
  };
  const rack = new Rack({
    config: { processors: { deck: { profile: 'p', insert: 'a' } } } as unknown as RigConfig,
    profiles: new Map(),
    make: () => unit as unknown as ProcessorUnit,
    log: createLogger('test', 'silent'),
    retryMs: 1,
    startMs: 20,
  });
  return { rack, unit, become };
}

describe('a rack', () => {
  it('gives no job to a unit that owes its safe state, and collects it as soon as the unit answers again', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
    await until(() => rack.ready(['deck']));
    unit.asked = 0;
    unit.reachable = false;
    const failures = await rack.safe();
    assert.deepEqual(
      failures.map(({ processor, error }) => [processor, error.code]),
      [['deck', 'processor.lost']],
    );
    assert.equal(rack.ready(['deck']), false, 'although it says that it is ready');
    become('lost');
    unit.reachable = true;
    const news = new Promise<void>((resolve) => rack.onState(() => rack.ready(['deck']) && resolve()));
    become('ready');
    await news;
    assert.equal(rack.owed.size, 0);
    assert.equal(unit.asked, 2);
  });

  it('does not wait for a unit that takes its time: it takes no job until it is safe', async (t) => {
    const { rack, unit, become } = bench();
    unit.start = () => new Promise<void>(() => undefined);
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    assert.equal(rack.ready(['deck']), false);
    become('identifying');
    assert.equal(rack.owed.has('deck'), true);
    become('ready');
    await until(() => rack.ready(['deck']));
    assert.equal(unit.asked, 1);
  });

  it('is not up before a unit that answers is safe', async (t) => {
    const { rack, unit, become } = bench();
    unit.start = async () => become('ready');
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    assert.deepEqual([unit.asked, rack.ready(['deck']), rack.safety('deck')], [1, true, 'verified']);
  });

  it('ends the recalls of a chain when one of them fails, and when nobody wants them', async (t) => {
    const { rack, unit } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    const ended: unknown[] = [];
    const gone = new OutboardError('processor.lost', 'gone');
    Object.assign(unit, {
      recall: ({ winds }: { winds: boolean }, signal: AbortSignal) =>
        new Promise((_, reject) => {
          if (!winds) return reject(gone);
          signal.addEventListener('abort', () => reject(ended.push(signal.reason) && signal.reason));
        }),
    });
    const links = [true, false].map((winds) => ({ processor: 'deck', settings: { winds } }));
    await assert.rejects(rack.recall(links, new AbortController().signal), gone);
    assert.deepEqual(ended, [gone]);
    const wanted = new AbortController();
    const cancelled = new OutboardError('job.cancelled', 'no more');
    setImmediate(() => wanted.abort(cancelled));
    await assert.rejects(rack.recall(links.slice(0, 1), wanted.signal), cancelled);
  });

  it('owes the safe state from the moment a unit goes: nobody knows what it has when it comes back', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
    await rack.safe();
    await until(() => rack.ready(['deck']));
    unit.asked = 1;
    become('busy');
    become('ready');
    assert.equal(unit.asked, 1, 'a command is no loss');
    become('lost');
    const safe = new Promise<void>((resolve) => rack.onState(() => rack.ready(['deck']) && resolve()));
    become('ready');
    assert.equal(rack.ready(['deck']), false, 'not before it was made safe');
    await safe;
    assert.equal(unit.asked, 2);
  });

  it('leaves a unit as it is for as long as somebody needs it, whatever it owes', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
    await rack.safe();
    unit.asked = 1;
    let looked = 0;
    const needed = { byOthers: true };
    rack.owe('deck', () => {
      looked++;
      return !needed.byOthers;
    });
    await until(() => looked >= 3);
    assert.equal(unit.asked, 1);
    assert.equal(rack.ready(['deck']), false);
    needed.byOthers = false;
    await until(() => rack.ready(['deck']));
    assert.equal(unit.asked, 2);
  });

  it('says how the safe state was reached, and says nothing of a unit that has been away since', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
    assert.equal(rack.safety('deck'), null);
    await rack.safe();
    assert.equal(rack.safety('deck'), 'verified');
    unit.safeAs = 'sent, unverified';
    await rack.safe();
    assert.equal(rack.safety('deck'), 'sent, unverified');
    become('lost');
    assert.equal(rack.safety('deck'), null);
  });

  it('has no news of a unit that is asked again who it is', async (t) => {
    const { rack, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    let news = 0;
    rack.onState(() => news++);
    become('refused');
    for (const state of ['opening', 'identifying', 'refused', 'opening', 'identifying', 'refused'] as const)
      become(state);
    assert.equal(news, 1);
    become('absent');
    assert.equal(news, 2, 'nobody is there any more');
  });

  it('gives the front panel of a unit that comes back to whoever is at the gear', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('absent');
    await rack.attend(true);
    assert.deepEqual(unit.panels, [], 'nobody is there yet');
    become('ready');
    await until(() => unit.panels.length > 0);
    become('lost');
    become('ready');
    await until(() => unit.panels.length > 1);
    await rack.attend(false);
    assert.deepEqual(unit.panels, ['people', 'people', 'rig']);
  });
});
