/** `outboard calibration` and `outboard report`, as far as they need no rig. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { effectiveLimits } from '../../../calibration/limits/index.js';
import { LimitsFile } from '../../../core/contract/index.js';
import { parseDay } from '../../../daemon/cli/day.js';
import { outboard } from './run-cli.js';

describe('outboard calibration', () => {
  it('writes the built-in limits as a file to begin with, which changes nothing', async () => {
    const { code, stdout } = await outboard('calibration', 'limits', '--yaml');
    assert.equal(code, 0);
    assert.match(stdout, /^# .*measurementLimits: FILE/);
    const file = LimitsFile.parse(parse(stdout));
    for (const classes of [[], ['eq'], ['tape']]) {
      const insert = { name: 'a', processors: classes.map((each) => ({ name: 'unit', classes: [each] })) };
      const { version: _, digest: __, ...written } = effectiveLimits(insert, file);
      const { version: ___, digest: ____, ...builtIn } = effectiveLimits(insert, null);
      assert.deepEqual(written, builtIn);
    }
  });

  it('refuses what does not go together, and a rig that is not there', async () => {
    for (const [words, status, said] of [
      [['calibration', 'limits', '--yaml', '--insert', 'a'], 64, 'usage'],
      [['calibration', 'history', '--kind', 'loudness'], 64, 'usage'],
      [['calibration', 'history', '--since', 'monday'], 64, 'usage'],
      [['report', '--pdf', '--csv'], 64, 'usage'],
      [['report', '--insert', 'a', '--run', 'x'], 64, 'usage'],
      [['report', '--socket', '/nowhere/control.sock'], 69, 'rig.unreachable'],
    ] as const) {
      const { code, stderr } = await outboard(...words);
      assert.deepEqual([code, stderr.split(/[ :]/)[1]], [status, said], words.join(' '));
    }
  });

  it('reads a day as its first second', () => {
    assert.equal(parseDay('2026-03-01'), Date.UTC(2026, 2, 1) / 1000);
    for (const text of ['2026-02-30', '2026-3-1', '01.03.2026', '1969-12-31', '', '2026-03-01T00:00'])
      assert.throws(() => parseDay(text), { code: 'commander.invalidArgument' }, text);
  });
});
