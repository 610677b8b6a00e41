import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ChainLink } from '../../core/contract/index.js';
import { type BounceOrder, runBounce } from '../../daemon/cli/run-bounce.js';
import { drumLoop, run, samplesOf, VOICE } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { Stack } from '../peers/stack.js';

export function link(processor: string, settings: ChainLink['settings'], more: Partial<ChainLink> = {}): ChainLink {
  return { processor, settings, verify: 'required', ...more };
}

async function started(t: TestContext): Promise<Stack> {
  const stack = await Stack.make(t);
  await stack.startRig();
  await stack.startCourier();
  return stack;
}

async function bounce(t: TestContext, stack: Stack, wav: string, chain: ChainLink[], more: Partial<BounceOrder> = {}) {
  const workDir = await scratch(t);
  return await runBounce(stack.parties, {
    wav,
    chain,
    tailSeconds: 0,
    encoding: 'pcm24',
    maxAttempts: 1,
    out: join(workDir, 'result.wav'),
    workDir,
    verdictSeconds: 30,
    ...more,
  });
}

describe('a bounce through mosquitto, the store and both processes', { timeout: 120_000 }, () => {
  it('gives real recordings back sample for sample at unity, and 6.00 dB lower with gain=-6', async (t) => {
    const stack = await started(t);
    const drums = await drumLoop(await scratch(t));
    const source = await samplesOf(drums);

    const unity = await bounce(t, stack, drums, [link('gain-1', { gain: 0 })]);
    assert.deepEqual(await samplesOf(unity.files.opened), source, stack.logs());
    assert.equal(unity.certificate.result.frames, source.length / 2);

    const lower = await bounce(t, stack, drums, [link('gain-1', { gain: -6 })]);
    const quiet = await samplesOf(lower.files.opened);
    const rms = (samples: Float64Array) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
    assert.ok(Math.abs(20 * Math.log10(rms(quiet) / rms(source)) + 6) < 0.01);

    const voice = await bounce(t, stack, VOICE, [link('gain-m', { gain: 0 })]);
    assert.deepEqual(await samplesOf(voice.files.opened), await samplesOf(VOICE));
  });

  it('seals for the tenant: the stock age program opens the result, sox reads it', async (t) => {
    const stack = await started(t);
    const outcome = await bounce(t, stack, VOICE, [link('gain-m', { gain: 0 })], {
      tailSeconds: 0.25,
      encoding: 'float32',
    });
    const identity = join(stack.dir, 'tenant/identity.txt');
    const opened = join(await scratch(t), 'by-age.wav');
    await run('age', ['-d', '-i', identity, '-o', opened, outcome.files.result]);
    const { stdout } = await run('sox', ['--i', '-t', opened]);
    assert.equal(stdout.trim(), 'wav');
    const [source, result] = [await samplesOf(VOICE), await samplesOf(opened)];
    assert.equal(result.length, source.length + 12_000);
    assert.deepEqual(result.subarray(0, source.length), source);
    assert.ok(result.subarray(source.length).every((sample) => sample === 0));
  });
});
