/** Encodings of MIDI units: published bytes, and profiles that are wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOutboardError } from '../../../core/errors.js';
import { compileBytes } from '../../../drivers/processors/byte-template.js';
import { checksumOf } from '../../../drivers/processors/checksum.js';
import { decimalOf } from '../../../drivers/processors/decimal.js';
import { hexOf } from '../../../drivers/processors/frame-text.js';
import { parseProfile } from '../../../drivers/processors/profile.js';
import { checkSettings, companions } from '../../../drivers/processors/settings.js';
import { SimulatedUnit } from '../../../drivers/processors/simulated-unit.js';

const UNIT = `
schema: outboard.profile/1
id: test.midi
version: 0.1.0
device: {make: Test, model: MIDI box, class: [eq]}
transport: {kind: midi, link: din}
framing: {kind: midi}
pacing: {gapMs: 0, replyMs: 100, maxInFlight: 1, retries: 0}
vars: {ch: {type: int, min: 1, max: 16, default: 1}, dev: {type: int, min: 0, max: 15, default: 5}}
identity: {strength: none, steps: []}
axes: {pair: {from: 1, to: 2, link: [[1, 2]]}}
dumps:
  all: {tx: "F0 7D {dev} 10 F7", reply: "F0 7D {dev} 30 ... {sum} F7", checksum: {kind: roland, from: 4}, body: {bytes: 6, keyBytes: 1}}
params:
  low: {kind: number, unit: raw, min: 0, max: 127, step: 1, taper: {t: linear}, wire: {enc: cc7, cc: 20}, verify: {by: none}}
  fine: {kind: number, unit: raw, min: 0, max: 16383, step: 1, taper: {t: linear},
    wire: {enc: cc14, cc: 21, lsb: 53, bits: 14, order: lsb-msb}, verify: {by: none}}
  sys: {kind: number, unit: raw, min: 0, max: 1000, step: 1, taper: {t: linear},
    wire: {enc: sysex, bytes: "F0 41 {dev} 12 40 00 {w:7x2} {sum} F7", checksum: {kind: roland, from: 4}}, verify: {by: none}}
  mode: {kind: enum, taper: {t: enum, map: {a: [0, 63], b: [64, 127]}}, wire: {enc: cc7, cc: 22}, verify: {by: none}}
  cut: {kind: bool, taper: {t: enum, map: {"off": 0, "on": 1}}, axis: [pair],
    wire: {enc: bits, dump: all, bytes: "F0 7D {dev} 20 {addr} {byte} F7", parts: [{at: {first: 1, step: 1}, shift: 3, width: 1}]}, verify: {by: dump}}
  power: {kind: bool, taper: {t: enum, map: {"off": 0, "on": 1}}, axis: [pair], hazard: phantom, needs: {cut: "on"},
    wire: {enc: bits, dump: all, bytes: "F0 7D {dev} 20 {addr} {byte} F7", parts: [{at: {first: 1, step: 1}, shift: 6, width: 1}]}, verify: {by: dump}}
order: ["*"]
safe: {state: {power: "off"}, settleMs: 0, onLinkLoss: operator}
sim: {replyMs: [0, 0], identity: [], errors: {}}
vectors:
  - {set: {fine: 8193}, tx: B0 35 01 B0 15 40}
  - {set: {sys: 0}, tx: F0 41 05 12 40 00 00 00 40 F7}
  - {set: {mode: b}, tx: B0 16 40}
  - {set: {power@pair=1: "on"}, dump: F0 7D 05 30 00 00 01 08 02 00 75 F7, tx: F0 7D 05 20 01 48 F7}
`;

const unitWith = (from: string | RegExp, to: string): string => {
  const text = UNIT.replace(from, () => to);
  assert.notEqual(text, UNIT, String(from));
  return text;
};

function refused(text: string, path: string | RegExp, message: RegExp): void {
  assert.throws(
    () => parseProfile(text, 'test'),
    (error) => {
      assert.ok(isOutboardError(error, 'profile.invalid'), String(error));
      assert.match(
        String(error.details.path),
        typeof path === 'string' ? new RegExp(`^${path.replace('.', '\\.')}$`) : path,
      );
      assert.match(error.message, message);
      return true;
    },
  );
}

test('checksums are those that are published', () => {
  assert.equal(checksumOf('roland', '\x40\x00\x7f\x00'), 0x41);
  assert.equal(checksumOf('sum8', '\x61\x20\x0a'), 0x8b);
  assert.equal(checksumOf('crc16', '123456789'), 0x29b1);
  assert.equal(checksumOf('xor7', '\x41\x42\x44'), 0x47);
  assert.equal(checksumOf('xor8', '\xff\x0f'), 0xf0);
  assert.equal(checksumOf('sum7', '\x7f\x02'), 0x01);
});

test('a profile of every MIDI encoding is in order', () => {
  const profile = parseProfile(UNIT, 'test');
  const fine = profile.params.get('fine')!;
  assert.deepEqual(fine.codec.set(null, decimalOf(8193)).map(hexOf), ['B0 35 01', 'B0 15 40']);
});

test('a byte template gives back what it took, and takes nothing else', () => {
  const options = { fields: ['w', 'ch'], vars: new Map([['dev', 3]]), checksum: { kind: 'roland', from: 1 } as const };
  const template = compileBytes('F0 {dev} {3*ch-3} {w:7x2} {sum} F7', options, 'here');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 16_383 }), fc.integer({ min: 1, max: 40 }), (w, ch) => {
      const frame = template.format(new Map(Object.entries({ w, ch })));
      assert.deepEqual(Object.fromEntries(template.parse(frame)?.values ?? []), { w, ch });
      // One bit wrong anywhere is another message or none: a checksum of seven bits finds every single one.
      for (let at = 1; at < frame.length - 1; at++)
        for (let bit = 0; bit < 7; bit++) {
          const torn =
            frame.slice(0, at) + String.fromCharCode(frame.charCodeAt(at) ^ (1 << bit)) + frame.slice(at + 1);
          assert.equal(template.parse(torn), undefined);
        }
    }),
    { numRuns: 200 },
  );
  for (const wrong of ['F0 {x} F7', 'F0 {ch+w} F7', 'F0 {w:7x2', 'F0 GG F7', 'F0 {w} ... F7', 'F0 {200*dev} F7', ''])
    assert.throws(() => compileBytes(wrong, { fields: ['w', 'ch'], vars: options.vars }, 'here'), /here/, wrong);
  assert.throws(() => template.format(new Map(Object.entries({ w: 16_384, ch: 1 }))), RangeError);
});

test('bits are changed in a fresh dump, and all the others stay as they are', () => {
  const power = parseProfile(UNIT, 'test').params.get('power')!;
  const dump = '\xf0\x7d\x05\x30\x00\x11\x01\x2f\x02\x7f\x40\xf7';
  assert.throws(() => power.codec.set(1, decimalOf(1)), RangeError);
  // The checksum is wrong by one.
  assert.throws(() => power.codec.set(1, decimalOf(1), dump), RangeError);
  const whole = dump.replace('\x40\xf7', `${String.fromCharCode(checksumOf('roland', dump.slice(4, 10)))}\xf7`);
  assert.deepEqual(power.codec.set(1, decimalOf(1), whole).map(hexOf), ['F0 7D 05 20 01 6F F7']);
  assert.deepEqual(power.codec.set(2, decimalOf(0), whole).map(hexOf), ['F0 7D 05 20 02 3F F7']);
});

test('a simulated unit acts on the second controller of a pair, and answers dumps with what it has', () => {
  const unit = new SimulatedUnit(parseProfile(UNIT, 'test'), { gainDb: 0, muted: false, delaySeconds: 0 });
  const say = (hex: string) =>
    unit.hear(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 0).map((frame) => unit.obey(frame));
  say('B0 35 01');
  assert.equal(unit.value('fine'), 0);
  // Running status, and a clock in between.
  say('15 F8 40');
  assert.equal(unit.value('fine'), 8193);
  say('B0 16 7F');
  assert.equal(unit.value('mode'), 'b');
  say('F0 7D 05 20 01 48 F7');
  assert.equal(unit.value('power@pair=2'), true, 'linked');
  const [answer = ''] = say('F0 7D 05 10 F7');
  assert.equal(hexOf(answer).slice(0, 29), 'F0 7D 05 30 00 00 01 48 02 48');
});

test('wire ranges that overlap are refused', () => {
  refused(unitWith('b: [64, 127]', 'b: [63, 127]'), 'params.mode.taper.map', /overlap.*63/);
  refused(unitWith('cc: 22', 'cc: 20'), 'params.mode.wire', /overlap.*controller 20/);
  refused(unitWith('cc: 22', 'cc: 53'), 'params.mode.wire', /overlap.*controller 53/);
  refused(unitWith('shift: 6', 'shift: 3'), 'params.power.wire', /overlap.*bit 3 of 1/);
  refused(unitWith('first: 1, step: 1}, shift: 3', 'first: 1, step: 0}, shift: 3'), 'params.cut.wire', /overlap/);
  refused(
    unitWith('enc: cc14, cc: 21, lsb: 53, bits: 14, order: lsb-msb', 'enc: nrpn, msb: 1, lsb: 2, bits: 14').replace(
      'cc: 20',
      'cc: 6',
    ),
    'params.fine.wire',
    /NRPN 1:2.*controller 6/,
  );
});

test('what a MIDI wire cannot carry is refused', () => {
  refused(unitWith('max: 16383', 'max: 16384'), 'params.fine.wire', /14 bits have no room/);
  refused(unitWith('max: 1000', 'max: 20000'), 'params.sys.wire.bytes', /no room/);
  refused(unitWith('{w:7x2} {sum}', '{sum}'), 'params.sys.wire.bytes', /does not carry \{w\}/);
  refused(unitWith('{w:7x2} {sum}', '{w:7x2}'), 'params.sys.wire.bytes', /checksum/);
  refused(unitWith('max: 1000', 'max: 255').replace('{w:7x2}', '{w:8x1}'), 'params.sys.wire.bytes', /seven bits/);
  refused(unitWith('cc: 20', 'cc: 128'), 'params.low.wire.cc', /above 127/);
  refused(unitWith('enc: cc7, cc: 20', 'enc: cc7, cc: 20, channel: other'), 'params.low.wire.channel', /other/);
  refused(unitWith('shift: 6', 'shift: 7'), 'params.power.wire.parts', /seven/);
  refused(unitWith('enc: cc7, cc: 20', 'enc: ascii, tx: "{w}"'), 'params.low.wire.enc', /cc7/);
  refused(
    unitWith(
      '{addr} {byte} F7", parts: [{at: {first: 1, step: 1}, shift: 3',
      '{byte} F7", parts: [{at: {first: 1, step: 1}, shift: 3',
    ),
    'params.cut.wire.bytes',
    /\{addr\}/,
  );
});

test('dumps, needs, hazards and vectors have to fit', () => {
  refused(unitWith('dump: all, bytes', 'dump: none, bytes'), 'params.cut.wire.dump', /not in dumps/);
  refused(unitWith('bytes: 6, keyBytes: 1', 'bytes: 5, keyBytes: 1'), 'dumps.all.body.bytes', /records/);
  refused(unitWith('needs: {cut: "on"}', 'needs: {cut: maybe}'), /params\.power\.needs/, /not allowed/);
  refused(unitWith('needs: {cut: "on"}', 'needs: {power: "on"}'), 'params.power.needs', /itself/);
  refused(unitWith('{power: "off"}', '{}'), 'safe.state', /hazard/);
  refused(unitWith('B0 35 01 B0 15 40', 'B0 15 40 B0 35 01'), 'vectors.0.tx', /B0 35 01 B0 15 40/);
  refused(unitWith('00 00 40 F7', '00 00 41 F7'), 'vectors.1.tx', /does not match/);
  refused(unitWith('20 01 48 F7', '20 01 40 F7'), 'vectors.3.tx', /20 01 48 F7/);
  refused(unitWith('tx: B0 16 40', 'tx: hello'), 'vectors.2.tx', /hex/);
  refused(unitWith('link: [[1, 2]]', 'link: [[1, 3]]'), 'axes.pair.link', /3/);
  refused(
    unitWith('state: {power: "off"}', 'state: {power@pair=1: "off", power@pair=2: "on"}'),
    /^safe\.state\.power@pair=/,
    /together/,
  );
  const remembers = (state: string) =>
    unitWith('sim: {replyMs', `memory: {procedure: [{set: ${state}}]}\nsim: {replyMs`);
  parseProfile(remembers('{cut: "on"}'), 'test');
  refused(remembers('{cut@pair=2: "on"}'), 'memory.procedure.0.set.cut@pair=2', /cut@pair=1.*together/);
  refused(unitWith('sim: {replyMs', 'panel: {low: 3}\nsim: {replyMs'), 'panel.low', /no default/);
  refused(
    unitWith('cc: 20}, verify: {by: none}', 'cc: 20}, verify: {by: none, once: true}'),
    'params.low.verify.once',
    /not read back/,
  );
});

test('what one of two needs, the other needs too, when they move together', () => {
  const { params } = parseProfile(UNIT, 'test');
  const power = params.get('power')!;
  const needed = companions(params, power.needs, { parameter: power, index: 1 }, 'test');
  assert.deepEqual(
    needed.map(({ key }) => key),
    ['cut@pair=1', 'cut@pair=2'],
  );
});

test('a job may not contradict what a setting needs, nor name one of two that move together', () => {
  const profile = parseProfile(UNIT, 'test');
  const both = { 'power@pair=1': true, 'power@pair=2': true };
  checkSettings(profile, both);
  checkSettings(profile, { ...both, 'cut@pair=1': true, 'cut@pair=2': true });
  assert.throws(() => checkSettings(profile, { ...both, 'cut@pair=1': false }), /needs it to be true/);
  assert.throws(() => checkSettings(profile, { 'power@pair=1': true }), /power@pair=2.*together/);
  assert.throws(() => checkSettings(profile, { 'power@pair=1': true, 'power@pair=2': false }), /together/);
});
