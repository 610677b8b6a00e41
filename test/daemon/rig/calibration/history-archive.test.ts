/** The rig's archive: what it signs verifies, what it keeps is what it signed, and who watches hears of it. Read through its own routes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runDigest } from '../../../../calibration/history/history.js';
import { effectiveLimits } from '../../../../calibration/limits/index.js';
import { signEnvelope, verifyEnvelope } from '../../../../certs/envelope.js';
import { loadSigner } from '../../../../certs/keys.js';
import {
  CalibrationRun,
  CalibrationSummary,
  type EffectiveLimits,
  InsertHistoryAnswer,
  RunAnswer,
  RunsAnswer,
} from '../../../../core/contract/index.js';
import { OutboardError } from '../../../../core/errors.js';
import { createLogger } from '../../../../daemon/log.js';
import { calibrationRoutes } from '../../../../daemon/rig/api/calibration-api.js';
import { createServer } from '../../../../daemon/rig/api/server.js';
import { HistoryArchive } from '../../../../daemon/rig/calibration/history-archive.js';
import { Journal } from '../../../../daemon/rig/journal/journal.js';
import { bundle, listed, NOW, party, RIG } from '../../../certs/peer.js';
import { calibrationRun, EPOCH, runId } from '../../../peers/calibration-runs.js';
import { scratch } from '../../../peers/scratch.js';

const rig = party(RIG, 'rig');
const LIMITS = new Map([['a', effectiveLimits({ name: 'a', processors: [] }, null)]]);

async function opened(
  t: TestContext,
  limits: () => Promise<ReadonlyMap<string, EffectiveLimits>> = async () => LIMITS,
  before: (dir: string) => Promise<void> = async () => undefined,
) {
  const dir = await scratch(t);
  await before(dir);
  const journal = new Journal({
    path: join(dir, 'journal.db'),
    rig: RIG,
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(randomBytes(32));
  const alerts: string[] = [];
  const archive = new HistoryArchive({
    file: join(dir, 'calibration.sqlite'),
    config: {
      rig: RIG,
      inserts: { a: { sends: [1, 2], returns: [1, 2], latencyFrames: 0, memorySeconds: 0 } } as never,
    },
    journal,
    signer: await loadSigner(RIG, rig.jwk),
    limits,
    alert: (severity, { code }) => alerts.push(`${severity} ${code}`),
  });
  archive.open();
  t.after(() => {
    archive.close();
    journal.close();
  });
  const app = createServer(createLogger('test', 'silent'));
  calibrationRoutes(app, { rig: RIG, archive, calibration: () => '2026-01-05.1' });
  t.after(() => app.close());
  const get = async (path: string) => {
    const { statusCode, body } = await app.inject(path);
    return { status: statusCode, body: JSON.parse(body) as unknown };
  };
  return { archive, journal, alerts, get };
}

test('a damaged history is set aside, beside those before, and a new one begins', async (t) => {
  let dir = '';
  const { archive, alerts, journal } = await opened(t, undefined, async (place) => {
    dir = place;
    await writeFile(join(dir, 'calibration.sqlite'), 'the second');
    await writeFile(join(dir, 'calibration.sqlite.broken'), 'the first');
  });
  assert.deepEqual(alerts, ['critical history.broken']);
  assert.equal(await readFile(join(dir, 'calibration.sqlite.broken'), 'utf8'), 'the first');
  assert.equal(await readFile(join(dir, 'calibration.sqlite.broken-2'), 'utf8'), 'the second');
  assert.deepEqual(archive.runs({}), []);
  await archive.add(calibrationRun({ n: 1 }));
  assert.equal(archive.runs({}).length, 1);
  const kinds = journal.db.all<{ kind: string }>('SELECT kind FROM audit ORDER BY seq').map(({ kind }) => kind);
  assert.ok(kinds.includes('calibration.set-aside'), kinds.join());
});

test('a run is judged, signed by the rig, kept, and in the audit log', async (t) => {
  const { archive, journal, get } = await opened(t);
  const kept = CalibrationRun.parse(await archive.add(calibrationRun({ n: 1, traces: true })));
  assert.equal(kept.passed, true);
  const { document, token } = RunAnswer.parse((await get(`/calibration/runs/${kept.run}`)).body);
  assert.deepEqual(document, kept);
  const trust = await bundle([listed(rig)]);
  const { payload } = await verifyEnvelope(token, ['calibration'], { trust, now: NOW, expiry: false });
  assert.deepEqual(payload.calibration, {
    run: kept.run,
    insert: 'a',
    kind: 'suite',
    document: runDigest(document),
    passed: true,
    virtual: true,
  });
  const entry = journal.db.get<{ detail: string }>(`SELECT detail FROM audit WHERE kind = 'calibration.kept'`)!;
  assert.equal(JSON.parse(entry.detail).document, runDigest(document));
});

test('nobody but a rig signs a calibration', async () => {
  const other = party('technician.kim', 'technician');
  const trust = await bundle([listed(other)]);
  const signer = await loadSigner(other.name, other.jwk);
  const payload = { iss: other.name, iat: NOW, calibration: {} };
  const token = await signEnvelope('calibration', payload, signer);
  await assert.rejects(verifyEnvelope(token, ['calibration'], { trust, now: NOW }), { code: 'envelope.role' });
});

test('the runs are listed, one is found, an insert tells its limits and trends; what is not there is said', async (t) => {
  const { archive, get } = await opened(t);
  for (let n = 1; n <= 3; n++) await archive.add(calibrationRun({ n }));
  await archive.add(calibrationRun({ n: 4, kind: 'self-test' }));
  const { runs } = RunsAnswer.parse((await get('/calibration/runs?insert=a&kind=suite&limit=2')).body);
  assert.deepEqual(
    runs.map(({ run }) => run),
    [runId(3), runId(2)],
  );
  const { body } = await get(`/calibration/inserts/a?since=${EPOCH + 2 * 86_400}`);
  const insert = InsertHistoryAnswer.parse(body);
  assert.deepEqual([insert.limits.class, insert.baselines.length, insert.calibration], ['loopback', 2, '2026-01-05.1']);
  assert.deepEqual(
    insert.series.find(({ name, channel }) => name === 'loop_gain_db' && channel === 1)!.points.map(({ run }) => run),
    [runId(2), runId(3)],
  );
  for (const [path, status, code] of [
    [`/calibration/runs/${runId(9)}`, 404, 'history.unknown'],
    ['/calibration/runs/nonsense', 400, 'envelope.schema'],
    ['/calibration/runs?limit=0', 400, 'envelope.schema'],
    ['/calibration/runs?since=yesterday', 400, 'envelope.schema'],
    ['/calibration/inserts/b', 400, 'calibration.insert'],
  ] as const) {
    const answer = await get(path);
    assert.deepEqual([answer.status, (answer.body as { code: string }).code], [status, code], path);
  }
});

test('the summary of an insert has the newest run of each kind', async (t) => {
  const { archive } = await opened(t);
  let changes = 0;
  archive.onChange(() => changes++);
  await archive.add(calibrationRun({ n: 1 }));
  await archive.add(calibrationRun({ n: 2, kind: 'self-test' }));
  await archive.add(calibrationRun({ n: 3, loopGainDb: 1 }));
  const [summary] = archive.summaries('x').map((each) => CalibrationSummary.parse(each));
  assert.deepEqual(
    [summary!.insert, summary!.calibration, ...summary!.runs.map(({ run, passed }) => [run, passed])],
    ['a', 'x', [runId(3), false], [runId(2), null]],
  );
  assert.equal(changes, 3);
});

test('what moves is an alert, and its end a notice; limits are one where no technician looks', async (t) => {
  const { archive, alerts } = await opened(t);
  const said = async (run: ReturnType<typeof calibrationRun>) => {
    alerts.length = 0;
    await archive.add(run);
    return [...alerts];
  };
  const drifted = { loopGainDb: -0.6 };
  assert.deepEqual(await said(calibrationRun({ n: 1 })), []);
  assert.deepEqual(await said(calibrationRun({ n: 2, ...drifted })), ['warning calibration.drift']);
  assert.deepEqual(await said(calibrationRun({ n: 3, ...drifted })), ['warning calibration.drift']);
  assert.deepEqual(await said(calibrationRun({ n: 4 })), ['notice calibration.drift']);
  assert.deepEqual(await said(calibrationRun({ n: 5 })), []);
  const alone = (n: number, more: object = {}) => ({
    ...calibrationRun({ n, kind: 'level', ...more }),
    kind: 'self-test' as const,
  });
  assert.deepEqual(await said(alone(6)), []);
  assert.deepEqual(await said(alone(7, drifted)), ['warning calibration.drift', 'warning calibration.limit']);
  assert.deepEqual(await said(alone(8)), ['notice calibration.drift', 'notice calibration.limit']);
});

test('a run that was broken off ends no alert, and hides none', async (t) => {
  const { archive, alerts } = await opened(t);
  const alone = (n: number, more: object = {}) => ({
    ...calibrationRun({ n, kind: 'level', ...more }),
    kind: 'self-test' as const,
  });
  await archive.add(alone(1));
  await archive.add(alone(2, { loopGainDb: -0.6 }));
  alerts.length = 0;
  const problem = new OutboardError('calibration.aborted', 'a job has come in').toJSON();
  await archive.add({ ...alone(3), measurements: [], problem });
  assert.deepEqual(alerts, []);
  assert.deepEqual(
    archive.runs({ kind: 'self-test', whole: true, limit: 1 }).map(({ run }) => run),
    [runId(2)],
  );
  await archive.add(alone(4));
  assert.deepEqual(alerts, ['notice calibration.drift', 'notice calibration.limit']);
});

test('limits that cannot be read are said before a run; a run that was made is kept all the same, unjudged', async (t) => {
  let broken = true;
  const { archive, alerts } = await opened(t, async () => {
    if (broken) throw new OutboardError('config.invalid', 'limits.yaml:3: inserts.a: no');
    return LIMITS;
  });
  await assert.rejects(archive.limitsOf('a'), { code: 'config.invalid' });
  const kept = await archive.add(calibrationRun({ n: 1 }));
  assert.deepEqual([kept.limits, kept.passed, alerts], [null, null, ['warning config.invalid']]);
  broken = false;
  await assert.rejects(archive.limitsOf('b'), { code: 'calibration.insert' });
  const limits = await archive.limitsOf('a');
  LIMITS.set('a', { ...limits, digest: `sha256:${'f'.repeat(64)}` });
  t.after(() => LIMITS.set('a', limits));
  await assert.rejects(archive.limitsOf('a'), { code: 'limits.version' });
});
