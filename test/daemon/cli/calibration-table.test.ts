/** A run on the terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showRun } from '../../../daemon/cli/calibration-table.js';
import type { Output } from '../../../daemon/cli/output.js';
import { calibrationRun, unlimited } from '../../peers/calibration-runs.js';

test('a maximum that was not reached, and a figure of nothing but noise, are told as bounds', () => {
  const run = unlimited(calibrationRun({ n: 1 }));
  run.measurements = run.measurements.map((m) => {
    if (m.name === 'max_level_dbfs') return { ...m, value: -1, conditions: { limited: m.channel === 1 } };
    if (m.name === 'h3_dbc') return { ...m, value: -120, conditions: { ...m.conditions, noise_limited: true } };
    return m;
  });
  const rows: string[][] = [];
  showRun({ line: () => {}, table: (all: string[][]) => rows.push(...all) } as unknown as Output, run);
  // Behind the column of what belongs to no channel.
  const row = (name: string) => rows.find(([first]) => first!.startsWith(name))!.slice(2, 4);
  assert.deepEqual(row('max_level_dbfs'), ['≥ -1', '-1']);
  assert.deepEqual(row('h3_dbc'), ['≤ -120', '≤ -120']);
});
