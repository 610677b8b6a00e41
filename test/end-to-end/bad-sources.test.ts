/** Sources and stores that are wrong: the job fails with a code that says why, or waits and goes through when the store has come to itself. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import { type SealedSource, sealSource } from '../../client/source.js';
import { type EventPayload, FetchesAnswer } from '../../core/contract/index.js';
import type { ErrorCode } from '../../core/error-codes.js';
import { wavFormat } from '../../daemon/cli/run-bounce.js';
import { LocalClient } from '../../daemon/local-client.js';
import { type JobWishes, link, offerJob, settle, typesOf } from '../peers/jobs.js';
import { VOICE } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { cutSource, floatWav, monoFloat, sealedBytes, stored } from '../peers/sources.js';
import { Stack, until } from '../peers/stack.js';
import type { Fault } from '../peers/store.js';

const FRAMES = 48_000 * 5;

function sine(frames = FRAMES): Float32Array {
  return Float32Array.from({ length: frames }, (_, n) => 0.5 * Math.sin((2 * Math.PI * 997 * n) / 48_000));
}

describe('sources and stores that are wrong', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;

  before(async () => {
    stack = await Stack.make(suite);
    // A stall shall be noticed while somebody watches.
    const { courier } = stack.init.files;
    const text = await readFile(courier, 'utf8');
    assert.match(text, /stallSeconds: 30/);
    await writeFile(courier, text.replace('stallSeconds: 30', 'stallSeconds: 1'));
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  /** A source of its own, because a blob that the rig has is not fetched twice. */
  const voice = async (): Promise<SealedSource> =>
    await sealSource(VOICE, join(await scratch(suite), 'voice.age'), await wavFormat(VOICE));
  const ofFloats = async (wav: Buffer, frames = FRAMES) => await sealedBytes(suite, wav, monoFloat(frames));
  const fault = (kind: Fault, times = 1, method = 'GET') => {
    const entry = { method, fault: kind, times };
    stack.store.faults.push(entry);
    return entry;
  };

  /** The job fails with the code, nothing of it is left in the spool, and nothing is delivered. */
  async function fails(sealed: SealedSource, code: ErrorCode, wishes: JobWishes = {}): Promise<EventPayload> {
    const objects = stack.store.blobs.size;
    const job = await offerJob(stack, dispatcher, sealed, wishes);
    const { payload } = await job.final;
    assert.equal(payload.type, 'failed', stack.logs());
    assert.equal(payload.problem?.code, code, `${payload.problem?.message} ${stack.logs()}`);
    assert.ok(payload.problem.advice.length > 10);
    const types = await typesOf(job);
    assert.ok(!types.includes('sealed') && !types.includes('delivered'), types.join());
    assert.equal(stack.store.blobs.size, objects);
    await spoolIsEmpty();
    return payload;
  }

  async function spoolIsEmpty(): Promise<void> {
    const spool = join(stack.dir, 'rig/state/spool');
    await until(
      async () => (await readdir(spool)).every((name) => name === 'ballast'),
      10_000,
      'the spool to be empty',
    );
  }

  async function goesThrough(sealed: SealedSource, wishes: JobWishes = {}): Promise<void> {
    const final = await settle(stack, dispatcher, await offerJob(stack, dispatcher, sealed, wishes));
    assert.equal(final.payload.type, 'closed', `${JSON.stringify(final.payload.problem)} ${stack.logs()}`);
  }

  const fetched = (sealed: SealedSource) =>
    stack.store.requests.filter((request) => request.startsWith(`GET /${sealed.source.digest}`)).length;

  it('the store gives other bytes than the digest says: source.digest', async () => {
    const sealed = await stored(stack, await voice());
    fault({ kind: 'corrupt' });
    await fails(sealed, 'source.digest');
    // The store was only wrong once: another job for the same source is as good as the first would have been.
    await goesThrough(sealed);
  });

  it('the store gives more or fewer bytes than were granted: source.size', async () => {
    for (const difference of [1, -1]) {
      const sealed = await stored(stack, await voice());
      fault({ kind: 'size', bytes: sealed.source.bytes + difference });
      await fails(sealed, 'source.size');
    }
  });

  it('a courier that sends more than was granted: source.size, and its connection goes on', async () => {
    const sealed = await voice();
    const job = await offerJob(stack, dispatcher, sealed);
    assert.equal((await job.until('accepted')).payload.type, 'accepted');
    const courier = new LocalClient({ socketPath: join(stack.dir, 'rig/run/courier.sock'), maxSockets: 1 });
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 200; i++) yield new Uint8Array(65_536);
    }
    await assert.rejects(courier.putBlob(sealed.source.digest, 0, endless()), { code: 'source.size' });
    await courier.get('/fetches', FetchesAnswer, { timeoutMs: 5000 });
    courier.close();
    const { payload } = await job.final;
    assert.equal(payload.problem?.code, 'source.size');
    await spoolIsEmpty();
  });

  it('a source that was cut, under its honest digest: source.seal, whether it ends inside or between the seal’s chunks', async () => {
    const whole = await ofFloats(floatWav({ samples: sine() }));
    const header = whole.source.bytes - (FRAMES * 4 + 44) - 16 * Math.ceil((FRAMES * 4 + 44) / 65_536);
    for (const bytes of [header + 65_552, header + 3 * 65_552 + 1000, whole.source.bytes - 1, 100]) {
      const cut = await cutSource(suite, whole, bytes);
      const { problem } = await fails(await stored(stack, cut), 'source.seal');
      assert.ok(problem);
    }
  });

  it('a source that was sealed with another identity: source.seal', async () => {
    const sealed = await stored(stack, await voice());
    const other = await voice();
    await fails({ ...sealed, raw: other.raw }, 'source.seal');
  });

  it('a WAV of another format than was signed: source.format', async () => {
    const real = await wavFormat(VOICE);
    for (const lie of [{ rate: 44_100 }, { encoding: 'pcm24' as const }, { frames: real.frames - 1 }]) {
      const sealed = await stored(stack, await voice());
      await fails(sealed, 'source.format', { source: { ...sealed.source, format: { ...real, ...lie } } });
    }
  });

  it('a WAV that says more than it has: wav.truncated; less: wav.malformed', async () => {
    const samples = sine();
    const more = await ofFloats(floatWav({ samples, dataBytes: (FRAMES + 1000) * 4 }), FRAMES + 1000);
    await fails(await stored(stack, more), 'wav.truncated');
    const less = await ofFloats(floatWav({ samples, dataBytes: (FRAMES - 1000) * 4 }), FRAMES - 1000);
    await fails(await stored(stack, less), 'wav.malformed');
  });

  it('a WAV without a frame: wav.empty; no WAV at all: wav.malformed', async () => {
    await fails(await stored(stack, await ofFloats(floatWav({ samples: new Float32Array(0) }), 1)), 'wav.empty');
    await fails(await stored(stack, await ofFloats(Buffer.from('ID3 is not a WAV'.repeat(100)))), 'wav.malformed');
  });

  it('a sample that is over full scale with its drive, or no number: the frame is named', async () => {
    const samples = sine();
    samples[123_456] = 0.9;
    const loud = await stored(stack, await ofFloats(floatWav({ samples })));
    const chain = [link('gain-m', {}, { driveDb: 3 })];
    const { problem } = await fails(loud, 'source.full-scale', { chain });
    assert.equal(problem?.details?.['frame'], 123_456, JSON.stringify(problem));
    assert.match(problem.message, /123456/);
    await goesThrough(loud);

    samples[200_000] = Number.NaN;
    const nothing = await fails(await stored(stack, await ofFloats(floatWav({ samples }))), 'wav.malformed');
    assert.equal(nothing.problem?.details?.['frame'], 200_000);
  });

  it('a store that answers 500, 503, cuts off and stalls: the job waits and goes through', async () => {
    const sealed = await stored(stack, await ofFloats(floatWav({ samples: sine() })));
    fault({ kind: 'status', status: 500 });
    fault({ kind: 'status', status: 503 });
    fault({ kind: 'cut', afterBytes: 200_000 });
    fault({ kind: 'stall', afterBytes: 200_000 });
    await goesThrough(sealed);
    assert.equal(fetched(sealed), 5);
    const ranges = stack.store.requests.filter((request) => request.startsWith(`GET /${sealed.source.digest} bytes=`));
    assert.equal(ranges.length, 2, 'what had come was not asked for again');
  });

  it('a store that does not take the result at first: nothing is lost', async () => {
    const sealed = await stored(stack, await voice());
    const job = await offerJob(stack, dispatcher, sealed);
    fault({ kind: 'status', status: 507 }, 1, 'PUT');
    fault({ kind: 'cut', afterBytes: 10_000 }, 1, 'PUT');
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', stack.logs());
    assert.deepEqual(
      stack.store.faults.filter(({ times }) => times > 0),
      [],
    );
  });

  it('a store that redirects is not followed: source.unavailable, naming the redirect', async () => {
    const sealed = await stored(stack, await voice());
    const trap = `${stack.store.url}/sha256:${'0'.repeat(64)}`;
    fault({ kind: 'redirect', to: trap });
    const { problem } = await fails(sealed, 'source.unavailable');
    assert.equal(problem?.details?.['store'], 'store.redirect');
    assert.equal(
      stack.store.requests.some((request) => request.includes('0'.repeat(64))),
      false,
    );
  });

  it('a source that is not there yet: the job waits for the upload', async () => {
    const sealed = await voice();
    const job = await offerJob(stack, dispatcher, sealed);
    await until(() => fetched(sealed) > 0, 15_000, 'the first try');
    await until(
      async () =>
        (await stack.status()).health.some(({ checks }) =>
          checks.some(({ detail }) => detail.includes('source.unavailable')),
        ),
      15_000,
      'the health to say so',
    );
    assert.equal((await stack.status()).jobs.find(({ job: id }) => id === job.id)?.state, 'accepted');
    await stored(stack, sealed);
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', stack.logs());
  });

  it('and a good job goes through afterwards', async () => {
    await goesThrough(await stored(stack, await voice()));
    await spoolIsEmpty();
    assert.equal(stack.rig!.over || stack.courier!.over, false);
  });
});
