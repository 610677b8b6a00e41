/** What goes wrong with gear in the field, one test for each, and what has to happen then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MidiFramer } from '../../../drivers/processors/midi-framer.js';
import type { LocalChange } from '../../../drivers/processors/processor-unit.js';
import type { LinkListener } from '../../../drivers/processors/transport.js';
import { becomes, failsWith, startMatrix } from './started-unit.js';

/** Room for a stall of the host: whatever the test is not about takes its time. */
const PATIENT: [string, string] = ['replyMs: 60, quietMs: 5', 'replyMs: 30000, quietMs: 5'];
/** Where silence is what the test is about: short, and longer than a busy host stalls. */
const SHORT: [string, string] = ['replyMs: 60, quietMs: 5', 'replyMs: 300, quietMs: 5'];
const SET = { 'outVol@out=1': -14 };

test('renumbered: the unit on the port is asked who it is on every open, and another one is sent nothing else', async (t) => {
  const { peer, unit } = await startMatrix(t);
  await unit.recall(SET);
  const refused = becomes(unit, 'refused');
  peer.part = '60-330-99';
  peer.commands.length = 0;
  peer.drop();
  await refused;
  await assert.rejects(unit.recall(SET), failsWith('processor.identity'));
  await assert.rejects(unit.safe(), failsWith('processor.identity'));
  assert.deepEqual([...new Set(peer.commands)], ['N']);
});

for (const how of ['close', 'write error', 'silence', 'a write that never ends'] as const)
  test(`unplugged (${how}): the unit is lost at once, opened again with back-off, and verified anew`, async (t) => {
    // Only where time is what the test is about it is short.
    const timed = how === 'silence' || how === 'a write that never ends';
    const { peer, unit } = await startMatrix(t, timed ? [SHORT] : [PATIENT]);
    await unit.recall({ ...SET, 'inGain@in=1': 3 });
    peer.script = (command) => {
      if (!command.includes('*')) return undefined;
      return how === 'silence' ? [] : how === 'close' ? 'close' : how === 'write error' ? 'write-error' : 'hang';
    };
    const lost = becomes(unit, 'lost');
    await assert.rejects(
      unit.recall({ 'outVol@out=1': -15 }),
      failsWith(how === 'silence' ? 'processor.timeout' : 'processor.lost'),
    );
    await lost;
    peer.script = () => undefined;
    await becomes(unit, 'ready');
    assert.ok(peer.opened >= 2);
    // Equal values are not enough: nobody saw what happened meanwhile.
    assert.equal((await unit.readBack({ 'inGain@in=1': 3 }))[0]?.state, 'sent, unverified');
    assert.equal((await unit.recall(SET))[0]?.state, 'verified');
  });

test('a unit whose port hangs keeps nobody from the others', async (t) => {
  const hanging = await startMatrix(t, [PATIENT]);
  const other = await startMatrix(t, [PATIENT]);
  hanging.peer.script = (command) => (command.includes('*') ? 'hang' : undefined);
  const stuck = assert.rejects(hanging.unit.recall(SET), failsWith('processor.lost', /stopped/));
  await becomes(hanging.unit, 'busy');
  assert.equal((await other.unit.recall(SET))[0]?.state, 'verified');
  // It does not even keep itself from being stopped.
  await hanging.unit.stop();
  await stuck;
  assert.equal(hanging.unit.state, 'absent');
});

test('opening restarts the unit: its banner is no news, and it is asked again until it has started', async (t) => {
  const changes: LocalChange[] = [];
  let asked = 0;
  const { peer, unit } = await startMatrix(t, [SHORT], (peer) => {
    peer.script = (command) => {
      if (command !== 'N' || ++asked > 1) return undefined;
      setTimeout(() => peer.say('(c) Copyright 2007, Test, V1.0'), 10);
      return [];
    };
  });
  unit.onLocalChange((change) => changes.push(change));
  assert.equal(unit.state, 'ready');
  assert.deepEqual(peer.commands, ['N', 'N']);
  assert.equal(peer.opened, 1);
  assert.deepEqual(changes, []);
});

test('stale bytes of before are drained and do not stick to the first answer', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT], (peer) => {
    const { open } = peer;
    peer.open = async (listener) => {
      const link = await open.call(peer, listener);
      peer.deliver('\xff\x00Out01 Vol');
      return link;
    };
  });
  assert.equal(unit.state, 'ready');
  assert.deepEqual(peer.commands, ['N']);
});

test('the first half of a line is no answer, and its late tail is none either', async (t) => {
  const { peer, unit } = await startMatrix(t, [SHORT]);
  peer.values.set('G1', '-18');
  let asked = 0;
  peer.script = (command) => {
    if (command !== '1G' || ++asked > 1) return undefined;
    peer.deliver('+');
    setTimeout(() => peer.deliver('08\r\n'), 55);
    return [];
  };
  assert.equal((await unit.readBack({ 'inGain@in=1': -18 }))[0]?.readBack, -18);
});

test('a line without end is dropped, and the unit is asked again', async (t) => {
  const { peer, unit } = await startMatrix(t, [SHORT]);
  peer.values.set('G1', '+05');
  let asked = 0;
  peer.script = (command) => {
    if (command !== '1G' || ++asked > 1) return undefined;
    for (let i = 0; i < 50; i++) peer.deliver('+07'.repeat(1000));
    return [''];
  };
  assert.equal((await unit.readBack({ 'inGain@in=1': 5 }))[0]?.readBack, 5);
});

test('a digit is lost on the way to the unit: the wrong value is acknowledged, not believed, and set again', async (t) => {
  const { peer, unit } = await startMatrix(t, [SHORT]);
  let sent = 0;
  peer.script = (command) => {
    if (command !== '1*50V' || ++sent > 1) return undefined;
    peer.values.set('V1', '05');
    return ['Out01 Vol05'];
  };
  assert.equal((await unit.recall(SET))[0]?.state, 'verified');
  assert.equal(peer.values.get('V1'), '50');
});

test('a late acknowledgement is not taken for that of the next command', async (t) => {
  const { peer, unit } = await startMatrix(t, [SHORT]);
  let sent = 0;
  peer.script = (command) => {
    if (command !== '1*50V' || ++sent > 1) return undefined;
    setTimeout(() => peer.say('Out01 Vol50'), 330);
    return [];
  };
  const recalled = await unit.recall({ ...SET, 'outVol@out=2': -14 });
  assert.deepEqual(
    recalled.map(({ state }) => state),
    ['verified', 'verified'],
  );
  const sets = peer.commands.filter((c) => c.includes('*'));
  assert.deepEqual(sets, ['1*50V', '1*50V', '2*50V']);
  assert.equal(peer.commands[peer.commands.indexOf('1*50V') + 1], '1V', 'asked what it has before it is sent again');
});

test('a command that the unit drops without a word is found by reading back', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    ['ack: "Out{out:02} Vol{w:02}"}', '}'],
    ['tx: "{out}*{w}V", }', 'tx: "{out}*{w}V"}'],
    [', rx: Out01 Vol50', ''],
    [', rx: Out08 Vol00', ''],
  ]);
  peer.values.set('V1', '20');
  peer.script = (command) => (command === '1*50V' ? [] : undefined);
  await assert.rejects(unit.recall(SET), failsWith('processor.unverified', /-14 and reads -44/));
});

test('what the unit says unasked is not taken for an answer and voids what was verified', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  await unit.recall(SET);
  const changes: LocalChange[] = [];
  unit.onLocalChange((change) => changes.push(change));
  peer.script = (command) => (command === '1V' ? ['In03 Aud+02', '50'] : undefined);
  const [after] = await unit.readBack(SET);
  assert.deepEqual([after?.readBack, after?.state], [-14, 'sent, unverified']);
  assert.deepEqual(changes, [{ means: 'local-change', line: 'In03 Aud+02' }]);
});

test('a restart during a take is told at once, and nothing is set again by itself', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  await unit.recall(SET);
  const told = new Promise<LocalChange>((resolve) => unit.onLocalChange(resolve));
  const lost = becomes(unit, 'lost');
  peer.commands.length = 0;
  peer.values.clear();
  peer.say('(c) Copyright 2007, Test, V1.0');
  assert.equal((await told).means, 'reboot');
  await lost;
  await becomes(unit, 'ready');
  assert.deepEqual(peer.commands, ['N']);
  const [after] = await unit.readBack(SET);
  assert.deepEqual([after?.readBack, after?.state], [-85, 'sent, unverified']);
});

test('a system exclusive in pieces is put together up to its end; one with a piece lost is none', () => {
  const framer = new MidiFramer({ maxBytes: 4096, gapMs: 250 });
  const whole = [0xf0, ...Array.from({ length: 3000 }, (_, i) => i % 128), 0xf7];
  const found: string[] = [];
  for (let at = 0; at < whole.length; at += 256)
    found.push(...framer.push(Uint8Array.from(whole.slice(at, at + 256)), at / 10));
  assert.deepEqual(found, [String.fromCharCode(...whole)]);
  // The end was lost: the next message shows it.
  assert.deepEqual(framer.push(Uint8Array.from([...whole.slice(0, 2000), 0xb0, 1, 2]), 10_000), ['\xb0\x01\x02']);
  // A pause in the middle, and what comes after it.
  framer.push(Uint8Array.from(whole.slice(0, 1000)), 20_000);
  assert.deepEqual(framer.push(Uint8Array.from(whole.slice(1000)), 21_000), []);
  assert.equal(framer.dropped, 2);
});

test('a unit that is plugged in later, or again, is found without anybody doing anything', async (t) => {
  const { peer, unit } = await startMatrix(t, [], (peer) => {
    peer.present = false;
  });
  assert.equal(unit.state, 'absent');
  peer.present = true;
  await becomes(unit, 'ready');
  peer.present = false;
  const gone = becomes(unit, 'absent');
  peer.drop();
  await gone;
  peer.present = true;
  await becomes(unit, 'ready');
});

test('a knob that is turned silently during the take is found after it', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  await unit.recall(SET);
  peer.values.set('V1', '49');
  const [after] = await unit.readBack(SET);
  assert.deepEqual([after?.readBack, after?.state], [-15, 'sent, unverified']);
});

test('a unit that cannot be reached is never said to be safe', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT]);
  await unit.recall(SET);
  peer.present = false;
  const gone = becomes(unit, 'absent');
  peer.drop();
  await gone;
  await assert.rejects(unit.safe(), failsWith('processor.lost'));
  assert.equal(peer.values.get('V1'), '50');
});

test('a line that pauses while the wire is drained is waited for: its tail is no line', async (t) => {
  let asked: string[] | undefined;
  const { unit } = await startMatrix(t, [PATIENT, ['rxGapMs: 40', 'rxGapMs: 5000']], (peer) => {
    const open = peer.open.bind(peer);
    t.mock.method(peer, 'open', async (listener: LinkListener) => {
      const link = await open(listener);
      peer.deliver('-1');
      setTimeout(() => {
        asked = [...peer.commands];
        peer.deliver('8\r\n');
      }, 50);
      return link;
    });
  });
  assert.deepEqual(asked, [], 'nothing is asked before the line has ended');
  assert.equal(unit.state, 'ready');
});

test('a unit that answers garbage for ever ends as lost, not as a process that waits', async (t) => {
  const { peer, unit } = await startMatrix(t, [['replyMs: 60, quietMs: 5', 'replyMs: 20, quietMs: 100']]);
  peer.script = () => ['\xfe?'];
  const babble = setInterval(() => peer.deliver('\xfe?\r\n'), 5);
  t.after(() => clearInterval(babble));
  await assert.rejects(unit.recall(SET), failsWith('processor.lost', /does not stop talking/));
});
