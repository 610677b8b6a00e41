import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profilesAnswers } from './answers.js';
import { damaged, FRAMINGS, rubbish } from './fuzz.js';

/** `npm run bench:fuzz` does the same with a million. */
const BYTES = 100_000;
const DAMAGED = 2000;

for (const [name, framing] of Object.entries(FRAMINGS))
  test(`${name}: rubbish goes through without harm, and only whole messages come out`, () => {
    assert.ok(rubbish(framing(), BYTES, 7) > 0, 'it says something sometimes, or nothing was tried');
  });

test('a message that never ends takes no memory', () => {
  const endless = Buffer.alloc(65_536, 'a');
  for (const framing of Object.values(FRAMINGS)) {
    const { framer, maxBytes } = framing();
    const before = process.memoryUsage().heapUsed;
    framer.push(Uint8Array.of(0xf0), 0);
    for (let i = 0; i < 1000; i++) assert.deepEqual(framer.push(endless, 0), []);
    assert.ok(maxBytes < 1000);
    assert.ok(process.memoryUsage().heapUsed - before < 32e6, 'of 65 MB');
  }
});

test('damaged answers are no answers, in every profile', async () => {
  let answers = 0;
  for (const answer of await profilesAnswers()) {
    answers++;
    damaged(answer, DAMAGED, answers);
  }
  assert.ok(answers > 3);
});
