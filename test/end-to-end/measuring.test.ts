/** A technician measures a running rig: what comes of it, and everything that may go wrong while the gear is under a tone. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AlertPayload, InsertHistoryAnswer, ProcessorAnswer } from '../../core/contract/index.js';
import { LocalClient } from '../../daemon/local-client.js';
import { CALIBRATION_TENANT } from '../../daemon/rig/insert-memory.js';
import { Journal } from '../../daemon/rig/journal/journal.js';
import { run } from '../daemon/cli/run-cli.js';
import { gear, startFaultyRig } from '../peers/gear-hands.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { MEASURED_RATE, MeasuredRig, reading } from '../peers/measured-rig.js';
import { scratch } from '../peers/scratch.js';
import { channelOf, rmsDbfs, sine, writeSignal } from '../peers/signals.js';
import { CLI_MAIN, until } from '../peers/stack.js';
import { finishedTake } from '../peers/takes.js';
import { ControlConnection, sessionToken, technicianOf } from '../peers/technician.js';

const PATH = { gainDb: -3.5, delayFrames: 480, poly: [0.001, 0.0005], noiseDbfs: -115, crosstalkDb: -80 };
const FULL_SCALE_DBU = 18;
/** What a meter shows of a tone of -20 dBFS where full scale is +20 dBu: 0 dBu. */
const VOLTS = '0.7746';

function suiteOf() {
  const last: (() => unknown)[] = [];
  return {
    suite: { after: (fn: () => unknown) => void last.unshift(fn) },
    cleanUp: async () => {
      for (const fn of last) await fn();
    },
  };
}

describe('a technician measures', { timeout: 600_000 }, () => {
  const { suite, cleanUp } = suiteOf();
  let rig: MeasuredRig;

  before(async () => {
    rig = await MeasuredRig.start(
      suite,
      {
        known: { width: 2, latencyFrames: 480, path: PATH },
        wire: { width: 2, ceilingDbfs: -1 },
        out: { width: 1, path: { gainDb: -120, noiseDbfs: -100 } },
        low: { width: 1, ceilingDbfs: -40 },
        late: { width: 1, latencyFrames: 100, path: { delayFrames: 137 } },
      },
      { alignment: { fullScaleDbu: FULL_SCALE_DBU } },
    );
    await rig.enter();
  });
  after(cleanUp);

  const safeState = async (processor: string) => {
    const client = new LocalClient({ socketPath: rig.stack.controlSocket });
    try {
      const { parameters, processor: unit } = await client.get(`/processors/${processor}`, ProcessorAnswer);
      return (
        !unit.safeOwed && parameters.filter(({ safe }) => safe !== null).every(({ safe, present }) => safe === present)
      );
    } finally {
      client.close();
    }
  };
  const set = async (processor: string, setting: string) => {
    const { code, stderr } = await run(process.execPath, [
      CLI_MAIN,
      ...['processors', 'set', processor, setting],
      ...rig.signature,
    ]);
    assert.equal(code, 0, stderr);
  };

  it("and the suite finds an insert's own figures, over the real engine", async () => {
    const found = await rig.document(['suite', '--insert', 'known']);
    assert.equal(found.problem, undefined);
    assert.ok(found.analogSeconds <= 60, `${found.analogSeconds} s of signals`);
    assert.deepEqual(
      [found.virtual, found.technician, found.conditions.ceilingDbfs, found.conditions.channels],
      [true, 'technician.main', 0, 2],
    );
    assert.deepEqual(found.conditions.processors[0]?.settings, { gain: 0, mute: false });
    for (const channel of [1, 2]) {
      const near = (name: string, wanted: number, within: number, conditions = {}) => {
        const value = reading(found, name, channel, conditions);
        assert.ok(Math.abs(value - wanted) <= within, `${name} of channel ${channel}: ${value}, not ${wanted}`);
      };
      near('latency_samples', PATH.delayFrames, 0.01);
      near('fr_db', PATH.gainDb, 0.01, { hz: 1000 });
      // Of a sine of amplitude A, x^2 gives A/2 at the second harmonic, x^3 gives A^2/4 at the third, re the fundamental.
      const amplitude = 10 ** (-1 / 20);
      near('h2_dbc', 20 * Math.log10((PATH.poly[0]! * amplitude) / 2), 0.02, { level_dbfs: -1 });
      near('h3_dbc', 20 * Math.log10((PATH.poly[1]! * amplitude ** 2) / 4), 0.05, { level_dbfs: -1 });
      // White noise up to half the rate, of which 20 Hz to 20 kHz are heard.
      near('noise_20_20k_dbfs', PATH.noiseDbfs + 10 * Math.log10(19_980 / (MEASURED_RATE / 2)), 0.15);
      near('crosstalk_selective_db', PATH.crosstalkDb, 0.1, { hz: 1280, driven: 3 - channel });
    }
  });

  it('the latency of an insert to a hundredth of a sample, with no spread between the takes of a stream', async (t) => {
    const found = await rig.document(['latency', '--insert', 'late']);
    const [latency, sweep, spread] = ['latency_samples', 'latency_sweep_samples', 'latency_spread_samples'].map(
      (name) => reading(found, name, 1),
    );
    t.diagnostic(`137 samples were measured as ${latency} and ${sweep}, spread of five takes ${spread}`);
    assert.ok(Math.abs(latency! - 137) <= 0.01, `${latency}`);
    assert.ok(Math.abs(sweep! - 137) <= 0.01, `${sweep}`);
    // What is left is the arithmetic's.
    assert.ok(spread! <= 1e-6, `${spread}`);
  });

  it('and hears of a limit that is not kept by the exit status', async () => {
    const { code, stdout } = await rig.calibrate(['snr', '--insert', 'known']).ended;
    const kept = await rig.newest('known');
    assert.equal(kept?.kind, 'snr');
    assert.equal(code, kept.passed === false ? 1 : 0, stdout);
    const { code: hard, stdout: said } = await rig.calibrate(['thd', '--insert', 'out']).ended;
    assert.equal(hard, 1, said);
    assert.match(said, /refused, no-tone/);
  });

  it('and nothing is played above the ceiling of an insert', async () => {
    const low = await rig.document(['thd', '--insert', 'low']);
    assert.equal(low.conditions.ceilingDbfs, -40);
    const levels = low.measurements.flatMap(({ conditions }) =>
      typeof conditions['level_dbfs'] === 'number' ? [conditions['level_dbfs']] : [],
    );
    assert.ok(levels.length > 0 && levels.every((level) => level <= -40), `${levels}`);
  });

  it('a wrong insert, a rate that is not run: refused, with what there is', async () => {
    const wrong = await rig.calibrate(['thd', '--insert', 'elsewhere']).ended;
    assert.equal(wrong.code, 65);
    assert.match(wrong.stderr, /calibration\.insert: .*known, wire, out, low/);
    const rate = await rig.calibrate(['thd', '--insert', 'wire', '--rate', '96000']).ended;
    assert.match(rate.stderr, /interface\.rate: .*48000 Hz, not 96000/);
  });

  it('levels with a voltmeter: what is no level is asked again, and the trims come into force', async () => {
    const typed = `0\n-3\n0.001\nnothing\n${VOLTS} V\n0,7746\n`;
    const { code, stderr, stdout } = await rig.calibrate(['level', '--insert', 'wire', '--json'], typed).ended;
    assert.equal(code, 0, stdout);
    assert.equal(stderr.match(/is no number of V/g)?.length, 1, stderr);
    const { document } = JSON.parse(stdout.split('\n')[0]!);
    for (const channel of [1, 2]) {
      assert.ok(Math.abs(reading(document, 'full_scale_send_dbu', channel) - 20) < 0.01);
      assert.ok(Math.abs(reading(document, 'full_scale_return_dbu', channel) - 20) < 0.01);
    }
    const next = await rig.document(['noise', '--insert', 'wire']);
    assert.equal(next.conditions.calibration, 'measured.1');
    assert.ok(next.conditions.fullScaleDbu.return.every((dbu) => Math.abs(dbu! - 20) < 0.01));
  });

  it('and a level that no trim makes up for changes nothing', async () => {
    // At -40 dBFS this is a full scale of -8 dBu.
    const { code, stderr } = await rig.calibrate(['level', '--insert', 'low'], '0.00308\n').ended;
    assert.equal(code, 65);
    assert.match(stderr, /calibration\.trim: full scale of send 1 of low is -8\.\d\d dBu/);
    assert.equal((await rig.document(['noise', '--insert', 'low'])).conditions.calibration, 'measured.1');
  });

  it('Ctrl-C under the tone: the outputs are silent, the gear is safe, and the run says so', async () => {
    await set('on-wire', 'gain=6');
    const technician = rig.calibrate(['level', '--insert', 'wire'], null);
    await technician.says('Measure the voltage');
    assert.equal(await safeState('on-wire'), false);
    technician.child.kill('SIGINT');
    const { code } = await technician.ended;
    assert.equal(code, 130);
    assert.equal(await safeState('on-wire'), true);
    const aborted = await rig.newest('wire');
    assert.equal(aborted?.problem?.code, 'calibration.aborted');
    assert.equal(await rig.mode(), 'maintenance');
  });

  it('a terminal that dies ends its run, too', async () => {
    await set('on-wire', 'gain=6');
    const technician = rig.calibrate(['level', '--insert', 'wire'], null);
    await technician.says('Measure the voltage');
    technician.child.kill('SIGKILL');
    await until(() => safeState('on-wire'));
    await until(async () => (await rig.newest('wire'))?.problem?.code === 'calibration.aborted');
  });

  it('one at a time, on the connection that asked for it', async () => {
    const [own, other] = [new ControlConnection(rig.stack), new ControlConnection(rig.stack)];
    const calibration = { kind: 'level', insert: 'wire' } as const;
    try {
      const stolen = await sessionToken(rig.stack, await technicianOf(rig.stack), await own.nonce(), {
        session: { action: 'calibrate.start', calibration },
      });
      await other.nonce();
      await assert.rejects(other.send(stolen), { code: 'session.nonce' });
      const { run: id } = await own.send(stolen);
      await assert.rejects(rig.ask(other, { action: 'calibrate.start', calibration }), { code: 'calibration.busy' });
      // What is measured would be another thing; and +24 dB would come upon a tone.
      for (const hand of [
        { action: 'processors.set', processor: 'on-wire', settings: { gain: 24 } },
        { action: 'processors.safe', processor: 'on-wire' },
        { action: 'processors.identify', processor: 'on-known' },
      ] as const)
        await assert.rejects(rig.ask(other, hand), { code: 'calibration.busy' }, hand.action);
      const reading = { run: id!, question: 7, value: 1 };
      await assert.rejects(rig.ask(other, { action: 'calibrate.answer', reading }), { code: 'calibration.answer' });
      const unknown = { ...reading, run: '00000000-0000-4000-8000-000000000000' };
      await assert.rejects(rig.ask(other, { action: 'calibrate.answer', reading: unknown }), {
        code: 'calibration.run',
      });
      other.close();
      own.close();
      await until(async () => (await rig.newest('wire'))?.run === id);
      assert.equal((await rig.newest('wire'))?.problem?.code, 'calibration.aborted');
    } finally {
      own.close();
      other.close();
    }
  });

  it('one who goes home: his time ends the run, and the rig is ready', async () => {
    await rig.exit();
    // Long enough for the command to begin on a slow host.
    await rig.enter(15);
    const technician = rig.calibrate(['level', '--insert', 'wire'], null);
    const { code, stderr } = await technician.ended;
    assert.equal(code, 75, stderr);
    assert.match(stderr, /calibration\.aborted: .*its time is over/);
    await until(async () => (await rig.mode()) === 'ready');
    const late = await rig.calibrate(['thd', '--insert', 'wire']).ended;
    assert.match(late.stderr, /rig\.mode: inserts are measured in maintenance only; the rig is ready/);
  });

  it('and bounces are made with the trims that were measured', async () => {
    const { stack } = rig;
    await stack.startCourier();
    const dispatcher = await stack.dispatcher();
    const wav = join(await scratch(suite), 'tone.wav');
    await writeSignal(wav, {
      ...{ rate: MEASURED_RATE, channels: 2, bits: 24, frames: MEASURED_RATE },
      sample: sine(997, -20, MEASURED_RATE),
    });
    const source = await storedSource(suite, stack, wav);
    const job = await offerJob(stack, dispatcher, source, { chain: [link('on-wire', {})] });
    const { certificate, samples } = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(certificate.calibration, 'measured.1');
    // 2 dB are taken off before the converter and given back behind it.
    for (const channel of [0, 1]) assert.ok(Math.abs(rmsDbfs(channelOf(samples, channel, 2)) + 20) < 0.01);
    assert.equal(certificate.dither, 'tpdf-24');
  });
});

describe('gear that is touched while it is measured', { timeout: 120_000 }, () => {
  const { suite, cleanUp } = suiteOf();
  after(cleanUp);

  it('spoils the run, which is no baseline and changes no trims', async () => {
    const alignment = { fullScaleDbu: FULL_SCALE_DBU };
    const rig = await MeasuredRig.start(suite, { a: { width: 1 } }, { alignment }, startFaultyRig);
    await rig.enter();
    const technician = rig.calibrate(['level', '--insert', 'a'], null);
    await technician.says('Measure the voltage');
    await gear(rig.stack, { unit: 'on-a', do: 'turn', key: 'gain', value: -3 });
    technician.child.stdin!.end(`${VOLTS}\n`);
    const { code, stderr } = await technician.ended;
    assert.equal(code, 74, stderr);
    assert.match(stderr, /calibration\.settings: on-a did not keep gain: 0 before it was measured, -3 after it/);
    const spoilt = await rig.newest('a');
    assert.equal(spoilt?.problem?.code, 'calibration.settings');
    // What was measured stands there all the same.
    reading(spoilt, 'full_scale_send_dbu', 1);
    const next = await rig.document(['level', '--insert', 'a'], `${VOLTS}\n`);
    assert.deepEqual([next.problem, next.conditions.calibration], [undefined, null]);
    const client = new LocalClient({ socketPath: rig.stack.controlSocket });
    suite.after(() => client.close());
    const { baselines } = await client.get('/calibration/inserts/a', InsertHistoryAnswer);
    assert.deepEqual(baselines.map(({ run }) => run).includes(spoilt.run), false);
  });
});

/** What a rig that was stopped has told and noted. */
async function remembered({ stack }: MeasuredRig) {
  const journal = new Journal({
    path: join(stack.dir, 'rig/state/journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(await readFile(join(stack.dir, 'rig/keys/journal.key')));
  const alerts = journal.db.all<{ payload: string }>("SELECT payload FROM outbox WHERE kind = 'alert' ORDER BY id");
  const audit = journal.db.all<{ kind: string }>('SELECT kind FROM audit ORDER BY seq');
  const tape = journal.insertTenant('tape');
  journal.close();
  return {
    alerts: alerts.map(({ payload }) => (JSON.parse(payload) as AlertPayload).alert),
    audit: audit.map(({ kind }) => kind),
    tape,
  };
}

describe('the interface', { timeout: 120_000 }, () => {
  const { suite, cleanUp } = suiteOf();
  after(cleanUp);

  it('is released for other programs, and taken back by whatever ends that', async () => {
    const rig = await MeasuredRig.start(suite, { a: { width: 2 }, tape: { width: 1, memorySeconds: 0.1 } });
    const maintenance = async (...words: string[]) =>
      await run(process.execPath, [CLI_MAIN, 'maintenance', ...words, ...rig.signature]);
    assert.match((await maintenance('release')).stderr, /rig\.mode: the interface is released in maintenance only/);
    await rig.enter();
    assert.match((await maintenance('release')).stdout, /mode: released, until /);
    const { state, health } = await rig.stack.status();
    assert.equal(state.mode, 'released');
    const interfaceHealth = health.find(({ subsystem }) => subsystem === 'interface');
    assert.notEqual(interfaceHealth?.status, 'ok');
    assert.match(JSON.stringify(interfaceHealth), /released for outside tools: a test/);
    assert.match((await rig.calibrate(['thd', '--insert', 'a']).ended).stderr, /rig\.mode/);

    assert.match((await maintenance('enter')).stdout, /mode: maintenance/);
    assert.equal((await rig.document(['noise', '--insert', 'a'])).problem, undefined);
    await maintenance('release');
    await rig.stack.rig!.end();
    await rig.stack.startRig();
    await until(async () => (await rig.mode()) === 'released');

    assert.match((await maintenance('exit')).stdout, /mode: ready/);
    await rig.enter(4);
    await maintenance('release');
    await until(async () => (await rig.mode()) === 'ready');
    await rig.stack.rig!.end();
    const { alerts, audit, tape } = await remembered(rig);
    const released = alerts.filter(({ problem }) => problem.code === 'interface.released');
    const [given, back] = ['warning', 'notice'];
    // Taken back by entering, by stopping (which tells nobody), by leaving and by the end of its time.
    assert.deepEqual(
      released.map(({ severity }) => severity),
      [given, back, given, given, back, given, back],
    );
    assert.equal(audit.filter((kind) => kind === 'maintenance.release').length, 4);
    assert.equal(audit.filter((kind) => kind === 'maintenance.released').length, 1, 'once more after the restart');
    assert.equal(tape, CALIBRATION_TENANT, 'another program may have recorded into it: the next job flushes it');
  });

  it('is tried while nobody wants it, and no insert that remembers', async () => {
    const rig = await MeasuredRig.start(
      suite,
      {
        a: { width: 2, path: { noiseDbfs: -96 } },
        tape: { width: 1, memorySeconds: 5 },
        dead: { width: 1, path: { gainDb: -120, noiseDbfs: -100 } },
      },
      { selfTest: { idleSeconds: 1, everySeconds: 3600 } },
    );
    await until(async () => (await rig.newest('a')) !== null);
    const tested = await rig.newest('a');
    assert.deepEqual([tested?.kind, tested?.technician, tested?.problem], ['self-test', null, undefined]);
    assert.ok(Math.abs(reading(tested!, 'level_dbfs', 1) + 20) < 0.01);
    await until(async () => (await rig.newest('dead')) !== null);
    const dead = await rig.newest('dead');
    assert.equal(dead!.passed, false);
    assert.deepEqual(
      dead!.verdicts.filter(({ passed }) => passed === false).map(({ rule, reason }) => [rule, reason !== undefined]),
      [['found', true]],
    );
    assert.equal(await rig.newest('tape'), null);
    await rig.stack.rig!.end();
    const { alerts } = await remembered(rig);
    assert.deepEqual(
      alerts.map(({ severity, problem }) => [severity, problem.code, problem.details?.['insert']]),
      [['warning', 'calibration.limit', 'dead']],
    );
  });
});
