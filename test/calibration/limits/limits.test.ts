/** Limits: which hold for an insert, what they say of a run, and when a reading has moved too far. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { History } from '../../../calibration/history/history.js';
import { spread } from '../../../calibration/limits/drift.js';
import {
  assess,
  DEFAULT_CLASSES,
  effectiveLimits,
  judge,
  type LimitedInsert,
  outcome,
  unmeasured,
} from '../../../calibration/limits/index.js';
import { DEFINITIONS } from '../../../calibration/measures/definitions.js';
import { CalibrationRun, LimitsFile } from '../../../core/contract/index.js';
import { calibrationRun, runId, unlimited } from '../../peers/calibration-runs.js';

const LOOP: LimitedInsert = { name: 'a', processors: [] };
const LINE: LimitedInsert = { name: 'a', processors: [{ name: 'eq-1', classes: ['eq'] }] };
const TAPE: LimitedInsert = { name: 'a', processors: [{ name: 'tape-1', classes: ['tape'] }] };

const failures = (run: CalibrationRun) =>
  run.verdicts.filter(({ passed }) => passed === false).map(({ rule, measurement }) => [rule, measurement]);

test('without a file an insert has the limits of its class', () => {
  assert.deepEqual(
    [LOOP, LINE, TAPE].map((insert) => effectiveLimits(insert, null).class),
    ['loopback', 'line', 'tape'],
  );
  // The figures of the interface loop as they are written down: any change is one on purpose.
  const loop = Object.fromEntries(effectiveLimits(LOOP, null).limits.map(({ rule, min, max }) => [rule, [min, max]]));
  assert.deepEqual(loop, {
    found: [-1, undefined],
    'latency-witness': [-0.1, 0.1],
    gain: [-0.05, 0.05],
    thdn: [undefined, -100],
    'dynamic-range': [110, undefined],
    response: [-0.1, 0.1],
    'crosstalk-1k': [undefined, -100],
    'crosstalk-10k': [undefined, -85],
    'latency-spread': [undefined, 0.01],
  });
});

test('a file changes rules by name, takes them away and adds classes; the insert has the last word', () => {
  const file = LimitsFile.parse({
    version: '2026-11',
    classes: {
      line: { limits: { crosstalk: 'off' } },
      transformer: { limits: { thdn: { measurement: 'thdn_re_total_db', max: -50 } } },
    },
    processors: { 'eq-1': { limits: { gain: { measurement: 'loop_gain_db', min: -1, max: 1 } } } },
    inserts: {
      a: { limits: { gain: { measurement: 'loop_gain_db', max: 2 }, noise: 'off' } },
      b: { class: 'transformer' },
    },
  });
  const line = effectiveLimits(LINE, file);
  assert.equal(line.version, '2026-11');
  const rules = new Map(line.limits.map((rule) => [rule.rule, rule]));
  assert.deepEqual(rules.get('gain'), { rule: 'gain', measurement: 'loop_gain_db', max: 2 });
  assert.deepEqual([rules.has('crosstalk'), rules.has('noise'), rules.has('polarity')], [false, false, true]);
  const other = effectiveLimits({ name: 'b', processors: [] }, file);
  assert.deepEqual([other.class, other.limits.length, other.drift.length], ['transformer', 1, 0]);
  assert.throws(() => effectiveLimits(LOOP, { ...file, inserts: { a: { class: 'none', limits: {}, drift: {} } } }), {
    code: 'limits.class',
  });
  assert.notEqual(line.digest, effectiveLimits(LINE, { ...file, version: '2026-12' }).digest);
});

test('a file with a word that nobody knows, or a limit that is none, is refused', () => {
  const rule = (limit: object) => ({ version: 'x', inserts: { a: { limits: { gain: limit } } } });
  for (const bad of [
    {},
    { version: 'x', insert: {} },
    rule({ measurement: 'loop_gain_db' }),
    rule({ measurement: 'loop_gain_db', min: 2, max: 1 }),
    rule({ measurement: 'loop_gain_db', max: 1, tolerance: 1 }),
    rule({ measurement: 'Gain', max: 1 }),
  ])
    assert.equal(LimitsFile.safeParse(bad).success, false, JSON.stringify(bad));
  assert.equal(LimitsFile.safeParse(rule({ measurement: 'loop_gain_db', max: 1 })).success, true);
});

test('a good loop passes, and every rule of its class finds something in a suite', () => {
  const limits = effectiveLimits(LOOP, null);
  const run = calibrationRun({ n: 1 });
  const verdicts = judge(run, limits);
  assert.deepEqual(unmeasured(run, limits), []);
  assert.equal(outcome(verdicts, undefined), true);
  // Both directions of two channels, at 1 kHz and at 10 kHz.
  assert.equal(verdicts.filter(({ rule }) => rule.startsWith('crosstalk')).length, 4);
});

test('what is beyond a limit fails by its own name', () => {
  const history = new History(':memory:');
  history.open();
  const gain = assess(calibrationRun({ n: 1, loopGainDb: -0.2 }), effectiveLimits(LOOP, null), history);
  assert.deepEqual([gain.passed, failures(gain).map(([rule]) => rule)], [false, ['gain', 'gain']]);
  const noisy = assess(calibrationRun({ n: 1, worseDb: 8 }), effectiveLimits(LOOP, null), history);
  assert.deepEqual(
    failures(noisy).map(([rule]) => rule),
    ['thdn', 'thdn'],
  );
  assert.doesNotThrow(() => CalibrationRun.parse(noisy));
  history.close();
});

test('a limit holds on its edges and nowhere beyond, for any limit and value', () => {
  const limits = effectiveLimits(LOOP, null);
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, min: -200, max: 200 }),
      fc.double({ noNaN: true, min: -200, max: 200 }),
      (a, b) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const run = calibrationRun({ n: 1, kind: 'level' });
        const rules = [{ rule: 'gain', measurement: 'loop_gain_db', min, max }];
        for (const [value, passes] of [
          [min, true],
          [max, true],
          [max + 1e-9 * (1 + Math.abs(max)), false],
          [min - 1e-9 * (1 + Math.abs(min)), false],
        ] as const) {
          run.measurements[0] = { ...run.measurements[0]!, value };
          assert.equal(judge(run, { ...limits, limits: rules })[0]!.passed, passes);
        }
      },
    ),
  );
});

test('a refused measurement does not pass; digital silence is below every limit', () => {
  const limits = effectiveLimits(LOOP, null);
  const run = calibrationRun({ n: 1, kind: 'level' });
  const refusal = { reason: 'no-tone', message: 'no tone above the noise' } as const;
  run.measurements[0] = { ...run.measurements[0]!, value: null, valid: false, refusal };
  const refused = judge(run, limits)[0]!;
  assert.deepEqual([refused.passed, refused.reason], [false, 'no tone above the noise']);
  run.measurements[0] = { ...run.measurements[0]!, value: null, valid: true };
  delete run.measurements[0].refusal;
  const rule = (bounds: object) => ({ ...limits, limits: [{ rule: 'x', measurement: 'loop_gain_db', ...bounds }] });
  assert.equal(judge(run, rule({ max: -200 }))[0]!.passed, true);
  assert.equal(judge(run, rule({ min: -200 }))[0]!.passed, false);
});

test('a limit in dBu is judged by the full scale of its return, and not at all without one', () => {
  const limits = effectiveLimits(LINE, null);
  const noise = (fullScaleDbu: number | null) =>
    judge(calibrationRun({ n: 1, kind: 'noise', fullScaleDbu }), limits).filter(({ rule }) => rule === 'noise');
  // -116.9 dBFS is -94.9 dBu where full scale is +22 dBu, and -66.9 dBu where it is +50.
  assert.deepEqual(
    noise(22).map(({ passed }) => passed),
    [true, true],
  );
  assert.deepEqual(
    noise(50).map(({ passed }) => passed),
    [false, false],
  );
  assert.deepEqual(
    noise(null).map(({ passed }) => passed),
    [null, null],
  );
  assert.match(noise(null)[0]!.reason!, /dBu/);
});

test('a run that ended before its end never passes', () => {
  const passed = { measurement: 0, rule: 'x', passed: true };
  const problem = { code: 'take.aborted', message: 'x', advice: 'x' };
  assert.deepEqual(
    [outcome([passed], undefined), outcome([passed], problem), outcome([], undefined)],
    [true, null, null],
  );
  assert.equal(outcome([passed, { ...passed, passed: null }], undefined), true);
  assert.equal(outcome([passed, { ...passed, passed: false }], problem), false);
});

test('half a decibel of level and three of noise against the baseline are alarms', () => {
  const history = new History(':memory:');
  history.open();
  const limits = effectiveLimits(LINE, null);
  history.add(assess(calibrationRun({ n: 1 }), limits, history), 'a.b.c');
  const alarms = (run: ReturnType<typeof calibrationRun>) =>
    assess(run, limits, history)
      .drifts.filter(({ alarm }) => alarm)
      .map(({ rule, baseline }) => [rule, baseline]);
  assert.deepEqual(alarms(calibrationRun({ n: 2 })), []);
  assert.deepEqual(alarms(calibrationRun({ n: 2, loopGainDb: 0.4, worseDb: -2.8 })), []);
  assert.deepEqual(alarms(calibrationRun({ n: 2, loopGainDb: -0.55 })), [
    ['gain', runId(1)],
    ['gain', runId(1)],
  ]);
  assert.deepEqual(
    new Set(alarms(calibrationRun({ n: 2, worseDb: -3.2 })).map(([rule]) => rule)),
    new Set(['thd', 'thdn', 'noise']),
  );
  history.close();
});

test('the drift of harmonics is watched where they stand out of the noise', () => {
  const history = new History(':memory:');
  history.open();
  const limits = effectiveLimits(LINE, null);
  const at = (n: number, levelDbfs: number, worseDb: number) => {
    const run = calibrationRun({ n, kind: 'thd', worseDb });
    run.measurements = run.measurements
      .filter(({ name }) => name === 'thd_f_db')
      .map((m) => ({ ...m, conditions: { ...m.conditions, level_dbfs: levelDbfs } }));
    return assess(run, limits, history);
  };
  for (const [n, level] of [-1, -20].entries()) history.add(at(n + 1, level, 0), 'a.b.c');
  // The first run of a kind alone is its baseline: the other level's is another one's.
  history.setBaseline(runId(2), 'technician.kim', 'both');
  assert.deepEqual(
    [at(3, -1, 5), at(4, -20, 5)].map(({ drifts }) => drifts.map(({ alarm }) => alarm)),
    [[true, true], []],
  );
  history.close();
});

test('once the scatter is known, three sigmas are an alarm, but never less than can be read', () => {
  const history = new History(':memory:');
  history.open();
  const limits = effectiveLimits(LINE, null);
  const gain = (n: number, loopGainDb: number) =>
    assess(calibrationRun({ n, loopGainDb, scatterDb: 0.02 }), limits, history).drifts.find(
      ({ rule }) => rule === 'gain',
    )!;
  for (let n = 1; n <= 12; n++) history.add(assess(calibrationRun({ n, scatterDb: 0.02 }), limits, history), 'a.b.c');
  const { sigma, allowed } = gain(13, 0);
  assert.ok(sigma! > 0.01 && sigma! < 0.03, `sigma ${sigma}`);
  assert.equal(allowed, 3 * sigma!);
  assert.deepEqual([gain(13, 0).alarm, gain(13, 0.15).alarm, gain(13, -0.15).alarm], [false, true, true]);
  history.close();
  assert.equal(spread([1, 1, 1, 1, 1, 1, 1]), null);
  assert.equal(spread([1, 1, 1, 1, 1, 1, 1, 1]), 0);
});

test('a slow drift does not widen the spread', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), (seed) => {
      const wave = Array.from({ length: 20 }, (_, n) => Math.sin(seed + n * n * 1.7));
      const plain = spread(wave)!;
      const drifting = spread(wave.map((x, n) => x + n * 0.01))!;
      assert.ok(Math.abs(plain - drifting) < 0.02);
    }),
  );
});

test('readings after the time of the baseline do not widen what is allowed', () => {
  const steady = Array.from({ length: 20 }, (_, n) => n % 2);
  assert.equal(spread([...steady, 100, -100, 100]), spread(steady));
});

test('the built-in rules speak of measurements that there are', () => {
  for (const { limits, drift } of Object.values(DEFAULT_CLASSES))
    for (const rule of [...Object.values(limits), ...Object.values(drift)])
      assert.ok(rule !== 'off' && Object.hasOwn(DEFINITIONS, rule.measurement), JSON.stringify(rule));
});

test('every built-in class has limits and watches the drift of gain and noise', () => {
  for (const { limits, drift } of Object.values(DEFAULT_CLASSES)) {
    assert.ok(Object.keys(limits).length > 0);
    assert.ok('gain' in drift && 'noise' in drift);
  }
  assert.equal(unlimited(calibrationRun({ n: 1 })).passed, null);
});
