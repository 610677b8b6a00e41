/** The skeleton that docs/profiles.md tells people to copy is a profile that is in order. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseProfile } from '../../../drivers/processors/profile.js';
import { SKELETON, SKELETON_PAGE } from './documented-skeleton.js';

test('the skeleton of the documentation is in order, and names every encoding that there is', async () => {
  const text = SKELETON_PAGE;
  const profile = parseProfile(SKELETON, 'docs/profiles.md');
  assert.deepEqual([...profile.params.keys()], ['level', 'bypass']);
  const schema = await readFile(new URL('../../../../drivers/processors/wire-schema.ts', import.meta.url), 'utf8');
  const encodings = [...schema.matchAll(/enc: z\.literal\('(\w+)'\)/g)].map(([, name]) => name);
  assert.equal(encodings.length, 7);
  for (const name of encodings) assert.match(text, new RegExp(`^\\| \`${name}\` \\|`, 'm'));
});
