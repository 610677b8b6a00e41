/**
 * Units behind a patchbay: connected only for the take that names them, never two of them on one channel, kept from each other's tenants by what
 * the patchbay was measured to leak; and a tape that forgets only what is erased. Every proof first hears the leak, or the echo.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import type { RigConfigOverrides } from '../../daemon/cli/rig-yaml.js';
import { gear, startFaultyRig } from '../peers/gear-hands.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { hash, peakOf, rmsDbfs, silence, sine, writeSignal } from '../peers/signals.js';
import { Stack, until } from '../peers/stack.js';
import { finishedTake, streamOf, take } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;
const SECONDS = 1.5;
/** Longer than a short take, and than the rig waits before it tries again to make something safe. */
const LONG_SECONDS = 9;
const [ALICE, BOB] = ['tenant-alice', 'tenant-bob'];
const PATH = { gainDb: 0, delayFrames: 0, poly: [], noiseDbfs: null, lowpassHz: null, memorySeconds: 0 };

/** Two channels of the interface, four units: eq and comp share channel 1, deck and verb channel 2. */
function rigConfig(o: { leakDb: number; saidDb: number | null; clock: 'fast' | 'realtime' }): RigConfigOverrides {
  const insert = (channel: number, unit: number, more: object = {}) => ({
    sends: [channel],
    returns: [channel],
    latencyFrames: 0,
    path: PATH,
    via: {
      bay: [
        { in: channel, out: 2 + unit },
        { in: 2 + unit, out: channel },
      ],
    },
    ...more,
  });
  const inserts = {
    eq: insert(1, 1),
    comp: insert(1, 2),
    verb: insert(2, 3),
    deck: insert(2, 4, { path: { ...PATH, memorySeconds: 600 } }),
  };
  const names = Object.keys(inserts);
  const virtual = { port: { virtual: true as const } };
  return {
    interface: {
      clock: o.clock,
      rates: [RATE],
      in: 2,
      out: 2,
      leakage: [{ patchbay: 'bay', db: o.leakDb }],
    },
    inserts,
    processors: {
      bay: { profile: 'virtual.matrix', patchbay: true, ...virtual },
      'on-eq': { profile: 'virtual.gain', insert: 'eq', ...virtual },
      'on-comp': { profile: 'virtual.gain', insert: 'comp', ...virtual },
      'on-verb': { profile: 'virtual.gain', insert: 'verb', ...virtual },
      'on-deck': { profile: 'virtual.tape', insert: 'deck', ...virtual },
    },
    isolation: {
      floorDbfs: -100,
      quietDbfs: -90,
      crosstalk: names.flatMap((from) => names.map((to) => ({ from, to, db: -150 }))).filter((p) => p.from !== p.to),
      ...(o.saidDb === null ? {} : { patchbays: [{ patchbay: 'bay', db: o.saidDb }] }),
    },
  };
}

async function bench(options: Parameters<typeof rigConfig>[0]) {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  const stack = await Stack.make(suite, { rigConfig: rigConfig(options) });
  const dir = await scratch(suite);
  const shape = { rate: RATE, channels: 1, bits: 24, frames: RATE * SECONDS } as const;
  const stored = async (
    name: string,
    sample: (frame: number, channel: number) => number,
    seconds = SECONDS,
  ): Promise<SealedSource> => {
    await writeSignal(join(dir, name), { ...shape, frames: RATE * seconds, sample });
    return await storedSource(suite, stack, join(dir, name));
  };
  const sources = {
    tone: await stored('tone.wav', sine(997, -20, RATE)),
    long: await stored('long.wav', sine(997, -20, RATE), LONG_SECONDS),
    noise: await stored('noise.wav', hash(0.3)),
    silent: await stored('silent.wav', silence),
  };
  await startFaultyRig(stack);
  await stack.startCourier();
  const dispatcher = await stack.dispatcher();
  const cleaned = async () => {
    for (const fn of cleanUp) await fn();
  };
  return { suite, stack, dispatcher, sources, cleaned };
}

const on = (unit: string, settings = {}) => [link(`on-${unit}`, settings)];
const ties = (stack: Stack) =>
  Promise.all(
    Array.from({ length: 8 }, (_, out) => gear<number>(stack, { unit: 'bay', do: 'value', key: `tie@out=${out + 1}` })),
  );
const NOTHING = Array.from({ length: 8 }, () => 0);

describe('units behind a patchbay', { timeout: 360_000 }, () => {
  let b: Awaited<ReturnType<typeof bench>>;
  let stack: Stack;
  let dispatcher: Dispatcher;

  before(async () => {
    b = await bench({ leakDb: -200, saidDb: -120, clock: 'realtime' });
    ({ stack, dispatcher } = b);
  });
  after(() => b.cleaned());

  it('are connected for their take, verified, told in the certificate, and disconnected after it', async () => {
    assert.deepEqual(await ties(stack), NOTHING);
    const job = await offerJob(stack, dispatcher, b.sources.tone, { chain: on('eq', { gain: -6 }) });
    await job.until('rolling');
    assert.deepEqual(await ties(stack), [3, 0, 1, 0, 0, 0, 0, 0]);
    const { certificate, samples } = await finishedTake(b.suite, stack, dispatcher, job);
    assert.ok(Math.abs(rmsDbfs(samples) + 26) < 0.01, `heard through the patchbay at ${rmsDbfs(samples)} dBFS`);
    const [bay] = certificate.patchbays!;
    assert.equal(bay!.processor, 'bay');
    assert.equal(bay!.profile.id, 'virtual.matrix');
    const verified = { state: 'verified' } as const;
    const route = (name: string, to: number) => ({
      name,
      requested: to,
      sent: to,
      readBack: to,
      readBackAfter: to,
      ...verified,
    });
    assert.deepEqual(bay!.settings, [route('tie@out=1', 3), route('tie@out=3', 1)]);
    assert.deepEqual(await ties(stack), NOTHING);
  });

  it('never roll together where they share a channel, not even for one tenant', async () => {
    const { overlap, takes } = await together(b, ['eq', ALICE], ['comp', ALICE]);
    assert.ok(overlap < 0, `${overlap} frames overlap`);
    for (const { samples } of takes) assert.ok(Math.abs(rmsDbfs(samples) + 20) < 0.01);
  });

  it('roll together on channels of their own, where the leakage of the patchbay allows it', async () => {
    const { overlap } = await together(b, ['eq', ALICE], ['verb', BOB]);
    assert.ok(overlap > 0, `${overlap} frames overlap`);
    assert.deepEqual(await ties(stack), NOTHING);
  });

  it('refuses a job that names a route, the patchbay, or two units on one channel', async () => {
    for (const [chain, code] of [
      [[link('bay', { 'tie@out=1': 1 })], 'job.processor'],
      [[...on('eq'), ...on('comp')], 'chain.insert'],
    ] as const) {
      const job = await offerJob(stack, dispatcher, b.sources.tone, { chain: [...chain] });
      const { payload } = await job.final;
      assert.equal(payload.type, 'refused');
      assert.equal(payload.problem?.code, code);
    }
  });

  it('a route that somebody changes voids the take', async () => {
    const job = await offerJob(stack, dispatcher, b.sources.tone, { chain: on('eq'), maxAttempts: 2 });
    await job.until('rolling');
    await gear(stack, { unit: 'bay', do: 'turn', key: 'tie@out=3', value: 2 });
    const { certificate } = await finishedTake(b.suite, stack, dispatcher, job);
    assert.equal(certificate.attempt, 2);
    const why = job.past.find(({ payload }) => payload.type === 'ready' && payload.problem)!.payload.problem!;
    assert.equal(why.code, 'take.drift');
    assert.match(why.message, /bay .*tie@out=3/);
  });

  it('a unit that goes is disconnected, while nobody can make it safe', async () => {
    const job = await offerJob(stack, dispatcher, b.sources.long, { chain: on('eq'), maxAttempts: 2 });
    await job.until('rolling');
    assert.deepEqual(await ties(stack), [3, 0, 1, 0, 0, 0, 0, 0]);
    await gear(stack, { unit: 'on-eq', do: 'unplug' });
    await until(async () => (await ties(stack)).every((input) => input === 0));
    await gear(stack, { unit: 'on-eq', do: 'plug' });
    assert.equal((await finishedTake(b.suite, stack, dispatcher, job)).certificate.attempt, 2);
  });

  it('one that the patchbay does not let go of costs no other take its connection', async () => {
    const bay = async () => (await stack.status()).state.processors.find(({ name }) => name === 'bay')!;
    // The routes of the equaliser, and they alone, cannot be taken off.
    await gear(stack, { unit: 'bay', do: 'refuse', commands: ['TIE 1 0', 'TIE 3 0'] });
    const long = await offerJob(stack, dispatcher, b.sources.long, { chain: on('verb'), maxAttempts: 1 });
    await long.until('rolling');
    const short = await offerJob(stack, dispatcher, b.sources.tone, { chain: on('eq'), maxAttempts: 1 });
    await finishedTake(b.suite, stack, dispatcher, short);
    assert.deepEqual(
      await ties(stack),
      [3, 5, 1, 0, 2, 0, 0, 0],
      'both are connected, and one of them is still in use',
    );
    const untouched = await finishedTake(b.suite, stack, dispatcher, long);
    assert.equal(untouched.certificate.attempt, 1);
    assert.deepEqual(await ties(stack), [3, 0, 1, 0, 0, 0, 0, 0]);
    await gear(stack, { unit: 'bay', do: 'refuse', commands: [] });
    await until(async () => (await ties(stack)).every((input) => input === 0));
    await until(async () => (await bay()).state === 'ready');
  });
});

/** Both jobs are ready before either may start, so that only the rules decide. The second is silence, the first a tone, where tenants differ. */
async function together(
  b: Awaited<ReturnType<typeof bench>>,
  [first, tenant]: readonly [string, string],
  [second, other]: readonly [string, string],
) {
  const { stack, dispatcher, suite, sources } = b;
  await maintenance(stack, 'maintenance.enter');
  await until(async () => (await stack.status()).state.mode === 'maintenance');
  const jobs = [
    await offerJob(stack, dispatcher, sources.tone, { tenant, chain: on(first) }),
    await offerJob(stack, dispatcher, tenant === other ? sources.tone : sources.silent, {
      tenant: other,
      chain: on(second),
    }),
  ] as const;
  await Promise.all(jobs.map((job) => job.until('ready')));
  await maintenance(stack, 'maintenance.exit');
  const takes = await Promise.all(jobs.map((job) => finishedTake(suite, stack, dispatcher, job)));
  const [x, y] = [streamOf(takes[0]!), streamOf(takes[1]!)];
  return { overlap: Math.min(x.to, y.to) - Math.max(x.from, y.from), takes };
}

describe('what a patchbay leaks', { timeout: 240_000 }, () => {
  it('is heard, at its level, where nothing keeps takes apart; and keeps tenants apart where it was measured', async (t) => {
    const b = await bench({ leakDb: -60, saidDb: -60, clock: 'realtime' });
    t.after(() => b.cleaned());
    const apart = await together(b, ['eq', ALICE], ['verb', BOB]);
    assert.ok(apart.overlap < 0, `${apart.overlap} frames overlap`);
    assert.equal(peakOf(apart.takes[1]!.samples), 0, 'not a bit of it');
  });

  it('counts as not measured where nobody measured it', async (t) => {
    const b = await bench({ leakDb: -200, saidDb: null, clock: 'realtime' });
    t.after(() => b.cleaned());
    assert.ok((await together(b, ['eq', ALICE], ['verb', BOB])).overlap < 0);
  });

  it('reaches the other tenant where somebody measured wrongly: so the simulated leak is real', async (t) => {
    const b = await bench({ leakDb: -60, saidDb: -140, clock: 'realtime' });
    t.after(() => b.cleaned());
    const { overlap, takes } = await together(b, ['eq', ALICE], ['verb', BOB]);
    assert.ok(overlap > RATE / 2, `${overlap} frames overlap`);
    const [from, first] = [streamOf(takes[1]!).from, streamOf(takes[0]!)];
    const heard = takes[1]!.samples.subarray(
      Math.max(0, first.from - from) + 100,
      Math.min(first.to - from, RATE * SECONDS) - 100,
    );
    // The send reaches the unit's input and the return, the other unit's output the return: three ways, in phase.
    assert.ok(Math.abs(rmsDbfs(heard) - (-80 + 20 * Math.log10(3))) < 0.1, `the leak is at ${rmsDbfs(heard)} dBFS`);
  });
});

describe('a tape', { timeout: 120_000 }, () => {
  it('is erased when the tenant changes: by its procedure, behind the patchbay, and heard to be quiet', async (t) => {
    const b = await bench({ leakDb: -200, saidDb: -120, clock: 'fast' });
    t.after(() => b.cleaned());
    const bounce = (source: SealedSource, tenant: string) =>
      take(b.suite, b.stack, b.dispatcher, source, { tenant, chain: on('deck'), maxAttempts: 1 });
    await bounce(b.sources.noise, ALICE);
    const echo = await bounce(b.sources.silent, ALICE);
    assert.ok(peakOf(echo.samples) > 0.01, 'the tape plays what it recorded, ten minutes long');
    const other = await bounce(b.sources.silent, BOB);
    assert.equal(peakOf(other.samples), 0, 'digitally silent');
    assert.deepEqual(await ties(b.stack), NOTHING);
  });
});
