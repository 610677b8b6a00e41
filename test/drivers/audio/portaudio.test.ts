/** The portaudio driver on a user-space card: the contract, and what naudiodon does to those who trust it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { audioContract, playAndRecord, randomSamples } from './contract.js';
import {
  block,
  CHANNELS,
  claimCard,
  holder,
  LONGEST_LOOP_FRAMES,
  missing,
  openCard,
  pass,
  RATE,
  readAll,
  readTo,
  request,
  undisturbed,
  until,
} from './portaudio-card.js';

const CLOSE_MS = 500;

if (missing) {
  test('the audio port: portaudio', { skip: missing }, () => {});
} else {
  audioContract('portaudio', async () => {
    const { claim, setup } = await claimCard();
    await claim.close();
    return setup;
  });
}

describe('portaudio', { skip: missing }, () => {
  /** A test with a claim of its own. */
  function steady(
    name: string,
    options: Parameters<typeof claimCard>[0],
    body: (made: Awaited<ReturnType<typeof claimCard>>) => Promise<void>,
  ): void {
    test(name, () =>
      undisturbed(async (faults) => {
        const made = await claimCard(options, faults);
        try {
          await body(made);
        } finally {
          await made.close();
        }
      }),
    );
  }

  steady(
    'is exact in 24 bits on a card of three-byte samples too, and refuses to run four-byte ones there',
    { formats: ['S24_3LE'] },
    async ({ claim, setup, faults }) => {
      await assert.rejects(claim.start(request), (error: Error & { code: string }) => {
        assert.equal(error.code, 'audio.format');
        return /S24_3LE/.test(error.message);
      });
      assert.equal(claim.state, 'idle');
      assert.equal((await claim.verifyClaim({ probe: true })).exclusive, true);
      const granted = await claim.start({ ...request, format: 'S24_3LE' });
      const samples = randomSamples(9001 * CHANNELS, 24);
      const { recording } = await playAndRecord(setup, claim, granted, samples, {
        leadFrames: 8192,
        marginFrames: 100,
      });
      let first = 0;
      while (recording.at(first, 1) === 0) first++;
      for (let frame = 0; frame < 9001; frame++) {
        for (let c = 0; c < CHANNELS; c++) {
          assert.equal(recording.at(first + frame, c + 1), samples[frame * CHANNELS + c], `frame ${frame}`);
        }
      }
      assert.deepEqual(faults, []);
    },
  );

  steady('an event loop that is blocked for 500 ms loses nothing', { ringSeconds: 2 }, async ({ claim, faults }) => {
    const granted = await claim.start(request);
    const { earliestWrite } = claim.position();
    const frames = granted.ringFrames - earliestWrite - granted.periodFrames;
    const samples = randomSamples(frames * CHANNELS, 7);
    claim.write(earliestWrite, 1, CHANNELS, samples);
    claim.arm({ channels: [1, 2, 3, 4], from: earliestWrite, to: earliestWrite + frames });
    const captured = new Map<number, Int32Array>();
    await until(() => claim.position().captured > earliestWrite, 30_000);
    const next = readAll(claim, faults, 0, captured);
    block(500);
    await readTo(claim, faults, next, earliestWrite + frames + LONGEST_LOOP_FRAMES, captured);
    assert.deepEqual(faults, []);
    let first = 0;
    while (captured.get(first)![0] === 0) first++;
    for (let frame = 0; frame < frames; frame++) {
      const expected = samples.subarray(frame * CHANNELS, (frame + 1) * CHANNELS);
      assert.deepEqual(captured.get(first + frame), expected, `frame ${frame}`);
    }
  });

  steady(
    'one that is blocked for longer is told exactly what was lost, and frame numbers go on',
    { ringSeconds: 1.5 },
    async ({ claim, faults }) => {
      const granted = await claim.start(request);
      const from = claim.position().earliestWrite;
      const frames = granted.ringFrames - from;
      const samples = randomSamples(frames * CHANNELS, 11);
      claim.write(from, 1, CHANNELS, samples);
      claim.arm({ channels: [2, 3], from, to: from + frames });
      await until(() => claim.position().captured > 0, 30_000);
      block(3500);
      const captured = new Map<number, Int32Array>();
      await until(() => faults.some(({ kind }) => kind === 'dropped'), 30_000);
      const next = await readTo(claim, faults, 0, claim.position().captured + granted.ringFrames, captured);
      assert.equal(claim.state, 'running');
      const starved = new Set<number>();
      let dropped = 0;
      for (const { kind, atFrame, frames, channels } of faults) {
        if (kind === 'dropped') dropped += frames!;
        if (kind !== 'starved') continue;
        assert.deepEqual(channels, [2, 3]);
        for (let i = 0; i < frames!; i++) starved.add(atFrame! + i);
      }
      assert.ok(dropped > 0 && starved.size > 0 && starved.size < frames, `${dropped} ${starved.size} of ${frames}`);
      // Every frame was either read or told of, and what was played is what was not told of.
      assert.equal(captured.size + dropped, next);
      let latency = 0;
      while (captured.get(from + latency)![0] === 0) latency++;
      for (let frame = 0; frame < frames; frame++) {
        const got = captured.get(from + frame + latency);
        if (got === undefined) continue;
        const played = samples.subarray(frame * CHANNELS, (frame + 1) * CHANNELS);
        assert.deepEqual(got, starved.has(from + frame) ? new Int32Array(CHANNELS) : played, `frame ${frame}`);
      }
      const tally = await claim.stop({ drain: false });
      assert.deepEqual([tally.dropped, tally.starved], [dropped, starved.size]);
    },
  );

  steady('what one stream had queued is not heard in the next', {}, async ({ claim, faults }) => {
    const granted = await claim.start(request);
    const loud = new Int32Array(RATE * CHANNELS).fill(2 ** 30);
    const { earliestWrite } = claim.position();
    claim.write(earliestWrite, 1, CHANNELS, loud.subarray(0, (granted.ringFrames - earliestWrite) * CHANNELS));
    await until(() => claim.position().played > earliestWrite, 30_000);
    await claim.stop({ drain: false });
    await claim.start(request);
    const captured = new Map<number, Int32Array>();
    await readTo(claim, faults, 0, RATE / 2, captured);
    for (const [frame, samples] of captured) assert.deepEqual([...samples], [0, 0, 0, 0], `frame ${frame}`);
  });

  steady('stop with drain waits until what was written is played', { ringSeconds: 2 }, async ({ claim, faults }) => {
    await claim.start(request);
    const started = performance.now();
    const from = claim.position().earliestWrite;
    claim.write(from, 1, CHANNELS, new Int32Array(10_000 * CHANNELS).fill(1 << 20));
    // Most of it has left the ring by then, and nothing is armed.
    await until(() => claim.position().earliestWrite >= from + 10_000, 30_000);
    await claim.stop({ drain: true });
    assert.deepEqual(faults, []);
    assert.ok(performance.now() - started >= (1000 * (from + 10_000)) / RATE);
  });

  for (const kind of ['xrun-in', 'xrun-out'] as const) {
    steady(`an ${kind} at the device ends the stream, and the next one is sound`, {}, async (made) => {
      const { claim, card, faults, setup } = made;
      await claim.start(request);
      await until(() => claim.position().captured > 0, 30_000);
      assert.equal(faults.length, 0);
      card.inject({ kind });
      await until(() => faults.length > 0, 30_000);
      assert.ok(faults[0]!.kind === 'xrun-in' || faults[0]!.kind === 'xrun-out', faults[0]!.kind);
      assert.equal(faults[0]!.atFrame, null);
      assert.equal(claim.state, 'faulted');
      const { captured } = claim.position();
      await pass(2 * request.periodFrames);
      assert.equal(claim.position().captured, captured);
      assert.equal((await claim.stop({ drain: false })).xruns, 1);
      const told = faults.length;
      const granted = await claim.start(request);
      const samples = randomSamples(500 * CHANNELS, 3);
      const { recording } = await playAndRecord(setup, claim, granted, samples, { leadFrames: 64, marginFrames: 0 });
      let first = 0;
      while (recording.at(first, 1) === 0) first++;
      for (let i = 0; i < samples.length; i++) {
        assert.equal(recording.at(first + Math.floor(i / CHANNELS), (i % CHANNELS) + 1), samples[i]);
      }
      assert.equal(faults.length, told);
    });
  }

  steady(
    'a device that stands still is stalled, and can be started when it goes on',
    {},
    async ({ claim, card, faults }) => {
      await claim.start(request);
      await until(() => claim.position().captured > 0, 30_000);
      card.inject({ kind: 'stall' });
      await until(() => faults.length > 0, 30_000);
      assert.equal(faults[0]!.kind, 'stalled');
      assert.equal(claim.state, 'faulted');
      card.plug();
      await claim.start(request);
      assert.equal((await claim.verifyClaim()).exclusive, true);
    },
  );

  steady('unplugged while it rolls: lost, and closed at once', {}, async ({ claim, card, faults, audio, device }) => {
    await claim.start(request);
    await until(() => claim.position().captured > 0, 30_000);
    card.inject({ kind: 'unplug' });
    await until(() => claim.state === 'lost', 30_000);
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['lost'],
    );
    await assert.rejects(claim.start(request), { code: 'audio.gone' });
    const before = performance.now();
    await claim.close();
    assert.ok(performance.now() - before < CLOSE_MS);
    await assert.rejects(audio.claim(device), { code: 'audio.gone' });
    card.plug();
    const again = await audio.claim(device);
    assert.equal(again.proof.exclusive, true);
    await again.close();
  });

  steady('unplugged while it idles, it is lost too', {}, async ({ claim, card, faults }) => {
    card.inject({ kind: 'unplug' });
    await until(() => claim.state === 'lost', 30_000);
    assert.equal(faults[0]!.kind, 'lost');
  });

  steady('the child process killed: lost', {}, async ({ claim, card, faults, audio, device }) => {
    await claim.start(request);
    await until(() => claim.position().captured > 0, 30_000);
    process.kill(holder(card), 'SIGKILL');
    await until(() => claim.state === 'lost', 30_000);
    assert.equal(faults.at(-1)!.kind, 'lost');
    assert.equal((await claim.verifyClaim()).exclusive, false);
    await claim.close();
    await (await audio.claim(device)).close();
  });

  steady('a child process that hangs is killed', {}, async ({ claim, card }) => {
    await claim.start(request);
    process.kill(holder(card), 'SIGSTOP');
    await until(() => claim.state === 'lost', 30_000);
    const before = performance.now();
    await claim.close();
    assert.ok(performance.now() - before < CLOSE_MS);
  });

  steady(
    'holds the device between streams, and sees when somebody else has it',
    {},
    async ({ claim, card, faults }) => {
      assert.equal((await claim.verifyClaim({ probe: true })).exclusive, true);
      await claim.start(request);
      await claim.stop({ drain: false });
      const proof = await claim.verifyClaim({ probe: true });
      assert.deepEqual(
        proof.checks.map(({ holds }) => holds),
        [true, true, true, true],
        proof.detail,
      );
      card.inject({ kind: 'steal' });
      assert.equal((await claim.verifyClaim()).exclusive, false);
      assert.deepEqual(
        faults.map(({ kind }) => kind),
        ['claim-lost'],
      );
    },
  );

  test('refuses a device that is busy, gone, or has sub-devices that it cannot hold', async () => {
    const { card, audio, device } = await openCard();
    card.inject({ kind: 'busy' });
    await assert.rejects(audio.claim(device), { code: 'audio.busy' });
    card.plug();
    card.inject({ kind: 'unplug' });
    await assert.rejects(audio.claim(device), { code: 'audio.gone' });
    await card.close();
    const wide = await openCard({ subdevices: 2 });
    await assert.rejects(wide.audio.claim(wide.device), { code: 'audio.device' });
    await wide.card.close();
  });

  test('a device that dies while it is opened', async () => {
    const { card, audio, device } = await openCard();
    card.inject({ kind: 'die-while-opening' });
    await assert.rejects(audio.claim(device), (error: Error & { code: string }) => error.code.startsWith('audio.'));
    await card.close();
  });

  steady(
    'refuses a rate, a width and a period that the device does not run, and is held as before',
    { rates: [48_000] },
    async ({ claim }) => {
      await claim.start(request);
      for (const wrong of [{ rate: 96_000 }, { inChannels: 3 }, { outChannels: 2 }, { periodFrames: 1024 }]) {
        await assert.rejects(claim.start({ ...request, ...wrong }), { code: 'audio.format' });
        assert.equal((await claim.verifyClaim()).exclusive, true);
      }
      assert.equal((await claim.start(request)).rate, 48_000);
    },
  );
});
