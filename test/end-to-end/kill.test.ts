/** SIGKILL of either process, before and after every commit of a job: it ends exactly once, with one final event and one result. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { FINAL_EVENTS } from '../../core/contract/index.js';
import { type JobWishes, link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { VOICE } from '../peers/recordings.js';
import { KILLABLE_RIG, Stack, until } from '../peers/stack.js';

const TRANSITIONS = ['accepted', 'ready', 'rolling(1)', 'sealed', 'delivered', 'closed'];

describe('SIGKILL at every transition', { timeout: 900_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let source: SealedSource;

  before(async () => {
    stack = await Stack.make(suite);
    dispatcher = await stack.dispatcher();
    source = await storedSource(suite, stack, VOICE);
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  async function outboxIsEmpty(): Promise<void> {
    await until(async () =>
      (await stack.status()).health.some((part) =>
        part.checks.some((check) => check.name === 'outbox' && check.value === 0),
      ),
    );
  }

  async function ends(kill: string, victim: 'rig' | 'courier'): Promise<void> {
    const objectsBefore = new Set(stack.store.blobs.keys());
    const env = { KILL_AT: kill, ...(victim === 'courier' ? { KILL_PID_FILE: stack.courierPidFile } : {}) };
    await stack.startRig({ main: KILLABLE_RIG, env });
    await stack.startCourier();
    const job = await offerJob(stack, dispatcher, source);
    const settled = settle(stack, dispatcher, job);
    const died = victim === 'rig' ? stack.rig! : stack.courier!;
    assert.equal(await died.exit(), 'SIGKILL', stack.logs());
    assert.match(stack.rig!.output, new RegExp(`KILLED ${kill.replace(/[()]/g, '\\$&')}`));
    if (victim === 'rig') await stack.startRig();
    else await stack.startCourier();

    const final = await settled;
    assert.equal(final.payload.type, 'closed', `${JSON.stringify(final.payload.problem)} ${stack.logs()}`);
    // Nothing is left to be said: what was repeated has been acknowledged, and the rig holds nothing of the job.
    await outboxIsEmpty();
    const finals = job.past.filter((event) => FINAL_EVENTS.includes(event.payload.type));
    assert.equal(finals.length, 1);
    const attempts = job.past.filter((event) => event.payload.type === 'rolling').map((event) => event.payload.attempt);
    assert.deepEqual(attempts, [...new Set(attempts)], 'at most one physical start per attempt number');
    const objects = [...stack.store.blobs.keys()].filter((digest) => !objectsBefore.has(digest));
    assert.deepEqual(objects, [final.payload.certificate!.result.digest], 'one object in the store');
    await stack.courier!.end();
    await stack.rig!.end();
  }

  for (const transition of TRANSITIONS)
    for (const phase of ['before', 'after']) {
      it(`the rig, ${phase} the commit of ${transition}`, () => stack.timely(ends(`${transition}:${phase}`, 'rig')));
      it(`the courier, ${phase} the commit of ${transition}`, () =>
        stack.timely(ends(`${transition}:${phase}`, 'courier')));
    }

  /** Ends other than the good one: what a job is offered as, and what its dispatcher does. */
  const OTHER_ENDS = {
    refused: { wishes: { chain: [link('gain-m', { gain: 99 })] }, cancel: false },
    expired: { wishes: { startBy: 1 }, cancel: false },
    failed: { wishes: { chain: [link('gain-m', {}, { driveDb: 24 })], maxAttempts: 1 }, cancel: false },
    cancelled: { wishes: { tail: 60 }, cancel: true },
  } as const;

  async function endsOtherwise(end: keyof typeof OTHER_ENDS, phase: string): Promise<void> {
    const { wishes, cancel } = OTHER_ENDS[end];
    const objectsBefore = stack.store.blobs.size;
    await stack.startRig({ main: KILLABLE_RIG, env: { KILL_AT: `${end}:${phase}` } });
    // A job that is to be cancelled waits for its source, so that the cancel cannot come too late.
    stack.store.faults.push({ method: 'GET', fault: { kind: 'status', status: 500 }, times: cancel ? 1000 : 0 });
    await stack.startCourier();
    const job = await offerJob(stack, dispatcher, source, wishes as JobWishes);
    const cancelled = cancel ? job.verdict.then(() => dispatcher.cancel(job.id)) : null;
    assert.equal(await stack.rig!.exit(), 'SIGKILL', stack.logs());
    await stack.startRig();
    const final = await job.final;
    await cancelled;
    stack.store.faults.length = 0;
    assert.equal(final.payload.type, end, stack.logs());
    await outboxIsEmpty();
    assert.equal(job.past.filter((event) => FINAL_EVENTS.includes(event.payload.type)).length, 1);
    assert.equal(stack.store.blobs.size, objectsBefore, 'no result in the store');
    await stack.courier!.end();
    await stack.rig!.end();
  }

  for (const end of Object.keys(OTHER_ENDS) as (keyof typeof OTHER_ENDS)[])
    for (const phase of ['before', 'after'])
      it(`the rig, ${phase} the commit of ${end}`, () => stack.timely(endsOtherwise(end, phase)));
});
