import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pickNext } from '../../../daemon/rig/fairness.js';
import { type IsolationSubject, mayRollTogether } from '../../../daemon/rig/isolation.js';

const measured = {
  floorDbfs: -100,
  quietDbfs: -90,
  crosstalk: [
    { from: 'a', to: 'b', db: -110 },
    { from: 'b', to: 'a', db: -105 },
  ],
};
const take = (tenant: string, insert: string, maxGainDb = 0): IsolationSubject => ({
  tenant,
  inserts: [insert],
  maxGainDb,
});

describe('isolation', () => {
  it('lets tenants roll together only where the measured crosstalk plus the gain stays below the floor', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'b'), measured), true);
    assert.equal(
      mayRollTogether(take('x', 'a', 6), take('y', 'b'), measured),
      false,
      'b to a: -105 dB, amplified by 6 dB, is over -100',
    );
    assert.equal(mayRollTogether(take('x', 'a', 5), take('y', 'b'), measured), true);
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'b', 6), measured), false);
  });

  it('takes an unmeasured pair for one that leaks', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('y', 'c'), measured), false);
    assert.equal(
      mayRollTogether(take('x', 'a'), take('y', 'b'), { ...measured, crosstalk: measured.crosstalk.slice(0, 1) }),
      false,
    );
  });

  it('never shares an insert, not even within a tenant, and asks nothing else of one tenant', () => {
    assert.equal(mayRollTogether(take('x', 'a'), take('x', 'a'), measured), false);
    assert.equal(mayRollTogether(take('x', 'a', 24), take('x', 'c', 24), measured), true);
  });

  it('is the same both ways round (property)', () => {
    const subject = fc.record({
      tenant: fc.constantFrom('x', 'y'),
      inserts: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
      maxGainDb: fc.integer({ min: -20, max: 20 }),
    });
    fc.assert(
      fc.property(subject, subject, (a, b) =>
        assert.equal(mayRollTogether(a, b, measured), mayRollTogether(b, a, measured)),
      ),
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
