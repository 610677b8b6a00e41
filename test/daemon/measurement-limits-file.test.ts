/** The limits file: read for the inserts of this rig, and refused with its line where it says what cannot be. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OutboardError } from '../../core/errors.js';
import { loadMeasurementLimits } from '../../daemon/measurement-limits-file.js';
import { loadProfiles } from '../../drivers/processors/profile.js';
import { plainRigConfig } from '../peers/plain-rig-config.js';
import { scratch } from '../peers/scratch.js';

const GOOD = `version: 2026-03
processors:
  tape-1:
    limits:
      speed: {measurement: speed_error_percent, min: -0.1, max: 0.1}
inserts:
  b: {class: line, limits: {noise: off}}
`;

const CONFIG = plainRigConfig({
  inserts: {
    a: { sends: [1, 2], returns: [1, 2], latencyFrames: 0 },
    b: { sends: [3, 4], returns: [3, 4], latencyFrames: 0 },
    c: { sends: [5, 6], returns: [5, 6], latencyFrames: 0 },
  },
  processors: { 'tape-1': { profile: 'virtual.tape', insert: 'a', port: { virtual: true } } },
  measurementLimits: 'limits.yaml',
});

async function load(t: TestContext, text: string, config = CONFIG) {
  const dir = await scratch(t);
  await writeFile(join(dir, 'limits.yaml'), text);
  return await loadMeasurementLimits({ config, resolve: (path) => join(dir, path) }, await loadProfiles());
}

test('each insert has the limits of its class and of its processor', async (t) => {
  const limits = await load(t, GOOD);
  assert.deepEqual(
    [...limits].map(([name, { class: kind, version }]) => [name, kind, version]),
    [
      ['a', 'tape', '2026-03'],
      ['b', 'line', '2026-03'],
      ['c', 'loopback', '2026-03'],
    ],
  );
  assert.equal(limits.get('a')!.limits.find(({ rule }) => rule === 'speed')!.max, 0.1);
  assert.equal(
    limits.get('b')!.limits.some(({ rule }) => rule === 'noise'),
    false,
  );
});

test('without a file the built-in limits hold', async (t) => {
  const { measurementLimits: _, ...without } = CONFIG;
  const limits = await load(t, '', without as typeof CONFIG);
  assert.equal(limits.get('c')!.version, 'default-3');
});

const WRONG: [what: string, from: string | RegExp, to: string, line: number, path: string][] = [
  ['an insert that the rig does not have', '  b:', '  x:', 7, 'inserts.x'],
  ['a processor that the rig does not have', '  tape-1:', '  tape-2:', 3, 'processors.tape-2'],
  ['a limit without a bound', 'min: -0.1, max: 0.1', '', 5, 'processors.tape-1.limits.speed'],
  ['no version', 'version: 2026-03', 'version: ""', 1, 'version'],
  ['a misspelt word', 'class: line', 'clas: line', 7, 'inserts.b'],
];

for (const [what, from, to, line, path] of WRONG)
  test(`refused with its line: ${what}`, async (t) => {
    await assert.rejects(load(t, GOOD.replace(from, to)), (error) => {
      assert.ok(error instanceof OutboardError);
      assert.deepEqual([error.code, error.details['line'], error.details['path']], ['config.invalid', line, path]);
      return true;
    });
  });

test('a class that nobody defines is refused', async (t) => {
  await assert.rejects(load(t, GOOD.replace('class: line', 'class: valve')), { code: 'limits.class' });
});
