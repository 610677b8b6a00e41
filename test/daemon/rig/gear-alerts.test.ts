/** Who watches the rig hears of its gear: once when it begins, once when it is over. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GearAlerts } from '../../../daemon/rig/gear-alerts.js';
import { until } from '../../peers/stack.js';
import { virtualRack } from '../../peers/virtual-rack.js';

async function bench(t: TestContext) {
  const { rack, wires } = await virtualRack(t, { processors: { eq: { profile: 'virtual.gain', insert: 'a' } } });
  const told: string[] = [];
  const hands = { attended: false };
  const alerts = new GearAlerts({
    rack,
    alert: (severity, { code, details }) => {
      assert.deepEqual(details, { processor: 'eq' });
      told.push(`${severity} ${code}`);
    },
    attended: () => hands.attended,
  });
  alerts.start();
  alerts.look();
  t.after(() => alerts.stop());
  return { rack, told, hands, alerts, wire: wires.get('eq')! };
}

test('a unit that goes is told once, however often it is looked for, and struck off when it is safe again', async (t) => {
  const { rack, wire, told } = await bench(t);
  assert.deepEqual(told, []);
  wire.unplug();
  await until(() => told.length > 0);
  // Several tries to open it go by.
  let tries = 0;
  const off = rack.unit('eq').onState(() => tries++);
  await until(() => tries >= 6);
  off();
  assert.deepEqual(told, ['critical processor.lost']);
  wire.plugged = true;
  await until(() => told.length > 1);
  assert.deepEqual(told, ['critical processor.lost', 'notice processor.lost']);
  assert.equal(rack.ready(['eq']), true);
});

test('a unit that comes back and cannot be made safe is another alert, in place of the first', async (t) => {
  const { rack, wire, told } = await bench(t);
  wire.unplug();
  await until(() => told.length > 0);
  const { unit } = wire;
  t.mock.method(unit, 'obey', (command: string) => (command === 'ID?' ? 'ID virtual.gain 1' : 'ERR RANGE'));
  wire.plugged = true;
  await until(() => told.includes('critical processor.unsafe'));
  await rack.safe(['eq']);
  assert.deepEqual(told, ['critical processor.lost', 'notice processor.lost', 'critical processor.unsafe']);
  assert.equal(rack.ready(['eq']), false);
  t.mock.restoreAll();
  await rack.safe(['eq']);
  await until(() => told.includes('notice processor.unsafe'));
});

test('another unit in its place is told as such', async (t) => {
  const { rack, wire, told } = await bench(t);
  wire.unplug();
  await until(() => told.length > 0);
  t.mock.method(wire.unit, 'obey', () => 'ID other.unit 1');
  wire.plugged = true;
  await until(() => told.includes('critical processor.identity'));
  // It is asked again and again, and is lost no second time.
  let tries = 0;
  rack.unit('eq').onState((state) => void (state === 'refused' && tries++));
  await until(() => tries >= 3);
  assert.deepEqual(told, ['critical processor.lost', 'critical processor.identity']);
});

test('an alert that begins while a refused unit is asked again tells the same', async (t) => {
  const { rack, wire, told, alerts } = await bench(t);
  alerts.stop();
  t.mock.method(wire.unit, 'obey', () => 'ID other.unit 1');
  wire.unplug();
  wire.plugged = true;
  const unit = rack.unit('eq');
  await until(() => unit.state === 'refused');
  await new Promise<void>((resolve) => unit.onState((state) => state === 'identifying' && resolve()));
  alerts.start();
  alerts.look();
  assert.deepEqual(told, ['critical processor.identity']);
});

test('a knob that somebody turns is told once a minute, and to no technician', async (t) => {
  const { wire, told, hands } = await bench(t);
  hands.attended = true;
  wire.localChange('gain', 1, 'LOCAL GAIN');
  hands.attended = false;
  assert.deepEqual(told, []);
  for (const gainDb of [2, 3, 4]) wire.localChange('gain', gainDb, 'LOCAL GAIN');
  assert.deepEqual(told, ['warning processor.changed']);
});

test('nothing is told after the stop', async (t) => {
  const { rack, wire, told, alerts } = await bench(t);
  alerts.stop();
  const gone = new Promise<void>((resolve) => rack.onState(() => resolve()));
  wire.unplug();
  await gone;
  assert.deepEqual(told, []);
});
