/** SIGKILL of either process, before and after every commit of a job: it ends exactly once, with one final event and one result. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { FINAL_EVENTS } from '../../core/contract/index.js';
import { offerJob, settle, storedSource } from '../peers/jobs.js';
import { VOICE } from '../peers/recordings.js';
import { KILLABLE_RIG, Stack, until } from '../peers/stack.js';

const TRANSITIONS = ['accepted', 'ready', 'rolling(1)', 'sealed', 'delivered', 'closed'];

describe('SIGKILL at every transition', { timeout: 600_000 }, () => {
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
    await until(async () =>
      (await stack.status()).health.some((part) =>
        part.checks.some((check) => check.name === 'outbox' && check.value === 0),
      ),
    );
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
      it(`the rig, ${phase} the commit of ${transition}`, () => ends(`${transition}:${phase}`, 'rig'));
      it(`the courier, ${phase} the commit of ${transition}`, () => ends(`${transition}:${phase}`, 'courier'));
    }
});
