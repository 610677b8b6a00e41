/** What technicians see of the gear, and what is asked of the units for it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Mode } from '../../../core/contract/index.js';
import { GearDesk } from '../../../daemon/rig/gear-desk.js';
import { until } from '../../peers/stack.js';
import { virtualRack } from '../../peers/virtual-rack.js';

async function bench(t: TestContext) {
  const all = await virtualRack(t, {
    processors: {
      eq: { profile: 'virtual.gain', insert: 'a', port: { virtual: true } },
      bay: { profile: 'virtual.matrix', patchbay: true, port: { virtual: 'pty' } },
    },
  });
  let mode: Mode = 'ready';
  const desk = new GearDesk({ ...all, mode: () => mode });
  const become = (next: Mode) => {
    mode = next;
  };
  return { ...all, desk, become, wire: all.wires.get('eq')! };
}

test('the list names every unit with what is known of it, and asks none', async (t) => {
  const { desk, wire } = await bench(t);
  const commands = wire.heard.length;
  const { processors } = desk.list();
  assert.equal(wire.heard.length, commands);
  assert.deepEqual(
    processors.map(({ name, insert, patchbay, port, state, safeOwed, lastError }) => [
      name,
      insert,
      patchbay,
      port,
      state,
      safeOwed,
      lastError,
    ]),
    [
      ['eq', 'a', false, 'simulated', 'ready', false, null],
      ['bay', null, true, 'simulated, at a pty', 'ready', false, null],
    ],
  );
  assert.deepEqual(processors[0]!.identity, { model: 'virtual.gain' });
});

test('present values are read in maintenance only, every one of them as the unit has it', async (t) => {
  const { desk, wire, become } = await bench(t);
  wire.unit.turn('gain', -7.25);
  const commands = wire.heard.length;
  const blind = await desk.show('eq');
  assert.equal(wire.heard.length, commands);
  assert.equal(blind.read, false);
  assert.ok(blind.parameters.every(({ present }) => present === null));
  become('maintenance');
  const shown = await desk.show('eq');
  assert.equal(shown.read, true);
  const gain = shown.parameters.find(({ name }) => name === 'gain')!;
  assert.deepEqual([gain.present, gain.safe, gain.unit, gain.verify], [-7.25, 0, 'dB', 'readback']);
  assert.deepEqual(
    (await desk.show('bay')).parameters.map(({ name, kind, present }) => [name, kind, present]),
    Array.from({ length: 8 }, (_, i) => [`tie@out=${i + 1}`, 'route', 0]),
  );
});

test('setting, making safe and identifying reach the unit', async (t) => {
  const { desk, wire } = await bench(t);
  assert.equal(desk.check('eq', { gain: -3 }), 'eq');
  const [set] = await desk.set('eq', { gain: -3 });
  assert.deepEqual([set!.readBack, set!.state], [-3, 'verified']);
  await desk.safe('eq');
  assert.equal(wire.unit.value('gain'), 0);
  assert.deepEqual(await desk.identify('eq'), { model: 'virtual.gain' });
});

test('what is not there and what is not allowed is refused before a unit hears of it', async (t) => {
  const { desk, wire } = await bench(t);
  const commands = wire.heard.length;
  assert.throws(() => desk.check('nobody', undefined), { code: 'job.processor', message: /it has eq, bay/ });
  assert.throws(() => desk.check(undefined, undefined), { code: 'job.processor' });
  assert.throws(() => desk.check('eq', { gain: 99 }), { code: 'job.setting' });
  await assert.rejects(desk.show('nobody'), { code: 'job.processor' });
  assert.equal(wire.heard.length, commands);
});

test('a unit that is away is shown with what it was last heard to say, and nothing is read of it', async (t) => {
  const { desk, rack, wire, become } = await bench(t);
  become('maintenance');
  wire.unplug();
  await until(() => rack.unit('eq').state !== 'ready');
  const { processor, read } = await desk.show('eq');
  assert.equal(read, false);
  assert.equal(processor.safeOwed, true);
  assert.equal(processor.lastError?.code, 'processor.lost');
  await assert.rejects(desk.safe('eq'), { code: 'processor.lost' });
});

test('a safe state that locks the front panel leaves it to the technician who asked for it', async (t) => {
  const all = await virtualRack(t, {
    processors: { deck: { profile: 'sony.9pin', insert: 'a', port: { virtual: true } } },
  });
  const { unit } = all.wires.get('deck')!;
  const desk = new GearDesk({ ...all, mode: () => 'maintenance' });
  await desk.safe('deck');
  assert.equal(unit.value('local'), false, 'nobody is at the gear');
  await all.rack.attend(true);
  await desk.safe('deck');
  assert.equal(unit.value('local'), true);
  assert.equal(unit.value('transport'), 'stop');
});
