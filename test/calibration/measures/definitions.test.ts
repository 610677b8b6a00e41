/** The table of names and the page that explains them say the same. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEFINITIONS } from '../../../calibration/measures/definitions.js';

const page = readFileSync(new URL('../../../../docs/measurements.md', import.meta.url), 'utf8');

test('every name stands on the page, in the row of its definition', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  for (const [name, { definition }] of Object.entries(DEFINITIONS)) {
    const row = rows.find(
      (line) => line.includes(`\`${name}\``) || (/^h\d_dbc$/.test(name) && line.includes('`h2_dbc`')),
    );
    assert.ok(row, `${name} is not explained`);
    assert.ok(row.includes(`\`${definition}\``), `${name}: ${definition} is not in its row: ${row}`);
  }
});

test('a definition has a version', () => {
  for (const { definition } of Object.values(DEFINITIONS)) assert.match(definition, /^[a-z0-9.-]+\/\d+$/);
});
