import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { sixtyFour } from '../../../drivers/processors/code-drivers/sixtyfour.js';
import { ACK, frameOf, sony9pin } from '../../../drivers/processors/code-drivers/sony9pin.js';
import { SumFramer } from '../../../drivers/processors/code-drivers/sum-framer.js';
import type { Codec } from '../../../drivers/processors/codec.js';
import { decimalOf, toNumber } from '../../../drivers/processors/decimal.js';
import { hexOf } from '../../../drivers/processors/frame-text.js';
import type { ProcessorUnit } from '../../../drivers/processors/processor-unit.js';
import { NinePinDeck, type NinePinOptions } from '../../peers/gear/nine-pin.js';
import { FakeUnit, hex } from './fake-unit.js';
import { changed, failsWith, startUnit } from './started-unit.js';

const PROFILES = new URL('../../../../drivers/processors/profiles/', import.meta.url);

function asks(codec: Codec): Extract<NonNullable<Codec['read']>, { kind: 'ask' }> {
  assert.ok(codec.read?.kind === 'ask');
  return codec.read;
}

function spoken(name: string): Codec {
  return sony9pin.parameters.get(name)!.codec;
}

test('9-pin messages are those of the document', () => {
  const set = (name: string, w: number): string => hexOf(spoken(name).set(null, decimalOf(w)).join(''));
  assert.equal(set('transport', 0), '20 00 20');
  assert.equal(set('transport', 1), '20 01 21');
  assert.equal(set('transport', 2), '20 02 22');
  assert.equal(set('transport', 15), '20 0F 2F');
  assert.equal(set('transport', 32), '20 20 40');
  assert.equal(set('standby', 0), '20 04 24');
  assert.equal(set('standby', 1), '20 05 25');
  assert.equal(set('local', 0), '00 0C 0C');
  assert.equal(set('local', 1), '00 1D 1D');
  // The sum of the bytes, where XOR would give another one.
  assert.equal(hexOf(asks(spoken('transport')).tx(null)), '61 20 0A 8B');
  assert.equal(set('cue', 11 * 3600 + 22 * 60 + 33), '24 31 00 33 22 11 BB');
  assert.equal(hexOf(ACK), '10 01 11');
});

test('a machine plays when its servo has locked, and is nobody elses while its own keys are off', () => {
  const { reply } = asks(spoken('transport'));
  const says = (d0: number, d1: number, d2: number): unknown => {
    const said = reply(frameOf(0x7a, 0x20, d0, d1, d2, 0, 0, 0, 0, 0, 0, 0));
    return said?.pending === true ? 'pending' : said?.w == null ? said : toNumber(said.w);
  };
  assert.equal(says(0, 0x01, 0x00), 'pending');
  assert.equal(says(0, 0x01, 0x80), 1);
  assert.equal(says(0, 0x03, 0x80), 2, 'recording is playing too');
  assert.equal(says(0, 0x20, 0x00), 0);
  assert.equal(says(0, 0x04, 0x00), 16);
  assert.equal(says(0, 0x00, 0x00), 'pending');
  assert.equal(says(0x01, 0x01, 0x80), 'pending', 'local');
  assert.equal(reply(frameOf(0x79, 0x20, 0, 1, 0x80, 0, 0, 0, 0, 0, 0)), undefined, 'another number of bytes');
});

test('what a NAK says decides whether another try is worth it', () => {
  assert.equal(sony9pin.error(frameOf(0x11, 0x12, 0x04)), 'busy');
  assert.equal(sony9pin.error(frameOf(0x11, 0x12, 0x01)), 'unsupported');
  assert.equal(sony9pin.error(ACK), undefined);
});

test('a frame with a wrong sum is dropped with all that follows without a pause', () => {
  const framer = new SumFramer([0x1, 0x7], 10);
  const bytes = (text: string): Uint8Array => Buffer.from(hex(text), 'latin1');
  assert.deepEqual(framer.push(bytes('10 01 12 10 01 11'), 0), []);
  assert.deepEqual(framer.push(bytes('10 01 11'), 5), []);
  assert.deepEqual(framer.push(bytes('10 01 11'), 16), [ACK]);
  assert.deepEqual(framer.push(bytes('10 01'), 30), []);
  assert.deepEqual(framer.push(bytes('11'), 41), [], 'a tail after a pause');
  assert.deepEqual(framer.push(bytes('10'), 60), []);
  assert.deepEqual(framer.push(bytes('01 11 10 01 11'), 65), [ACK, ACK]);
});

async function deckAt(
  t: TestContext,
  options: NinePinOptions = {},
): Promise<{ deck: NinePinDeck; unit: ProcessorUnit; wire: FakeUnit }> {
  const wire = new FakeUnit();
  const deck = new NinePinDeck(
    (bytes) => queueMicrotask(() => wire.deliver(Buffer.from(bytes).toString('latin1'))),
    options,
  );
  wire.answer = (write) => {
    deck.hear(Buffer.from(write, 'latin1'));
    return undefined;
  };
  const text = await readFile(new URL('sony.9pin.yaml', PROFILES), 'utf8');
  // Time is not what these tests are about.
  const patient = changed(
    text,
    ['gapMs: 10, replyMs: 100', 'gapMs: 0, quietMs: 1, replyMs: 30000'],
    ['withinMs: 10000', 'withinMs: 60000'],
  );
  return { deck, unit: await startUnit(t, patient, wire), wire };
}

test('a machine is asked until its servo has locked', async (t) => {
  const { deck, unit } = await deckAt(t, { lockAfterPolls: 7 });
  assert.equal(unit.state, 'ready', String(unit.lastFault));
  const [recalled] = await unit.recall({ transport: 'play' });
  assert.deepEqual([recalled?.readBack, recalled?.state], ['play', 'verified']);
  assert.equal(deck.heard.filter((block) => block === '61200a8b').length, 8);
});

test('a tape is wound before it plays', async (t) => {
  const { deck, unit } = await deckAt(t);
  deck.position = [0, 0, 9, 0];
  await unit.recall({ cue: 3600, transport: 'play' });
  const cueTold = deck.heard.findIndex((block) => block.startsWith('2431'));
  const timeAsked = deck.heard.findIndex((block) => block.startsWith('610c'));
  const playTold = deck.heard.indexOf('200121');
  assert.ok(cueTold >= 0 && cueTold < timeAsked && timeAsked < playTold, deck.heard.join(' '));
});

for (const [what, options] of [
  ['a frame late', { parksOffFrames: 1 }],
  ['a frame early', { parksOffFrames: -1 }],
  ['a frame early, and has no bit that says so', { parksOffFrames: -1, hasCueBit: false }],
] as const)
  test(`a tape that parks ${what} is where it was sent`, async (t) => {
    const { deck, unit } = await deckAt(t, options);
    const [recalled] = await unit.recall({ cue: 3600 });
    assert.deepEqual([recalled?.readBack, recalled?.state], [3600, 'verified']);
    assert.equal(deck.cuedUp, true);
  });

test('a tape that passes the place is not there: it has to stand, within a frame', () => {
  const { first, reply } = asks(spoken('cue'));
  const parked = (d0: number, d1: number, d2: number) =>
    first?.reply(frameOf(0x7a, 0x20, d0, d1, d2, 0, 0, 0, 0, 0, 0, 0))?.pending !== true;
  assert.equal(first?.tx, hex('61 20 0A 8B'));
  assert.ok(parked(0, 0x00, 0x01), 'cue-up done');
  assert.ok(parked(0, 0x20, 0x00), 'stop');
  assert.ok(parked(0, 0x00, 0x02), 'still');
  assert.ok(parked(0, 0x01, 0x80), 'it plays from there');
  assert.ok(!parked(0, 0x01, 0x00), 'it starts');
  assert.ok(!parked(0, 0x08, 0x00), 'it rewinds');
  assert.ok(!parked(0, 0x00, 0x20), 'it shuttles');
  assert.ok(!parked(0x01, 0x20, 0x01), 'its own keys are in force');
  const at = (ff: number, ss = 0x02) => {
    const said = reply(frameOf(0x74, 0x04, ff, ss, 0x00, 0x00));
    return said?.w == null ? said?.pending : toNumber(said.w);
  };
  assert.deepEqual([at(0x00), at(0x01), at(0x02), at(0x12), at(0x22)], [2, 2, true, true, true]);
  assert.deepEqual([at(0x23), at(0x24), at(0x29)], [3, 3, 3]);
  const midnight = reply(frameOf(0x74, 0x04, 0x24, 0x59, 0x59, 0x23));
  assert.equal(toNumber(midnight!.w!), 0);
});

test('a machine whose own keys are in force again is not verified', async (t) => {
  const { deck, unit } = await deckAt(t);
  await unit.recall({ transport: 'play' });
  assert.equal((await unit.readBack({ transport: 'play' }))[0]?.state, 'verified');
  deck.takeLocal();
  assert.equal((await unit.readBack({ transport: 'play' }))[0]?.state, 'sent, unverified');
  await assert.rejects(unit.recall({ transport: 'play' }), failsWith('processor.reply'));
});

test('a reply that was damaged on the line is asked for again', async (t) => {
  const { deck, unit, wire } = await deckAt(t);
  await unit.stop();
  deck.spoil = (answer) => {
    deck.spoil = undefined;
    return [...answer.slice(0, -1), (answer.at(-1) as number) ^ 0x40];
  };
  deck.heard.length = 0;
  // The time-out is real here: the wire says nothing that counts.
  const text = changed(await readFile(new URL('sony.9pin.yaml', PROFILES), 'utf8'), ['replyMs: 100', 'replyMs: 300']);
  const again = await startUnit(t, text, wire);
  assert.equal(again.state, 'ready', String(again.lastFault));
  assert.deepEqual(deck.heard, ['001111', '001111']);
});

test('a setting of the SixtyFour is one transaction: unlocked, in its mode, selected, done', () => {
  const { parameters } = sixtyFour(3);
  const say = (name: string, index: number | null, w: number): string[] =>
    parameters
      .get(name)!
      .codec.set(index, decimalOf(w))
      .map((message) => hexOf(message));
  assert.deepEqual(say('sourceLevel', 2, 96), ['B2 60 00', 'B2 60 03', 'B2 01 60']);
  assert.deepEqual(say('destLevel', 32, 0), ['B2 60 00', 'B2 60 03', 'B2 3F 00']);
  const route = say('route', 5, 7);
  assert.deepEqual(route.slice(0, 2), ['B2 60 00', 'B2 60 02']);
  assert.deepEqual(route.slice(-2), ['B2 62 06', 'B2 64 04']);
  assert.equal(route.length, 2 + 31 * 2 + 2);
  assert.ok(!route.includes('B2 63 06'), 'the wanted source is never switched off');
  const none = say('route', 5, 0);
  assert.equal(none.filter((message) => message === 'B2 63 04').length, 32);
  assert.ok(!none.includes('B2 64 04'));
});

test('nothing comes between the steps of a transaction, whoever waits for the wire', async (t) => {
  const wire = new FakeUnit();
  const text = await readFile(new URL('cmlabs.sixtyfour.yaml', PROFILES), 'utf8');
  const levels = new Map<number, number>();
  let routed = 0;
  wire.answer = (write) => {
    const [, controller = 0, value = 0] = Array.from(write, (c) => c.charCodeAt(0));
    if (controller === 0x61) return hex('B0 61 00');
    if (controller === 0x62) routed = value;
    if (controller < 0x40) levels.set(controller, value);
    if (controller === 0x66) return `\xb0\x62${String.fromCharCode(routed)}\xb0\x64${String.fromCharCode(value)}`;
    if (controller === 0x6c) return `\xb0${String.fromCharCode(0x20 + value, levels.get(0x20 + value) ?? 0)}`;
    if (controller === 0x6b) return `\xb0${String.fromCharCode(value, levels.get(value) ?? 0)}`;
    return undefined;
  };
  const beat = changed(
    text,
    ['axes: {dst', "session: {keepAlive: {tx: B0 61 7E, rx: '^B0 61 ..$', everyMs: 100}}\naxes: {dst"],
    ['  errors: {}', '  errors: {}\n  session: {keepAlive: B0 61 00}'],
    ['gapMs: 5, replyMs: 500', 'gapMs: 5, replyMs: 30000'],
  );
  const unit = await startUnit(t, beat, wire);
  assert.equal(unit.state, 'ready', String(unit.lastFault));
  // Slow writes: a beat that does not wait for its turn falls into a transaction.
  wire.writeMs = 20;
  const isBeat = (text: string): boolean => text === hex('B0 61 7E');
  const from = wire.texts.length;
  do await unit.recall({ 'destLevel@dst=1': -20, 'destLevel@dst=2': -30, 'sourceLevel@src=1': -10 });
  while (wire.texts.slice(from).filter(isBeat).length < 3);
  wire.texts.forEach((text, i) => {
    if (text === hex('B0 60 00')) assert.ok(!wire.texts.slice(i, i + 3).some(isBeat), 'a beat stands in a transaction');
  });
});
