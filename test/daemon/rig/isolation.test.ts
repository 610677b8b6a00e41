import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pickNext } from '../../../daemon/rig/fairness.js';
import { type IsolationSubject, isolatedInserts, mayRollTogether } from '../../../daemon/rig/isolation.js';

const measured = {
  floorDbfs: -100,
  quietDbfs: -90,
  crosstalk: [
    { from: 'a', to: 'b', db: -110 },
    { from: 'b', to: 'a', db: -105 },
  ],
};
const take = (tenant: string, name: string, loudDb = 0, amplifyDb = 0): IsolationSubject => ({
  tenant,
  inserts: [{ name, loudDb, amplifyDb }],
});

describe('isolation', () => {
  it('lets tenants roll together only where the measured crosstalk plus the gain stays below the floor', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'b'), measured), true);
    assert.equal(mayRollTogether(take('x', 'a', 10), take('y', 'b'), measured), true);
    assert.equal(mayRollTogether(take('x', 'a', 11), take('y', 'b'), measured), false, 'a is 11 dB over full scale');
    assert.equal(
      mayRollTogether(take('x', 'a', 0, 6), take('y', 'b'), measured),
      false,
      'b leaks into a, which adds 6 dB',
    );
    assert.equal(mayRollTogether(take('x', 'a', 0, 5), take('y', 'b'), measured), true);
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'b', 6), measured), false);
  });

  it('takes an unmeasured pair for one that leaks', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'c'), measured), false);
    const oneWay = { ...measured, crosstalk: measured.crosstalk.slice(0, 1) };
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'b'), oneWay), false);
  });

  it('never shares an insert, not even within a tenant, and asks nothing else of one tenant', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('x', 'a'), measured), false);
    assert.equal(mayRollTogether(take('x', 'a', 24), take('x', 'c', 24), measured), true);
  });

  it('lets no attenuation hide what stands before it, nor what leaks in behind it', () => {
    const hop = (insert: string, driveDb: number, maxGainDb: number, sendTrimDb = [0], returnTrimDb = [0]) => ({
      insert,
      driveDb,
      maxGainDb,
      sendTrimDb,
      returnTrimDb,
    });
    const loudFirst = isolatedInserts([hop('a', 0, 24), hop('b', -120, 0)]);
    assert.deepEqual(
      loudFirst.map((insert) => insert.loudDb),
      [24, 0],
    );
    const loudLater = isolatedInserts([hop('a', -24, 0), hop('b', 24, 0)]);
    assert.deepEqual(
      loudLater.map((insert) => insert.amplifyDb),
      [24, 0],
      'a leak into a is raised on its way to b',
    );
    const cancelling = isolatedInserts([hop('a', -20, 20)]);
    assert.deepEqual(cancelling, [{ name: 'a', loudDb: 0, amplifyDb: 20 }]);
    assert.equal(isolatedInserts([hop('a', 0, 0), hop('b', 0, -30), hop('c', 10, 0)])[0]!.amplifyDb, 0);
    const trimmed = isolatedInserts([hop('a', 0, 0, [0, 3], [1, 6]), hop('b', 0, 0, [-2, -8], [-3, -3])]);
    assert.deepEqual(
      trimmed,
      [
        // A leak into a comes back through a's own trim (6 dB), then through b's (-2 and -3 dB).
        { name: 'a', loudDb: 3, amplifyDb: 6 },
        { name: 'b', loudDb: 3 + 6 - 2, amplifyDb: 0 },
      ],
      'the channel that is raised most counts',
    );
  });

  it('is the same both ways round, and more level never makes it safer (property)', () => {
    const decibels = fc.integer({ min: 0, max: 30 });
    const insert = fc.record({ name: fc.constantFrom('a', 'b', 'c'), loudDb: decibels, amplifyDb: decibels });
    const subject = fc.record({
      tenant: fc.constantFrom('x', 'y'),
      inserts: fc.uniqueArray(insert, { minLength: 1, selector: (one) => one.name }),
    });
    fc.assert(
      fc.property(subject, subject, decibels, (a, b, more) => {
        const together = mayRollTogether(a, b, measured);
        assert.equal(together, mayRollTogether(b, a, measured));
        const louder = { ...a, inserts: a.inserts.map((one) => ({ ...one, loudDb: one.loudDb + more })) };
        if (!together) assert.equal(mayRollTogether(louder, b, measured), false);
      }),
    );
  });
});

describe('turns of the tenants', () => {
  it('gives every tenant its first job before anybody has a second, longest unserved first', () => {
    const jobs = ['x', 'x', 'x', 'y', 'z'].map((tenant, id) => ({ id, tenant }));
    assert.deepEqual(
      pickNext(jobs, new Map()).map((job) => job.id),
      [0, 3, 4, 1, 2],
    );
    assert.deepEqual(
      pickNext(
        jobs,
        new Map([
          ['x', 5],
          ['y', 2],
        ]),
      ).map((job) => job.id),
      [4, 3, 0, 1, 2],
    );
  });

  it('forgets nobody (property)', () => {
    const jobs = fc
      .array(fc.constantFrom('x', 'y', 'z', null))
      .map((tenants) => tenants.map((tenant, id) => ({ id, tenant })));
    fc.assert(
      fc.property(jobs, (list) =>
        assert.deepEqual(
          pickNext(list, new Map())
            .map((job) => job.id)
            .sort((a, b) => a - b),
          list.map((job) => job.id),
        ),
      ),
    );
  });
});
