/** The history: what goes in comes out as it was, and what is comparable is found again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3-multiple-ciphers';
import { History, runDigest } from '../../../calibration/history/history.js';
import { CalibrationRun, type CalibrationSet, RunSummary, Series } from '../../../core/contract/index.js';
import { calibrationRun, EPOCH, runId, unlimited } from '../../peers/calibration-runs.js';

function opened(t: TestContext, file = ':memory:'): History {
  const history = new History(file);
  history.open();
  t.after(() => history.close());
  return history;
}

function scratchFile(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'outboard-history-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'calibration.sqlite');
}

test('a run comes out of the file as it went in, also for the next process', (t) => {
  const file = scratchFile(t);
  const run = unlimited(calibrationRun({ n: 1, traces: true }));
  const first = new History(file);
  first.open();
  const summary = first.add(run, 'a.b.c');
  first.close();
  const history = opened(t, file);
  const found = history.get(run.run);
  assert.deepEqual(found, { run, token: 'a.b.c' });
  assert.deepEqual(CalibrationRun.parse(found.run), run);
  assert.equal(runDigest(found.run), summary.digest);
  assert.deepEqual(history.list(), [RunSummary.parse(summary)]);
});

test('a run is written once', (t) => {
  const history = opened(t);
  history.add(unlimited(calibrationRun({ n: 1 })), 'a.b.c');
  assert.throws(() => history.add(unlimited(calibrationRun({ n: 1, loopGainDb: 1 })), 'a.b.c'), {
    code: 'history.known',
  });
  assert.equal(history.list().length, 1);
});

test('a document that somebody changed is not shown', (t) => {
  const file = scratchFile(t);
  const history = opened(t, file);
  history.add(unlimited(calibrationRun({ n: 1 })), 'a.b.c');
  history.add(unlimited(calibrationRun({ n: 2 })), 'a.b.c');
  const other = new Database(file);
  other.exec('UPDATE run SET document = (SELECT document FROM run WHERE id = 2) WHERE id = 1');
  other.exec(`UPDATE run SET document = x'00ff' WHERE id = 2`);
  other.close();
  for (const n of [1, 2]) assert.throws(() => history.get(runId(n)), { code: 'history.damaged' });
  assert.throws(() => history.get(runId(3)), { code: 'history.unknown' });
});

test('runs are listed newest first, by insert, kind and time', (t) => {
  const history = opened(t);
  for (const [n, insert, kind] of [
    [1, 'a', 'suite'],
    [2, 'b', 'suite'],
    [3, 'a', 'noise'],
    [4, 'a', 'self-test'],
  ] as const)
    history.add(unlimited(calibrationRun({ n, insert, kind })), 'a.b.c');
  const numbers = (query: Parameters<History['list']>[0]) =>
    history.list(query).map(({ run }) => Number(run.slice(-4)));
  assert.deepEqual(numbers({}), [4, 3, 2, 1]);
  assert.deepEqual(numbers({ insert: 'a' }), [4, 3, 1]);
  assert.deepEqual(numbers({ insert: 'a', kind: 'suite' }), [1]);
  assert.deepEqual(numbers({ since: EPOCH + 3 * 86_400 }), [4, 3]);
  assert.deepEqual(numbers({ limit: 1 }), [4]);
  assert.deepEqual(numbers({ insert: 'none' }), []);
});

test('readings of one measurement follow each other over the runs; other conditions are another series', (t) => {
  const history = opened(t);
  for (const n of [3, 1, 2]) history.add(unlimited(calibrationRun({ n, loopGainDb: n / 10 })), 'a.b.c');
  const found = history.series({ insert: 'a', names: ['loop_gain_db', 'crosstalk_selective_db'] });
  for (const series of found) Series.parse(series);
  const gains = found.filter(({ name }) => name === 'loop_gain_db');
  assert.deepEqual(
    gains.map(({ channel }) => channel),
    [1, 2],
  );
  assert.deepEqual(
    gains[0]!.points.map(({ run }) => run),
    [runId(1), runId(2), runId(3)],
  );
  // 11 frequencies, two directions.
  assert.equal(found.length - gains.length, 22);
  assert.deepEqual(history.series({ insert: 'a', names: ['loop_gain_db'], since: EPOCH + 9 * 86_400 }), []);
  const whole = history.series({ insert: 'a', names: ['loop_gain_db'] });
  assert.ok(whole[0]!.points.length > 2);
  assert.deepEqual(
    history.series({ insert: 'a', names: ['loop_gain_db'], points: 2 }),
    whole.map((series) => ({ ...series, points: series.points.slice(-2) })),
  );
  assert.deepEqual(history.series({ insert: 'a', names: ['loop_gain_db'], points: 0 }), []);
});

test('settings that differ by the dust of arithmetic are one series, and so is a maximum level that was found or not', (t) => {
  const history = opened(t);
  for (const [n, limited, dust] of [
    [1, true, 0],
    [2, false, 1e-12],
  ] as const) {
    const run = unlimited(calibrationRun({ n, kind: 'headroom' }));
    run.measurements = run.measurements.map((m) => ({
      ...m,
      conditions: { level_dbfs: -18 + dust, limited, ...(limited && { noise_limited: true }) },
    }));
    history.add(run, 'a.b.c');
  }
  assert.deepEqual(
    history.series({ insert: 'a', names: ['max_level_dbfs'] }).map(({ points }) => points.length),
    [2, 2],
  );
});

test('the first run that did not fail is the baseline of its setup; a technician chooses another', (t) => {
  const history = opened(t);
  const bad = { ...unlimited(calibrationRun({ n: 1 })), passed: false };
  assert.equal(history.add(bad, 'a.b.c').baseline, false);
  assert.equal(history.add(unlimited(calibrationRun({ n: 2 })), 'a.b.c').baseline, true);
  assert.equal(history.add(unlimited(calibrationRun({ n: 3 })), 'a.b.c').baseline, false);
  assert.deepEqual(
    history.baselines('a').map(({ run, setBy }) => [run, setBy]),
    [[runId(2), null]],
  );
  history.setBaseline(runId(3), 'technician.kim', 'new valves');
  assert.deepEqual(
    history.baselines().map(({ insert, kind, run, setBy, reason }) => ({ insert, kind, run, setBy, reason })),
    [{ insert: 'a', kind: 'suite', run: runId(3), setBy: 'technician.kim', reason: 'new valves' }],
  );
  assert.throws(() => history.setBaseline(runId(9), 'technician.kim', 'none'), { code: 'history.unknown' });
});

test('a measurement is compared with the baseline of the same setup only', (t) => {
  const history = opened(t);
  const unit = (gain: number) => [
    {
      name: 'eq-1',
      profile: { id: 'virtual.gain', version: '1.0.0', hash: `sha256:${'0'.repeat(64)}` },
      settings: { gain },
    },
  ];
  for (const n of [1, 2, 3]) history.add(unlimited(calibrationRun({ n, loopGainDb: n, processors: unit(0) })), 'a.b.c');
  const same = calibrationRun({ n: 4, kind: 'level', processors: unit(0) });
  const since = history.sinceBaseline(same, same.measurements[0]!, 20)!;
  assert.equal(since.baseline, runId(1));
  assert.deepEqual(
    since.readings.map((value) => Math.round(value)),
    [1, 2, 3],
  );
  const other = calibrationRun({ n: 5, processors: unit(6) });
  assert.equal(history.sinceBaseline(other, other.measurements[0]!, 20), undefined);
});

test('a run that did not come to its end is no reading, no baseline and hides no other', (t) => {
  const history = opened(t);
  const problem = { code: 'calibration.aborted', message: 'x', advice: 'x' };
  for (const n of [1, 2, 3, 4])
    history.add({ ...unlimited(calibrationRun({ n, loopGainDb: n })), ...(n % 2 === 1 && { problem }) }, 'a.b.c');
  const numbers = (runs: readonly { run: string }[]) => runs.map(({ run }) => Number(run.slice(-4)));
  const [gain] = history.series({ insert: 'a', names: ['loop_gain_db'] });
  assert.deepEqual(numbers(gain!.points), [2, 4]);
  const next = calibrationRun({ n: 6 });
  const since = history.sinceBaseline(next, next.measurements[0]!, 20)!;
  assert.deepEqual([since.baseline, since.readings.map(Math.round)], [runId(2), [2, 4]]);
  assert.throws(() => history.setBaseline(runId(3), 'technician.kim', 'it is there'), { code: 'history.partial' });
  assert.deepEqual(numbers(history.standing('a')), [4]);
  history.add({ ...unlimited(calibrationRun({ n: 5 })), problem }, 'a.b.c');
  assert.deepEqual(numbers(history.standing('a')), [5, 4]);
  assert.deepEqual(numbers(history.newest('a')), [5]);
});

test('a refused measurement is no reading', (t) => {
  const history = opened(t);
  const run = unlimited(calibrationRun({ n: 1 }));
  const refusal = { reason: 'clipped', message: 'full scale from sample 5 on' } as const;
  run.measurements[0] = { ...run.measurements[0]!, value: null, valid: false, refusal };
  const summary = history.add(run, 'a.b.c');
  assert.equal(summary.refused, 1);
  assert.deepEqual(
    history.series({ insert: 'a', names: ['loop_gain_db'] }).map(({ channel }) => channel),
    [2],
  );
  assert.equal(history.sinceBaseline(run, run.measurements[0]!, 20), undefined);
});

test('the newest trims hold, and a version is never used for two sets', (t) => {
  const history = opened(t);
  assert.equal(history.latestSet(), null);
  const set: CalibrationSet = {
    version: '2026-01-05.1',
    base: null,
    run: runId(1),
    at: EPOCH,
    inserts: {
      a: {
        sendTrimDb: [0.1, 0],
        returnTrimDb: [0, -0.2],
        fullScaleDbu: { send: [22, 22], return: [22, null] },
        path: null,
      },
    },
  };
  history.addSet(set);
  assert.deepEqual(history.latestSet(), set);
  assert.throws(() => history.addSet({ ...set, at: EPOCH + 1 }), { code: 'history.known' });
  history.addSet({ ...set, version: '2026-01-05.2' });
  assert.equal(history.latestSet()?.version, '2026-01-05.2');
});

test('a version of limits means one thing', (t) => {
  const history = opened(t);
  history.claimLimits({ version: 'x', digest: 'sha256:1' });
  history.claimLimits({ version: 'x', digest: 'sha256:1' });
  assert.throws(() => history.claimLimits({ version: 'x', digest: 'sha256:2' }), { code: 'limits.version' });
});

test('a full disk has its own code, and what was there stays', (t) => {
  const inner = fileURLToPath(new URL('./full-disk.js', import.meta.url));
  const folder = dirname(scratchFile(t));
  const script = `mount -t tmpfs -o size=1m none '${folder}' && exec '${process.execPath}' '${inner}' '${folder}'`;
  if (spawnSync('unshare', ['-rm', 'true']).status !== 0)
    return t.skip('this host gives no mount namespace to its users');
  const run = spawnSync('unshare', ['-rm', 'sh', '-c', script], { encoding: 'utf8' });
  assert.equal(run.stderr, '');
  assert.match(run.stdout, /^(rig\.disk-full, ){4}all of [1-9]\d* runs are there\n$/);
});

test('a damaged one is told from one that may not be opened', (t) => {
  const file = scratchFile(t);
  const history = opened(t, file);
  for (let n = 1; n < 20; n++) history.add(unlimited(calibrationRun({ n, traces: true })), 'a.b.c');
  history.close();
  const whole = readFileSync(file);
  // In the middle of the tables: the header is sound.
  writeFileSync(file, Buffer.concat([whole.subarray(0, 8192), Buffer.alloc(8192, 0xa5), whole.subarray(16_384)]));
  assert.throws(() => opened(t, file), { code: 'history.broken' });
  writeFileSync(file, whole.subarray(0, whole.length >> 1));
  assert.throws(() => opened(t, file), { code: 'history.broken' });
  writeFileSync(file, 'no database');
  assert.throws(() => opened(t, file), { code: 'history.broken' });
  writeFileSync(file, whole);
  assert.equal(opened(t, file).list().length, 19);
});

test('what is no history, and what is newer than this program, is refused', (t) => {
  const file = scratchFile(t);
  opened(t, file).close();
  const raw = new Database(file);
  raw.pragma('user_version=99');
  raw.close();
  assert.throws(() => opened(t, file), { code: 'history.schema' });
  assert.throws(() => opened(t, tmpdir()), { code: 'history.open' });
});
