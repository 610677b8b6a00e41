/**
 * The whole rig at once: 32 in, 32 out at 96 kHz, 16 stereo takes side by side from files to files, through the addon and the user-space card.
 * In the middle the event loop stands still. What it costs is for `npm run bench:full` to say.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compare, samplesOf, writeNoisePair } from '../../../peers/noise-files.js';
import { rollingCard, rollTakes } from '../../../peers/roll-takes.js';
import { scratch } from '../../../peers/scratch.js';

const RATE = 96_000;
const TAKES = 16;
const SECONDS = 15;
const BLOCK_MS = 500;

test('16 stereo takes at 96 kHz come back bit for bit, although the event loop stands still for half a second', async (t) => {
  const folder = await scratch(t);
  const card = await rollingCard(2 * TAKES, RATE);
  t.after(() => card.close());
  const frames = RATE * SECONDS;
  const takes = Array.from({ length: TAKES }, (_, k) => ({
    source: join(folder, `in-${k}.wav`),
    result: join(folder, `out-${k}.wav`),
  }));
  for (const [k, { source }] of takes.entries()) await writeNoisePair(source, { rate: RATE, frames, seed: k + 1 });
  const block = { afterSeconds: SECONDS / 2, ms: BLOCK_MS };
  const { report } = await rollTakes(card, { rate: RATE, takes, frames, keys: null, block });
  assert.ok(report.blocked!.ms >= BLOCK_MS, `the event loop stood still for ${report.blocked!.ms} ms`);
  assert.ok(report.blocked!.frames >= (RATE * BLOCK_MS) / 1000 / 2, `${report.blocked!.frames} frames went by`);
  assert.deepEqual(report.faults, []);
  for (const [k, { source, result }] of takes.entries()) {
    const {
      differing,
      firstDiffering,
      frames: compared,
    } = await compare(await samplesOf(source), await samplesOf(result), 0);
    assert.deepEqual(
      { differing, firstDiffering, compared },
      { differing: 0, firstDiffering: null, compared: frames },
      `take ${k + 1}`,
    );
  }
});
