/** The alsa driver through the port's contract, on a loop card, in both formats and at the widths of large interfaces. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimCard, openCard, Pattern, RATE, request, until } from './alsa-card.js';
import { audioContract } from './contract.js';

for (const format of ['S32_LE', 'S24_3LE'] as const) {
  audioContract(`alsa, ${format}`, async () => {
    const cleanups: (() => Promise<void>)[] = [];
    const { audio, device } = await openCard(
      { after: (fn) => cleanups.push(fn) },
      { formats: [format], subdevices: 2, ringSeconds: 0.6 },
    );
    return {
      interface: audio,
      device,
      request: { ...request, format },
      otherRate: 96_000,
      loop: { firstSend: 2, channels: 2, returns: [2, 3], delayFrames: 64 },
      longestLoopFrames: 64,
      pass: (frames) => sleep((1000 * frames) / RATE),
      loseCapture: async (claim, granted) => {
        await until(() => claim.position().captured > granted.ringFrames + 1000);
      },
      cleanup: async () => {
        for (const cleanup of cleanups) await cleanup();
      },
    };
  });
}

describe('the alsa driver', () => {
  for (const [channels, format, rate] of [
    [24, 'S24_3LE', 48_000],
    [32, 'S32_LE', 96_000],
    [32, 'S24_3LE', 96_000],
    [128, 'S32_LE', 44_100],
  ] as const) {
    test(`carries ${channels} channels of ${format} at ${rate} Hz bit for bit`, async (t) => {
      const { claim, faults } = await claimCard(t, { in: channels, out: channels, formats: [format] });
      const granted = await claim.start({ ...request, inChannels: channels, outChannels: channels, format, rate });
      const pattern = new Pattern(claim, granted, faults);
      pattern.arm(pattern.from + rate);
      await pattern.run(pattern.from + rate);
      assert.deepEqual(faults, []);
      assert.equal(pattern.distance, 64);
      assert.ok(pattern.matched > 0.9 * rate, `${pattern.matched}`);
      const tally = await claim.stop({ drain: false });
      assert.deepEqual([tally.xruns, tally.starved, tally.dropped], [0, 0, 0]);
      assert.ok(tally.captured >= pattern.heard);
    });
  }

  test('drains what was written', async (t) => {
    const { claim } = await claimCard(t);
    const granted = await claim.start(request);
    const from = claim.position().earliestWrite + granted.periodFrames;
    claim.write(from, 1, 4, new Int32Array(4 * 9000));
    const { played } = await claim.stop({ drain: true });
    assert.ok(played >= from + 9000, `${played}`);
  });

  test('runs on without being touched, and then says where it is', async (t) => {
    const { claim, faults } = await claimCard(t, { ringSeconds: 5 });
    const granted = await claim.start(request);
    await until(() => claim.position().captured > RATE / 2);
    const { captured, played, earliestWrite, monotonicNs } = claim.position();
    const elapsed = (Number(monotonicNs - granted.startedAtNs) / 1e9) * RATE;
    assert.ok(Math.abs(captured - elapsed) < 2 * granted.periodFrames, `${captured} for ${elapsed}`);
    assert.ok(played <= earliestWrite && earliestWrite - played <= granted.periodFrames * granted.periods);
    assert.deepEqual(faults, []);
  });
});

after(() => {
  delete process.env['ALSA_CONFIG_PATH'];
});
