/**
 * The contract of the audio port, as a suite that runs on every implementation behind it.
 *
 * What differs between them comes in as a `ContractSetup`: how time passes, and how a reader is made to lose frames. Everything else is
 * asserted through the port alone.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { OutboardError } from '../../../core/errors.js';
import type { AudioInterface, Claim, Fault, Granted, StreamRequest } from '../../../drivers/audio/port.js';

export interface ContractSetup {
  interface: AudioInterface;
  device: { playback: string; capture: string };
  request: StreamRequest;
  /** Another rate that the device runs. */
  otherRate: number;
  /** A digital loop at unity: adjoining outputs, and the inputs that they come back on. */
  loop: { firstSend: number; channels: number; returns: number[]; delayFrames: number };
  /** Where the driver does not know its loop latency: the longest that it may be. 4096 when not said. */
  longestLoopFrames?: number;
  /** Lets the device go on for about so many frames. A clock that stands still has nothing to do here. */
  pass(frames: number): Promise<void>;
  /** Has the device lose captured frames, more than `pass` and `read` would. */
  loseCapture(claim: Claim, granted: Granted): Promise<void>;
  /**
   * True when these faults show that a device in real time was held up by the machine, which the driver has told of: the test is then made
   * again, a few times. Not said where time is simulated, or where the driver has real-time priority.
   */
  disturbed?(faults: readonly Fault[]): boolean;
  cleanup(): Promise<void>;
}

const TRIES = 4;

/** Random 24-bit samples, full scale of both signs among them; no frame is silent. */
export function randomSamples(count: number, seed: number): Int32Array {
  let state = seed;
  const samples = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    samples[i] = (state & ~0xff) | 0x100;
  }
  samples[0] = 0x7fff_ff00;
  samples[count - 1] = -(2 ** 31);
  return samples;
}

/** What was captured: frames in order, each at its place in the stream. */
export interface Recording {
  frames: number;
  at: (frame: number, channel: number) => number;
}

/**
 * Plays samples on a stream that has just begun, and records it from its first frame until they are all back and `marginFrames` more.
 * The range is armed to the end, so that a clock that needs a reason to run has one.
 */
export async function playAndRecord(
  setup: ContractSetup,
  claim: Claim,
  granted: Granted,
  samples: Int32Array,
  o: { leadFrames: number; marginFrames: number },
): Promise<{ from: number; recording: Recording }> {
  const { firstSend, channels } = setup.loop;
  const width = granted.inChannels;
  const frames = samples.length / channels;
  const from = claim.position().earliestWrite + o.leadFrames;
  const until =
    from +
    frames +
    (granted.loopLatencyFrames ?? setup.longestLoopFrames ?? 4096) +
    setup.loop.delayFrames +
    o.marginFrames;
  const sound = new Int32Array((until - from) * channels);
  sound.set(samples);
  const captured = new Int32Array((until + granted.ringFrames) * width);
  const into = new Int32Array(granted.periodFrames * width);
  let read = 0;
  const block = granted.periodFrames;
  let written = from;
  const sends = Array.from({ length: channels }, (_, i) => firstSend + i);
  let armed = false;
  while (read < until) {
    while (written < until && written + block <= claim.position().played + granted.ringFrames) {
      const now = Math.min(block, until - written);
      const part = sound.subarray((written - from) * channels, (written - from + now) * channels);
      claim.write(written, firstSend, channels, part);
      written += now;
      if (!armed) claim.arm({ channels: sends, from, to: until });
      armed = true;
    }
    const got = claim.read(into);
    captured.set(into.subarray(0, got * width), read * width);
    read += got;
    if (got > 0) continue;
    assert.equal(claim.state, 'running');
    await setup.pass(block);
  }
  return { from, recording: { frames: read, at: (frame, channel) => captured[frame * width + channel - 1]! } };
}

export function audioContract(name: string, make: () => Promise<ContractSetup>): void {
  describe(`the audio port: ${name}`, () => {
    let setup: ContractSetup;
    let claim: Claim;
    let faults: Fault[];

    let seen: Fault[];

    async function begin(): Promise<void> {
      setup = await make();
      claim = await setup.interface.claim(setup.device);
      faults = [];
      seen = [];
      claim.onFault((fault) => {
        faults.push(fault);
        seen.push(fault);
      });
    }

    async function end(): Promise<void> {
      await claim.close();
      await setup.cleanup();
    }

    function check(what: string, body: () => Promise<void>): void {
      test(what, async () => {
        for (let left = TRIES - 1; ; left--) {
          try {
            return await body();
          } catch (error) {
            if (left === 0 || !setup.disturbed?.(seen)) throw error;
            await end();
            await begin();
          }
        }
      });
    }

    beforeEach(begin);
    afterEach(end);

    check('lists the device without opening it', async () => {
      const names = (await setup.interface.list()).map((device) => device.name);
      assert.ok(names.includes(setup.device.playback), names.join());
    });

    check('holds the device alone, and proves it', async () => {
      assert.equal(claim.proof.exclusive, true);
      assert.equal((await claim.verifyClaim()).exclusive, true);
      await assert.rejects(setup.interface.claim(setup.device), { code: 'audio.busy' });
      await claim.close();
      claim = await setup.interface.claim(setup.device);
      assert.equal(claim.proof.exclusive, true);
    });

    check('refuses names that somebody else mixes into', async () => {
      await claim.close();
      for (const device of ['default', 'dmix', 'pulse', 'plughw:0,0', 'hw:CARD=Nowhere,DEV=0', '0', '']) {
        const attempt = setup.interface.claim({ playback: device, capture: device });
        await assert.rejects(attempt, (error) => error instanceof OutboardError && error.code.startsWith('audio.'));
      }
    });

    check('refuses a format that does not fit, and stays claimed', async () => {
      for (const wrong of [
        { rate: 12_345 },
        { inChannels: 1000 },
        { outChannels: 1000 },
        { format: 'S16_LE' as 'S32_LE' },
        { periodFrames: 0 },
        { periods: 1 },
        { periodFrames: 2 ** 30 },
      ]) {
        await assert.rejects(claim.start({ ...setup.request, ...wrong }), { code: 'audio.format' });
      }
      assert.equal(claim.state, 'idle');
      await claim.start(setup.request);
      assert.equal(claim.state, 'running');
    });

    check('is bit-transparent, changes no other sample, and has one constant offset', async () => {
      const offsets: number[] = [];
      for (const leadFrames of [64, 777, 3]) {
        const granted = await claim.start(setup.request);
        const lead = leadFrames + granted.periodFrames * granted.periods;
        const samples = randomSamples(3001 * setup.loop.channels, leadFrames);
        const o = { leadFrames: lead, marginFrames: 500 };
        const { from, recording } = await playAndRecord(setup, claim, granted, samples, o);
        const { returns, channels } = setup.loop;
        let first = 0;
        while (first < recording.frames && recording.at(first, returns[0]!) === 0) first++;
        offsets.push(first - from);
        for (let frame = 0; frame < recording.frames; frame++) {
          for (let channel = 1; channel <= granted.inChannels; channel++) {
            const c = returns.indexOf(channel);
            const index = (frame - first) * channels + c;
            const expected = c < 0 || index < 0 ? 0 : (samples[index] ?? 0);
            const actual = recording.at(frame, channel);
            if (actual !== expected)
              assert.fail(`frame ${frame} channel ${channel}: ${actual}, played was ${expected}`);
          }
        }
        if (granted.loopLatencyFrames !== null) {
          assert.equal(first - from, granted.loopLatencyFrames + setup.loop.delayFrames);
        }
        const tally = await claim.stop({ drain: false });
        assert.deepEqual([tally.xruns, tally.starved, tally.dropped], [0, 0, 0]);
      }
      assert.equal(new Set(offsets).size, 1, offsets.join());
      assert.equal(faults.length, 0);
    });

    check('keeps the claim while the rate changes', async () => {
      await claim.start(setup.request);
      const granted = await claim.start({ ...setup.request, rate: setup.otherRate });
      assert.equal(granted.rate, setup.otherRate);
      assert.equal((await claim.verifyClaim()).exclusive, true);
      assert.ok(claim.position().played < granted.ringFrames);
    });

    check('calls a write that comes too late starved, with its frames', async () => {
      const granted = await claim.start(setup.request);
      const quiet = new Int32Array(granted.periodFrames * setup.loop.channels);
      const samples = randomSamples(64 * setup.loop.channels, 5);
      await playAndRecord(setup, claim, granted, samples, { leadFrames: 2 * quiet.length, marginFrames: 0 });
      assert.equal(faults.length, 0);
      claim.write(10, setup.loop.firstSend, setup.loop.channels, quiet);
      assert.equal(faults.length, 1);
      assert.equal(faults[0]!.kind, 'starved');
      assert.ok(faults[0]!.atFrame === 10 || faults[0]!.atFrame === null);
      assert.equal(claim.state, 'running');
      assert.ok((await claim.stop({ drain: false })).starved > 0);
    });

    check('refuses a write beyond the ring, and channels that are not there', async () => {
      const granted = await claim.start(setup.request);
      const { firstSend, channels } = setup.loop;
      const block = new Int32Array(16 * channels);
      const beyond = claim.position().played + 2 * granted.ringFrames;
      assert.throws(() => claim.write(beyond, firstSend, channels, block), RangeError);
      assert.throws(() => claim.write(0, 0, channels, block), RangeError);
      assert.throws(() => claim.write(0, granted.outChannels, 2, block), RangeError);
      assert.throws(() => claim.write(0, firstSend, channels, new Int32Array(16 * channels + 1)), RangeError);
      assert.throws(() => claim.arm({ channels: [granted.outChannels + 1], from: 0, to: 1 }), RangeError);
    });

    check('delivers a loss before any frame behind it can be read', async () => {
      const granted = await claim.start(setup.request);
      await setup.loseCapture(claim, granted);
      const known = faults.filter((fault) => fault.kind === 'dropped');
      assert.ok(known.length > 0);
      // What was read and what was lost add up to what was captured, at every moment.
      const into = new Int32Array(granted.periodFrames * granted.inChannels);
      const { captured } = claim.position();
      let accounted = 0;
      for (let got = claim.read(into); got > 0; got = claim.read(into)) {
        accounted += got;
        for (const fault of faults.splice(0)) {
          assert.equal(fault.kind, 'dropped');
          accounted += fault.frames ?? 0;
        }
      }
      if (known.every((fault) => fault.frames !== null)) {
        assert.ok(accounted >= captured && accounted <= claim.position().captured, `${accounted} of ${captured}`);
      }
      assert.ok((await claim.stop({ drain: false })).dropped > 0);
    });

    check('stops and closes at once, and may be told so twice', async () => {
      await claim.start(setup.request);
      const tally = await claim.stop({ drain: true });
      assert.deepEqual(await claim.stop({ drain: false }), tally);
      assert.equal(claim.state, 'idle');
      await claim.start(setup.request);
      const before = process.hrtime.bigint();
      await claim.close();
      await claim.close();
      assert.ok(process.hrtime.bigint() - before < 500_000_000n);
      assert.equal(claim.state, 'closed');
      await assert.rejects(claim.start(setup.request), { code: 'audio.closed' });
      assert.throws(() => claim.read(new Int32Array(64)), { code: 'audio.closed' });
      assert.throws(() => claim.write(0, 1, 1, new Int32Array(1)), { code: 'audio.closed' });
    });
  });
}
