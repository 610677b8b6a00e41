/** The gear of a take, played: what voids the take, at once, and what does not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import type { RecalledSetting, Settings } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { GearWatch, type WatchedUnit } from '../../../daemon/rig/gear-watch.js';
import type { LocalChange, UnitState } from '../../../drivers/processors/processor-unit.js';

function played(name: string) {
  const states = new Set<(state: UnitState) => void>();
  const changes = new Set<(change: LocalChange) => void>();
  const unit = {
    name,
    profile: { identity: [] as unknown[] } as unknown as WatchedUnit['profile'],
    state: 'ready' as UnitState,
    lastFault: undefined as OutboardError | undefined,
    asked: [] as string[],
    has: {} as Settings,
    async identify() {
      unit.asked.push('who are you');
      return {};
    },
    async readBack(settings: Settings): Promise<RecalledSetting[]> {
      return Object.entries(settings).map(([key, value]) => {
        unit.asked.push(key);
        const readBack = unit.has[key] ?? value;
        const state = readBack === value ? 'verified' : 'sent, unverified';
        return { name: key, requested: value, sent: value, readBack, state };
      });
    },
    onState: (listener: (state: UnitState) => void) => {
      states.add(listener);
      return () => states.delete(listener);
    },
    onLocalChange: (listener: (change: LocalChange) => void) => {
      changes.add(listener);
      return () => changes.delete(listener);
    },
  };
  return {
    unit: unit satisfies WatchedUnit,
    become: (state: UnitState) => {
      unit.state = state;
      for (const listener of states) listener(state);
    },
    change: (means: LocalChange['means']) => {
      for (const listener of changes) listener({ means, line: 'LOCAL' });
    },
    listeners: () => states.size + changes.size,
  };
}

const verified = (name: string, value: number): RecalledSetting => ({
  name,
  requested: value,
  sent: value,
  readBack: value,
  state: 'verified',
});

function bench(t: TestContext) {
  const [one, other] = [played('one'), played('other')];
  const watch = new GearWatch([one.unit, other.unit], 1);
  watch.begin();
  t.after(() => watch.end());
  const reason = () => watch.signal.reason as OutboardError;
  return { one, other, watch, reason };
}

describe('the watch over the gear of a take', () => {
  it('voids it in the same moment for a link that goes, a knob that is turned, a restart', (t) => {
    for (const [act, code] of [
      [({ other }: ReturnType<typeof bench>) => other.become('lost'), 'processor.lost'],
      [({ one }: ReturnType<typeof bench>) => one.change('local-change'), 'take.drift'],
      [({ one }: ReturnType<typeof bench>) => one.change('reboot'), 'take.drift'],
    ] as const) {
      const b = bench(t);
      act(b);
      assert.equal(b.watch.signal.aborted, true);
      assert.equal(b.reason().code, code);
    }
  });

  it('finds a unit that was gone already when it began', async (t) => {
    const { unit } = played('gone');
    unit.state = 'lost';
    unit.lastFault = new OutboardError('processor.timeout', 'no answer');
    const watch = new GearWatch([unit]);
    t.after(() => watch.end());
    watch.begin();
    assert.match((watch.signal.reason as OutboardError).message, /gone .*lost: no answer/);
  });

  it('is not disturbed by commands: a unit is busy with each', (t) => {
    const { one, watch } = bench(t);
    one.become('busy');
    one.become('ready');
    assert.equal(watch.signal.aborted, false);
  });

  it('asks for one setting after the other, and nothing where there is nothing to be asked for', async (t) => {
    const { one, other, watch } = bench(t);
    const asked = new Promise<void>((resolve) => {
      const push = one.unit.asked.push.bind(one.unit.asked);
      one.unit.asked.push = (...keys) => {
        const length = push(...keys);
        if (length >= 4) resolve();
        return length;
      };
    });
    watch.ask([[verified('gain', 1), verified('tone', 2)], []]);
    await asked;
    await watch.end();
    assert.deepEqual(one.unit.asked.slice(0, 4), ['gain', 'tone', 'gain', 'tone']);
    assert.deepEqual(other.unit.asked, []);
    assert.equal(watch.signal.aborted, false);
    assert.equal(one.listeners() + other.listeners(), 0, 'nothing is left behind');
  });

  it('asks a unit that reports no setting who it is, where it can be asked that', async (t) => {
    const { one, other, watch } = bench(t);
    one.unit.profile = { identity: [{ tx: 'ID?' }] } as unknown as WatchedUnit['profile'];
    const asked = new Promise<void>((resolve) => {
      one.unit.identify = () => {
        resolve();
        return Promise.reject(new OutboardError('processor.timeout', 'no answer'));
      };
    });
    watch.ask([[], []]);
    await asked;
    await once(watch.signal, 'abort');
    assert.deepEqual(other.unit.asked, []);
  });

  it('hears a drift that nobody announced, and an answer that does not come', async (t) => {
    const { one, watch, reason } = bench(t);
    one.unit.has = { tone: 3 };
    watch.ask([[verified('gain', 1), verified('tone', 2)], []]);
    await once(watch.signal, 'abort');
    assert.equal(reason().code, 'take.drift');
    assert.deepEqual(reason().details, { processor: 'one', setting: 'tone', readBack: 3 });

    const mute = bench(t);
    mute.other.unit.readBack = () => Promise.reject(new OutboardError('processor.timeout', 'no answer'));
    mute.watch.ask([[], [verified('gain', 1)]]);
    await once(mute.watch.signal, 'abort');
    assert.equal(mute.reason().code, 'processor.timeout');
  });
});
