/**
 * A job that comes in while the rig looks at itself: whatever the look is about, and however long that would take, the job has the unit and the
 * insert, and hears nothing of it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { type RunSummary, RunsAnswer } from '../../core/contract/index.js';
import { LocalClient } from '../../daemon/local-client.js';
import { gear, startFaultyRig } from '../peers/gear-hands.js';
import { link, storedSource } from '../peers/jobs.js';
import { samplesOf } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { sine, writeSignal } from '../peers/signals.js';
import { Stack, until } from '../peers/stack.js';
import { insertsOf, take } from '../peers/takes.js';

const RATE = 48_000;
const IDLE_SECONDS = 2;
/** As long as a profile may say; no test waits for it. */
const SETTLE_SECONDS = 600;
/** A self-test that was not ended by a job is made again after a minute. */
const PATIENCE_MS = 90_000;

describe('a job and a self-test', { timeout: 400_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let source: SealedSource;
  let wav: string;

  before(async () => {
    const { inserts, channels } = insertsOf({ a: { width: 1 }, b: { width: 1 } });
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: { clock: 'realtime', rates: [RATE], in: channels, out: channels },
        inserts,
        processors: {
          'eq-a': { profile: 'virtual.gain', insert: 'a', port: { virtual: true } },
          'eq-b': { profile: 'virtual.gain', insert: 'b', port: { virtual: true } },
        },
        selfTest: { idleSeconds: IDLE_SECONDS, everySeconds: 60 },
      },
    });
    wav = join(await scratch(suite), 'tone.wav');
    await writeSignal(wav, { rate: RATE, channels: 1, bits: 24, frames: RATE, sample: sine(997, -20, RATE) });
    source = await storedSource(suite, stack, wav);
    await startFaultyRig(stack);
    await gear(stack, { unit: 'eq-a', do: 'settle', seconds: SETTLE_SECONDS });
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  const runs = async (): Promise<RunSummary[]> => {
    const client = new LocalClient({ socketPath: stack.controlSocket });
    try {
      return (await client.get('/calibration/runs', RunsAnswer, { query: { kind: 'self-test' } })).runs;
    } finally {
      client.close();
    }
  };
  const song = async (unit: string) => {
    const chain = [link(unit, { gain: 0 })];
    const { samples, certificate } = await take(suite, stack, dispatcher, source, { chain, maxAttempts: 1 });
    assert.deepEqual(samples, await samplesOf(wav), 'to the last bit what was sent');
    assert.equal(certificate.attempt, 1);
  };

  it('has the unit at once, whose safe state would take ten minutes', async () => {
    let seen = 0;
    await until(
      async () => {
        seen = (await gear(stack, { unit: 'eq-a', do: 'state' })) === 'busy' ? seen + 1 : 0;
        return seen > 3;
      },
      PATIENCE_MS,
      'a safe state that settles',
    );
    await song('eq-a');
  });

  it('has the insert at once, and hears nothing of the tone that played on it', async () => {
    // The unit's model settles at once again; what does not end now is the look itself.
    await gear(stack, { unit: 'eq-a', do: 'settle', seconds: 0 });
    await gear(stack, { do: 'testForEver' });
    const audible = async (send: number) => {
      const ms = await gear<number | null>(stack, { do: 'silentFor', send });
      return ms !== null && ms < 100;
    };
    for (const [unit, send] of [
      ['eq-a', 1],
      ['eq-b', 1],
    ] as const) {
      const before = await runs();
      await until(() => audible(send), PATIENCE_MS, 'the tone of a self-test');
      await song(unit);
      await until(async () => (await runs()).length > before.length, 30_000, 'the self-test is over');
      assert.equal((await runs())[0]!.problem, 'calibration.aborted');
    }
  });
});
