/** Trims from levels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CalibrationSet, InsertConfig, type UnjudgedRun } from '../../../../core/contract/index.js';
import { type Derivation, deriveSet } from '../../../../daemon/rig/calibration/derive-set.js';
import { sendGainsDb } from '../../../../daemon/rig/engine/gains.js';

const inserts = {
  a: InsertConfig.parse({ sends: [1, 2], returns: [1, 2], latencyFrames: 0 }),
  b: InsertConfig.parse({ sends: [3], returns: [3], latencyFrames: 0 }),
};
const FILE = { version: '2026-03-01', inserts: { a: { sendTrimDb: [1, 1], returnTrimDb: [2, 2] }, b: trims(3, 4) } };
const CARD = { playback: 'hw:CARD=One,DEV=0', capture: 'hw:CARD=One,DEV=0' };
const PATH = { ...CARD, sends: [1, 2], returns: [1, 2] };
const RUN = '11111111-1111-4111-8111-111111111111';

function trims(send: number, back: number) {
  return { sendTrimDb: [send], returnTrimDb: [back] };
}

/** Of insert a; null where the capture gave no number. */
function levels(send: (number | null)[], back: (number | null)[]): UnjudgedRun {
  const of = (name: string, values: (number | null)[]) =>
    values.map((value, index) => ({ name, channel: index + 1, value, valid: value !== null }));
  const measurements = [...of('full_scale_send_dbu', send), ...of('full_scale_return_dbu', back)];
  return {
    run: RUN,
    insert: 'a',
    endedAt: 1_800_000_000,
    conditions: { device: CARD },
    measurements,
  } as unknown as UnjudgedRun;
}

function derive(run: UnjudgedRun, more: Partial<Derivation> = {}): CalibrationSet {
  const set = deriveSet(run, {
    config: { inserts, alignment: { fullScaleDbu: 18 } },
    file: null,
    latest: null,
    ...more,
  });
  assert.ok(set);
  return set;
}

test('a full-scale sine leaves and comes back at the alignment, whatever the converters are', () => {
  const dbu = fc.double({ min: -5, max: 40, noNaN: true });
  fc.assert(
    fc.property(fc.tuple(dbu, dbu), fc.tuple(dbu, dbu), (send, back) => {
      const a = derive(levels([...send], [...back])).inserts['a']!;
      const hop = { insert: 'a', sends: [1, 2], returns: [1, 2], latencyFrames: 0, driveDb: 0, ...a };
      // A sample of full scale leaves the converter at its full scale and the gain before it.
      for (const [n, gain] of sendGainsDb(hop).entries()) assert.ok(Math.abs(send[n]! + gain - 18) < 1e-9);
      // 18 dBu at the return stand under the converter's full scale by their difference; the gain behind makes up for it.
      for (const [n, gain] of a.returnTrimDb.entries()) assert.ok(Math.abs(18 - back[n]! + gain) < 1e-9);
      assert.deepEqual(a.fullScaleDbu, { send, return: back });
    }),
  );
});

test('the other inserts keep what they have, from the set of the same file or from the file', () => {
  const first = derive(levels([18, 18], [18, 18]), { file: FILE });
  assert.equal(first.version, '2026-03-01.1');
  assert.equal(first.base, '2026-03-01');
  assert.deepEqual(first.inserts['b'], { ...trims(3, 4), fullScaleDbu: { send: [null], return: [null] }, path: null });
  const moved = { ...first, inserts: { ...first.inserts, b: { ...first.inserts['b']!, ...trims(5, 6) } } };
  const second = derive(levels([18, 18], [18, 18]), { file: FILE, latest: moved });
  assert.equal(second.version, '2026-03-01.2');
  assert.deepEqual(second.inserts['b']?.sendTrimDb, [5]);
  const other = { ...FILE, version: 'new-desk' };
  const third = derive(levels([18, 18], [18, 18]), { file: other, latest: moved });
  assert.deepEqual([third.version, third.inserts['b']?.sendTrimDb], ['new-desk.2', [3]]);
});

test('without an alignment levels are known and nothing is trimmed', () => {
  const set = derive(levels([20, 21], [22, 23]), { config: { inserts }, file: FILE });
  assert.deepEqual(set.inserts['a'], {
    ...FILE.inserts.a,
    fullScaleDbu: { send: [20, 21], return: [22, 23] },
    path: PATH,
  });
  assert.deepEqual(derive(levels([20, 21], [22, 23]), { config: { inserts } }).inserts['a']?.sendTrimDb, [0, 0]);
});

test('a channel without a number changes nothing; one that is far off is refused by name', () => {
  const context = { config: { inserts, alignment: { fullScaleDbu: 18 } }, file: null, latest: null };
  assert.equal(deriveSet(levels([18, null], [18, 18]), context), null);
  assert.equal(deriveSet(levels([18, 18], [18, null]), context), null);
  assert.throws(() => deriveSet(levels([18, -6.5], [18, 18]), context), {
    code: 'calibration.trim',
    message: /send 2 of a is -6\.50 dBu: it would take 24\.5 dB to 18 dBu/,
  });
});
