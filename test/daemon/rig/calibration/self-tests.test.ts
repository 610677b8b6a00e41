/** When the rig checks itself, and when it leaves off. What it checks with is played. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type CalibrationRun, InsertConfig } from '../../../../core/contract/index.js';
import { createLogger } from '../../../../daemon/log.js';
import { SelfTests, type SelfTestsOptions } from '../../../../daemon/rig/calibration/self-tests.js';
import { ModeKeeper } from '../../../../daemon/rig/mode.js';

const insert = (channel: number) => InsertConfig.parse({ sends: [channel], returns: [channel], latencyFrames: 0 });
const IDLE_MS = 10_000;

function bench(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_800_000_000_000 });
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const mode = new ModeKeeper();
  mode.set('ready');
  const begun: string[] = [];
  const told: string[] = [];
  const ended = new Map<string, number>();
  let jobs = (): void => undefined;
  let waiting: string[] = [];
  let damaged: Error | null = null;
  let finish: ((run: CalibrationRun | null) => void) | null = null;
  const options: SelfTestsOptions = {
    config: {
      inserts: {
        a: insert(1),
        b: insert(2),
        tape: insert(3),
        away: insert(4),
        patched: { ...insert(5), via: { bay: [{ in: 1, out: 1 }] } },
      },
      selfTest: { idleSeconds: 10, everySeconds: 3600 },
    },
    journal: {
      jobs: {
        onChange: (listener: () => void) => {
          jobs = listener;
          return () => undefined;
        },
        inState: (state: string) => waiting.filter((one) => one === state),
      },
    } as unknown as SelfTestsOptions['journal'],
    mode,
    archive: {
      runs: (query) => {
        if (damaged) throw damaged;
        assert.equal(query!.whole, true);
        return (ended.has(query!.insert!) ? [{ endedAt: ended.get(query!.insert!)! }] : []) as never;
      },
    },
    runs: {
      active: null,
      selfTest: async (name) => {
        begun.push(name);
        return await new Promise((resolve) => {
          finish = resolve;
        });
      },
      abort: async (why) => {
        told.push(why);
        finish?.(null);
      },
    },
    memorySeconds: (name) => (name === 'tape' ? 3 : 0),
    ready: (name) => name !== 'away',
    log: createLogger('test', 'silent'),
  };
  const tests = new SelfTests(options);
  t.after(() => tests.stop());
  return {
    tests,
    mode,
    begun,
    told,
    /** Time passes, and whatever it lets happen happens. */
    pass: async (ms: number) => {
      nowMs += ms;
      t.mock.timers.tick(ms);
      await turn();
    },
    job: (state?: string) => {
      waiting = state ? [state] : [];
      jobs();
    },
    done: async () => {
      ended.set(begun.at(-1)!, Math.floor(Date.now() / 1000));
      finish!({} as CalibrationRun);
      await turn();
    },
    failed: async () => {
      finish!({ problem: {} } as CalibrationRun);
      await turn();
    },
    damage: (error: Error | null) => {
      damaged = error;
    },
  };
}

test('after the configured time without a job, one insert after the other, and not again before it is time', async (t) => {
  const { tests, begun, pass, done, told } = bench(t);
  tests.start();
  await pass(IDLE_MS - 1);
  assert.deepEqual(begun, []);
  await pass(1);
  assert.deepEqual(begun, ['a']);
  await done();
  await pass(0);
  assert.deepEqual(begun, ['a', 'b']);
  await done();
  await pass(60_000);
  assert.deepEqual(
    begun,
    ['a', 'b'],
    'not the tape, which would have to be flushed, the unit that is away, nor crosspoints',
  );
  assert.deepEqual(told, []);
  await pass(3_440_000);
  assert.deepEqual(begun, ['a', 'b']);
  await pass(120_000);
  assert.deepEqual(begun, ['a', 'b', 'a']);
});

test('a job that comes in ends the check at once, and the time begins anew', async (t) => {
  const { tests, begun, pass, told, job } = bench(t);
  tests.start();
  await pass(IDLE_MS);
  job('accepted');
  await turn();
  assert.deepEqual(told, ['a job has come in']);
  await pass(5 * 60_000);
  assert.deepEqual(begun, ['a'], 'the job still waits');
  job();
  await pass(60_000);
  assert.deepEqual(begun, ['a', 'a']);
});

test('nothing is checked while a technician is at work, or the rig is not well', async (t) => {
  const { tests, begun, pass, mode, told } = bench(t);
  tests.start();
  await pass(IDLE_MS);
  mode.set('draining');
  await turn();
  assert.deepEqual(told, ['the rig is draining']);
  mode.set('maintenance');
  await pass(10 * 60_000);
  mode.set('faulted');
  await pass(10 * 60_000);
  assert.deepEqual(begun, ['a']);
  mode.set('ready');
  await pass(2 * 60_000);
  assert.deepEqual(begun, ['a', 'a']);
});

test('an insert that cannot be checked does not keep the others from it, and is tried again later', async (t) => {
  const { tests, begun, pass, done, failed } = bench(t);
  tests.start();
  await pass(IDLE_MS);
  await failed();
  await pass(60_000);
  assert.deepEqual(begun, ['a', 'b']);
  await done();
  await pass(14 * 60_000 - 1);
  assert.deepEqual(begun, ['a', 'b']);
  await pass(60_000);
  assert.deepEqual(begun, ['a', 'b', 'a']);
});

test('a history that cannot be read ends nothing: it is looked at again', async (t) => {
  const { tests, begun, pass, damage } = bench(t);
  damage(new Error('database disk image is malformed'));
  tests.start();
  await pass(IDLE_MS);
  damage(null);
  await pass(60_000);
  assert.deepEqual(begun, ['a']);
});
