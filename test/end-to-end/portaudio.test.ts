/** A rig on the driver `portaudio`: outboardd as a process of its own, PortAudio in another one, on a sound card that a test can unplug. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import { portaudioMissing } from '../../drivers/audio/portaudio/portaudio.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { LoopCard } from '../peers/loop-card/loop-card.js';
import { samplesOf } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { hash, writeSignal } from '../peers/signals.js';
import { Child, CLI_MAIN, Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf } from '../peers/takes.js';

const CHANNELS = 6;
const RATE = 48_000;
/** PortAudio has no real-time priority: on a host that is busy with other tests a take may need several attempts. */
const ATTEMPTS = 5;

describe('a rig with a sound card behind PortAudio', { timeout: 600_000, skip: portaudioMissing() ?? false }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let card: LoopCard;
  let stack: Stack;
  let dispatcher: Dispatcher;
  let wav: string;

  before(async () => {
    card = await LoopCard.open({ in: CHANNELS, out: CHANNELS, historyFrames: 2 ** 20 });
    suite.after(() => card.close());
    const { inserts } = insertsOf({ a: { width: 2 }, b: { width: 2 }, m: { width: 1 } });
    for (const insert of Object.values(inserts)) delete insert.path;
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: {
          driver: 'portaudio',
          device: card.device,
          rates: [RATE],
          in: CHANNELS,
          out: CHANNELS,
          periodFrames: 8192,
          sync: { send: CHANNELS, return: CHANNELS },
          procRoot: card.procRoot,
        },
        inserts,
      },
    });
    wav = join(await scratch(suite), 'noise.wav');
    await writeSignal(wav, { rate: RATE, channels: 2, bits: 24, frames: 3 * RATE, sample: hash(0.9) });
    await stack.startRig({ env: card.env });
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  const mode = async () => (await stack.status()).state.mode;
  const isReady = () => until(async () => (await mode()) === 'ready', 60_000, `ready: ${stack.logs()}`);

  async function takeIsExact(): Promise<void> {
    const source = await storedSource(suite, stack, wav);
    const job = await offerJob(stack, dispatcher, source, {
      chain: [link('gain-1', { gain: 0 })],
      maxAttempts: ATTEMPTS,
    });
    const { samples, certificate } = await finishedTake(suite, stack, dispatcher, job);
    assert.deepEqual(samples, await samplesOf(wav));
    assert.equal(certificate.continuity.clock, 'hardware');
  }

  it('gives 24-bit material back bit for bit, and proves its hold', async () => {
    await stack.timely(
      (async () => {
        await isReady();
        await takeIsExact();
        await isReady();
        const check = new Child(process.execPath, [CLI_MAIN, 'interface', 'check', '--socket', stack.controlSocket]);
        assert.equal(await check.exit(), 0, check.output);
        assert.match(check.output, /^ok +claim +hw:CARD=Loop,DEV=0, driver portaudio$/m);
        assert.match(check.output, /^ok +busy-probe +/m);
      })(),
    );
  });

  it('waits for a card that goes away, and goes on when it is back', async () => {
    await stack.timely(
      (async () => {
        card.inject({ kind: 'unplug' });
        await until(async () => (await mode()) === 'faulted', 30_000, `faulted: ${stack.logs()}`);
        const { lastFault } = (await stack.status()).state;
        assert.equal(lastFault?.problem.code, 'audio.gone');
        assert.match(lastFault!.problem.message, /the rig waits for hw:CARD=Loop,DEV=0/);
        card.plug();
        await isReady();
        await takeIsExact();
      })(),
    );
  });
});
