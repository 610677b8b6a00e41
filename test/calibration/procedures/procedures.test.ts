/** Every procedure on an insert whose figures are known: it finds them. And on one that is broken: it says so. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectiveLimits, judge } from '../../../calibration/limits/index.js';
import { inThisThread } from '../../../calibration/procedures/analyst.js';
import { PROCEDURES } from '../../../calibration/procedures/index.js';
import type { Findings, ProcedureContext } from '../../../calibration/procedures/procedure.js';
import type { CalibrationKind, Measurement } from '../../../core/contract/calibration.js';
import { type SimulatedLoop, type SimulatedPath, simulatedLoop } from '../../peers/simulated-loop.js';

const UNKNOWN = { send: [null, null], return: [null, null] };

function contextOf(loop: SimulatedLoop, o: Partial<ProcedureContext> = {}): ProcedureContext {
  return {
    loop,
    analyst: inThisThread,
    scout: inThisThread,
    fullScaleDbu: UNKNOWN,
    muted: false,
    signal: new AbortController().signal,
    step: () => {},
    ask: async () => assert.fail('nobody is to be asked'),
    ...o,
  };
}

async function run(kind: CalibrationKind, path: SimulatedPath, o: Partial<ProcedureContext> = {}) {
  const loop = simulatedLoop(path, { ceilingDbfs: -1 });
  const findings = await PROCEDURES[kind](contextOf(loop, o));
  return { loop, ...findings };
}

/** The one measurement of a name, on a channel, with these conditions. */
function one(
  { measurements }: Findings,
  name: string,
  channel: number | null = 1,
  conditions: Record<string, unknown> = {},
): Measurement {
  const found = measurements.filter(
    (m) =>
      m.name === name &&
      (channel === null || m.channel === channel) &&
      Object.entries(conditions).every(([key, value]) => m.conditions[key] === value),
  );
  assert.equal(found.length, 1, `${found.length} measurements ${name} ${JSON.stringify(conditions)}`);
  return found[0]!;
}

function near(measurement: Measurement, expected: number, tolerance: number): void {
  const { name, value, refusal } = measurement;
  assert.ok(
    value !== null && Math.abs(value - expected) <= tolerance,
    `${name} ${JSON.stringify(measurement.conditions)}: ${value ?? refusal?.message}, expected ${expected} +- ${tolerance}`,
  );
}

const db = (ratio: number) => 20 * Math.log10(ratio);
/** First-order, as the path's. */
const lowpass = (hz: number, cornerHz: number, rate = 48_000) => {
  const t = Math.tan((Math.PI * hz) / rate) / Math.tan((Math.PI * cornerHz) / rate);
  return 1 / Math.sqrt(1 + t * t);
};

/** What a tone of peak `a` becomes in x + g2 x^2 + g3 x^3. */
function bent(a: number, g2: number, g3: number) {
  return { h1: a + (3 / 4) * g3 * a ** 3, h2: (g2 * a * a) / 2, h3: (g3 * a ** 3) / 4 };
}

const PATH = {
  gainDb: -3,
  poly: [0.002, 0.001],
  noiseDbfs: -100,
  delayFrames: 173,
  crosstalkDb: -70,
  lowpassHz: 18_000,
  neighbourDb: -50,
} satisfies SimulatedPath;

describe('the suite on a path that is known', async () => {
  const loop = simulatedLoop(PATH, { ceilingDbfs: -1 });
  const steps: number[] = [];
  const found = await PROCEDURES.suite(contextOf(loop, { step: (_, fraction) => void steps.push(fraction) }));
  const HIGH = 10 ** (-1 / 20);
  const [g2, g3] = PATH.poly as [number, number];

  test('nothing is refused', () => {
    assert.deepEqual(
      found.measurements.filter(({ valid }) => !valid).map(({ name, refusal }) => `${name}: ${refusal?.message}`),
      [],
    );
  });

  test('latency and its spread, polarity', () => {
    // A first-order low-pass is late by 1 / (2 pi f) at low frequencies, which is not bulk delay.
    near(one(found, 'latency_samples'), PATH.delayFrames, 0.5);
    near(one(found, 'latency_spread_samples', 2), 0, 0.02);
    for (const channel of [1, 2]) near(one(found, 'latency_difference_samples', channel), 0, 0.01);
    near(one(found, 'polarity_inverted'), 0, 0);
  });

  test('level, harmonics and THD of each channel', () => {
    for (const channel of [1, 2])
      for (const level of [-20, -1]) {
        const { h1, h2, h3 } = bent(10 ** (level / 20), g2, g3);
        const at = { hz: 997, level_dbfs: level };
        const f = (k: number) => lowpass(997 * k, PATH.lowpassHz);
        near(one(found, 'level_dbfs', channel, at), db(h1 * f(1)) + PATH.gainDb, 0.01);
        const [r2, r3] = [(h2 * f(2)) / (h1 * f(1)), (h3 * f(3)) / (h1 * f(1))];
        // At -20 dBFS the third harmonic is 3 dB above the noise in its lobe: no number of it is sure to 0.02 dB.
        if (level === -1) {
          near(one(found, 'h2_dbc', channel, at), db(r2), 0.02);
          near(one(found, 'h3_dbc', channel, at), db(r3), 0.02);
          near(one(found, 'thd_f_db', channel, at), db(Math.hypot(r2, r3)), 0.02);
        }
      }
  });

  test('noise, SNR and dynamic range', () => {
    const band = 10 * Math.log10(19_980 / 24_000);
    for (const channel of [1, 2]) {
      near(one(found, 'noise_20_20k_dbfs', channel), PATH.noiseDbfs + band, 0.1);
      near(one(found, 'noise_full_dbfs', channel), PATH.noiseDbfs, 0.1);
      near(one(found, 'noise_a_dbfs', channel), PATH.noiseDbfs - 2.844, 0.1);
      near(one(found, 'noise_ccirrms_dbfs', channel), PATH.noiseDbfs + 0.875, 0.1);
      // The notch of AES17 takes 0.08 dB of the weighted noise with the tone.
      near(one(found, 'dynamic_range_ccirrms_db', channel), -1 + PATH.gainDb - (PATH.noiseDbfs + 0.875) + 0.08, 0.2);
    }
  });

  test('response and phase', () => {
    for (const hz of [20, 100, 1000, 10_000, 20_000])
      near(one(found, 'fr_db', 1, { hz }), db(lowpass(hz, PATH.lowpassHz)) + PATH.gainDb, 0.03);
    near(one(found, 'inter_channel_level_db', 2, { hz: 1000 }), 0, 0.02);
    near(one(found, 'inter_channel_phase_deg', 2, { hz: 10_000 }), 0, 0.1);
  });

  test('crosstalk of each pair', () => {
    for (const hz of [40, 1280, 10_240])
      for (const [driven, undriven] of [
        [1, 2],
        [2, 1],
      ] as const)
        near(one(found, 'crosstalk_selective_db', null, { driven, undriven, hz }), PATH.crosstalkDb, 0.3);
  });

  test('crosstalk to another insert', () => {
    near(one(found, 'crosstalk_selective_db', null, { driven: 'a', undriven: 'b.1' }), PATH.neighbourDb, 0.02);
  });

  test('intermodulation', () => {
    const peak = HIGH;
    const [low, high] = [(peak * 4) / 5, peak / 5];
    const up = (hz: number) => lowpass(hz, PATH.lowpassHz) / lowpass(7000, PATH.lowpassHz);
    const amplitude = high + g3 * ((3 / 4) * high ** 3 + (3 / 2) * high * low ** 2);
    const m2 = (g2 * low * high * (up(6940) + up(7060))) / amplitude;
    near(one(found, 'iec_mod_d2_db'), db(m2), 0.05);
    const [a, b] = [peak / 2, peak / 2];
    const tone = (hz: number) => (a + g3 * ((3 / 4) * a ** 3 + (3 / 2) * a * b ** 2)) * lowpass(hz, PATH.lowpassHz);
    near(
      one(found, 'dfd_d2_db'),
      db((g2 * a * b * lowpass(1000, PATH.lowpassHz)) / (tone(19_000) + tone(20_000))),
      0.05,
    );
  });

  test('curves to look at: every channel, no hole in the middle', () => {
    for (const name of ['spectrum', 'noise-spectrum', 'response', 'phase', 'thd-frequency', 'thd-level', 'linearity'])
      for (const channel of [1, 2]) {
        const traces = found.traces.filter((trace) => trace.name === name && trace.channel === channel);
        assert.ok(traces.length > 0, `${name}, channel ${channel}`);
        for (const { xs, ys } of traces) {
          assert.equal(xs.length, ys.length);
          assert.ok(xs.length > 5 && xs.length < 2000, `${name}: ${xs.length} points`);
          assert.ok(
            xs.every((x, i) => i === 0 || x > xs[i - 1]!),
            name,
          );
        }
      }
  });

  test('it is heard for a minute at most, and never above the ceiling', () => {
    const seconds = loop.plays.reduce((sum, play) => sum + play.seconds, 0);
    assert.ok(seconds <= 52, `${seconds} s of signals: with the starts of ${loop.plays.length} takes over a minute`);
    const most = Math.max(
      ...loop.plays.flatMap(({ sends }) =>
        sends.map((send) => send?.reduce((m, x) => Math.max(m, Math.abs(x)), 0) ?? 0),
      ),
    );
    assert.ok(most <= HIGH * (1 + 1e-12), `${most}`);
  });

  test('progress only goes on', () => {
    assert.ok(
      steps.every((fraction, i) => fraction >= (steps[i - 1] ?? 0) && fraction < 1),
      steps.join(' '),
    );
  });
});

test('headroom: tanh has its maximum where the standard’s two methods put it', async () => {
  // x + g3 x^3 with g3 < 0: compression by 0.3 dB where 1 + 3/4 g3 a^2 = 10^(-0.3/20).
  const g3 = -0.1;
  const found = await run('headroom', { poly: [0, g3] });
  const a = Math.sqrt((1 - 10 ** (-0.3 / 20)) / (-(3 / 4) * g3));
  near(one(found, 'max_level_compression_dbfs'), db(a), 0.05);
});

test('headroom: an insert that bears the ceiling is said to bear at least that', async () => {
  const found = await run('headroom', {});
  const level = one(found, 'max_level_dbfs');
  near(level, -1, 0.01);
});

test('a hard clip: the level at which THD+N is -40 dB', async () => {
  const found = await run('headroom', { clip: 0.5 });
  // 0.25 dB above the clip level.
  near(one(found, 'max_level_thdn_dbfs'), db(0.5) + 0.25, 0.1);
});

test('the dynamic range of what clips refers to where it clips, not to what it was overdriven with', async () => {
  const found = await run('snr', { clip: 0.1, noiseDbfs: -90 });
  // 0.25 dB above the clip level; a sine that is clipped by so little has lost nothing of its level.
  near(one(found, 'dynamic_range_ccirrms_db'), db(0.1) + 0.25 - (-90 + 0.875) + 0.08, 0.2);
  const ranges = found.measurements.filter(({ name }) => name.startsWith('dynamic_range'));
  assert.deepEqual([...new Set(ranges.map(({ reference }) => reference))], ['maximum output level']);
  const clean = await run('snr', { noiseDbfs: -90 });
  const [range] = clean.measurements.filter(({ name }) => name === 'dynamic_range_ccirrms_db');
  assert.equal(range!.reference, 'output at -1 dBFS, the highest that is played');
});

test('level: one reading of a voltmeter a channel gives full scale in both directions', async () => {
  const asked: { channel: number; peak: number; silent: boolean }[] = [];
  const found = await run(
    'level',
    { gainDb: -1.5, delayFrames: 40 },
    {
      ask: async ({ channel }, sends) => {
        asked.push({
          channel,
          peak: sends[channel - 1]!.reduce((m, x) => Math.max(m, Math.abs(x)), 0),
          silent: sends.every((send, i) => i === channel - 1 || send === null),
        });
        return channel === 1 ? 1.2276 : 1.2418;
      },
    },
  );
  assert.deepEqual(
    asked.map(({ channel, silent }) => ({ channel, silent })),
    [
      { channel: 1, silent: true },
      { channel: 2, silent: true },
    ],
  );
  for (const { peak } of asked) assert.ok(Math.abs(db(peak) + 20) < 0.001);
  near(one(found, 'full_scale_send_dbu', 1), 24, 0.001);
  near(one(found, 'full_scale_send_dbu', 2), 24.1, 0.001);
  near(one(found, 'full_scale_return_dbu', 1), 24 + 1.5, 0.002);
});

test('level: a reading can be what makes a sensible full scale, from -10 to +40 dBu', async () => {
  await run(
    'level',
    {},
    {
      ask: async ({ allowed: [least, most] }) => {
        // The tone is at -20 dBFS; 0 dBu are sqrt(0.6) V.
        assert.ok(Math.abs(db(least / Math.sqrt(0.6)) + 30) < 1e-9);
        assert.ok(Math.abs(db(most / Math.sqrt(0.6)) - 20) < 1e-9);
        return 1.2276;
      },
    },
  );
});

for (const kind of [
  'thd',
  'snr',
  'noise',
  'response',
  'crosstalk',
  'imd',
  'headroom',
  'suite',
  'level',
  'latency',
] as const)
  test(`${kind}: a cable that is out gives a refusal and no number`, async () => {
    const { measurements } = await run(kind, { out: [1], noiseDbfs: -100 });
    const refused = measurements.filter(({ channel, valid }) => channel === 2 && !valid);
    assert.deepEqual([...new Set(refused.map(({ refusal }) => refusal!.reason))], ['no-tone']);
    assert.ok(measurements.every(({ channel, valid, name }) => channel !== 2 || !valid || name.startsWith('noise')));
  });

for (const muted of [true, false])
  test(`a self-test of an insert that is silent, ${muted ? 'as it shall be: it is listened to' : 'and shall not be: it fails'}`, async () => {
    const { loop, measurements } = await run('self-test', { gainDb: -200, noiseDbfs: -100 }, { muted });
    near(one({ measurements, traces: [] }, 'noise_20_20k_dbfs', 1), -100.8, 0.3);
    const refused = measurements.filter(({ name }) => name === 'latency_samples');
    assert.deepEqual(
      refused.map(({ refusal }) => refusal?.reason),
      muted ? [] : ['no-tone', 'no-tone'],
    );
    const limits = effectiveLimits({ name: 'a', processors: [] }, null);
    const verdicts = judge({ measurements, conditions: { fullScaleDbu: UNKNOWN } } as never, limits);
    assert.deepEqual(
      verdicts.filter(({ passed }) => passed === false).map(({ rule }) => rule),
      muted ? [] : ['found', 'found'],
    );
    assert.ok(!measurements.some(({ name }) => name === 'polarity_inverted' || name === 'level_dbfs'));
    assert.ok(loop.plays.reduce((sum, { seconds }) => sum + seconds, 0) < 2);
  });

test('an abort is heard at the next play', async () => {
  const abort = new AbortController();
  const reason = new Error('the technician went home');
  const stepped = run(
    'suite',
    {},
    { signal: abort.signal, step: (label) => label.includes('THD') && abort.abort(reason) },
  );
  await assert.rejects(stepped, reason);
});

test('an inverted insert is found, and told as inverted', async () => {
  near(one(await run('latency', { inverted: true, delayFrames: 7 }), 'polarity_inverted'), 1, 0);
});

test('hum is noise where silence was played', async () => {
  const found = await run('noise', { noiseDbfs: -95, hum: { hz: 50, dbfs: -60 } });
  near(one(found, 'noise_20_20k_dbfs'), -60, 0.02);
  near(one(found, 'hum_dbfs', 1, { hz: 50 }), -60, 0.02);
});

test('headroom: what only says where to look is nobody’s finding, and each channel has its own', async () => {
  const kept: (number | undefined)[] = [];
  const analyst: ProcedureContext['analyst'] = {
    analyze: async (kind, input) => {
      const found = await inThisThread.analyze(kind, input);
      if (kind === 'maximumLevel') kept.push(...found.measurements.map(({ channel }) => channel));
      return found;
    },
  };
  const { measurements } = await run('headroom', { clip: 0.5 }, { analyst });
  assert.deepEqual(
    kept,
    measurements.map(({ channel }) => channel),
  );
});

test('headroom: the output there is told in dBu where full scale is known', async () => {
  const found = await run('headroom', { gainDb: -3 }, { fullScaleDbu: { send: [24, 24], return: [18, null] } });
  near(one(found, 'max_output_dbu'), -1 - 3 + 18, 0.01);
  assert.ok(!found.measurements.some(({ name, channel }) => name === 'max_output_dbu' && channel === 2));
});

test('latency: witnesses that do not agree are beyond the limit', async () => {
  const found = await run('latency', { delayFrames: 30 });
  const moved = found.measurements.map((m) => (m.name === 'latency_difference_samples' ? { ...m, value: 0.2 } : m));
  const limits = effectiveLimits({ name: 'a', processors: [] }, null);
  const failed = (measurements: Measurement[]) =>
    judge({ measurements, conditions: { fullScaleDbu: UNKNOWN } } as never, limits).filter(({ passed }) => !passed);
  assert.deepEqual(failed(found.measurements), []);
  assert.deepEqual([...new Set(failed(moved).map(({ rule }) => rule))], ['latency-witness']);
});

test('an insert that is never clean has no maximum level', async () => {
  const found = await run('headroom', { noiseDbfs: -25 });
  assert.equal(one(found, 'max_level_dbfs').refusal?.reason, 'too-noisy');
});

test('crosstalk that comes before the late insert itself is heard whole', async () => {
  const found = await run('crosstalk', { delayFrames: 12_000, earlyLeakDb: -60 });
  for (const hz of [40, 1280, 20_000])
    near(one(found, 'crosstalk_selective_db', null, { driven: 1, undriven: 2, hz }), -60, 0.05);
});

test('who breaks off while channels are driven leaves no analysis behind', async () => {
  const abort = new AbortController();
  const reason = new Error('Ctrl-C');
  const never = { analyze: () => assert.fail('nothing is analyzed before all was played') };
  const context = { signal: abort.signal, step: (label: string) => label.endsWith('channel 2') && abort.abort(reason) };
  const measured = PROCEDURES.crosstalk;
  const analyst = {
    analyze: async (kind: 'latency', input: never) =>
      kind === 'latency' ? await inThisThread.analyze(kind, input) : never.analyze(),
  };
  await assert.rejects(
    measured({ ...contextOf(simulatedLoop({}, { ceilingDbfs: -1 })), ...context, analyst: analyst as never }),
    reason,
  );
});
