/** What was measured on a running rig, as people and programs get it: reports, history, limits that are edited meanwhile, baselines, the topic. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { verifyEnvelope } from '../../certs/envelope.js';
import { tlsFiles } from '../../client/tls-files.js';
import { canonicalBytes } from '../../core/canonical.js';
import { type CalibrationSummaryPayload, RunAnswer, RunsAnswer, topics } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import { type Ended, run } from '../daemon/cli/run-cli.js';
import { MeasuredRig } from '../peers/measured-rig.js';
import { Outside } from '../peers/outside.js';
import { scratch } from '../peers/scratch.js';
import { CLI_MAIN } from '../peers/stack.js';

const LIMITS = (version: string, most: number) =>
  `version: ${version}\ninserts: {a: {limits: {noise: {measurement: noise_20_20k_dbfs, max: ${most}}}}}\n`;

describe('what was measured is reported', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (end: () => unknown) => void cleanUp.unshift(end) };
  let rig: MeasuredRig;
  let limits: string;

  before(async () => {
    limits = join(await scratch(suite), 'limits.yaml');
    await writeFile(limits, LIMITS('first', -80));
    rig = await MeasuredRig.start(
      suite,
      { a: { width: 2, latencyFrames: 64, path: { delayFrames: 64, noiseDbfs: -110 } }, b: { width: 1 } },
      { measurementLimits: limits },
    );
    await rig.stack.startCourier();
    await rig.enter();
    for (const kind of ['latency', 'noise', 'noise']) await rig.calibrate([kind, '--insert', 'a']).ended;
  });
  after(async () => {
    for (const end of cleanUp) await end();
  });

  const outboard = async (...words: string[]): Promise<Ended> =>
    await run(process.execPath, [CLI_MAIN, ...words, '--config', rig.stack.init.files.rig], { cwd: rig.stack.dir });
  const well = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await outboard(...words);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  it('as a page with a name of its own, which is never written over', async () => {
    const file = (await well('report', '--insert', 'a')).trim();
    assert.match(file, /^outboard-report-[a-z0-9-]+-a-\d{4}-\d\d-\d\d\.html$/);
    const page = await readFile(join(rig.stack.dir, file), 'utf8');
    assert.match(page, /VIRTUAL/);
    assert.match(page, /Insert a/);
    assert.doesNotMatch(page, /Insert b/);
    assert.match(page, /aria-label="Noise over time"/);
    const again = await outboard('report', '--insert', 'a');
    assert.equal(again.code, 73);
    assert.match(again.stderr, /file\.exists/);
    assert.match(await well('report', '--out', '-'), /Nothing was measured yet/, 'of insert b');
  });

  it('as PDF of several pages', async () => {
    await well('report', '--pdf', '--out', 'r.pdf');
    const pdf = await readFile(join(rig.stack.dir, 'r.pdf'), 'latin1');
    assert.ok(pdf.startsWith('%PDF-'));
    assert.ok((pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0) >= 2);
    assert.deepEqual(
      (await readdir(rig.stack.dir)).filter((name) => name.startsWith('.r.pdf')),
      [],
    );
  });

  it('and without a Chromium it says how to get one', async () => {
    const { init } = rig.stack;
    const { code, stdout } = await run('/usr/bin/env', [
      'PATH=/nowhere',
      process.execPath,
      ...[CLI_MAIN, 'report', '--pdf', '--out', 'x.pdf', '--config', init.files.rig],
    ]).then(({ code, stderr }) => ({ code, stdout: stderr }));
    assert.equal(code, 69);
    assert.match(stdout, /report\.chromium.*\n.*apt-get install/);
  });

  it('as data, whose documents are those that the rig has signed', async () => {
    const { inserts, rig: id } = JSON.parse(await well('report', '--json'));
    assert.deepEqual(
      inserts.map(({ history, runs }: { history: { insert: string }; runs: unknown[] }) => [
        history.insert,
        runs.length,
      ]),
      [
        ['a', 2],
        ['b', 0],
      ],
    );
    const { document, token } = RunAnswer.parse(inserts[0].runs[0]);
    const { trust } = rig.stack.parties;
    const { payload } = await verifyEnvelope(token, ['calibration'], { trust, now: nowSeconds() });
    assert.equal(payload.iss, id);
    const digest = createHash('sha256').update(canonicalBytes(document)).digest('hex');
    assert.equal(payload.calibration.document, `sha256:${digest}`);
    const roots = ['--trust', join(rig.stack.dir, 'rig/trust.jws'), '--roots', rig.stack.init.files.rig];
    assert.match(await well('calibration', 'verify', document.run, ...roots), /as it was signed\nsigned by rig-01 at /);
    const file = join(rig.stack.dir, 'run.json');
    await writeFile(file, JSON.stringify({ document: { ...document, reason: 'nicer' }, token }));
    const forged = await outboard('calibration', 'verify', file, ...roots);
    assert.equal(forged.code, 65);
    assert.match(forged.stderr, /history\.damaged: the document of run .* is not the one that was signed/);
    const lines = (await well('report', '--csv')).trimEnd().split('\r\n');
    const { measurements } = document;
    assert.ok(lines.length > measurements.length && lines[0]!.startsWith('rig,virtual,insert,run,'));
    // The two newest of their kinds, or all three.
    const runsIn = (text: string) => new Set(text.match(/^rig-01,true,a,[0-9a-f-]{36}/gm)).size;
    assert.deepEqual(
      [runsIn(lines.join('\n')), runsIn(await well('report', '--csv', '--since', '2026-01-01'))],
      [2, 3],
    );
  });

  it('as a history, in which a technician chooses another baseline', async () => {
    const { runs } = RunsAnswer.parse({
      rig: 'rig-01',
      runs: JSON.parse(await well('calibration', 'history', '--json')).runs,
    });
    assert.deepEqual(
      runs.map(({ kind, baseline }) => [kind, baseline]),
      [
        ['noise', false],
        ['noise', true],
        ['latency', true],
      ],
    );
    const [newest] = runs;
    await well('calibration', 'baseline', 'set', newest!.run, ...rig.signature.slice(2));
    const { baselines } = JSON.parse(await well('calibration', 'baseline', 'show', '--json'));
    const noise = baselines.find(({ kind }: { kind: string }) => kind === 'noise');
    assert.deepEqual([noise.run, noise.setBy, noise.reason], [newest!.run, 'technician.main', 'a test']);
    const unknown = await outboard(
      'calibration',
      'baseline',
      'set',
      newest!.run.replace(/^.{8}/, '00000000'),
      ...rig.signature.slice(2),
    );
    assert.equal(unknown.code, 66);
    assert.match(unknown.stderr, /history\.unknown/);
    assert.match(await well('calibration', 'history', '--since', '2100-01-01'), /Nothing was measured yet/);
  });

  it('by limits that are edited while the rig runs, under a version for each change', async () => {
    assert.match(await well('calibration', 'limits', '--insert', 'a'), /class line, limits first/);
    await writeFile(limits, LIMITS('second', -140));
    const strict = await rig.document(['noise', '--insert', 'a']);
    assert.deepEqual([strict.limits?.version, strict.passed], ['second', false]);
    await writeFile(limits, LIMITS('second', -20));
    const refused = await rig.calibrate(['noise', '--insert', 'a']).ended;
    assert.equal(refused.code, 78);
    assert.match(refused.stderr, /limits\.version/);
    await writeFile(limits, 'version: third\ninserts: {c: {limits: {}}}\n');
    const wrong = await rig.calibrate(['noise', '--insert', 'a']).ended;
    assert.match(wrong.stderr, /config\.invalid: .*limits\.yaml:2: inserts\.c/);
    assert.equal((await rig.newest('a'))?.run, strict.run, 'nothing was played for it');
    await writeFile(limits, LIMITS('fourth', -20));
    assert.equal((await rig.document(['noise', '--insert', 'a'])).passed, true);
  });

  it('in short on a topic of each insert, to whoever comes', async () => {
    const names = { ca: 'monitor/tls/ca.pem', cert: 'monitor/tls/cert.pem', key: 'monitor/tls/key.pem' };
    const tls = await tlsFiles(names, (path) => join(rig.stack.dir, path))();
    const monitor = await Outside.connect(rig.stack.parties.broker.url, 'monitor.main', tls);
    suite.after(() => monitor.close());
    const topic = topics(rig.stack.init.rig).calibration('a');
    await monitor.subscribe(topic);
    const newest = (await rig.newest('a'))!;
    const said = () =>
      monitor
        .on(topic)
        .some((token) => decodeJwt<CalibrationSummaryPayload>(token).calibration.runs[0]?.run === newest.run);
    await monitor.until(said, 60_000);
    assert.ok(monitor.received.find((message) => message.topic === topic)!.retain);
    const { trust } = rig.stack.parties;
    const { payload } = await verifyEnvelope(monitor.on(topic).at(-1)!, ['state'], { trust, now: nowSeconds() });
    const { calibration } = payload as CalibrationSummaryPayload;
    assert.deepEqual(
      calibration.runs.map(({ kind, passed }) => [kind, passed]),
      [
        ['noise', true],
        ['latency', true],
      ],
    );
  });
});
