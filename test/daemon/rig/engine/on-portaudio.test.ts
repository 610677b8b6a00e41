/** The engine on PortAudio, with the user-space card behind it: a take is as exact as on any other driver, and what spoils it is noticed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isOutboardError } from '../../../../core/errors.js';
import { createLogger } from '../../../../daemon/log.js';
import { Engine } from '../../../../daemon/rig/engine/engine.js';
import type { Fault } from '../../../../drivers/audio/port.js';
import { block, CHANNELS, claimCard, missing, request, undisturbed } from '../../../drivers/audio/portaudio-card.js';
import { expected, insert, noise, takeOf } from './bench-top.js';

const RATE = 48_000;
const SYNC = { send: CHANNELS, return: CHANNELS, levelDbfs: -20 };

interface Made {
  engine: Engine;
  card: Awaited<ReturnType<typeof claimCard>>['card'];
}

function steady(name: string, body: (made: Made) => Promise<void>): void {
  test(name, () =>
    undisturbed(async (faults: Fault[]) => {
      const { claim, card, close } = await claimCard({ ringSeconds: 2.5 }, faults);
      const logger = createLogger('test', 'silent');
      const { format, periodFrames, periods } = request;
      const stream = { format, periodFrames, periods };
      const engine = new Engine({ claim, inChannels: CHANNELS, outChannels: CHANNELS, logger, stream, sync: SYNC });
      try {
        await engine.start({ rate: RATE });
        await body({ engine, card });
      } finally {
        await engine.stop();
        await close();
      }
    }),
  );
}

describe('the engine on portaudio', { skip: missing, timeout: 240_000 }, () => {
  steady(
    'takes side by side, and one through two inserts, come back bit for bit; L is measured',
    async ({ engine }) => {
      const { latency, syncLock } = engine;
      assert.equal(latency?.source, 'sync');
      assert.equal(syncLock?.wire, 'exact');
      assert.ok(Math.abs(latency.fraction) < 0.01, `${latency.frames} + ${latency.fraction}`);
      const chain = takeOf(noise(60_000, 1), [insert('a', [1]), insert('b', [2])], { tailFrames: 9 });
      const other = takeOf(noise(90_000, 1, 2), [insert('c', [3])]);
      const [report] = await Promise.all([engine.roll(chain).done, engine.roll(other).done]);
      assert.deepEqual(chain.sink.samples, expected(noise(60_000, 1), 9, 1));
      assert.deepEqual(other.sink.samples, expected(noise(90_000, 1, 2), 0, 1));
      assert.equal(report.latency.interfaceFrames, 2 * latency.frames);
    },
  );

  steady('an event loop that stands still for 500 ms in a take loses nothing', async ({ engine }) => {
    const spec = takeOf(noise(3 * RATE, 2), [insert('a', [1, 2])]);
    const take = engine.roll(spec);
    await take.started;
    block(500);
    await take.done;
    assert.deepEqual(spec.sink.samples, expected(noise(3 * RATE, 2), 0, 2));
  });

  steady('samples that are lost without a word spoil the take; the next stream is exact', async ({ engine, card }) => {
    let injected = false;
    const onProgress = () => {
      if (!injected) card.inject({ kind: 'drop', frames: 5 });
      injected = true;
    };
    const take = engine.roll(takeOf(noise(3 * RATE, 2), [insert('a', [1, 2])], { onProgress }));
    const { streamFrom } = await take.started;
    await assert.rejects(take.done, (error) => {
      assert.ok(isOutboardError(error, 'take.spoiled'));
      const [fault] = error.details['faults'] as { kind: string; atFrame: number; frames: number }[];
      assert.deepEqual([fault!.kind, fault!.frames], ['slipped', 5]);
      assert.ok(fault!.atFrame > streamFrom && fault!.atFrame < streamFrom + 3 * RATE, `${fault!.atFrame}`);
      return true;
    });
    await engine.start({ rate: RATE });
    const again = takeOf(noise(20_000, 2), [insert('a', [1, 2])]);
    await engine.roll(again).done;
    assert.deepEqual(again.sink.samples, expected(noise(20_000, 2), 0, 2));
  });
});
