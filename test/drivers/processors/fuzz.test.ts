import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profilesAnswers } from './answers.js';
import { damaged, FRAMINGS, rubbish } from './fuzz.js';

/** `npm run bench:fuzz` does the same from another seed each time. */
const MANY = 1_000_000;

for (const [name, framing] of Object.entries(FRAMINGS))
  test(`${name}: rubbish goes through without harm, and only whole messages come out`, () => {
    assert.ok(rubbish(framing(), MANY, 7) > 0, 'it says something sometimes, or nothing was tried');
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
  const answers = await profilesAnswers();
  assert.ok(answers.length > 3);
  for (const [seed, answer] of answers.entries()) damaged(answer, Math.ceil(MANY / answers.length), seed);
});
