/** `outboard bounce` and `outboard store` as a user runs them, with mosquitto, a store and both processes; and what goes wrong between. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { StoreClient } from '../../../client/store-client.js';
import { tlsFiles } from '../../../client/tls-files.js';
import { type BounceStep, runBounce } from '../../../daemon/cli/run-bounce.js';
import { freePort } from '../../peers/mosquitto.js';
import { drumLoop, run, samplesOf, VOICE } from '../../peers/recordings.js';
import { scratch } from '../../peers/scratch.js';
import { Stack, until } from '../../peers/stack.js';
import { lastObject, MAIN, outboard, start } from './run-cli.js';

describe('outboard bounce', { timeout: 300_000 }, () => {
  let stack: Stack;
  let dir: string;
  const cleanups: (() => unknown)[] = [];
  const owner = { after: (fn: () => unknown) => void cleanups.push(fn) };

  before(async () => {
    dir = await scratch(owner as Parameters<typeof scratch>[0]);
    stack = await Stack.make(owner as Parameters<typeof Stack.make>[0]);
    await stack.startRig();
    await stack.startCourier();
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const bounce = (wav: string, ...args: string[]) => outboard('bounce', wav, '--to', stack.init.files.client, ...args);

  test('a drum loop at unity comes back sample for sample, and the last line of --json says all of it', async () => {
    const drums = await drumLoop(dir, 24);
    const out = join(dir, 'unity.wav');
    const ended = await bounce(drums, '--processor', 'gain-1', 'gain=0', '--out', out, '--json');
    assert.equal(ended.code, 0, ended.stdout + ended.stderr + stack.logs());
    const source = await samplesOf(drums);
    assert.deepEqual(await samplesOf(out), source);
    const object = lastObject(ended) as { source: { frames: number }; settings: object[]; take: object };
    assert.equal(object.source.frames, source.length / 2);
    assert.equal(ended.stderr, '');
  });

  test('region, tail, drive, a chain of two and float32 come out as asked', async () => {
    const drums = await drumLoop(dir, 24);
    const out = join(dir, 'chain.wav');
    const region = { start: 4410, frames: 22_050 };
    const chain = '--processor gain-1 gain=-6 --drive -6 --processor delay-1 delay=100'.split(' ');
    const more = `--region ${region.start}:${region.frames} --tail 0.25 --encoding float32 --out ${out}`.split(' ');
    const ended = await bounce(drums, ...chain, ...more);
    assert.equal(ended.code, 0, ended.stderr + stack.logs());
    assert.match(ended.stdout, /delay-1 +delay +100 ms +100 +100 +verified/);
    const source = await samplesOf(drums);
    const result = await samplesOf(out);
    const delay = 4410;
    assert.equal(result.length / 2, region.frames + Math.round(0.25 * 44_100));
    // The region was cut out of the source: 10 ms before its first frame it is led up to, and the unit is late with that too.
    const silent = delay - 441;
    assert.ok(result.subarray(0, silent * 2).every((sample) => Math.abs(sample) < 2 ** -22));
    const ratio = 10 ** (-12 / 20);
    for (let i = 0; i < region.frames * 2; i += 101) {
      const expected = source[region.start * 2 + i]! * ratio;
      const position = delay * 2 + i;
      if (position >= result.length) break;
      assert.ok(Math.abs(result[position]! - expected) < 2 ** -20, `sample ${i}: ${result[position]} for ${expected}`);
    }
  });

  test("a refusal ends with the rig's own reason and leaves nothing behind", async () => {
    const before = await readdir(dir);
    const out = join(dir, 'refused.wav');
    const ended = await bounce(VOICE, '--processor', 'gain-m', 'gain=600', '--out', out, '--json');
    assert.equal(ended.code, 65);
    const { error } = lastObject(ended) as { error: { code: string; details: { problem: { code: string } } } };
    assert.deepEqual([error.code, error.details.problem.code], ['bounce.refused', 'job.setting']);
    const width = await bounce(VOICE, '--processor', 'gain-1', '--out', out);
    assert.equal(width.code, 65);
    assert.match(width.stderr, /chain\.width: .* has 2 channels, the source 1/);
    assert.deepEqual(await readdir(dir), before);
  });

  test('an existing file is not overwritten, and a lie about arguments is told at once', async () => {
    const taken = await bounce(VOICE, '--processor', 'gain-m', '--out', VOICE);
    assert.deepEqual([taken.code, /^error file\.exists: /.test(taken.stderr)], [73, true]);
    for (const args of [[], ['--processor', 'gain-m', '--tail', '-1'], ['--processor', 'gain-m', '--region', '5']]) {
      const ended = await bounce(VOICE, ...args);
      assert.deepEqual([ended.code, /^error usage: /.test(ended.stderr)], [64, true], args.join(' '));
    }
  });

  test('a result that the store has lost is delivered again', async () => {
    const steps: BounceStep[] = [];
    let lost = 0;
    const workDir = await scratch(owner as Parameters<typeof scratch>[0]);
    const known = new Set(stack.store.blobs.keys());
    const outcome = await runBounce(
      stack.parties,
      {
        wav: VOICE,
        chain: [{ processor: 'gain-m', settings: { gain: -3 }, verify: 'required' }],
        tailSeconds: 0,
        encoding: 'pcm24',
        maxAttempts: 1,
        out: join(workDir, 'result.wav'),
        workDir,
        verdictSeconds: 60,
      },
      {
        onStep: (step) => {
          steps.push(step);
          if (step.step !== 'event' || step.type !== 'delivered' || lost > 0) return;
          // Source and result are new; both are gone now, before anybody has read the result.
          for (const digest of stack.store.blobs.keys())
            if (!known.has(digest)) lost += Number(stack.store.blobs.delete(digest));
        },
      },
    );
    assert.equal(lost, 2);
    const types = steps.flatMap((step) => (step.step === 'event' ? [step.type] : []));
    assert.equal(types.filter((type) => type === 'delivered').length, 2, types.join(' '));
    assert.equal(types.at(-1), 'closed');
    assert.equal((await samplesOf(outcome.files.opened)).length, 68_545);
  });

  test('Ctrl-C withdraws the job and leaves nothing behind', async () => {
    const long = join(dir, 'long.wav');
    await run('sox', ['-n', '-r', '96000', '-c', '2', '-b', '24', long, 'synth', '120', 'sine', '440', 'gain', '-12']);
    const before = await readdir(dir);
    const args = ['--to', stack.init.files.client, '--processor', 'gain-1', 'gain=-6', '--out', join(dir, 'never.wav')];
    const bouncing = start(process.execPath, [MAIN, 'bounce', long, ...args]);
    await bouncing.says('accepted');
    bouncing.child.kill('SIGINT');
    const ended = await bouncing.ended;
    assert.equal(ended.code, 130, ended.stderr);
    const job = /offered as job (\S+)/.exec(ended.stderr)![1];
    await until(async () => (await stack.status()).jobs.find((row) => row.job === job)?.state === 'cancelled');
    assert.deepEqual(await readdir(dir), before);
  });

  test('outboard store keeps a blob and gives it back to who may have it', async () => {
    const port = await freePort();
    const folder = join(dir, 'kept');
    const args = ['--tls', join(stack.dir, 'store/tls'), '--dir', folder, '--port', String(port)];
    const serving = start(process.execPath, [MAIN, 'store', ...args]);
    await serving.says(`port ${port}`);
    const tls = join(stack.dir, 'dispatcher/tls');
    const files = { ca: join(tls, 'ca.pem'), cert: join(tls, 'cert.pem'), key: join(tls, 'key.pem') };
    const store = new StoreClient({ url: `https://localhost:${port}`, tls: tlsFiles(files) });
    const body = randomBytes(100_000);
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    async function* chunks() {
      yield body;
    }
    assert.deepEqual(await store.put(digest, body.length, chunks), { existed: false });
    assert.deepEqual(await store.put(digest, body.length, chunks), { existed: true });
    const back: Uint8Array[] = [];
    for await (const chunk of store.get(digest, { bytes: body.length, offset: 99_000 })) back.push(chunk);
    assert.ok(Buffer.concat(back).equals(body.subarray(99_000)));
    serving.child.kill('SIGTERM');
    assert.equal((await serving.ended).code, 0);
    const busy = await outboard('store', ...args.slice(0, -1), String(new URL(stack.store.url).port));
    assert.deepEqual([busy.code, /EADDRINUSE/.test(busy.stderr)], [64, true]);
  });
});
