import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ErrorCode, isOutboardError } from '../../../core/errors.js';
import type { LocalChange, ProcessorUnit, UnitState } from '../../../drivers/processors/processor-unit.js';
import { parseProfile } from '../../../drivers/processors/profile.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import { FakeMatrix } from './fake-peer.js';
import { MATRIX } from './matrix-profile.js';

const profile = parseProfile(MATRIX, 'test.yaml');

async function started(t: TestContext, prepare: (peer: FakeMatrix) => void = () => undefined) {
  const peer = new FakeMatrix();
  prepare(peer);
  const unit = createUnit({ name: 'm-1', profile, transport: peer, backoff: { baseMs: 5, maxMs: 20 } });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  return { peer, unit };
}

function becomes(unit: ProcessorUnit, ...wanted: UnitState[]): Promise<void> {
  return new Promise((resolve) => {
    if (wanted.includes(unit.state)) return resolve();
    const off = unit.onState((state) => {
      if (!wanted.includes(state)) return;
      off();
      resolve();
    });
  });
}

const failsWith =
  (code: ErrorCode, message = /./) =>
  (error: unknown) => {
    assert.ok(isOutboardError(error, code), `${String(error)} is not ${code}`);
    assert.match(error.message, message);
    return true;
  };

/** Answers the table's way except for the first `times` commands that match. */
function once(match: RegExp, answer: ReturnType<FakeMatrix['script']>, times = 1): FakeMatrix['script'] {
  let left = times;
  return (command) => (match.test(command) && left-- > 0 ? answer : undefined);
}

test('a unit is identified, recalled in order, read back and settled', async (t) => {
  const { peer, unit } = await started(t);
  assert.equal(unit.state, 'ready');
  assert.deepEqual(peer.commands, ['N']);
  const before = performance.now();
  const recalled = await unit.recall({ 'outVol@out=1': -14, 'inGain@in=7': -9, lock: 'full', lamp: true });
  assert.deepEqual(peer.commands.slice(1), ['1X', '7*9g', '1*50V', '1L', '7G', '1V']);
  const same = (value: number | string | boolean) => ({ requested: value, sent: value });
  assert.deepEqual(recalled, [
    { name: 'lock', ...same('full'), state: 'sent, unverified' },
    { name: 'inGain@in=7', unit: 'dB', ...same(-9), readBack: -9, state: 'verified' },
    { name: 'outVol@out=1', unit: 'dB', ...same(-14), readBack: -14, state: 'verified' },
    { name: 'lamp', ...same(true), state: 'sent, unverified' },
  ]);
  assert.ok(unit.lastWireMs > 0 && unit.lastWireMs < performance.now() - before);
  assert.equal(unit.state, 'ready');
});

test('settings that are illegal send nothing', async (t) => {
  const { peer, unit } = await started(t);
  await assert.rejects(
    unit.recall({ 'inGain@in=1': 3, 'outVol@out=1': -14.5 }),
    failsWith('job.setting', /-15 and -14/),
  );
  assert.deepEqual(peer.commands, ['N']);
});

test('settling counts from the last read-back, with the longest time of what changed', async (t) => {
  const slow = parseProfile(MATRIX.replace('settleMs: 3,', 'settleMs: 500,'), 'test.yaml');
  const peer = new FakeMatrix();
  const unit = createUnit({ name: 'm-1', profile: slow, transport: peer });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  const timed = async (settings: Record<string, number>): Promise<number> => {
    const began = performance.now();
    await unit.recall(settings);
    return performance.now() - began - unit.lastWireMs;
  };
  assert.ok((await timed({ 'inGain@in=1': 3, 'outVol@out=1': -14 })) > 499);
  assert.ok((await timed({ 'inGain@in=1': 3, 'outVol@out=1': -15 })) < 400, 'nothing slow changed');
  assert.ok((await timed({ 'inGain@in=1': 4 })) > 499);
});

test('the wrong unit is refused, and nothing but the question is sent to it', async (t) => {
  const { peer, unit } = await started(t, (p) => {
    p.part = '60-330-99';
  });
  assert.equal(unit.state, 'refused');
  assert.equal(unit.lastFault?.code, 'processor.identity');
  await assert.rejects(unit.recall({ 'inGain@in=1': 3 }), failsWith('processor.identity', /60-330-99/));
  await assert.rejects(unit.safe(), failsWith('processor.identity'));
  assert.deepEqual([...new Set(peer.commands)], ['N']);
  peer.part = '60-330-16';
  await becomes(unit, 'ready');
});

test('a unit that speaks something else is refused too', async (t) => {
  const { unit } = await started(t, (p) => {
    p.script = () => ['WHAT?'];
  });
  assert.equal(unit.state, 'refused');
});

test('identity is asked again on every open, and what was known is forgotten', async (t) => {
  const { peer, unit } = await started(t);
  await unit.recall({ 'inGain@in=1': 3 });
  const lost = becomes(unit, 'lost');
  peer.drop();
  await lost;
  peer.commands.length = 0;
  await becomes(unit, 'ready');
  assert.deepEqual(peer.commands, ['N']);
  assert.equal(peer.opened, 2);
  // Nobody can know what happened to it meanwhile: equal values, but not verified by that recall any more.
  assert.equal((await unit.readBack({ 'inGain@in=1': 3 }))[0]?.state, 'sent, unverified');
});

test('a unit that is not there is absent, and found when it comes', async (t) => {
  const { peer, unit } = await started(t, (p) => {
    p.present = false;
  });
  assert.equal(unit.state, 'absent');
  await assert.rejects(unit.recall({ lock: 'full' }), failsWith('processor.lost', /absent.*No such file/));
  peer.present = true;
  await becomes(unit, 'ready');
});

for (const [what, script] of Object.entries({ close: 'close', 'write error': 'write-error' } as const))
  test(`${what} in a recall means lost, then opened again`, async (t) => {
    const { peer, unit } = await started(t);
    peer.script = once(/V$/, script);
    await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.lost'));
    await becomes(unit, 'ready');
    assert.equal(peer.commands.filter((c) => c === 'N').length, 2);
    assert.equal(
      peer.commands.filter((c) => c === '1*50V').length,
      1,
      'settings are not applied again by the unit itself',
    );
  });

test('silence that outlives the retries means lost; between two tries the unit is asked', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/\*50V$/, [], 100);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.timeout', /1\*50V/));
  assert.equal(unit.state, 'lost');
  assert.deepEqual(peer.commands.slice(1), ['1*50V', '1V', '1*50V', '1V', '1*50V']);
  await becomes(unit, 'ready');
});

test('after a time-out: drain, query, send again; the late answer is dropped', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/\*50V$/, []);
  setTimeout(() => peer.say('Out01 Vol50'), 90);
  const recalled = await unit.recall({ 'outVol@out=1': -14 });
  assert.equal(recalled[0]?.state, 'verified');
  assert.deepEqual(peer.commands.slice(1), ['1*50V', '1V', '1*50V', '1V']);
});

test('a late reply is not taken for the answer about another channel', async (t) => {
  const { peer, unit } = await started(t);
  // The replies do not say which channel they speak of. The first question is answered after the second one about the same channel.
  let asked = 0;
  peer.script = (command) => {
    if (command === '1V' && ++asked === 1) return [];
    if (command === '1V') setTimeout(() => peer.say('64'), 20);
    if (command === '2V') setTimeout(() => peer.say('20'), 40);
    return command === '1V' ? ['50'] : command === '2V' ? [] : undefined;
  };
  const found = await unit.readBack({ 'outVol@out=1': -14, 'outVol@out=2': -44 });
  assert.deepEqual(
    found.map(({ readBack }) => readBack),
    [-14, -44],
  );
});

for (const [what, lines] of Object.entries({
  'another value': ['Out01 Vol05'],
  garbage: ['\x00\xffOut01 Vol50'],
  'a lost digit': ['Out01 Vol5'],
  'a busy unit': ['E22'],
  'half of a line': [] as string[],
}))
  test(`${what} instead of an acknowledgement is overcome`, async (t) => {
    const { peer, unit } = await started(t);
    peer.script = once(/\*50V$/, lines);
    if (what === 'half of a line') setTimeout(() => peer.deliver('Out01 V'), 5);
    assert.equal((await unit.recall({ 'outVol@out=1': -14 }))[0]?.state, 'verified');
  });

test('a unit that always acknowledges another value is not believed', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/\*50V$/, ['Out01 Vol05'], 100);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.reply', /Vol05/));
});

test('a refusal by the unit is final at once', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/\*50V$/, ['E13'], 100);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.reply', /E13.*bad-value/));
  assert.equal(peer.commands.filter((c) => c === '1*50V').length, 1);
  assert.equal(unit.state, 'ready');
});

test('what is acknowledged but not taken is found by reading back', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/^1V$/, ['20'], 100);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), (error) => {
    assert.ok(isOutboardError(error, 'processor.unverified'));
    assert.deepEqual(error.details, { processor: 'm-1', setting: 'outVol@out=1', requested: -14, readBack: -44 });
    return true;
  });
});

test('a value that the profile does not know is no value', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/^1V$/, ['65'], 100);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.reply', /"65"/));
});

test('after the take a difference is reported, not thrown', async (t) => {
  const { peer, unit } = await started(t);
  await unit.recall({ 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(
    (await unit.readBack({ 'outVol@out=1': -14, 'mute@out=1': false })).map(({ state }) => state),
    ['verified', 'verified'],
  );
  peer.values.set('V1', '51');
  const after = await unit.readBack({ 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(
    after.map(({ readBack, state }) => [readBack, state]),
    [
      [false, 'verified'],
      [-13, 'sent, unverified'],
    ],
  );
});

test('a local change is reported and voids the verification, even when it was undone', async (t) => {
  const { peer, unit } = await started(t);
  await unit.recall({ 'outVol@out=1': -14 });
  const changes: LocalChange[] = [];
  const off = unit.onLocalChange((change) => changes.push(change));
  peer.say('Qik');
  assert.deepEqual(changes, [{ means: 'local-change', line: 'Qik' }]);
  off();
  peer.say('Qik');
  assert.equal(changes.length, 1);
  assert.equal((await unit.readBack({ 'outVol@out=1': -14 }))[0]?.state, 'sent, unverified');
  await unit.recall({ 'outVol@out=1': -14 });
  assert.equal((await unit.readBack({ 'outVol@out=1': -14 }))[0]?.state, 'verified');
});

test('a line that looks like an acknowledgement of another channel is a local change', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/^7\*9g$/, ['In03 Aud+02', 'In07 Aud-09']);
  peer.values.set('G7', '-09');
  const changes: LocalChange[] = [];
  unit.onLocalChange((change) => changes.push(change));
  await assert.rejects(unit.recall({ 'inGain@in=7': -9 }), failsWith('processor.unverified', /during the recall/));
  assert.deepEqual(changes, [{ means: 'local-change', line: 'In03 Aud+02' }]);
});

test('a restart in a recall fails it; the unit is identified again and nothing is set', async (t) => {
  const { peer, unit } = await started(t);
  const changes: LocalChange[] = [];
  unit.onLocalChange((change) => changes.push(change));
  peer.script = once(/\*50V$/, ['(c) Copyright 2007, Test, V1.0']);
  await assert.rejects(
    unit.recall({ 'inGain@in=1': 1, 'outVol@out=1': -14 }),
    failsWith('processor.lost', /restarted/),
  );
  assert.equal(changes[0]?.means, 'reboot');
  await becomes(unit, 'ready');
  assert.deepEqual(peer.commands.slice(1), ['1*1G', '1*50V', 'N']);
});

test('the safe state is applied in its own order', async (t) => {
  const { peer, unit } = await started(t);
  await unit.safe();
  const sets = peer.commands.filter((c) => c.includes('*'));
  assert.deepEqual(sets.slice(7, 10), ['8*1Z', '1*0V', '2*0V']);
  assert.equal(sets.length, 8 + 8 + 16);
});

test('commands never overlap', async (t) => {
  const { peer, unit } = await started(t);
  await Promise.all([
    unit.recall({ 'outVol@out=1': -14 }),
    unit.readBack({ 'outVol@out=2': -14 }),
    unit.recall({ 'outVol@out=3': -15 }),
  ]);
  assert.deepEqual(peer.commands.slice(1), ['1*50V', '1V', '2V', '3*49V', '3V']);
});

test('stopping frees whoever waits, may be done twice, and can be followed by a start', async (t) => {
  const { peer, unit } = await started(t);
  peer.script = once(/\*50V$/, 'hang');
  const waiting = assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.lost', /stopped/));
  await becomes(unit, 'busy');
  await Promise.all([unit.stop(), unit.stop()]);
  await waiting;
  assert.equal(unit.state, 'absent');
  await assert.rejects(unit.recall({ lock: 'full' }), failsWith('processor.lost'));
  const aborter = new AbortController();
  await Promise.all([unit.start(aborter.signal), unit.start(aborter.signal)]);
  assert.equal(unit.state, 'ready');
  aborter.abort();
  await becomes(unit, 'absent');
});

test('a unit that never stops talking does not hold its start for ever', async (t) => {
  const text = MATRIX.replace('replyMs: 60, quietMs: 5', 'replyMs: 20, quietMs: 100');
  const peer = new FakeMatrix();
  const unit = createUnit({ name: 'm-1', profile: parseProfile(text, 'test.yaml'), transport: peer });
  const timer = setInterval(() => peer.deliver('x'), 2);
  t.after(() => {
    clearInterval(timer);
    return unit.stop();
  });
  await unit.start(new AbortController().signal);
  assert.equal(unit.state, 'lost');
  assert.deepEqual(peer.commands, []);
});
