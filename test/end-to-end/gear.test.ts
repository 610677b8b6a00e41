/**
 * Hands at the gear while takes roll: a cable that is pulled, a unit that restarts, a knob that somebody turns, with a word or without. The take
 * is void at once and its outputs are silent, whoever watches hears of it within a second, and nobody else's take is touched.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { OfferedJob } from '../../client/offered-job.js';
import type { SealedSource } from '../../client/source.js';
import { ExtronOnLine } from '../peers/gear/extron-on-line.js';
import { gear, startFaultyRig } from '../peers/gear-hands.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { watchAlerts } from '../peers/raw-client.js';
import { scratch } from '../peers/scratch.js';
import { rmsDbfs, sine, writeSignal } from '../peers/signals.js';
import { Child, CLI_MAIN, Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;
const SECONDS = 6;
/** Whoever watches the rig hears of lost gear within this. */
const ALERT_MS = 1000;
/** Outputs are silent so soon after the rig knows. */
const SILENT_FRAMES = RATE / 10;
/** A host that is busy takes that time for itself: then it is tried again. */
const TRIES = 3;

describe('hands at the gear', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let source: SealedSource;
  let alerts: Awaited<ReturnType<typeof watchAlerts>>['alerts'];
  let line: ExtronOnLine;

  before(async () => {
    line = await ExtronOnLine.lay(suite);
    const { inserts, channels } = insertsOf({ a: { width: 1 }, b: { width: 1 }, c: { width: 1 } });
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: { clock: 'realtime', rates: [RATE], in: channels, out: channels },
        inserts,
        processors: {
          'eq-a': { profile: 'virtual.gain', insert: 'a', port: { virtual: true } },
          'eq-b': { profile: 'virtual.gain', insert: 'b', port: { virtual: true } },
          matrix: { profile: 'extron.crosspoint300-hva', insert: 'c', port: { serial: line.path, anyPath: true } },
        },
      },
    });
    const watched = await watchAlerts(stack);
    suite.after(watched.close);
    alerts = watched.alerts;
    const wav = join(await scratch(suite), 'tone.wav');
    const shape = { rate: RATE, channels: 1, bits: 24, frames: SECONDS * RATE } as const;
    await writeSignal(wav, { ...shape, sample: sine(997, -20, RATE) });
    source = await storedSource(suite, stack, wav);
    await startFaultyRig(stack);
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });
  afterEach(async () => {
    await gear(stack, { unit: 'eq-a', do: 'plug' });
    await until(async () => (await stack.status()).state.processors.every(({ state }) => state === 'ready'));
    alerts.length = 0;
  });

  const offer = (unit: string, gain: number) =>
    offerJob(stack, dispatcher, source, { chain: [link(unit, { gain })], maxAttempts: 5 });
  const deafen = (deaf: boolean) => {
    line.deaf = deaf;
  };
  const alertOf = (code: string, severity: string) =>
    alerts.find(({ alert }) => alert.problem.code === code && alert.severity === severity)?.alert;

  /** Waits until the take plays, does what is to be done, and sees that its output falls silent long before the song is over. */
  async function during(job: OfferedJob, send: number, act: () => Promise<unknown>): Promise<void> {
    await job.until('rolling');
    const silentFor = () => gear<number | null>(stack, { do: 'silentFor', send });
    await until(
      async () => {
        const ms = await silentFor();
        return ms !== null && ms < 100;
      },
      30_000,
      'the tone',
    );
    await act();
    await until(async () => (await silentFor())! > 200, 3000, `silence while ${SECONDS} s of tone play`);
  }

  /** No attempt of it was thrown away for its gear; a busy host may have cost it one. */
  function assertUntouched(job: OfferedJob): void {
    const codes = job.past.flatMap(({ payload }) => (payload.type === 'ready' ? (payload.problem?.code ?? []) : []));
    assert.deepEqual(
      codes.filter((code) => code !== 'take.spoiled'),
      [],
    );
  }

  /** Why an attempt was thrown away; not what a busy host does to takes. */
  async function voided(job: OfferedJob): Promise<{ code: string; message: string }> {
    const problems = () =>
      job.past.flatMap(({ payload }) => (payload.type === 'ready' && payload.problem ? [payload.problem] : []));
    const ofGear = () => problems().find(({ code }) => code !== 'take.spoiled');
    await until(() => ofGear() !== undefined);
    return ofGear()!;
  }

  it('a link that goes silences its take at once, is told within a second, and touches no other take', async () => {
    const [lost, other] = await Promise.all([offer('eq-a', -6), offer('eq-b', -12)]);
    await other.until('rolling');
    let unpluggedAt = 0;
    await during(lost, 1, async () => {
      unpluggedAt = performance.now();
      await gear(stack, { unit: 'eq-a', do: 'unplug' });
      await until(() => alertOf('processor.lost', 'critical') !== undefined, 30_000, 'the alert');
      const tookMs = performance.now() - unpluggedAt;
      assert.ok(tookMs < ALERT_MS, `the alert took ${tookMs.toFixed(0)} ms`);
    });
    assert.equal((await voided(lost)).code, 'processor.lost');
    assert.deepEqual(alertOf('processor.lost', 'critical')!.problem.details, { processor: 'eq-a' });
    const { health, state } = await stack.status();
    const check = health
      .find(({ subsystem }) => subsystem === 'processors')!
      .checks.find(({ name }) => name === 'eq-a');
    assert.equal(check!.status, 'failed');
    assert.equal(state.mode, 'ready', 'the rig goes on');

    const untouched = await finishedTake(suite, stack, dispatcher, other);
    assertUntouched(other);
    assert.ok(Math.abs(rmsDbfs(untouched.samples) + 32) < 0.01);

    // Whatever happened to it meanwhile, it is safe before it is used again.
    await gear(stack, { unit: 'eq-a', do: 'turn', key: 'gain', value: 12 });
    await gear(stack, { unit: 'eq-a', do: 'plug' });
    const again = await finishedTake(suite, stack, dispatcher, lost);
    assert.ok(again.certificate.attempt >= 2);
    assert.ok(Math.abs(rmsDbfs(again.samples) + 26) < 0.01, 'of the second attempt every sample has its settings');
    assert.ok(alertOf('processor.lost', 'notice'), 'struck off');
  });

  for (const [how, cut, mend] of [
    ['is cut behind its adapter', () => deafen(true), () => deafen(false)],
    ['goes with its terminal', () => line.unplug(), () => line.plug()],
  ] as const)
    it(`a line that ${how} is told within a second, and its outputs are silent at once`, async (t) => {
      for (let left = TRIES; ; left--) {
        const settings = { 'inGain@in=1': 3, 'outVol@out=1': -60, 'mute@out=1': false };
        const chain = [link('matrix', settings)];
        const [lost, other] = await Promise.all([
          offerJob(stack, dispatcher, source, { chain, maxAttempts: 5 }),
          offer('eq-b', -12),
        ]);
        let tookMs = Number.POSITIVE_INFINITY;
        await during(lost, 3, async () => {
          const cutAtMs = performance.now();
          await cut();
          await until(() => alertOf('processor.lost', 'critical') !== undefined, 30_000, 'the alert');
          tookMs = performance.now() - cutAtMs;
        });
        assert.deepEqual(alertOf('processor.lost', 'critical')!.problem.details, { processor: 'matrix' });
        assert.equal((await voided(lost)).code, 'processor.lost');
        const audibleFrames = await gear<number>(stack, { unit: 'matrix', do: 'audibleAfterLoss', send: 3 });
        t.diagnostic(
          `the alert came after ${tookMs.toFixed(0)} ms, silence ${audibleFrames} frames after the loss was known`,
        );

        await finishedTake(suite, stack, dispatcher, other);
        assertUntouched(other);
        await mend();
        const again = await finishedTake(suite, stack, dispatcher, lost);
        assert.ok(again.certificate.attempt >= 2);
        assert.ok(alertOf('processor.lost', 'notice'), 'struck off');
        if (tookMs <= ALERT_MS && audibleFrames <= SILENT_FRAMES) return;
        assert.ok(
          left > 1,
          `alert after ${tookMs.toFixed(0)} ms, ${audibleFrames} frames heard after the loss was known`,
        );
        alerts.length = 0;
      }
    });

  it('a unit that comes back is brought into its safe state, job or no job', async () => {
    await gear(stack, { unit: 'eq-a', do: 'unplug' });
    await until(() => alertOf('processor.lost', 'critical') !== undefined);
    await gear(stack, { unit: 'eq-a', do: 'turn', key: 'gain', value: 12 });
    await gear(stack, { unit: 'eq-a', do: 'plug' });
    await until(async () => (await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' })) === 0);
    await until(() => alertOf('processor.lost', 'notice') !== undefined);
  });

  it('a knob that somebody turns voids the take at once', async () => {
    const job = await offer('eq-a', -6);
    await during(job, 1, () =>
      gear(stack, { unit: 'eq-a', do: 'turn', key: 'gain', value: -5, announce: 'LOCAL GAIN' }),
    );
    assert.equal((await voided(job)).code, 'take.drift');
    await until(() => alertOf('processor.changed', 'warning') !== undefined);
    const { certificate, samples } = await finishedTake(suite, stack, dispatcher, job);
    assert.ok(certificate.attempt >= 2);
    assert.ok(Math.abs(rmsDbfs(samples) + 26) < 0.01);
    const setting = certificate.processors[0]!.settings.find(({ name }) => name === 'gain');
    assert.deepEqual(setting, {
      name: 'gain',
      unit: 'dB',
      requested: -6,
      sent: -6,
      readBack: -6,
      readBackAfter: -6,
      state: 'verified',
    });
    assert.match(certificate.processors[0]!.profile.hash, /^sha256:[0-9a-f]{64}$/);
  });

  it('so does a value that drifts without a word', async () => {
    const job = await offer('eq-a', -6);
    await during(job, 1, () => gear(stack, { unit: 'eq-a', do: 'turn', key: 'gain', value: -5.99 }));
    const problem = await voided(job);
    assert.equal(problem.code, 'take.drift');
    assert.match(problem.message, /eq-a .*gain/);
    assert.ok((await finishedTake(suite, stack, dispatcher, job)).certificate.attempt >= 2);
  });

  it('and a unit that restarts', async () => {
    const job = await offer('eq-a', -6);
    await during(job, 1, () => gear(stack, { unit: 'eq-a', do: 'reboot' }));
    const problem = await voided(job);
    assert.equal(problem.code, 'processor.lost');
    assert.match(problem.message, /restarted/);
    const { certificate, samples } = await finishedTake(suite, stack, dispatcher, job);
    assert.ok(certificate.attempt >= 2);
    assert.ok(Math.abs(rmsDbfs(samples) + 26) < 0.01);
  });

  it('technicians find the gear safe, and may turn what they like without an alert', async () => {
    await finishedTake(suite, stack, dispatcher, await offer('eq-a', -6));
    assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), -6);
    await maintenance(stack, 'maintenance.enter');
    await until(async () => (await stack.status()).state.mode === 'maintenance');
    assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), 0);
    assert.equal(line.matrix.panelLock, 0, 'the keys of the matrix are theirs');
    await gear(stack, { unit: 'eq-a', do: 'turn', key: 'gain', value: 12, announce: 'LOCAL GAIN' });
    line.matrix.turnVolume(1, 30);
    await maintenance(stack, 'maintenance.exit');
    assert.equal(line.matrix.panelLock, 1);
    assert.equal(line.matrix.volume.get(1), 0);
    await until(async () => (await stack.status()).state.mode === 'ready');
    assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), 0);
    assert.equal(alertOf('processor.changed', 'warning'), undefined);
  });

  describe('outboard processors', () => {
    const at = () => ['--socket', stack.controlSocket];
    const signed = () => [...at(), '--key', join(stack.dir, 'technician/key.jwk'), '--reason', 'a test'];
    const outboard = async (...words: string[]) => {
      const child = new Child(process.execPath, [CLI_MAIN, 'processors', ...words]);
      return { code: await child.exit(), output: child.output };
    };

    it('lists the units with state, identity and last error, and asks nobody for it', async () => {
      const { code, output } = await outboard(...at());
      assert.equal(code, 0, output);
      assert.match(output, /^eq-a +ready +a +virtual\.gain 1\.\d+\.\d+ +model virtual\.gain +simulated/m);
      const { output: json } = await outboard('list', ...at(), '--json');
      const [unit] = (JSON.parse(json) as { processors: Record<string, unknown>[] }).processors;
      assert.deepEqual(unit!['identity'], { model: 'virtual.gain' });
      assert.equal(unit!['state'], 'ready');
      assert.equal(unit!['safeOwed'], false);
    });

    it('sets nothing outside of maintenance, and reads nothing', async () => {
      const refused = await outboard('set', 'eq-a', 'gain=-3', ...signed());
      assert.equal(refused.code, 75, refused.output);
      assert.match(refused.output, /rig\.mode/);
      const { output } = await outboard('show', 'eq-a', ...at());
      assert.match(output, /^gain +- +dB +-60 to 24.* +0 +readback +level$/m);
      assert.match(output, /read in maintenance only/);
      assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), 0);
    });

    it('shows, sets, makes safe and identifies in maintenance, with a signature', async () => {
      await maintenance(stack, 'maintenance.enter');
      await until(async () => (await stack.status()).state.mode === 'maintenance');
      const set = await outboard('set', 'eq-a', 'gain=-3.5', 'mute=on', ...signed());
      assert.equal(set.code, 0, set.output);
      assert.match(set.output, /^gain +-3\.5 +-3\.5 +dB +verified$/m);
      assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), -3.5);
      const shown = await outboard('show', 'eq-a', ...at());
      assert.match(shown.output, /^gain +-3\.5 +dB/m);
      assert.match(shown.output, /^mute +true/m);
      assert.match((await outboard('identify', 'eq-a', ...signed())).output, /^model +virtual\.gain$/m);
      assert.equal((await outboard('safe', 'eq-a', ...signed())).code, 0);
      assert.equal(await gear(stack, { unit: 'eq-a', do: 'value', key: 'gain' }), 0);

      const wrong = await outboard('set', 'eq-a', 'gain=99', ...signed());
      assert.equal(wrong.code, 65, wrong.output);
      assert.match(wrong.output, /job\.setting.*gain.*99/);
      assert.match((await outboard('safe', 'nobody', ...signed())).output, /job\.processor.*eq-a, eq-b/);
      const stranger = join(stack.dir, 'dispatcher/key.jwk');
      const forged = await outboard('safe', 'eq-a', ...at(), '--key', stranger, '--reason', 'a test');
      assert.equal(forged.code, 77, forged.output);

      await gear(stack, { unit: 'eq-a', do: 'unplug' });
      const gone = await outboard('identify', 'eq-a', ...signed());
      assert.match(gone.output, /processor\.lost/);
      assert.match((await outboard(...at())).output, /^eq-a +(absent|opening|lost), not safe .*processor\.lost/m);
      await gear(stack, { unit: 'eq-a', do: 'plug' });
      await maintenance(stack, 'maintenance.exit');
    });
  });
});
