/**
 * Measurements over the real driver: the suite on a sound card whose analog side is known, by the command of a technician. What it finds are the
 * figures that the card was given.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CalibrationRun, type Measurement } from '../../core/contract/index.js';
import { LoopCard } from '../peers/loop-card/loop-card.js';
import { Child, CLI_MAIN, Stack, until } from '../peers/stack.js';
import { insertsOf } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;
const CHANNELS = 4;
const ANALOG = { gainDb: -3, poly: [0.002, 0.001], noiseDbfs: -100, crosstalkDb: -70 };
/** What the loop of the card adds is measured by the sync channel, and is not the insert's. */
const DELAY_FRAMES = 100;

describe('the suite on a sound card', { timeout: 600_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let card: LoopCard;
  let run: CalibrationRun;

  before(async () => {
    card = await LoopCard.open({
      in: CHANNELS,
      out: CHANNELS,
      rates: [RATE],
      delayFrames: DELAY_FRAMES,
      analog: ANALOG,
    });
    suite.after(() => card.close());
    const { inserts } = insertsOf({ a: { width: 2 } });
    for (const insert of Object.values(inserts)) delete insert.path;
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: {
          driver: 'alsa',
          device: card.device,
          rates: [RATE],
          in: CHANNELS,
          out: CHANNELS,
          sync: { send: CHANNELS, return: CHANNELS },
          procRoot: card.procRoot,
        },
        inserts,
        processors: { 'gain-1': { profile: 'virtual.gain', insert: 'a', port: { virtual: true } } },
      },
    });
    await stack.startRig({ env: card.env });
    await until(async () => (await stack.status()).state.mode === 'ready', 30_000);
    await maintenance(stack, 'maintenance.enter');
    await until(async () => (await stack.status()).state.mode === 'maintenance', 30_000);
    const args = ['calibrate', 'suite', '--insert', 'a', '--json', '--reason', 'a test'];
    const key = join(stack.dir, 'technician/key.jwk');
    const child = new Child(process.execPath, [CLI_MAIN, ...args, '--key', key, '--config', stack.init.files.rig]);
    const [code] = (await once(child.process, 'close')) as [number | null];
    // A line processor's limits are stricter than this card: 1 says so.
    assert.ok(code === 0 || code === 1, `${code}: ${child.output}`);
    run = CalibrationRun.parse((JSON.parse(child.stdout) as { document: unknown }).document);
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  const one = (name: string, is: Partial<Measurement['conditions']>, channel: number | null = 1): number => {
    const found = run.measurements.filter(
      (m) =>
        m.name === name &&
        (channel === null || m.channel === channel) &&
        Object.entries(is).every(([key, value]) => m.conditions[key] === value),
    );
    assert.equal(found.length, 1, `${found.length} of ${name} ${JSON.stringify(is)}`);
    assert.ok(found[0]!.value !== null, found[0]!.refusal?.message);
    return found[0]!.value;
  };
  const near = (actual: number, expected: number, tolerance: number, what: string): void =>
    assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected} +- ${tolerance}`);
  const db = (ratio: number) => 20 * Math.log10(ratio);

  it('nothing is refused, and the interface is a real one', () => {
    assert.deepEqual(
      run.measurements.filter(({ valid }) => !valid).map(({ name, refusal }) => `${name}: ${refusal?.message}`),
      [],
    );
    assert.equal(run.virtual, false);
    assert.equal(run.conditions.driver, 'alsa');
  });

  it('finds level, harmonics, noise, crosstalk and latency of the analog side', () => {
    const [g2, g3] = ANALOG.poly as [number, number];
    for (const channel of [1, 2]) {
      const a = 10 ** (-1 / 20);
      const h1 = a + (3 / 4) * g3 * a ** 3;
      const at = { hz: 997, level_dbfs: -1 };
      near(one('level_dbfs', at, channel), db(h1) + ANALOG.gainDb, 0.01, 'level');
      near(one('h2_dbc', at, channel), db((g2 * a * a) / 2 / h1), 0.02, 'second harmonic');
      near(one('h3_dbc', at, channel), db((g3 * a ** 3) / 4 / h1), 0.02, 'third harmonic');
      near(one('noise_20_20k_dbfs', {}, channel), ANALOG.noiseDbfs - 0.796, 0.1, 'noise');
      near(one('latency_samples', {}, channel), 0, 0.02, 'latency beyond the loop');
      near(one('latency_spread_samples', {}, channel), 0, 0.02, 'its spread');
      near(one('fr_deviation_db', {}, channel), 0, 0.03, 'response');
    }
    near(
      one('crosstalk_selective_db', { hz: 1280, driven: 1, undriven: 2 }, null),
      ANALOG.crosstalkDb,
      0.3,
      'crosstalk',
    );
  });

  it('is heard for less than a minute', (t) => {
    t.diagnostic(`${run.analogSeconds.toFixed(1)} s of signals, ${run.endedAt - run.startedAt} s in all`);
    assert.ok(run.analogSeconds <= 60, `${run.analogSeconds} s`);
  });
});
