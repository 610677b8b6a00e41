/** A question with a limit: for whoever has to know soon whether a unit is still there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { becomes, failsWith, startMatrix } from './started-unit.js';

/** Longer than any test, so that only the limit can end the waiting. */
const PATIENT: [string, string] = ['replyMs: 60, quietMs: 5', 'replyMs: 300000, quietMs: 5'];
const SET = { 'outVol@out=1': -14 };

test('a unit that is silent is lost when the limit is over, however long the profile would wait and ask again', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  await unit.recall(SET);
  peer.script = () => [];
  const lost = becomes(unit, 'lost');
  await assert.rejects(unit.readBack(SET, 50), failsWith('processor.timeout', /no answer within/));
  await lost;
});

test('so is one that does not say who it is', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  peer.script = () => [];
  const lost = becomes(unit, 'lost');
  await assert.rejects(unit.identify(50), failsWith('processor.timeout'));
  await lost;
});

test('a garbled answer is asked for again while there is time', async (t) => {
  const { peer, unit } = await startMatrix(t, [['replyMs: 60, quietMs: 5', 'replyMs: 300, quietMs: 5']]);
  await unit.recall(SET);
  let asked = 0;
  peer.script = (command) => (command === '1V' && ++asked === 1 ? ['\x8050'] : undefined);
  assert.equal((await unit.readBack(SET, 30_000))[0]?.state, 'verified');
  assert.equal(asked, 2);
});

test('a unit that is slow by nature has as long as its own answers need', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  peer.script = (command) => {
    if (command !== '1V') return undefined;
    setTimeout(() => peer.say('50'), 300);
    return [];
  };
  await unit.recall(SET);
  assert.equal((await unit.readBack(SET, 10))[0]?.state, 'verified');
});
