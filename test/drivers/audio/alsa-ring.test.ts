/** The addon's rings, with two threads on them that leave each other no peace. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scratch } from '../../peers/scratch.js';

const STRESS = fileURLToPath(new URL('../../../../test/drivers/audio/alsa-ring.c', import.meta.url));
const RING = fileURLToPath(new URL('../../../../drivers/audio/alsa/native/ring.c', import.meta.url));

for (const [name, options] of [
  ['as it is built', ['-O2']],
  ['with the checks of the compiler', ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']],
] as const) {
  test(`no frame is lost or wrong without being told: ${name}`, async (t) => {
    const program = join(await scratch(t), 'ring');
    const strict = ['-std=gnu11', '-Wall', '-Wextra', '-Wconversion', '-Wsign-conversion', '-Wshadow', '-Werror'];
    await promisify(execFile)('cc', [...strict, ...options, '-pthread', '-o', program, STRESS, RING]);
    const { stdout } = await promisify(execFile)(program, ['2']);
    t.diagnostic(stdout.trim());
    const seen = JSON.parse(stdout) as Record<string, number>;
    assert.deepEqual([seen['wrong'], seen['untold'], seen['wrongCaptures']], [0, 0, 0]);
    // It has been as bad as it was meant to be.
    for (const what of ['right', 'silent', 'split', 'lost', 'captured'])
      assert.ok(seen[what]! > 100, `${what}: ${stdout}`);
  });
}
