import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type InboundMessage, InboundWindow } from '../../client/inbound-window.js';

const message = (text: string): InboundMessage => ({
  topic: 't',
  payload: Buffer.from(text),
  retain: false,
  qos: 1,
  dup: false,
});

interface Running {
  text: string;
  resolve(): void;
  reject(): void;
}

function makeWindow(size: number) {
  const running: Running[] = [];
  const acknowledged: number[] = [];
  const over = new AbortController();
  const state = { renewed: 0 };
  const window = new InboundWindow({
    size,
    holdMs: 100,
    signal: over.signal,
    handler: ({ payload }) =>
      new Promise((resolve, reject) => {
        running.push({ text: payload.toString(), resolve, reject: () => reject(new Error('not now')) });
      }),
    acknowledge: (id) => acknowledged.push(id),
    renew: () => {
      state.renewed += 1;
    },
  });
  return { window, running, acknowledged, over, state };
}

/** Lets promise callbacks run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the window of messages that came in', () => {
  it('acknowledges in the order of arrival, whatever order the handlers end in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), async (order) => {
        const { window, running, acknowledged } = makeWindow(10);
        for (let id = 0; id < 6; id += 1) window.take(message(`${id}`), id, () => undefined);
        const done = new Set<number>();
        for (const id of order) {
          running[id]!.resolve();
          done.add(id);
          await settle();
          let prefix = 0;
          while (done.has(prefix)) prefix += 1;
          assert.deepEqual(acknowledged, [0, 1, 2, 3, 4, 5].slice(0, prefix));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('does not acknowledge what its handler left, and does not stop at it', async () => {
    const { window, running, acknowledged } = makeWindow(10);
    for (let id = 1; id <= 3; id += 1) window.take(message(`${id}`), id, () => undefined);
    running[1]!.reject();
    running[2]!.resolve();
    running[0]!.resolve();
    await settle();
    assert.deepEqual(acknowledged, [1, 3]);
  });

  it('pauses reading when it is full, and goes on when there is room', async () => {
    const { window, running } = makeWindow(1);
    const released: string[] = [];
    window.take(message('a'), 1, () => released.push('a'));
    window.take(message('b'), 2, () => released.push('b'));
    assert.deepEqual(released, ['a']);
    running[0]!.resolve();
    await settle();
    assert.deepEqual(released, ['a', 'b']);
    assert.equal(running[1]!.text, 'b');
  });

  it('leaves the rest with the broker when no room comes, and renews once there is', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { window, running, acknowledged, state } = makeWindow(1);
    const released: string[] = [];
    window.take(message('a'), 1, () => released.push('a'));
    window.take(message('b'), 2, () => released.push('b'));
    t.mock.timers.tick(100);
    window.take(message('c'), 3, () => released.push('c'));
    assert.deepEqual(released, ['a', 'b', 'c'], 'reading goes on, so that the answer to a ping is read');
    assert.equal(running.length, 1, 'nothing more is kept in memory');
    assert.equal(state.renewed, 0);
    running[0]!.resolve();
    await settle();
    assert.deepEqual(acknowledged, [1]);
    assert.equal(state.renewed, 1);
  });

  it('acknowledges nothing on a connection that is gone', async () => {
    const { window, running, acknowledged, over } = makeWindow(1);
    let released = 0;
    window.take(message('a'), 1, () => undefined);
    window.take(message('b'), 2, () => {
      released += 1;
    });
    over.abort();
    window.close();
    running[0]!.resolve();
    await settle();
    assert.deepEqual(acknowledged, []);
    assert.equal(released, 1);
  });
});
