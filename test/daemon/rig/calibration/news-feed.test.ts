/** What a run tells of itself, heard by who listens from the start, comes late, is slow, or goes away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { CalibrationNews } from '../../../../core/contract/index.js';
import { NewsFeed } from '../../../../daemon/rig/calibration/news-feed.js';

const step = (label: string): CalibrationNews => ({ news: 'step', label, fraction: 0.5 });
const live: CalibrationNews = { news: 'live', levels: [], spectrum: null };
const question: CalibrationNews = {
  news: 'question',
  question: 1,
  text: 'read it',
  unit: 'V',
  channel: 1,
  allowed: [0.1, 10],
};
const over: CalibrationNews = { news: 'failed', problem: { code: 'internal', message: 'none', advice: 'none' } };

/** Hears everything from now on, as fast as it comes. */
function listener(feed: NewsFeed) {
  const abort = new AbortController();
  const heard: string[] = [];
  const ended = (async () => {
    for await (const one of feed.listen(abort.signal)) heard.push(one.news === 'step' ? one.label : one.news);
  })();
  return { heard, ended, leave: () => abort.abort() };
}

test('who comes late hears the step, the open question, or that it is over', async () => {
  const feed = new NewsFeed();
  feed.tell(step('tone'));
  feed.tell(question);
  const late = listener(feed);
  await turn();
  assert.deepEqual(late.heard, ['tone', 'question']);
  feed.tell({ news: 'answered', question: 1, value: 1 });
  const later = listener(feed);
  await turn();
  assert.deepEqual(later.heard, ['tone']);
  feed.tell(over);
  await Promise.all([late.ended, later.ended]);
  assert.deepEqual(late.heard, ['tone', 'question', 'answered', 'failed']);
  const tooLate = listener(feed);
  await tooLate.ended;
  assert.deepEqual(tooLate.heard, ['failed']);
});

test('a slow listener misses live views and nothing else', async () => {
  const feed = new NewsFeed();
  const slow = feed.listen(new AbortController().signal);
  assert.equal((await slow.next()).value?.news, 'step');
  for (let n = 0; n < 1000; n++) feed.tell(live);
  feed.tell(step('tone'));
  for (let n = 0; n < 1000; n++) feed.tell(live);
  feed.tell(over);
  const heard: string[] = [];
  for await (const { news } of slow) heard.push(news);
  assert.deepEqual(heard, ['live', 'step', 'live', 'failed']);
});

test('a listener who goes away is let go while nothing happens', async () => {
  const feed = new NewsFeed();
  const { ended, leave, heard } = listener(feed);
  await turn();
  leave();
  await ended;
  feed.tell(step('unheard'));
  assert.deepEqual(heard, ['starting']);
});

test('a silent run says every ten seconds where it stands, so that a dead line is noticed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const feed = new NewsFeed();
  const { heard, leave, ended } = listener(feed);
  await turn();
  for (let n = 0; n < 3; n++) {
    t.mock.timers.tick(10_000);
    await turn();
  }
  assert.deepEqual(heard, ['starting', 'starting', 'starting', 'starting']);
  leave();
  await ended;
});
