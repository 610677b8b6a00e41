/** Whom the alsa driver lets at a device, how it proves that, and what it says when it is not let at one itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { OutboardError } from '../../../core/errors.js';
import { createAlsaInterface } from '../../../drivers/audio/alsa/alsa.js';
import type { ClaimCheck, StreamRequest } from '../../../drivers/audio/port.js';
import { shape, start } from '../../peers/loop-card/alsa-programs.js';
import { LoopCard } from '../../peers/loop-card/loop-card.js';
import { claimCard, HOLDER, holdElsewhere, openCard, RATE, request, until } from './alsa-card.js';

const WIDE = { channels: 4, rate: RATE, format: 'S32_LE' } as const;

function check(checks: readonly ClaimCheck[], name: ClaimCheck['name']): ClaimCheck {
  return checks.find((one) => one.name === name)!;
}

describe('the proof', () => {
  test('names what was looked at: owner, sub-devices, another process, parameters', async (t) => {
    const { claim } = await claimCard(t, { subdevices: 3 });
    assert.equal(claim.proof.exclusive, true);
    assert.deepEqual(
      claim.proof.checks.map(({ name, holds }) => [name, holds]),
      [
        ['owner', true],
        ['sub-devices', true],
        ['hw-params', null],
        ['busy-probe', true],
      ],
    );
    assert.match(check(claim.proof.checks, 'sub-devices').detail, /all 6/);
    await claim.start(request);
    const running = check((await claim.verifyClaim()).checks, 'hw-params');
    assert.equal(running.holds, true);
    assert.match(running.detail, /S32_LE, 4 in, 4 out, 48000 Hz; .*thread.*memory/);
    assert.equal(claim.proof.exclusive, true);
  });

  test('a claim that somebody else owns is lost, and told so', async (t) => {
    const { card, claim, faults } = await claimCard(t);
    await claim.start(request);
    await until(() => claim.position().captured > 3000);
    card.inject({ kind: 'steal' });
    const proof = await claim.verifyClaim();
    assert.equal(proof.exclusive, false);
    assert.equal(check(proof.checks, 'owner').holds, false);
    assert.match(proof.detail, /process 1 /);
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['claim-lost'],
    );
    assert.equal(claim.state, 'faulted');
    assert.ok(claim.read(new Int32Array(4 * 100)) === 100, 'what was captured before can be read');
    assert.throws(() => claim.write(100_000, 1, 4, new Int32Array(4)), { code: 'audio.closed' });
    await assert.rejects(claim.start(request), { code: 'audio.busy' });
    card.plug();
    await claim.start(request);
    assert.equal((await claim.verifyClaim({ probe: true })).exclusive, true);
  });

  test('a device that goes away while nothing runs on it is lost', async (t) => {
    const { card, claim, faults } = await claimCard(t);
    card.inject({ kind: 'unplug' });
    const proof = await claim.verifyClaim();
    assert.equal(proof.exclusive, false);
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['lost'],
    );
    assert.equal(claim.state, 'lost');
    await assert.rejects(claim.start(request), { code: 'audio.gone' });
  });

  test('without a tree of /proc it is the other process that decides', async (t) => {
    const { card } = await openCard(t);
    const audio = createAlsaInterface({ procRoot: '/nonexistent' });
    assert.deepEqual(await audio.list(), []);
    const claim = await audio.claim({ playback: card.device, capture: card.device });
    t.after(() => claim.close());
    assert.equal(check(claim.proof.checks, 'owner').holds, null);
    assert.equal(check(claim.proof.checks, 'busy-probe').holds, true);
    assert.equal(claim.proof.exclusive, true);
  });
});

describe('a device is refused', () => {
  test('that is not a hw: card by its name', async (t) => {
    const { audio, card } = await openCard(t);
    for (const name of [
      'default',
      'hw:0,0',
      'hw:0',
      'plughw:CARD=Loop,DEV=0',
      'hw:CARD=Loop',
      `${card.device},SUBDEV=0`,
    ]) {
      for (const names of [
        { playback: name, capture: card.device },
        { playback: card.device, capture: name },
      ]) {
        await assert.rejects(audio.claim(names), { code: 'audio.device' }, name);
      }
    }
  });

  test('that is not there: the message lists what is', async (t) => {
    const { audio } = await openCard(t);
    for (const name of ['hw:CARD=Other,DEV=0', 'hw:CARD=Loop,DEV=3']) {
      await assert.rejects(audio.claim({ playback: name, capture: name }), (error: OutboardError) => {
        assert.equal(error.code, 'audio.gone');
        assert.match(error.message, /Loop/);
        return true;
      });
    }
  });

  test('that has one direction only', async (t) => {
    const { audio, card } = await openCard(t, { in: 0 });
    assert.deepEqual(
      (await audio.list()).map(({ inChannels, outChannels }) => [inChannels, outChannels]),
      [[0, null]],
    );
    await assert.rejects(audio.claim({ playback: card.device, capture: card.device }), (error: OutboardError) => {
      assert.equal(error.code, 'audio.gone');
      assert.match(error.message, /no capture device 0/);
      return true;
    });
  });

  test('that is busy: the message names the holder; nothing is kept of a half-made claim', async (t) => {
    const { audio, card, device } = await openCard(t);
    const recorder = start(t, card, 'arecord', ...shape(card, WIDE), '-t', 'raw', '/dev/null');
    await until(() => card.counters().captured > 0 || recorder.child.exitCode !== null);
    await assert.rejects(audio.claim(device), (error: OutboardError) => {
      assert.equal(error.code, 'audio.busy');
      assert.match(error.message, new RegExp(`capture by process ${recorder.child.pid} \\(arecord\\)`));
      return true;
    });
    recorder.child.kill('SIGTERM');
    await recorder.ended;
    const claim = await audio.claim(device);
    await claim.close();
  });

  test('that this user may not open', async (t) => {
    const { audio, card, device } = await openCard(t);
    card.inject({ kind: 'deny' });
    await assert.rejects(audio.claim(device), (error: OutboardError) => {
      assert.equal(error.code, 'audio.denied');
      assert.match(error.message, /EACCES/);
      return true;
    });
  });

  test('that dies while it is opened: the claim is lost, and can be made again when it is back', async (t) => {
    const { audio, card, device, claim, faults } = await claimCard(t);
    card.inject({ kind: 'die-while-opening' });
    await assert.rejects(claim.start(request), { code: 'audio.gone' });
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['lost'],
    );
    assert.equal(claim.state, 'lost');
    await claim.close();
    card.plug();
    const again = await audio.claim(device);
    t.after(() => again.close());
    await again.start(request);
  });
});

test('a format that does not fit is refused with what was wanted and what is offered', async (t) => {
  const { claim } = await claimCard(t, { rates: [48_000, 96_000], in: 6 });
  const fits: StreamRequest = { ...request, inChannels: 6 };
  for (const [change, offered] of [
    [{ rate: 44_100 }, /not 44100 Hz, only 48000 to 96000/],
    [{ rate: 60_000 }, /not 60000 Hz/],
    [{ inChannels: 4 }, /capture: not 4 channels, only 6 to 6/],
    [{ outChannels: 6 }, /playback: not 6 channels, only 4 to 4/],
    [{ format: 'S24_3LE' }, /no samples of S24_3LE, only S32_LE/],
    [{ periodFrames: 8 }, /no periods of 8 frames, only 16 to/],
    [{ periods: 1000 }, /buffer/],
    [{ rate: 48_000.5 }, /whole numbers/],
    [{ outChannels: 129 }, /at most 128/],
  ] as const) {
    const wanted = { ...fits, ...change };
    await assert.rejects(claim.start(wanted), (error: OutboardError) => {
      assert.equal(error.code, 'audio.format');
      assert.match(error.message, offered);
      assert.deepEqual(error.details['wanted'], wanted);
      return true;
    });
    assert.equal(claim.state, 'idle');
  }
  await claim.start(fits);
});

test('while it is held, idle or rolling, nobody else gets in: aplay on any sub-device is told so', async (t) => {
  const { card, claim } = await claimCard(t, { subdevices: 2 });
  for (const rolling of [false, true]) {
    if (rolling) await claim.start(request);
    for (const device of [card.device, `${card.device},SUBDEV=0`, `${card.device},SUBDEV=1`]) {
      const { code, said } = await start(t, card, 'aplay', ...shape(card, WIDE, device), '/dev/zero').ended;
      assert.equal(code, 1);
      assert.match(said, /Device or resource busy/);
    }
  }
});

describe('a process that ends with the device in its hands', () => {
  test('does so at once, and the device is free', async (t) => {
    const { audio, card, device } = await openCard(t);
    const { child } = await holdElsewhere(t, card);
    await assert.rejects(audio.claim(device), (error: OutboardError) => {
      assert.equal(error.code, 'audio.busy');
      assert.match(error.message, /process \d+/);
      return true;
    });
    const before = performance.now();
    const ended = once(child, 'exit');
    child.stdin.write('end');
    assert.deepEqual(await ended, [0, null]);
    assert.ok(performance.now() - before < 10_000);
    const claim = await audio.claim(device);
    await claim.close();
  });

  test('and so does a worker, while this thread has another device', async (t) => {
    const [ours, theirs] = await LoopCard.openAll([
      { card: 'Ours', in: 4, out: 4 },
      { card: 'Theirs', in: 4, out: 4 },
    ]);
    t.after(() => ours!.close());
    t.after(() => theirs!.close());
    process.env['ALSA_CONFIG_PATH'] = ours!.env.ALSA_CONFIG_PATH;
    const audio = createAlsaInterface({ procRoot: ours!.procRoot });
    const claim = await audio.claim({ playback: ours!.device, capture: ours!.device });
    t.after(() => claim.close());
    await claim.start(request);
    for (const way of ['exit', 'terminate'] as const) {
      const worker = new Worker(HOLDER, { workerData: [theirs!.procRoot, theirs!.device] });
      assert.deepEqual(await once(worker, 'message'), ['running']);
      const device = { playback: theirs!.device, capture: theirs!.device };
      await assert.rejects(audio.claim(device), { code: 'audio.busy' });
      const ended = once(worker, 'exit');
      if (way === 'exit') worker.postMessage('end');
      else await worker.terminate();
      await ended;
      await (await audio.claim(device)).close();
    }
    const { captured } = claim.position();
    await until(() => claim.position().captured > captured);
    assert.equal(claim.state, 'running');
  });
});
