/**
 * The interface of a rig that has one: outboardd as a process of its own, through the driver `alsa`, on a sound card that a test can unplug,
 * steal, stall and hold. Whatever happens to it, the daemon stays up, says what it waits for, and goes on by itself.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { OfferedJob } from '../../client/offered-job.js';
import type { SealedSource } from '../../client/source.js';
import { type HealthCheck, InterfaceAnswer, StatusAnswer } from '../../core/contract/index.js';
import { LocalClient } from '../../daemon/local-client.js';
import { link, offerJob, storedSource, typesOf } from '../peers/jobs.js';
import { type CardFault, LoopCard } from '../peers/loop-card/loop-card.js';
import { watchAlerts } from '../peers/raw-client.js';
import { drumLoop, samplesOf, VOICE } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { hash, writeSignal } from '../peers/signals.js';
import { Child, CLI_MAIN, RIG_MAIN, Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf } from '../peers/takes.js';

const CHANNELS = 6;
const DELAY_FRAMES = 100;
const RATE = 48_000;
/** A buffer of 0.7 s: a virtual machine stands still for longer than the usual 0.17 s now and then, and an xrun that no test asked for fails it. */
const PERIODS = 32;
/** Whoever watches the rig hears of a lost interface within this. */
const ALERT_MS = 1000;

describe('a rig with a sound card', { timeout: 900_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let card: LoopCard;
  let stack: Stack;
  let dispatcher: Dispatcher;
  let alerts: Awaited<ReturnType<typeof watchAlerts>>['alerts'];
  let tone: { wav: string; source: SealedSource };

  before(async () => {
    card = await LoopCard.open({ in: CHANNELS, out: CHANNELS, rates: [44_100, RATE], delayFrames: DELAY_FRAMES });
    suite.after(() => card.close());
    const { inserts } = insertsOf({ a: { width: 2 }, b: { width: 2 }, m: { width: 1 } });
    for (const insert of Object.values(inserts)) delete insert.path;
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: {
          driver: 'alsa',
          device: card.device,
          // The last one is in the configuration only.
          rates: [RATE, 44_100, 96_000],
          in: CHANNELS,
          out: CHANNELS,
          sync: { send: CHANNELS, return: CHANNELS },
          periods: PERIODS,
          procRoot: card.procRoot,
        },
        inserts,
      },
    });
    const watched = await watchAlerts(stack);
    suite.after(watched.close);
    alerts = watched.alerts;
    const wav = join(await scratch(suite), 'noise.wav');
    await writeSignal(wav, { rate: RATE, channels: 2, bits: 24, frames: 3 * RATE, sample: hash(0.9) });
    tone = { wav, source: await storedSource(suite, stack, wav) };
    await stack.startRig({ env: card.env });
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  afterEach(() => card.plug());

  /** What one test could not end must not fail the others. */
  const timely = (name: string, work: (t: TestContext) => Promise<void>) =>
    it(name, async (t) => {
      if (stack.rig!.over) await stack.startRig({ env: card.env });
      if (stack.courier!.over) await stack.startCourier();
      await stack.timely(work(t as TestContext));
    });

  const state = async () => (await stack.status()).state;
  const mode = async () => (await state()).mode;
  const isReady = () => until(async () => (await mode()) === 'ready', 30_000, `ready: ${stack.logs()}`);
  const stereo = (wishes: object = {}) =>
    offerJob(stack, dispatcher, tone.source, { chain: [link('gain-1', { gain: 0 })], ...wishes });

  /** A program of alsa-utils on the same card. */
  async function aplay(program: 'aplay' | 'arecord'): Promise<string> {
    const shape = ['-D', card.device, '-f', 'S32_LE', '-r', `${RATE}`, '-c', `${CHANNELS}`, '-d', '1'];
    const child = new Child(program, [...shape, program === 'aplay' ? '/dev/zero' : '/dev/null'], card.env);
    assert.notEqual(await child.exit(), 0, `${program} could open the card`);
    return child.output;
  }

  async function check(name: string): Promise<HealthCheck | undefined> {
    const { health } = await stack.status();
    return health.find(({ subsystem }) => subsystem === 'interface')?.checks.find((entry) => entry.name === name);
  }

  timely(
    'gives 24-bit material back bit for bit, at every rate that the card has, and says what it ran on',
    async () => {
      await isReady();
      assert.equal((await state()).virtual, false);
      const made = await finishedTake(suite, stack, dispatcher, await stereo());
      assert.deepEqual(made.samples, await samplesOf(tone.wav));
      const { certificate } = made;
      assert.equal(certificate.latency.interfaceFrames, DELAY_FRAMES, 'measured through the sync wire');
      assert.equal(certificate.continuity.clock, 'hardware');
      assert.equal(certificate.calibration, null);

      const drums = await drumLoop(await scratch(suite), 24);
      const other = await offerJob(stack, dispatcher, await storedSource(suite, stack, drums), {
        chain: [link('gain-1', { gain: 0 })],
      });
      const take = await finishedTake(suite, stack, dispatcher, other);
      assert.equal(take.certificate.result.rate, 44_100);
      assert.deepEqual(take.samples, await samplesOf(drums));
      assert.match((await check('rates'))!.detail, /^runs 44100 Hz of 48000, 44100, 96000$/);

      const voice = await offerJob(stack, dispatcher, await storedSource(suite, stack, VOICE));
      assert.deepEqual((await finishedTake(suite, stack, dispatcher, voice)).samples, await samplesOf(VOICE));
    },
  );

  timely('takes no job at a rate that the card refuses, says so once, and goes on at the others', async () => {
    const wav = join(await scratch(suite), 'fast.wav');
    await writeSignal(wav, { rate: 96_000, channels: 1, bits: 24, frames: 9600, sample: hash(0.5) });
    const job = await offerJob(stack, dispatcher, await storedSource(suite, stack, wav), { maxAttempts: 1 });
    const { payload } = await job.final;
    assert.equal(payload.type, 'failed');
    assert.equal(payload.problem?.code, 'audio.format');
    assert.match(payload.problem!.message, /96000/);
    await until(() => alerts.some(({ alert }) => alert.problem.code === 'audio.format'));
    const { alert } = alerts.find((one) => one.alert.problem.code === 'audio.format')!;
    assert.equal(alert.severity, 'warning');
    assert.match(alert.problem.message, /at 96000 Hz/);
    assert.equal((await check('rates'))?.status, 'degraded');
    await finishedTake(suite, stack, dispatcher, await stereo());
  });

  timely('holds the card alone, idle and while it rolls, and proves it', async () => {
    await isReady();
    for (const program of ['aplay', 'arecord'] as const) assert.match(await aplay(program), /Device or resource busy/);
    const job = await stereo();
    await job.until('rolling');
    for (const program of ['aplay', 'arecord'] as const) assert.match(await aplay(program), /Device or resource busy/);
    const take = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(take.certificate.attempt, 1, 'whoever tried did not disturb it');

    const child = new Child(process.execPath, [CLI_MAIN, 'interface', 'check', '--socket', stack.controlSocket]);
    assert.equal(await child.exit(), 0, child.output);
    for (const line of [
      /^ok +claim +hw:CARD=Loop,DEV=0, driver alsa$/m,
      /^ok +owner +every sub-device is owned by a thread of this process$/m,
      /^ok +busy-probe +another process was refused with EBUSY$/m,
      /^ok +hw-params +the device runs S32_LE, 6 in, 6 out, \d+ Hz/m,
      /^ok +sub-devices +all 2 are held$/m,
      /^ok +latency +100 frames.* measured through the sync wire$/m,
      /^\S+ +faults +/m,
    ])
      assert.match(child.output, line);
    for (const name of ['claim', 'claim.owner', 'claim.busy-probe', 'claim.hw-params', 'claim.sub-devices'])
      assert.equal((await check(name))?.status, 'ok', name);
  });

  /** Does it, and measures until an alert with the code has come over the broker and the signed state says `faulted`. */
  async function alarmed(t: TestContext, fault: CardFault, code: string): Promise<void> {
    const before = alerts.length;
    const news = () => alerts.slice(before).find(({ alert }) => alert.problem.code === code);
    const at = performance.now();
    card.inject(fault);
    await until(() => news() !== undefined, 60_000, `an alert ${code}: ${stack.logs()}`);
    const tookMs = performance.now() - at;
    const { alert } = news()!;
    assert.equal(alert.severity, 'critical');
    assert.ok(alert.problem.message.includes(card.device), alert.problem.message);
    assert.ok(tookMs < ALERT_MS, `the alert took ${tookMs} ms`);
    const { mode: now, lastFault } = await state();
    assert.equal(now, 'faulted');
    assert.equal(lastFault?.problem.code, code);
    assert.match(lastFault!.problem.message, /the rig waits for hw:CARD=Loop,DEV=0/);
    t.diagnostic(`${fault.kind}: alert after ${tookMs.toFixed(0)} ms`);
  }

  async function cured(): Promise<void> {
    const before = alerts.length;
    card.plug();
    await isReady();
    await until(() => alerts.slice(before).some(({ alert }) => alert.severity === 'notice'), 60_000, 'the notice');
  }

  timely('an unplugged card in a take: an alert, faulted, and when it is back the take is made again', async (t) => {
    const job = await stereo({ maxAttempts: 2 });
    await job.until('rolling');
    const waiting = await stereo({ maxAttempts: 1 });
    await waiting.until('ready');
    await alarmed(t, { kind: 'unplug' }, 'audio.gone');
    const stateOf = async ({ id }: OfferedJob) => {
      const { jobs } = await stack.status();
      const found = jobs.find((one) => one.job === id);
      return `${found?.state} ${found?.attempt}`;
    };
    await until(async () => (await stateOf(job)) === 'ready 1', 60_000, 'the take to be over');
    assert.equal(await stateOf(waiting), 'ready 0');
    assert.match((await check('claim'))!.detail, /^waits for hw:CARD=Loop,DEV=0/);
    const child = new Child(process.execPath, [CLI_MAIN, 'interface', 'check', '--socket', stack.controlSocket]);
    assert.equal(await child.exit(), 69, child.output);
    await cured();
    const take = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(take.certificate.attempt, 2);
    assert.deepEqual(take.samples, await samplesOf(tone.wav));
    const types = await typesOf(job);
    assert.equal(types.filter((type) => type === 'rolling').length, 2);
    assert.equal((await finishedTake(suite, stack, dispatcher, waiting)).certificate.attempt, 1, 'spent nothing');
  });

  timely(
    'a card that another process owns all of a sudden: an alert within a second, and back when it is free',
    async (t) => {
      await alarmed(t, { kind: 'steal' }, 'audio.busy');
      await cured();
      await finishedTake(suite, stack, dispatcher, await stereo());
    },
  );

  /** A new process has had no fault yet: what comes now is not one of many in a row. */
  async function restarted(): Promise<void> {
    await stack.rig!.end();
    await stack.startRig({ env: card.env });
    await isReady();
  }

  timely('an xrun or a short stall while idle is cured by itself, and counted', async () => {
    await restarted();
    for (const fault of [{ kind: 'xrun-in' }, { kind: 'stall' }] as const) {
      const faults = (await check('faults'))!.value!;
      card.inject(fault);
      await until(async () => (await check('faults'))!.value! > faults, 60_000, `${fault.kind} to be counted`);
      card.plug();
      await until(async () => (await check('format'))?.status === 'ok', 60_000, 'the stream to run again');
      await isReady();
    }
    assert.match((await check('faults'))!.detail, /1 xrun-in/);
    assert.equal(alerts.filter(({ alert }) => alert.problem.code === 'audio.late').length, 0);
    await finishedTake(suite, stack, dispatcher, await stereo());
  });

  timely('an xrun in a take voids it, and it is made again', async () => {
    await restarted();
    const job = await stereo({ maxAttempts: 2 });
    await job.until('rolling');
    card.inject({ kind: 'xrun-out' });
    const take = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(take.certificate.attempt, 2);
    assert.deepEqual(take.samples, await samplesOf(tone.wav));
  });

  timely(
    'samples that the card loses in a take without a word are found by the sync channel; it is made again',
    async () => {
      const job = await stereo({ maxAttempts: 2 });
      await job.until('rolling');
      card.inject({ kind: 'drop', frames: 1 });
      const take = await finishedTake(suite, stack, dispatcher, job);
      assert.equal(take.certificate.attempt, 2);
      assert.deepEqual(take.samples, await samplesOf(tone.wav));
      assert.match((await check('faults'))!.detail, /1 slipped/);
    },
  );

  /** Another daemon on this host, with a state and sockets of its own. */
  async function another(
    change: (text: string) => string,
  ): Promise<{ child: Child; status(): Promise<StatusAnswer | null>; ask(): Promise<InterfaceAnswer> }> {
    const { rig } = stack.init.files;
    const name = `other-${cleanUp.length}`;
    const text = await readFile(rig, 'utf8');
    const other = change(text).replace('stateDir: state', `stateDir: ${name}`).replaceAll('run/c', `${name}-run/c`);
    assert.notEqual(other, text);
    const file = join(dirname(rig), `${name}.yaml`);
    await writeFile(file, other);
    const child = new Child(process.execPath, [RIG_MAIN, '--config', file, '--log-level', 'warn'], card.env);
    suite.after(() => child.end('SIGKILL'));
    const client = new LocalClient({ socketPath: join(dirname(rig), `${name}-run/control.sock`) });
    suite.after(() => client.close());
    const status = () => client.get('/status', StatusAnswer).catch(() => null);
    const isUp = async () => ((await status())?.state.mode ?? 'starting') !== 'starting';
    await until(async () => child.over || (await isUp()), 60_000, `the other daemon: ${child.output}`);
    return { child, status, ask: () => client.get('/interface', InterfaceAnswer) };
  }

  timely('a second daemon waits for the card that the first one holds, and has it when that one stops', async () => {
    await isReady();
    const second = await another((text) => text);
    const { state: waiting } = (await second.status())!;
    assert.equal(waiting.mode, 'faulted');
    assert.equal(waiting.lastFault?.problem.code, 'audio.busy');
    assert.match(waiting.lastFault!.problem.message, new RegExp(`waits for ${card.device}.*process \\d+`));
    assert.equal(await mode(), 'ready');
    await stack.rig!.end();
    await until(async () => (await second.status())?.state.mode === 'ready', 60_000, 'the second daemon');
    assert.equal((await second.ask()).proof?.exclusive, true);
    await second.child.end();
    await stack.startRig({ env: card.env });
    await isReady();
  });

  describe('a card that is not as it should be when the daemon starts', () => {
    before(() => stack.rig!.end());

    const wrong: [
      what: string,
      change: (text: string) => string,
      fault: CardFault | null,
      code: string,
      says: RegExp,
    ][] = [
      ['is not there', (text) => text.replace('CARD=Loop', 'CARD=Absent'), null, 'audio.gone', /hw:CARD=Absent,DEV=0/],
      ['has too few channels', (text) => text.replace('in: 6', 'in: 8'), null, 'audio.format', /at 48000 Hz.*\b[68]\b/],
      [
        'has another format',
        (text) => text.replace('in: 6', 'in: 6\n  format: S24_3LE'),
        null,
        'audio.format',
        /S32_LE/,
      ],
      ['has not this rate', (text) => text.replace('- 48000', '- 88200'), null, 'audio.format', /at 88200 Hz/],
      ['is held', (text) => text, { kind: 'busy' }, 'audio.busy', /held/],
      ['may not be opened', (text) => text, { kind: 'deny' }, 'audio.denied', /EACCES/],
      ['dies while it is opened', (text) => text, { kind: 'die-while-opening' }, 'audio.gone', /hw:CARD=Loop/],
      [
        'is silent on the sync wire',
        (text) =>
          text
            .replace('return: 6', 'return: 5')
            .replace(/ {2}m:\n(?: {4}.*\n)+/, '')
            .replace(/ {2}gain-m:.*\n/, ''),
        null,
        'audio.sync',
        /output 6 is not heard on input 5/,
      ],
    ];
    for (const [what, change, fault, code, says] of wrong)
      it(`it ${what}: up, faulted, ${code}`, async () => {
        if (fault) card.inject(fault);
        const other = await another((text) => change(text));
        assert.equal(other.child.over, false, other.child.output);
        await until(async () => (await other.status())?.state.mode === 'faulted', 60_000, 'faulted');
        const { problem } = (await other.status())!.state.lastFault!;
        assert.equal(problem.code, code, JSON.stringify(problem));
        assert.match(problem.message, says);
        if (fault) {
          card.plug();
          await until(async () => (await other.status())?.state.mode === 'ready', 60_000, 'ready again');
        }
        await other.child.end();
      });
  });
});
