/** Crosspoints on a simulated matrix: what connects an insert, what takes it off again, and what becomes of a matrix that does not obey. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../../../daemon/log.js';
import { Patching } from '../../../daemon/rig/patching.js';
import { virtualRack } from '../../peers/virtual-rack.js';

const insert = (channel: number, out: number) => ({
  sends: [channel],
  returns: [channel],
  via: { bay: [{ in: channel, out }] },
});

async function bench(t: TestContext) {
  const all = await virtualRack(t, {
    inserts: { eq: insert(1, 3), comp: insert(2, 4), rival: insert(5, 4), free: { sends: [6], returns: [6] } },
    processors: { bay: { profile: 'virtual.matrix', patchbay: true } },
  });
  const wire = all.wires.get('bay')!;
  const ties = () => Array.from({ length: 8 }, (_, i) => wire.unit.value(`tie@out=${i + 1}`));
  return { ...all, wire, ties, patching: new Patching({ ...all, log: createLogger('test', 'silent') }) };
}

test('inserts are connected in one recall of their patchbay, and disconnected one by one', async (t) => {
  const { patching, ties, profiles } = await bench(t);
  const [bay, ...others] = await patching.connect(['eq', 'comp']);
  assert.equal(others.length, 0);
  assert.equal(bay!.processor, 'bay');
  assert.equal(bay!.profile.hash, profiles.get('virtual.matrix')!.hash);
  assert.deepEqual(
    bay!.settings.map(({ name, requested, readBack, state }) => [name, requested, readBack, state]),
    [
      ['tie@out=3', 1, 1, 'verified'],
      ['tie@out=4', 2, 2, 'verified'],
    ],
  );
  assert.deepEqual(ties(), [0, 0, 1, 2, 0, 0, 0, 0]);
  await patching.disconnect(['eq']);
  assert.deepEqual(ties(), [0, 0, 0, 2, 0, 0, 0, 0]);
  await patching.disconnect(['comp']);
  assert.deepEqual(ties(), [0, 0, 0, 0, 0, 0, 0, 0]);
});

test('an output is never given to two inserts, and a disconnect of one that holds nothing says nothing', async (t) => {
  const { patching, ties, wire } = await bench(t);
  await patching.connect(['comp']);
  await assert.rejects(patching.connect(['rival']), { code: 'internal', message: /bay out 4 .* comp.* rival/ });
  const commands = wire.heard.length;
  await patching.disconnect(['rival', 'eq', 'free']);
  assert.equal(wire.heard.length, commands);
  assert.deepEqual(ties(), [0, 0, 0, 2, 0, 0, 0, 0]);
  await patching.disconnect(['comp']);
  await patching.connect(['rival']);
  assert.deepEqual(ties(), [0, 0, 0, 5, 0, 0, 0, 0]);
});

test('an insert without a patchbay asks nothing of one', async (t) => {
  const { patching } = await bench(t);
  assert.deepEqual(await patching.connect(['free']), []);
});

test('a patchbay that does not let go owes its safe state when nobody needs it any more, and takes no job', async (t) => {
  const { patching, rack, wire, ties } = await bench(t);
  await patching.connect(['eq', 'comp']);
  const owe = t.mock.method(rack, 'owe');
  t.mock.method(wire.unit, 'obey', () => 'ERR RANGE');
  await patching.disconnect(['eq']);
  assert.equal(rack.ready(['bay']), false);
  assert.equal(owe.mock.calls[0]!.arguments[1]!(), false, 'comp is still connected through it');
  t.mock.restoreAll();
  await patching.disconnect(['comp']);
  assert.equal(owe.mock.calls[0]!.arguments[1]!(), true);
  assert.deepEqual(await rack.safe(['bay']), []);
  assert.deepEqual(ties(), [0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(rack.ready(['bay']), true);
});
