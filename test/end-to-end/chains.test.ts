/** What a chain does to the sound, heard in opened results: sources are known numbers, so that every expectation is arithmetic. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { type JobWishes, link, offerJob, storedSource } from '../peers/jobs.js';
import { run } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { channelOf, hash, peakOf, rmsDbfs, type SignalFile, silence, sine, writeSignal } from '../peers/signals.js';
import { Stack } from '../peers/stack.js';
import { insertsOf, take as takeOf } from '../peers/takes.js';

const RATE = 48_000;
const LSB = 2 ** -23;
/** The simulated interface's own. */
const LOOP_FRAMES = 64;

type Signal = Omit<SignalFile, 'rate' | 'bits'> & Partial<Pick<SignalFile, 'rate' | 'bits'>>;

/** What a file of so many bits holds of a signal. */
function numbersOf({ frames, channels, sample, bits = 24 }: Signal): Float64Array {
  const top = 2 ** (bits - 1);
  return Float64Array.from(
    { length: frames * channels },
    (_, i) => Math.round(sample(Math.floor(i / channels), i % channels) * top) / top,
  );
}

function furthest(a: Float64Array, b: Float64Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

function near(actual: number | null | undefined, expected: number, tolerance: number): void {
  assert.ok(typeof actual === 'number' && Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

describe('chains', { timeout: 240_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let files = 0;

  before(async () => {
    const delayed = (width: 1 | 2, frames: number) =>
      ({ width, latencyFrames: frames, path: { delayFrames: frames } }) as const;
    const { inserts, channels } = insertsOf({
      wide1: delayed(2, 64),
      wide2: delayed(2, 17),
      wide3: delayed(2, 0),
      one1: delayed(1, 10),
      one2: delayed(1, 301),
      bent: { width: 1, path: { poly: [0.2, -0.1] } },
      dull: { width: 1, path: { lowpassHz: 1000 } },
      hiss: { width: 1, path: { noiseDbfs: -60 } },
    });
    const on = (insert: string, profile = 'virtual.gain') => ({ profile, insert, port: { virtual: true as const } });
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: { rates: [RATE, 96_000], in: channels, out: channels },
        inserts,
        processors: {
          'gain-1': on('wide1'),
          'gain-2': on('wide2'),
          'delay-2': on('wide3', 'virtual.delay'),
          'mono-1': on('one1'),
          'mono-delay': on('one2', 'virtual.delay'),
          bent: on('bent'),
          dull: on('dull'),
          hiss: on('hiss'),
        },
      },
    });
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  async function stored(signal: Signal): Promise<SealedSource> {
    const wav = join(await scratch(suite), `${files++}.wav`);
    return await storedSource(suite, stack, await writeSignal(wav, { rate: RATE, bits: 24, ...signal }));
  }

  const take = async (signal: Signal, chain: JobWishes['chain'], wishes: JobWishes = {}) =>
    await takeOf(suite, stack, dispatcher, await stored(signal), { chain: chain!, maxAttempts: 1, ...wishes });

  const noise = (channels: 1 | 2, frames = 30_000): Signal => ({ frames, channels, sample: hash(0.9) });

  it('of three inserts at unity give a 24-bit source back bit for bit, and say what they compensated', async () => {
    const chain = [link('gain-1', { gain: 0 }), link('gain-2', {}), link('delay-2', { delay: 0 })];
    const wide = noise(2);
    const { samples, certificate } = await take(wide, chain);
    assert.deepEqual(samples, numbersOf(wide));
    const { latency, dither, result, continuity } = certificate;
    assert.equal(dither, 'none');
    assert.equal(latency.interfaceFrames, 3 * LOOP_FRAMES);
    assert.deepEqual(latency.insertFrames, [
      { insert: 'wide1', frames: 64 },
      { insert: 'wide2', frames: 17 },
      { insert: 'wide3', frames: 0 },
    ]);
    assert.ok(latency.patchFrames > 0 && latency.patchFrames % 2 === 0, 'two hops of one fixed delay');
    assert.equal(latency.totalFrames, 3 * LOOP_FRAMES + 81 + latency.patchFrames);
    assert.deepEqual([result.frames, result.channels, result.rate, result.encoding], [30_000, 2, RATE, 'pcm24']);
    assert.deepEqual([continuity.framesPlayed, continuity.framesRecorded], [30_000, 30_000]);
    assert.equal(continuity.streamFrames.to - continuity.streamFrames.from, 30_000);
  });

  it('give the same numbers as float32, in mono, and at 96 kHz', async () => {
    const chain = [link('mono-1', {}), link('mono-delay', {})];
    for (const rate of [RATE, 96_000])
      for (const encoding of ['pcm24', 'float32'] as const) {
        const signal = { ...noise(1, 30_001), rate }; // an odd number of bytes, so that the chunk is padded
        const { samples, certificate, wav } = await take(signal, chain, { output: { encoding } });
        assert.deepEqual(samples, numbersOf(signal));
        assert.equal(certificate.result.rate, rate);
        const { stdout } = await run('sox', ['--i', wav]);
        assert.match(stdout, encoding === 'pcm24' ? /24-bit Signed Integer/ : /32-bit Floating Point/);
      }
  });

  it('line an impulse up with the source, each insert with its own level', async () => {
    const at = 1234;
    const impulse = (frame: number, channel: number) => (frame === at + channel ? 0.5 : 0);
    const signal: Signal = { frames: 8000, channels: 2, sample: impulse };
    const chain = [link('gain-1', { gain: -6 }), link('gain-2', { gain: 3 }, { driveDb: -4.5 }), link('delay-2', {})];
    const { samples, certificate } = await take(signal, chain, { output: { encoding: 'float32' } });
    const expected = numbersOf(signal).map((x) => x * 10 ** (-7.5 / 20));
    // The level into the second insert shortens words: its dither is all that may be left elsewhere, times 3 dB.
    assert.ok(furthest(samples, expected) <= 4 * LSB, `${furthest(samples, expected) / LSB} steps away`);
    assert.ok(samples[at * 2]! > 0.2 && samples[(at + 1) * 2 + 1]! > 0.2);
    assert.equal(certificate.dither, 'tpdf-24');
    assert.deepEqual(
      certificate.processors.map(({ processor, insert, driveDb }) => [processor, insert, driveDb]),
      [
        ['gain-1', 'wide1', 0],
        ['gain-2', 'wide2', -4.5],
        ['delay-2', 'wide3', 0],
      ],
    );
  });

  it('let a level into an insert be heard within 0.01 dB, and refuse one that goes over full scale, naming the frame', async () => {
    const tone: Signal = { frames: RATE, channels: 1, sample: sine(997, -3, RATE) };
    const { samples } = await take(tone, [link('mono-1', {}, { driveDb: 2.5 })]);
    near(rmsDbfs(samples), -0.5, 0.01);

    const source = await stored(tone);
    const chain = [link('mono-1', {}, { driveDb: 6 })];
    const job = await offerJob(stack, dispatcher, source, { chain, maxAttempts: 3 });
    const { payload } = await job.final;
    assert.equal(payload.type, 'failed');
    assert.equal(payload.problem?.code, 'source.full-scale');
    const over = numbersOf(tone).findIndex((x) => Math.abs(x * 10 ** (6 / 20)) > 1);
    assert.deepEqual([payload.problem!.details!['frame'], payload.problem!.details!['channel']], [over, 1]);
    const attempts = job.past.filter((event) => event.payload.type === 'rolling');
    assert.equal(attempts.length, 1, 'another take would not help');
  });

  it('let a delay be heard as exactly so many frames, and a tail catch what it pushed out', async () => {
    const signal = noise(1);
    const source = numbersOf(signal);
    const { samples, certificate } = await take(signal, [link('mono-delay', { delay: 12.5 })], { tail: 0.0125 });
    const frames = 0.0125 * RATE;
    assert.deepEqual(samples.subarray(frames), source);
    assert.equal(peakOf(samples.subarray(0, frames)), 0, 'nothing of an earlier take');
    assert.equal(certificate.tailFrames, frames);
    assert.equal(certificate.result.frames, source.length + frames);
  });

  it('play a region and record its tail', async () => {
    const signal = noise(2, 60_000);
    const region = { start: 12_345, frames: 20_001 };
    const { samples, certificate } = await take(signal, [link('gain-1', {})], { region, tail: 0.25 });
    assert.deepEqual(samples.subarray(0, 2 * region.frames), numbersOf(signal).subarray(2 * 12_345, 2 * 32_346));
    assert.equal(samples.length, 2 * (20_001 + 12_000));
    assert.equal(peakOf(samples.subarray(2 * region.frames)), 0);
    assert.deepEqual(certificate.region, region);
    assert.equal(certificate.tailFrames, 12_000);
    assert.equal(certificate.continuity.framesPlayed, 20_001 + 12_000);
  });

  it('carry 16 bits unchanged, and shorten 32 bits with dither', async () => {
    const short: Signal = { ...noise(1), bits: 16 };
    const exact = await take(short, [link('mono-1', {})]);
    assert.deepEqual(exact.samples, numbersOf(short));
    assert.equal(exact.certificate.dither, 'none');

    const long: Signal = { ...noise(1), bits: 32 };
    const dithered = await take(long, [link('mono-1', {})]);
    assert.equal(dithered.certificate.dither, 'tpdf-24');
    const source = numbersOf(long);
    const error = dithered.samples.map((x, i) => x - source[i]!);
    assert.ok(peakOf(error) <= 1.5 * LSB + 1e-12, `${peakOf(error) / LSB} steps`);
    // TPDF of +-1 step and the rounding after it: the variance is three times that of rounding alone.
    near(Math.sqrt(error.reduce((sum, x) => sum + x * x, 0) / error.length) / LSB, Math.sqrt(3 / 12), 0.02);
  });

  describe('let the analog path be heard', () => {
    it('a non-linearity, to the last bit', async () => {
      const tone: Signal = { frames: 20_000, channels: 1, sample: sine(1000, -6, RATE) };
      const { samples } = await take(tone, [link('bent', {})]);
      const expected = numbersOf(tone).map((x) => x + 0.2 * x * x - 0.1 * x ** 3);
      assert.ok(furthest(samples, expected) <= 0.5 * LSB + 1e-12, `${furthest(samples, expected) / LSB} steps`);
    });

    it('a first-order low-pass, 3.01 dB down at its corner', async () => {
      const tone: Signal = { frames: RATE, channels: 1, sample: sine(1000, -6, RATE) };
      const { samples } = await take(tone, [link('dull', {})]);
      near(rmsDbfs(samples.subarray(RATE / 2)), -6 - 3.0103, 0.005);
    });

    it('noise, at its level, another at every take', async () => {
      const nothing: Signal = { frames: RATE, channels: 1, sample: silence };
      const one = await take(nothing, [link('hiss', {})]);
      near(rmsDbfs(one.samples), -60, 0.2);
      const other = await take(nothing, [link('hiss', {})]);
      assert.ok(furthest(one.samples, other.samples) > 1e-4);
    });
  });

  describe('are measured in the certificate', () => {
    it('peaks per channel as sox finds them', async () => {
      const [left, right] = [sine(997, -20, RATE), sine(499, -31.5, RATE)];
      const sample = (frame: number, channel: number) => (channel === 0 ? left(frame) : right(frame));
      const { certificate, wav } = await take({ frames: RATE, channels: 2, sample }, [link('gain-1', { gain: 1.25 })]);
      const { stderr } = await run('sox', [wav, '-n', 'stats']);
      const [, ...heard] = /^Pk lev dB +(\S+) +(\S+) +(\S+)$/m.exec(stderr)!.map(Number);
      for (const [channel, peak] of certificate.peakDbfs.entries()) near(peak, heard[channel + 1]!, 0.006);
      near(certificate.peakDbfs[0], -18.75, 0.01);
      near(certificate.peakDbfs[1], -30.25, 0.01);
      assert.equal(certificate.clippedSamples, 0);
    });

    it('loudness: 997 Hz at -20 dBFS in both channels is -20 LUFS (BS.1770), 6 dB less is 6 LU less, silence is none', async () => {
      const tone: Signal = { frames: 5 * RATE, channels: 2, sample: sine(997, -20, RATE) };
      const { certificate } = await take(tone, [link('gain-1', {})]);
      assert.equal(certificate.loudness.definition, 'loudness.bs1770-5/1');
      near(certificate.loudness.integratedLufs, -20, 0.1);
      const lower = await take(tone, [link('gain-1', { gain: -6 })]);
      near(lower.certificate.loudness.integratedLufs, -26, 0.1);
      const muted = await take(tone, [link('gain-1', { mute: true })]);
      assert.equal(muted.certificate.loudness.integratedLufs, null);
      assert.deepEqual(muted.certificate.peakDbfs, [null, null]);
      assert.equal(peakOf(muted.samples), 0);
    });

    it('an overload, sample by sample', async () => {
      const tone: Signal = { frames: RATE, channels: 2, sample: (f, c) => (c === 0 ? sine(997, -6, RATE)(f) : 0) };
      const { certificate, samples } = await take(tone, [link('gain-1', { gain: 12 })]);
      const ends = channelOf(samples, 0, 2).filter((x) => x >= 1 - LSB || x <= -1).length;
      assert.equal(certificate.clippedSamples, ends);
      // A sine of twice full scale is above it for two thirds of the time.
      near(ends / RATE, 2 / 3, 0.01);
      near(certificate.peakDbfs[0], 0, 1e-6);
      assert.equal(certificate.peakDbfs[1], null);
    });

    it('settings as asked for, as sent, as read back before and after', async () => {
      const chain = [link('mono-1', { gain: -1.25 }), link('mono-delay', { delay: 3.07 })];
      const { certificate } = await take(noise(1, 5000), chain);
      const [gain, delay] = certificate.processors;
      const verified = (value: unknown) => ({
        requested: value,
        sent: value,
        readBack: value,
        readBackAfter: value,
        state: 'verified',
      });
      assert.equal(gain!.profile.id, 'virtual.gain');
      assert.deepEqual(gain!.settings, [
        { name: 'gain', unit: 'dB', ...verified(-1.25) },
        { name: 'mute', ...verified(false) },
      ]);
      assert.deepEqual(delay!.settings, [{ name: 'delay', unit: 'ms', ...verified(3.07) }]);
      assert.equal(certificate.attempt, 1);
      assert.equal(certificate.calibration, null);
    });
  });
});
