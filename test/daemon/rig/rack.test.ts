/** A rack whose unit is played: what the rig owes a unit that could not be made safe. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RigConfig } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { Rack } from '../../../daemon/rig/rack.js';
import type { ProcessorUnit, UnitState } from '../../../drivers/processors/processor-unit.js';

function bench() {
  const listeners: ((state: UnitState) => void)[] = [];
  const unit = {
    name: 'deck',
    state: 'ready' as UnitState,
    reachable: true,
    asked: 0,
    async start() {},
    async stop() {},
    async safe() {
      unit.asked++;
      if (!unit.reachable) throw new OutboardError('processor.lost', 'gone');
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
  });
  return { rack, unit, become };
}

describe('a rack', () => {
  it('gives no job to a unit that owes its safe state, and collects it as soon as the unit answers again', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
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

  it('owes the safe state from the moment a unit goes: nobody knows what it has when it comes back', async (t) => {
    const { rack, unit, become } = bench();
    await rack.start(new AbortController().signal);
    t.after(() => rack.stop());
    become('ready');
    await rack.safe();
    assert.equal(rack.ready(['deck']), true);
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
});
