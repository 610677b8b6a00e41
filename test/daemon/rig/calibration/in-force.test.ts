/** Which trims count: those of the wires that are there, derived from the file that is configured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CalibrationSet, InsertConfig, type UnjudgedRun } from '../../../../core/contract/index.js';
import { OutboardError } from '../../../../core/errors.js';
import { CalibrationInForce } from '../../../../daemon/rig/calibration/in-force.js';

const CARD = { playback: 'hw:CARD=One,DEV=0', capture: 'hw:CARD=One,DEV=0' };
const WIRED = {
  a: InsertConfig.parse({ sends: [1, 2], returns: [1, 2], latencyFrames: 0 }),
  b: InsertConfig.parse({ sends: [3], returns: [3], latencyFrames: 0, via: { bay: [{ in: 1, out: 1 }] } }),
};
const FILE = { version: 'file', inserts: { a: { sendTrimDb: [1, 1], returnTrimDb: [2, 2] } } };

/** A run of `level` in which full scale is so much at every send and return. */
function levels(insert: 'a' | 'b', dbu: number): UnjudgedRun {
  const measurements = ['full_scale_send_dbu', 'full_scale_return_dbu'].flatMap((name) =>
    WIRED[insert].sends.map((_, i) => ({ name, channel: i + 1, value: dbu, valid: true })),
  );
  const run = '11111111-1111-4111-8111-111111111111';
  return { run, insert, endedAt: 1_800_000_000, conditions: { device: CARD }, measurements } as unknown as UnjudgedRun;
}

/** The rig starts anew with these wires and what it has kept. */
function started(kept: CalibrationSet[], inserts: Record<string, InsertConfig> = WIRED, device = CARD) {
  const alerts: object[] = [];
  let full = false;
  const inForce = new CalibrationInForce({
    config: { inserts, alignment: { fullScaleDbu: 18 } },
    file: FILE,
    device,
    archive: {
      latestSet: () => kept.at(-1) ?? null,
      addSet: (set) => {
        if (full) throw new OutboardError('rig.disk-full', 'full');
        kept.push(set);
      },
    },
    alert: (_, { code, details }) => alerts.push({ code, insert: details?.['insert'] }),
    onChange: () => undefined,
  });
  return {
    inForce,
    alerts,
    /** From now on nothing can be kept. */
    fill: () => {
      full = true;
    },
  };
}

function measured(): CalibrationSet[] {
  const kept: CalibrationSet[] = [];
  const { inForce } = started(kept);
  inForce.open();
  inForce.keep(inForce.derive(levels('a', 20))!);
  inForce.keep(inForce.derive(levels('b', 20))!);
  assert.equal(inForce.version, 'file.2');
  return kept;
}

test('the wires being the same, they count after a start', () => {
  const { inForce, alerts } = started(measured());
  inForce.open();
  assert.deepEqual(alerts, []);
  assert.deepEqual(inForce.trims?.inserts['a']?.sendTrimDb, [-2, -2]);
  assert.deepEqual(inForce.fullScaleDbu('b'), { send: [20], return: [20] });
});

for (const [what, inserts, device, rewired] of [
  ['other sends', { ...WIRED, a: { ...WIRED.a, sends: [2, 1] } }, CARD, ['a']],
  ['other returns', { ...WIRED, a: { ...WIRED.a, returns: [5, 6] } }, CARD, ['a']],
  ['one channel less', { ...WIRED, a: { ...WIRED.a, sends: [1], returns: [1] } }, CARD, ['a']],
  ['another crosspoint', { ...WIRED, b: { ...WIRED.b, via: { bay: [{ in: 1, out: 2 }] } } }, CARD, ['b']],
  ['another card', WIRED, { ...CARD, capture: 'hw:CARD=Two,DEV=0' }, ['a', 'b']],
] as const)
  test(`${what}: the insert has what the file says, under a version of its own, and that is told once`, () => {
    const kept = measured();
    const { inForce, alerts } = started(kept, inserts as never, device);
    inForce.open();
    assert.deepEqual(
      alerts,
      rewired.map((insert) => ({ code: 'calibration.path', insert })),
    );
    assert.equal(inForce.version, 'file.3');
    const channels = inserts.a.sends.length;
    const a = rewired.some((name) => name === 'a');
    assert.deepEqual(inForce.trims?.inserts['a']?.sendTrimDb, a ? [1, 1] : [-2, -2]);
    assert.deepEqual(inForce.fullScaleDbu('a').send, new Array(channels).fill(a ? null : 20));
    const again = started(kept, inserts as never, device);
    again.inForce.open();
    assert.deepEqual([again.alerts, again.inForce.version], [[], 'file.3']);
    // The old wires again: what was measured over them is gone all the same.
    const back = started(kept);
    back.inForce.open();
    assert.equal(back.inForce.version, 'file.3');
  });

test('a disk on which that cannot be kept brings nothing back', () => {
  const { inForce, alerts, fill } = started(measured(), { ...WIRED, b: { ...WIRED.b, sends: [4] } });
  fill();
  inForce.open();
  assert.deepEqual(alerts, [
    { code: 'calibration.path', insert: 'b' },
    { code: 'rig.disk-full', insert: undefined },
  ]);
  assert.deepEqual(inForce.trims?.inserts['b']?.sendTrimDb, [0]);
});
