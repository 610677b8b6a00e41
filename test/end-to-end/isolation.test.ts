/** Tenants do not hear each other: not what an insert remembers, not what leaks from a neighbour. Every proof first hears the leak. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { Journal } from '../../daemon/rig/journal/journal.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { hash, peakOf, rmsDbfs, silence, sine, writeSignal } from '../peers/signals.js';
import { Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf, streamOf, take } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;
const [ALICE, BOB] = ['tenant-alice', 'tenant-bob'];
const MEMORY_SECONDS = 2;

function gainPerInsert(inserts: object) {
  return Object.fromEntries(
    Object.keys(inserts).map((insert) => [
      `on-${insert}`,
      { profile: 'virtual.gain', insert, port: { virtual: true as const } },
    ]),
  );
}

const on = (insert: string, settings = {}) => [link(`on-${insert}`, settings)];

function suiteOf(): { suite: { after(fn: () => unknown): void }; cleanUp(): Promise<void> } {
  const last: (() => unknown)[] = [];
  return {
    suite: { after: (fn) => void last.unshift(fn) },
    cleanUp: async () => {
      for (const fn of last) await fn();
    },
  };
}

describe('what an insert remembers, and what leaks', { timeout: 180_000 }, () => {
  const { suite, cleanUp } = suiteOf();
  let stack: Stack;
  let dispatcher: Dispatcher;
  let loud: SealedSource;
  let silent: SealedSource;

  before(async () => {
    // -60 dB after half a second: after two seconds an echo is under the last bit.
    const echo = { width: 1, path: { memorySeconds: 0.5 } } as const;
    const { inserts, channels } = insertsOf({
      tape: { ...echo, memorySeconds: MEMORY_SECONDS },
      unsaid: { ...echo, memorySeconds: 0 },
      hiss: { width: 1, memorySeconds: 0.05, path: { noiseDbfs: -60 } },
      beside: { width: 1 },
    });
    const names = Object.keys(inserts);
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: { rates: [RATE], in: channels, out: channels },
        inserts,
        processors: gainPerInsert(inserts),
        // Measured everywhere, but from the tape to what stands beside it.
        isolation: {
          crosstalk: names
            .flatMap((from) => names.map((to) => ({ from, to, db: -130 })))
            .filter(({ from, to }) => from !== to && !(from === 'tape' && to === 'beside')),
        },
      },
    });
    const dir = await scratch(suite);
    const shape = { rate: RATE, channels: 1, bits: 24 } as const;
    const [noise, quiet] = [join(dir, 'noise.wav'), join(dir, 'quiet.wav')];
    await writeSignal(noise, { ...shape, frames: RATE / 2, sample: hash(0.3) });
    await writeSignal(quiet, { ...shape, frames: RATE / 10, sample: silence });
    [loud, silent] = [await storedSource(suite, stack, noise), await storedSource(suite, stack, quiet)];
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(cleanUp);

  const bounce = (source: SealedSource, tenant: string, insert: string, tail = 0) =>
    take(suite, stack, dispatcher, source, { tenant, chain: on(insert), tail, maxAttempts: 1 });

  /** Opens the journal of a rig that has been stopped. */
  async function flushes(): Promise<{ insert: string }[]> {
    await stack.rig!.end();
    const journal = new Journal({
      path: join(stack.dir, 'rig/state/journal.db'),
      rig: 'rig-01',
      onIndeterminate: (error) => assert.fail(error),
    });
    journal.open(await readFile(join(stack.dir, 'rig/keys/journal.key')));
    const rows = journal.db.all<{ detail: string }>(
      "SELECT detail FROM audit WHERE kind = 'insert.flushed' ORDER BY seq",
    );
    journal.close();
    return rows.map((row) => JSON.parse(row.detail) as { insert: string });
  }

  it('an insert of which nobody said that it remembers lets the next tenant hear the last', async () => {
    await bounce(loud, ALICE, 'unsaid');
    const heard = await bounce(silent, BOB, 'unsaid', 0.2);
    assert.ok(peakOf(heard.samples) > 0.01, `the echo of the other tenant has a peak of ${peakOf(heard.samples)}`);
  });

  it('is flushed when the tenant changes, and only then', async () => {
    const first = await bounce(loud, ALICE, 'tape');
    const echo = await bounce(silent, ALICE, 'tape', 0.2);
    assert.ok(peakOf(echo.samples) > 0.01, 'the same tenant may hear his own echo');
    await bounce(loud, ALICE, 'tape');
    const other = await bounce(silent, BOB, 'tape', 0.2);
    assert.equal(peakOf(other.samples), 0, 'digitally silent');

    // With clock fast the stream stands still while nothing rolls: what lies between two takes is what was flushed.
    const between = (earlier: typeof first, later: typeof first) => streamOf(later).from - streamOf(earlier).to;
    assert.ok(between(first, echo) < RATE, `${between(first, echo)} frames between two takes of one tenant`);
    const flushed = streamOf(other).from - streamOf(echo).to - (RATE / 2 + 2 * RATE);
    assert.ok(flushed >= MEMORY_SECONDS * RATE - 2 * RATE, `${flushed} frames flushed`);
    assert.deepEqual(
      (await flushes()).map((row) => row.insert),
      ['tape', 'tape'],
      'before the first take, because nobody knows what the insert holds, and when the tenant changed',
    );
    await stack.startRig();
  });

  it('an insert that does not become quiet fails the job', async () => {
    const job = await offerJob(stack, dispatcher, silent, { tenant: BOB, chain: on('hiss'), maxAttempts: 1 });
    const { payload } = await job.until('sealed');
    assert.equal(payload.type, 'failed');
    assert.equal(payload.problem?.code, 'insert.noisy');
    const { rmsDbfs: heard, limitDbfs } = payload.problem!.details as { rmsDbfs: number[]; limitDbfs: number };
    assert.ok(Math.abs(heard[0]! + 60) < 0.5, `heard ${heard[0]} dBFS`);
    assert.equal(limitDbfs, -90);
    assert.ok(!job.past.some((event) => event.payload.type === 'rolling'), 'not one sample was played');
  });

  it('an echo that could leak into a neighbour is flushed too', async () => {
    await bounce(loud, ALICE, 'tape');
    const before = (await flushes()).length;
    await stack.startRig();
    await bounce(silent, BOB, 'unsaid');
    await bounce(silent, ALICE, 'beside');
    await bounce(silent, BOB, 'beside');
    assert.deepEqual(
      (await flushes()).slice(before).map((row) => row.insert),
      ['tape'],
      'before the one take that could have heard it',
    );
    await stack.startRig();
  });

  it('a rig remembers over a restart whose sound an insert still holds', async () => {
    await bounce(loud, ALICE, 'tape');
    await stack.rig!.end('SIGKILL');
    await stack.startRig();
    // The simulated insert lost its memory with the process, so only the flush itself can be seen.
    const before = (await flushes()).length;
    await stack.startRig();
    await bounce(silent, BOB, 'tape');
    assert.equal((await flushes()).length, before + 1);
    await stack.startRig();
  });
});

describe('takes of two tenants at once', { timeout: 240_000 }, () => {
  const { suite, cleanUp } = suiteOf();
  let stack: Stack;
  let dispatcher: Dispatcher;
  let tone: SealedSource;
  let silent: SealedSource;

  before(async () => {
    const { inserts, channels } = insertsOf({
      a: { width: 1 },
      b: { width: 1 },
      unmeasured: { width: 1 },
      leaks: { width: 1 },
    });
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: {
          clock: 'realtime',
          rates: [RATE],
          in: channels,
          out: channels,
          crosstalk: [{ from: 'a', to: 'leaks', db: -40 }],
        },
        inserts,
        processors: gainPerInsert(inserts),
        isolation: {
          floorDbfs: -100,
          crosstalk: [
            { from: 'a', to: 'b', db: -110 },
            { from: 'b', to: 'a', db: -110 },
            { from: 'a', to: 'leaks', db: -40 },
            { from: 'leaks', to: 'a', db: -140 },
          ],
        },
      },
    });
    const dir = await scratch(suite);
    const shape = { rate: RATE, channels: 1, bits: 24, frames: RATE * 1.5 } as const;
    const [one, other] = [join(dir, 'tone.wav'), join(dir, 'silence.wav')];
    await writeSignal(one, { ...shape, sample: sine(997, -20, RATE) });
    await writeSignal(other, { ...shape, sample: silence });
    [tone, silent] = [await storedSource(suite, stack, one), await storedSource(suite, stack, other)];
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(cleanUp);

  /** Both jobs are ready before either may start, so that only the rules decide. */
  async function together(first: { tenant: string; insert: string; gain?: number }, second: typeof first) {
    await maintenance(stack, 'maintenance.enter');
    await until(async () => (await stack.status()).state.mode === 'maintenance');
    const offer = (source: SealedSource, { tenant, insert, gain = 0 }: typeof first) =>
      offerJob(stack, dispatcher, source, { tenant, chain: on(insert, { gain }), maxAttempts: 3 });
    const jobs = [await offer(tone, first), await offer(silent, second)] as const;
    await Promise.all(jobs.map((job) => job.until('ready')));
    await maintenance(stack, 'maintenance.exit');
    const [one, other] = await Promise.all(jobs.map((job) => finishedTake(suite, stack, dispatcher, job)));
    const [x, y] = [streamOf(one!), streamOf(other!)];
    return { overlap: Math.min(x.to, y.to) - Math.max(x.from, y.from), other: other!, takes: [one!, other!] };
  }

  it('roll together where the measured crosstalk allows it', async () => {
    const { overlap, other } = await together({ tenant: ALICE, insert: 'a' }, { tenant: BOB, insert: 'b' });
    assert.ok(overlap > 0, `${overlap} frames overlap`);
    assert.equal(peakOf(other.samples), 0);
  });

  it('never where nobody measured it', async () => {
    const { overlap } = await together({ tenant: ALICE, insert: 'a' }, { tenant: BOB, insert: 'unmeasured' });
    assert.ok(overlap < 0, `${overlap} frames overlap`);
  });

  it('never where the gain of a chain lifts it over the floor', async () => {
    const { overlap } = await together({ tenant: ALICE, insert: 'a' }, { tenant: BOB, insert: 'b', gain: 12 });
    assert.ok(overlap < 0, `${overlap} frames overlap`);
  });

  it('always within one tenant; and there the leak is really heard, at its level', async () => {
    const { overlap, other, takes } = await together(
      { tenant: ALICE, insert: 'a' },
      { tenant: ALICE, insert: 'leaks' },
    );
    assert.ok(overlap > RATE / 2, `${overlap} frames overlap`);
    // Both began with the stream running: the part in which the tone played is heard 40 dB lower.
    const [from, first] = [streamOf(other).from, streamOf(takes[0]!)];
    const heard = other.samples.subarray(
      Math.max(0, first.from - from) + 100,
      Math.min(first.to - from, RATE * 1.5) - 100,
    );
    assert.ok(Math.abs(rmsDbfs(heard) + 60) < 0.05, `the leak is at ${rmsDbfs(heard)} dBFS`);
  });

  it('and what leaks is never heard by another tenant', async () => {
    const { overlap, other } = await together({ tenant: ALICE, insert: 'a' }, { tenant: BOB, insert: 'leaks' });
    assert.ok(overlap < 0, `${overlap} frames overlap`);
    assert.equal(peakOf(other.samples), 0);
  });
});
