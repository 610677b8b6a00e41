/** Who rolls when, with a real journal; what a bounce does is played, so that its ends can be chosen. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import { createLogger } from '../../../daemon/log.js';
import type { Attempt, Bounce, PreparedBounce } from '../../../daemon/rig/bounce.js';
import type { Engine } from '../../../daemon/rig/engine/engine.js';
import type { JobPlan } from '../../../daemon/rig/job-rules.js';
import type { JobRow, JobState } from '../../../daemon/rig/journal/jobs.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { Scheduler, type SchedulerOptions } from '../../../daemon/rig/scheduler.js';
import { scratch } from '../../peers/scratch.js';

type Part = 'prepared' | 'began' | 'safe' | 'disposed';

/** One call of `run`, for the test to end. */
interface Run {
  job: JobRow;
  signal: AbortSignal;
  flush: readonly string[];
  release(): void;
  roll(): void;
  seal(): void;
  fail(code: ConstructorParameters<typeof OutboardError>[0]): void;
}

async function bench(t: TestContext, around: Partial<SchedulerOptions> = {}) {
  const journal = new Journal({
    path: join(await scratch(t), 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(Buffer.alloc(32, 7));
  const plans = new Map<number, JobPlan>();
  const names = new Map<number, string>();
  const past: [Part, string][] = [];
  const news = new EventEmitter().setMaxListeners(0);
  const runs: Run[] = [];
  const note = (part: Part, job: JobRow) => {
    past.push([part, names.get(job.id)!]);
    news.emit('news');
  };
  const bounce = {
    prepare: async (job: JobRow) => {
      note('prepared', job);
      return { job, dispose: async () => note('disposed', job) } as unknown as PreparedBounce;
    },
    run: ({ job }: PreparedBounce, { signal, flush, release }: Attempt) =>
      new Promise<void>((resolve, reject) => {
        const now = () => journal.jobs.get(job.id);
        runs.push({
          job,
          signal,
          flush,
          release,
          roll: () => void journal.jobs.transition(job.id, 'rolling', { attempt: now().attempt + 1 }),
          seal: () => {
            if (now().state === 'ready') journal.jobs.transition(job.id, 'rolling', { attempt: now().attempt + 1 });
            journal.jobs.transition(job.id, 'sealed', { result: { digest: `sha256:${'0'.repeat(64)}`, bytes: 1 } });
            resolve();
          },
          fail: (code) => reject(new OutboardError(code, 'as the test wants it')),
        });
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        note('began', job);
      }),
  };
  const scheduler = new Scheduler({
    journal,
    bounce: bounce as unknown as Bounce,
    isolation: { floorDbfs: -100, crosstalk: [] },
    log: createLogger('test', 'silent'),
    planOf: async (job) => plans.get(job.id)!,
    engineAt: async () => ({}) as Engine,
    streamRate: () => null,
    mayStart: () => true,
    mayRoll: () => true,
    unitsReady: () => true,
    toFlush: () => [],
    makeSafe: async (processors) => void past.push(['safe', `${processors}`]),
    ...around,
  });
  t.after(async () => {
    await scheduler.stop();
    journal.close();
  });
  journal.jobs.onChange(() => news.emit('news'));

  const until = async (holds: () => boolean) => {
    const limit = new AbortController();
    // Keeps the process alive, which AbortSignal.timeout would not.
    const timer = setTimeout(() => limit.abort(new Error(`it did not come: ${holds}`)), 20_000);
    try {
      while (!holds()) await once(news, 'news', { signal: limit.signal });
    } finally {
      clearTimeout(timer);
    }
  };

  /** A ready job. */
  const ready = (
    name: string,
    o: { tenant?: string; insert?: string; rate?: number; startBy?: number; maxAttempts?: number } = {},
  ): number => {
    const tenant = o.tenant ?? 'tenant-a';
    const { id } = journal.db.commit('accepted', () =>
      journal.jobs.insertAccepted({
        dispatcher: 'dispatcher.main',
        jti: randomUUID(),
        digest: `sha256:${'1'.repeat(64)}`,
        tenant,
        token: 'token',
        startBy: o.startBy ?? null,
        maxAttempts: o.maxAttempts ?? 2,
        sourceDigest: `sha256:${'2'.repeat(64)}`,
        sourceBytes: 1,
        resultReserved: 1,
      }),
    );
    const insert = o.insert ?? 'a';
    plans.set(id, {
      tenant,
      rate: o.rate ?? 48_000,
      hops: [{ insert, processor: `on-${insert}` }],
      patchbays: [],
      inserts: [{ name: insert, loudDb: 0, amplifyDb: 0 }],
    } as unknown as JobPlan);
    names.set(id, name);
    journal.jobs.transition(id, 'ready');
    return id;
  };
  const state = (id: number): JobState => journal.jobs.get(id).state;
  const of = (part: Part) => past.filter((entry) => entry[0] === part).map((entry) => entry[1]);
  return { journal, scheduler, runs, of, until, ready, state };
}

describe('the scheduler', () => {
  it('prepares what waits while something rolls, four at most, and begins the next when the insert is free, not when the file is', async (t) => {
    const { scheduler, runs, of, until, ready, state } = await bench(t);
    const first = ready('1');
    for (const name of ['2', '3', '4', '5', '6', '7']) ready(name);
    await scheduler.start();
    await until(() => of('prepared').length === 5);
    assert.deepEqual(of('began'), ['1']);
    assert.deepEqual(of('prepared'), ['1', '2', '3', '4', '5']);
    runs[0]!.roll();
    runs[0]!.release();
    await until(() => runs.length === 2);
    assert.deepEqual(of('began'), ['1', '2']);
    assert.equal(state(first), 'rolling', 'its file is still being finished');
    assert.equal(of('prepared').filter((name) => name === '2').length, 1, 'not opened a second time');
    runs[0]!.seal();
    await until(() => of('disposed').includes('1'));
  });

  it('says when nothing rolls any more; who does not want to wait for that is not kept waiting', async (t) => {
    const { scheduler, runs, until, ready } = await bench(t);
    ready('1');
    await scheduler.start();
    await until(() => runs.length === 1);
    const impatient = new AbortController();
    const left = scheduler.drained(impatient.signal);
    impatient.abort(new OutboardError('take.aborted', 'the session is over'));
    await assert.rejects(left, { code: 'take.aborted' });
    const over = scheduler.drained(new AbortController().signal);
    runs[0]!.seal();
    await over;
    assert.equal(scheduler.rolling, 0);
    await assert.rejects(scheduler.drained(impatient.signal), { code: 'take.aborted' });
  });

  it('gives tenants their turns', async (t) => {
    const { scheduler, runs, of, until, ready } = await bench(t);
    for (const [name, tenant] of ['a1', 'a2', 'a3', 'b1', 'b2'].map((job) => [job, `tenant-${job[0]}`] as const))
      ready(name, { tenant });
    await scheduler.start();
    for (let index = 0; index < 5; index++) {
      await until(() => runs.length > index);
      runs[index]!.seal();
    }
    assert.deepEqual(of('began'), ['a1', 'b1', 'a2', 'b2', 'a3']);
  });

  it('lets one tenant roll on two inserts, another not, and no two rates', async (t) => {
    const { scheduler, of, until, ready } = await bench(t);
    ready('1', { insert: 'a' });
    ready('2', { insert: 'b' });
    ready('other tenant', { insert: 'c', tenant: 'tenant-b' });
    ready('other rate', { insert: 'd', rate: 44_100 });
    await scheduler.start();
    await until(() => of('prepared').length === 4 && of('began').length === 2);
    assert.deepEqual(of('began'), ['1', '2']);
  });

  it('takes the jobs of the rate that runs before it changes, tenants in turn within it', async (t) => {
    let rate = 48_000;
    const { scheduler, runs, of, until, ready } = await bench(t, { streamRate: () => rate });
    const rates: Record<string, number> = { a1: 44_100, a2: 48_000, a3: 48_000, b1: 44_100, b2: 48_000, a4: 44_100 };
    for (const [name, of] of Object.entries(rates)) ready(name, { tenant: `tenant-${name[0]}`, rate: of });
    await scheduler.start();
    for (let index = 0; index < 6; index++) {
      await until(() => runs.length > index);
      rate = rates[of('began').at(-1)!]!;
      runs[index]!.seal();
    }
    assert.deepEqual(of('began'), ['a2', 'b2', 'a3', 'b1', 'a1', 'a4']);
  });

  it('begins no more takes of the rate that runs when another one has waited too long', async (t) => {
    const { scheduler, runs, of, until, ready } = await bench(t, { streamRate: () => 48_000, patienceMs: 0 });
    ready('1', { insert: 'a' });
    ready('other rate', { insert: 'b', rate: 44_100 });
    await scheduler.start();
    await until(() => runs.length === 1 && of('prepared').includes('other rate'));
    ready('2', { insert: 'c' });
    await until(() => of('prepared').includes('2'));
    assert.deepEqual(of('began'), ['1'], 'the insert is free, and the rate is the same');
    runs[0]!.seal();
    await until(() => runs.length === 2);
    assert.deepEqual(of('began'), ['1', 'other rate']);
    runs[1]!.seal();
    await until(() => runs.length === 3);
  });

  it('spends nothing while the interface is away: not with what a fault does to a flush before the take', async (t) => {
    const { journal, scheduler, runs, until, ready, state } = await bench(t);
    const id = ready('1', { maxAttempts: 1 });
    await scheduler.start();
    for (const [index, code] of (['take.spoiled', 'audio.gone', 'audio.sync', 'audio.late'] as const).entries()) {
      await until(() => runs.length > index);
      runs[index]!.fail(code);
    }
    await until(() => runs.length === 5);
    assert.equal(journal.jobs.get(id).attempt, 0);
    runs[4]!.seal();
    await until(() => state(id) === 'sealed');
  });

  it('makes a take again that rolled when the interface went away, as often as is allowed', async (t) => {
    let here = true;
    const { journal, scheduler, runs, until, ready, state } = await bench(t, { mayStart: () => here });
    const id = ready('1', { maxAttempts: 2 });
    await scheduler.start();
    await until(() => runs.length === 1);
    runs[0]!.roll();
    here = false;
    runs[0]!.fail('take.spoiled');
    await until(() => state(id) === 'ready');
    assert.equal(runs.length, 1, 'not while it is away');
    here = true;
    scheduler.poke();
    await until(() => runs.length === 2);
    runs[1]!.seal();
    await until(() => state(id) === 'sealed');
    assert.equal(journal.jobs.get(id).attempt, 2);
  });

  it('holds what must be flushed like the inserts of the take', async (t) => {
    const { scheduler, runs, of, until, ready } = await bench(t, {
      toFlush: (plan) => (plan.inserts[0]!.name === 'a' ? ['echo'] : []),
    });
    ready('1', { insert: 'a' });
    ready('2', { insert: 'echo' });
    ready('3', { insert: 'b' });
    await scheduler.start();
    await until(() => runs.length === 2 && of('prepared').includes('2'));
    assert.deepEqual(of('began'), ['1', '3']);
    assert.deepEqual(
      runs.map((run) => run.flush),
      [['echo'], []],
    );
    runs[0]!.seal();
    await until(() => of('began').includes('2'));
  });

  it('lets a job expire whose startBy passes before its first attempt, and no job after it', async (t) => {
    const { journal, scheduler, until, ready, state } = await bench(t, { mayStart: () => false });
    const late = ready('late', { startBy: nowSeconds() - 1 });
    const soon = ready('soon', { startBy: nowSeconds() + 1 });
    const tried = ready('tried', { startBy: nowSeconds() - 1 });
    journal.jobs.transition(tried, 'rolling', { attempt: 1 });
    journal.jobs.transition(tried, 'ready');
    await scheduler.start();
    await until(() => state(late) === 'expired' && state(soon) === 'expired');
    assert.match(journal.jobs.get(late).problem!, /job\.expired/);
    assert.equal(state(tried), 'ready');
  });

  it('tries again when a processor was lost before the first sample, without spending an attempt', async (t) => {
    const { journal, scheduler, runs, until, ready, state } = await bench(t);
    const id = ready('1');
    await scheduler.start();
    await until(() => runs.length === 1);
    runs[0]!.fail('processor.lost');
    await until(() => runs.length === 2);
    assert.equal(journal.jobs.get(id).attempt, 0);
    runs[1]!.seal();
    await until(() => state(id) === 'sealed');
    assert.equal(journal.jobs.get(id).attempt, 1);
  });

  it('gives up when a processor stays lost, and when takes were spoiled as often as is allowed', async (t) => {
    const { journal, scheduler, runs, until, ready, state } = await bench(t);
    const lost = ready('lost', { maxAttempts: 2 });
    await scheduler.start();
    for (const index of [0, 1]) {
      await until(() => runs.length > index);
      runs[index]!.fail('processor.lost');
    }
    await until(() => state(lost) === 'failed');
    const spoiled = ready('spoiled', { maxAttempts: 2 });
    for (const index of [2, 3]) {
      await until(() => runs.length > index);
      runs[index]!.roll();
      runs[index]!.fail('take.spoiled');
    }
    await until(() => state(spoiled) === 'failed');
    assert.equal(journal.jobs.get(spoiled).attempt, 2);
    assert.match(journal.jobs.get(spoiled).problem!, /take\.spoiled/);
  });

  it('fails at once what another take cannot help', async (t) => {
    const { scheduler, runs, of, until, ready, state } = await bench(t);
    const id = ready('1', { maxAttempts: 5 });
    await scheduler.start();
    await until(() => runs.length === 1);
    runs[0]!.roll();
    runs[0]!.fail('source.full-scale');
    await until(() => state(id) === 'failed');
    assert.equal(runs.length, 1);
    assert.deepEqual(of('safe'), ['on-a'], 'the next tenant does not find these settings');
  });

  it('withdraws a job that rolls or waits, and leaves its end to the caller', async (t) => {
    const { journal, scheduler, runs, of, until, ready, state } = await bench(t);
    const [rolling, waiting] = [ready('rolling'), ready('waiting')];
    await scheduler.start();
    await until(() => runs.length === 1 && of('prepared').includes('waiting'));
    runs[0]!.roll();
    const reason = new OutboardError('job.cancelled', 'as the test wants it');
    await scheduler.withdraw(journal.jobs.get(waiting), reason);
    assert.ok(of('disposed').includes('waiting'));
    journal.jobs.transition(waiting, 'cancelled');
    await scheduler.withdraw(journal.jobs.get(rolling), reason);
    assert.equal(runs[0]!.signal.reason, reason);
    assert.ok(of('disposed').includes('rolling'));
    assert.equal(state(rolling), 'rolling');
    assert.equal(scheduler.rolling, 0);
    journal.jobs.transition(rolling, 'cancelled');
  });

  it('ends everything when it stops; a take that rolled is ready again', async (t) => {
    const { journal, scheduler, runs, of, until, ready, state } = await bench(t);
    const [rolling, waiting] = [ready('rolling'), ready('waiting')];
    await scheduler.start();
    await until(() => runs.length === 1 && of('prepared').includes('waiting'));
    runs[0]!.roll();
    await scheduler.stop();
    await scheduler.stop();
    assert.deepEqual([state(rolling), state(waiting)], ['ready', 'ready']);
    assert.deepEqual(of('disposed').sort(), ['rolling', 'waiting']);
    assert.equal(journal.jobs.get(rolling).attempt, 1);
  });
});
