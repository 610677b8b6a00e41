/** A tape machine that confirms nothing (MMC): nobody plays on it until a technician has said what is on its tape. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { sine, writeSignal } from '../peers/signals.js';
import { Child, CLI_MAIN, Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;

describe('a tape of which nobody knows whose it is', { timeout: 240_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  it('is refused with what to do, not erased in vain, and taken when a technician has said that it is empty', async () => {
    const { inserts, channels } = insertsOf({ tape: { width: 1 } });
    const stack = await Stack.make(suite, {
      rigConfig: {
        interface: { clock: 'realtime', rates: [RATE], in: channels, out: channels },
        inserts,
        processors: { deck: { profile: 'mmc.transport', insert: 'tape', port: { virtual: true } } },
      },
    });
    const wav = join(await scratch(suite), 'tone.wav');
    await writeSignal(wav, { rate: RATE, channels: 1, bits: 24, frames: RATE, sample: sine(997, -20, RATE) });
    const source = await storedSource(suite, stack, wav);
    await stack.startRig();
    await stack.startCourier();
    const dispatcher = await stack.dispatcher();
    await until(async () => (await stack.status()).state.processors.every(({ state }) => state === 'ready'));
    const offer = (tenant: string) =>
      offerJob(stack, dispatcher, source, {
        tenant,
        chain: [{ ...link('deck', { transport: 'play' }), verify: 'sent-ok' }],
        maxAttempts: 1,
      });
    const refused = async (tenant: string) => {
      const { payload } = await settle(stack, dispatcher, await offer(tenant));
      assert.equal(payload.type, 'refused');
      assert.equal(payload.problem?.code, 'insert.owner');
      assert.match(payload.problem!.advice, /outboard maintenance insert/);
      assert.doesNotMatch(JSON.stringify(payload.problem), /tenant-/, 'nobody hears whose it is');
    };
    await refused('tenant-first');

    const signed = [
      '--socket',
      stack.controlSocket,
      '--key',
      join(stack.dir, 'technician/key.jwk'),
      '--reason',
      'new tape',
    ];
    const declare = async (...words: string[]) => {
      const child = new Child(process.execPath, [CLI_MAIN, 'maintenance', 'insert', ...words, ...signed]);
      return { code: await child.exit(), output: child.output };
    };
    const early = await declare('tape', '--empty');
    assert.match(early.output, /rig\.mode/);
    await maintenance(stack, 'maintenance.enter');
    await until(async () => (await stack.status()).state.mode === 'maintenance');
    assert.equal((await declare('tape')).code, 64, 'neither empty nor somebody’s');
    assert.match((await declare('tap', '--empty')).output, /chain\.insert.*tape/s);
    const done = await declare('tape', '--empty');
    assert.equal(done.code, 0, done.output);
    assert.match(done.output, /^tape is empty: noted and audited$/m);
    await maintenance(stack, 'maintenance.exit');
    await until(async () => (await stack.status()).state.mode === 'ready');

    const { certificate } = await finishedTake(suite, stack, dispatcher, await offer('tenant-first'));
    assert.equal(certificate.attempt, 1);
    await refused('tenant-second');
  });
});
