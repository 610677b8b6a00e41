/** What a person reads from a meter: a slip is refused and asked again, under the same tone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CalibrationNews } from '../../../../core/contract/index.js';
import { Questions } from '../../../../daemon/rig/calibration/questions.js';

const QUESTION = { text: 'read it', unit: 'V', channel: 1, allowed: [0.0245, 7.75] as [number, number] } as const;

test('what cannot be is refused with what can, and the question stays open', async () => {
  const told: CalibrationNews[] = [];
  const questions = new Questions({ tell: (news) => void told.push(news) });
  let silent = false;
  const play = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        silent = true;
        resolve();
      });
    });
  const asked = questions.ask(QUESTION, play, new AbortController().signal);
  assert.deepEqual(told, [{ news: 'question', question: 1, ...QUESTION }]);
  for (const value of [0, -3, Number.NaN, Number.POSITIVE_INFINITY, 0.001, 1228])
    assert.throws(() => questions.answer({ question: 1, value }), {
      code: 'calibration.answer',
      message: `${value} V cannot be: it is 0.0245 to 7.75 V; look at the meter's range and at the cable`,
    });
  assert.throws(() => questions.answer({ question: 2, value: 1 }), { code: 'calibration.answer' });
  assert.equal(silent, false);
  questions.answer({ question: 1, value: 1.2 });
  assert.equal(await asked, 1.2);
  assert.equal(silent, true);
  assert.throws(() => questions.answer({ question: 1, value: 1.2 }), /nothing is asked now/);
});

test('it ends with the run, and with a tone that cannot be played', async () => {
  const questions = new Questions({ tell: () => undefined });
  const run = new AbortController();
  const forEver = (signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  const aborted = assert.rejects(questions.ask(QUESTION, forEver, run.signal), /enough/);
  run.abort(new Error('enough'));
  await aborted;
  const broken = questions.ask(QUESTION, () => Promise.reject(new Error('no stream')), new AbortController().signal);
  await assert.rejects(broken, /no stream/);
});
