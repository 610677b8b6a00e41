/** The trims of the inserts: read from a file of their own, refused when they are not those of this rig, and put into every plan. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CalibrationFile } from '../../core/contract/config.js';
import { OutboardError } from '../../core/errors.js';
import { loadCalibration, trimsOf } from '../../daemon/calibration-file.js';
import { plainRigConfig } from '../peers/plain-rig-config.js';
import { scratch } from '../peers/scratch.js';

const GOOD = `version: 2026-03-01.1
inserts:
  a: {sendTrimDb: [0.1, -0.2], returnTrimDb: [0, 3]}
  m:
    sendTrimDb: [0]
    returnTrimDb: [-1.5]
`;

const CONFIG = plainRigConfig({
  inserts: {
    a: { sends: [1, 2], returns: [1, 2], latencyFrames: 0 },
    b: { sends: [3, 4], returns: [3, 4], latencyFrames: 0 },
    m: { sends: [5], returns: [5], latencyFrames: 0 },
  },
  calibration: 'calibration.yaml',
});

async function load(t: TestContext, text: string | null, config = CONFIG): Promise<CalibrationFile | null> {
  const dir = await scratch(t);
  if (text !== null) await writeFile(join(dir, 'calibration.yaml'), text);
  return await loadCalibration({ config, file: join(dir, 'rig.yaml'), resolve: (path) => join(dir, path) });
}

test('trims are per channel, and zero for an insert that was not measured', async (t) => {
  const calibration = await load(t, GOOD);
  assert.equal(calibration!.version, '2026-03-01.1');
  assert.deepEqual(trimsOf(calibration, 'a', 2), { sendTrimDb: [0.1, -0.2], returnTrimDb: [0, 3] });
  assert.deepEqual(trimsOf(calibration, 'b', 2), { sendTrimDb: [0, 0], returnTrimDb: [0, 0] });
  assert.deepEqual(trimsOf(null, 'm', 1), { sendTrimDb: [0], returnTrimDb: [0] });
  const { calibration: _, ...without } = CONFIG;
  assert.equal(await load(t, null, without as typeof CONFIG), null);
});

const WRONG: [what: string, from: string | RegExp, to: string, line: number, path: string][] = [
  ['an insert that the rig does not have', '  m:', '  x:', 4, 'inserts.x'],
  ['too few trims', '[0.1, -0.2]', '[0.1]', 3, 'inserts.a.sendTrimDb'],
  ['too many trims', '[-1.5]', '[-1.5, 0]', 6, 'inserts.m.returnTrimDb'],
  ['a trim that no insert needs', '-1.5', '-25', 6, 'inserts.m.returnTrimDb.0'],
  ['what is no number', '-1.5', 'loud', 6, 'inserts.m.returnTrimDb.0'],
  ['half an insert', /\n {4}returnTrimDb: \[-1\.5\]/, '', 4, 'inserts.m.returnTrimDb'],
  ['no version', 'version: 2026-03-01.1', 'version: ""', 1, 'version'],
  ['a misspelt field', 'inserts:', 'insert:', 1, '(top level)'],
];

for (const [what, from, to, line, path] of WRONG)
  test(`${what} is refused with file, line and path`, async (t) => {
    const text = GOOD.replace(from, to);
    assert.notEqual(text, GOOD);
    await assert.rejects(load(t, text), (error) => {
      assert.ok(error instanceof OutboardError && error.code === 'config.invalid', String(error));
      if (path !== '(top level)') assert.equal(error.details['path'], path);
      assert.match(String(error.details['file']), /calibration\.yaml$/);
      if (path !== '(top level)') assert.equal(error.details['line'], line);
      return true;
    });
  });

test('a file that is not there, or is no YAML, is unreadable', async (t) => {
  await assert.rejects(load(t, null), { code: 'config.unreadable' });
  await assert.rejects(load(t, 'inserts: {'), { code: 'config.unreadable' });
});
