import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../../core/error-codes.js';
import { OutboardError } from '../../../core/errors.js';
import { sequelOf } from '../../../daemon/rig/failed-attempt.js';
import type { JobRow } from '../../../daemon/rig/journal/jobs.js';

const FRESH = { recallFailures: 0, tries: 0 };
const after = (job: Pick<JobRow, 'state' | 'attempt'>, code: ErrorCode, tries = FRESH) =>
  sequelOf({ maxAttempts: 2, ...job } as JobRow, tries, new OutboardError(code, 'a test'));

test('a take that was spoiled is made again at once, as long as attempts are left', () => {
  const again = { rolled: true, retryInMs: 0, tries: 1, recallFailures: 0 };
  assert.deepEqual(after({ state: 'rolling', attempt: 1 }, 'take.spoiled'), again);
  assert.equal(after({ state: 'rolling', attempt: 2 }, 'take.spoiled'), 'end');
});

test('before it rolls, what nobody is to blame for costs nothing, however often', () => {
  for (const tries of [0, 100]) {
    const sequel = after({ state: 'ready', attempt: 0 }, 'audio.gone', { recallFailures: 0, tries });
    assert.ok(typeof sequel === 'object');
    assert.deepEqual([sequel.rolled, sequel.recallFailures, sequel.tries], [false, 0, tries + 1]);
    assert.ok(sequel.retryInMs > 0 && sequel.retryInMs <= 30_000);
  }
});

test('recalls that fail are counted like attempts', () => {
  const first = after({ state: 'ready', attempt: 0 }, 'processor.timeout');
  assert.ok(typeof first === 'object');
  assert.equal(first.recallFailures, 1);
  assert.equal(after({ state: 'ready', attempt: 0 }, 'processor.timeout', first), 'end');
});

test('what another attempt cannot mend ends the job', () => {
  assert.equal(after({ state: 'rolling', attempt: 1 }, 'job.setting'), 'end');
});

test('a job that is over, sealed or withdrawn is left alone', () => {
  for (const state of ['failed', 'closed', 'sealed', 'delivered'] as const)
    assert.equal(after({ state, attempt: 1 }, 'take.spoiled'), 'settled');
  assert.equal(after({ state: 'rolling', attempt: 1 }, 'job.cancelled'), 'settled');
});
