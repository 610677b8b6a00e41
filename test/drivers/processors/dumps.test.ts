import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeUnit, hex } from './fake-unit.js';
import { failsWith, startUnit } from './started-unit.js';

/** Settings that share a byte, read from a dump of offset bytes and written one byte at a time; no acknowledgement. */
const PREAMP = `
schema: outboard.profile/1
id: test.preamp
version: 0.1.0
device: {make: Test, model: Preamp, class: [preamp]}
transport: {kind: midi, link: usb}
framing: {kind: midi, sysexMax: 32}
pacing: {gapMs: 0, replyMs: 30000, quietMs: 1, bytesPerSec: 100000, maxInFlight: 1, retries: 2}
identity: {strength: none, steps: []}
dumps:
  all: {tx: F0 7D 10 F7, reply: F0 7D 30 ... F7, body: {bytes: 4, keyBytes: 1}}
params:
  gain: {kind: number, unit: dB, min: 0, max: 60, step: 1, taper: {t: linear},
    wire: {enc: sysex, bytes: F0 7D 20 00 {w} F7}, read: {dump: all, at: 0}, verify: {by: dump}}
  lowCut: {kind: bool, taper: {t: enum, map: {"off": 0, "on": 1}},
    wire: {enc: bits, dump: all, bytes: F0 7D 20 {addr} {byte} F7, parts: [{at: 1, shift: 3, width: 1}]}, verify: {by: dump}}
  phantom: {kind: bool, hazard: phantom, taper: {t: enum, map: {"off": 0, "on": 1}},
    wire: {enc: bits, dump: all, bytes: F0 7D 20 {addr} {byte} F7, parts: [{at: 1, shift: 6, width: 1}]}, verify: {by: dump}}
  level: {kind: number, unit: raw, min: 0, max: 16383, step: 1, taper: {t: linear},
    wire: {enc: cc14, cc: 21, lsb: 53, bits: 14, order: lsb-msb, channel: 1}, verify: {by: none}}
order: ["*"]
safe: {state: {phantom: "off"}, settleMs: 0, onLinkLoss: operator}
sim: {replyMs: [0, 0], identity: [], errors: {}}
vectors:
  - {set: {gain: 40}, tx: F0 7D 20 00 28 F7}
  - {set: {lowCut: "on"}, dump: F0 7D 30 00 00 01 40 F7, tx: F0 7D 20 01 48 F7}
  - {set: {phantom: "off"}, dump: F0 7D 30 00 00 01 48 F7, tx: F0 7D 20 01 08 F7}
`
  .replaceAll('bytes: F0 7D 20 00 {w} F7', 'bytes: "F0 7D 20 00 {w} F7"')
  .replaceAll('bytes: F0 7D 20 {addr} {byte} F7', 'bytes: "F0 7D 20 {addr} {byte} F7"');

const ASK = hex('F0 7D 10 F7');

/** A preamp that keeps two bytes and does what the published messages say. */
class Preamp extends FakeUnit {
  readonly bytes = [0, 0];
  override answer = (message: string): string | undefined => {
    if (message === ASK) return hex(`F0 7D 30 00 ${this.#hex(0)} 01 ${this.#hex(1)} F7`);
    if (message.startsWith(hex('F0 7D 20'))) this.bytes[message.charCodeAt(3)] = message.charCodeAt(4);
    return undefined;
  };

  #hex(at: number): string {
    return (this.bytes[at] as number).toString(16).padStart(2, '0');
  }
}

const set = (at: number, byte: number): string => `\xf0\x7d\x20${String.fromCharCode(at, byte)}\xf7`;

test('bits are changed in the bytes that the unit has now, never in those that it had', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP, preamp);
  preamp.bytes[1] = 0x03;
  await unit.recall({ lowCut: true });
  assert.deepEqual(preamp.texts, [ASK, set(1, 0x0b), ASK]);
  // At the unit somebody sets other bits of the same byte, unseen.
  preamp.bytes[1] = 0x61;
  preamp.writes.length = 0;
  const recalled = await unit.recall({ lowCut: true, phantom: false });
  assert.deepEqual(preamp.texts, [ASK, set(1, 0x69), ASK, set(1, 0x29), ASK]);
  assert.deepEqual(
    recalled.map(({ readBack, state }) => [readBack, state]),
    [
      [true, 'verified'],
      [false, 'verified'],
    ],
  );
});

test('what the dump already says is not written again, and one dump serves until a byte passes', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP, preamp);
  preamp.bytes[1] = 0x48;
  await unit.recall({ lowCut: true, phantom: true });
  assert.deepEqual(preamp.texts, [ASK, ASK]);
});

test('everything that a dump holds is verified from one dump', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP, preamp);
  const recalled = await unit.recall({ gain: 40, lowCut: false, phantom: false });
  assert.deepEqual(preamp.texts, [set(0, 40), ASK, ASK]);
  assert.ok(recalled.every(({ state }) => state === 'verified'));
  preamp.bytes[0] = 41;
  assert.deepEqual((await unit.readBack({ gain: 40 }))[0], {
    name: 'gain',
    unit: 'dB',
    requested: 40,
    sent: 40,
    readBack: 41,
    state: 'sent, unverified',
  });
});

test('a write that the unit ignores is found in the dump', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP, preamp);
  const { answer } = preamp;
  preamp.answer = (message) => (message === ASK ? answer(message) : undefined);
  await assert.rejects(
    unit.recall({ phantom: true }),
    failsWith('processor.unverified', /phantom was set to true and reads false/),
  );
});

test('a dump that is short, or of another kind, is none', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP.replace('replyMs: 30000', 'replyMs: 100'), preamp);
  for (const wrong of [
    'F0 7D 30 00 28 01 F7',
    'F0 7D 31 00 28 01 40 F7',
    'F0 7D 30 00 28 01 40 02 00 F7',
    '28 01 40 F7',
  ])
    preamp.answer = () => hex(wrong);
  await assert.rejects(unit.readBack({ gain: 40 }), failsWith('processor.timeout'));
});

test('messages do not leave faster than the unit takes them, those of one command neither', async (t) => {
  const preamp = new Preamp();
  const unit = await startUnit(t, PREAMP.replace('bytesPerSec: 100000', 'bytesPerSec: 100'), preamp);
  const pauses = () => preamp.writes.slice(1).map(({ atMs }, i) => atMs - preamp.writes[i]!.atMs);
  await unit.recall({ gain: 40 });
  assert.equal(preamp.writes.length, 2);
  assert.ok(
    pauses().every((ms) => ms >= 60),
    `six bytes at 100 bytes a second: ${pauses()}`,
  );
  preamp.writes.length = 0;
  await unit.recall({ level: 8193 });
  assert.deepEqual(preamp.texts, [hex('B0 35 01'), hex('B0 15 40')]);
  assert.ok(
    pauses().every((ms) => ms >= 30),
    `three bytes: ${pauses()}`,
  );
});
