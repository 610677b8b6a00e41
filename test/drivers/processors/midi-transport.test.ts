/** MIDI ports by name, on a sequencer whose ports come and go. The real one is driven in the machine of `npm run test:vm`. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { within } from '../../../core/duration.js';
import { OutboardError } from '../../../core/errors.js';
import { loadMidi } from '../../../drivers/processors/midi-library.js';
import { splitMessages } from '../../../drivers/processors/midi-messages.js';
import { findPort } from '../../../drivers/processors/midi-ports.js';
import { createMidiTransport, type MidiSettings } from '../../../drivers/processors/midi-transport.js';
import type { Link } from '../../../drivers/processors/transport.js';
import { FakeSequencer } from './fake-sequencer.js';

const WAIT_MS = 30_000;
const HEAT = 'Elektron Analog Heat:Elektron Analog Heat MIDI 1 24:0';
const SYSEX = Uint8Array.of(0xf0, 0x7e, 0x7f, 0x06, 0x01, 0xf7);

async function opened(t: TestContext, sequencer: FakeSequencer, more: Partial<MidiSettings> = {}) {
  const heard: string[] = [];
  const losses: Error[] = [];
  let tell = (_: Error): void => undefined;
  const lost = new Promise<Error>((resolve) => {
    tell = resolve;
  });
  const transport = createMidiTransport({
    name: 'Elektron Analog Heat',
    link: 'usb',
    sysexMax: 256,
    listens: true,
    library: async () => sequencer.library(),
    ...more,
  });
  const link: Link = await transport.open(
    {
      data: (bytes) => heard.push(Buffer.from(bytes).toString('latin1')),
      lost: (error) => {
        losses.push(error);
        tell(error);
      },
    },
    AbortSignal.timeout(WAIT_MS),
  );
  t.after(() => link.close());
  return { link, heard, losses, lost: () => within(WAIT_MS, lost, () => new Error('the loss was not told')) };
}

function withHeat(): FakeSequencer {
  const sequencer = new FakeSequencer();
  sequencer.plug('Midi Through:Midi Through Port-0 14:0');
  sequencer.plug(HEAT);
  return sequencer;
}

function isPortError(error: unknown, says: RegExp): true {
  assert.ok(error instanceof OutboardError, String(error));
  assert.equal(error.code, 'processor.port');
  assert.match(error.message, says);
  return true;
}

test('messages go one by one to the port of that name, and come from it', async (t) => {
  const sequencer = withHeat();
  const { link, heard } = await opened(t, sequencer);
  await link.write(Uint8Array.of(0xb0, 99, 1, 0xb0, 98, 109, ...SYSEX, 0xc3, 5));
  assert.deepEqual(
    sequencer.sent,
    ['\xb0\x63\x01', '\xb0\x62\x6d', '\xf0\x7e\x7f\x06\x01\xf7', '\xc3\x05'].map((message) => [HEAT, message]),
  );
  sequencer.say(HEAT, '\xf0\x7e\xf7');
  assert.deepEqual(heard, ['\xf0\x7e\xf7']);
});

test('a port that goes away is a loss, told once', async (t) => {
  const sequencer = withHeat();
  const { link, lost, losses } = await opened(t, sequencer);
  sequencer.unplug(HEAT);
  assert.match((await lost()).message, /gone/);
  await assert.rejects(link.write(SYSEX));
  await link.close();
  assert.equal(losses.length, 1);
  assert.equal(sequencer.open, 0, 'nothing of it stays open');
});

test('a port that comes back under another number is a loss, and found again by its name', async (t) => {
  const sequencer = withHeat();
  const { lost } = await opened(t, sequencer);
  sequencer.unplug(HEAT);
  const again = HEAT.replace('24:0', '28:0');
  sequencer.plug(again, {}, 0);
  await lost();
  const { link } = await opened(t, sequencer);
  await link.write(SYSEX);
  assert.equal(sequencer.sent[0]?.[0], again);
});

test('a port that comes in between does not shift what is opened', async (t) => {
  const sequencer = withHeat();
  sequencer.beforeOpen = () => sequencer.plug('Wrong:Wrong 20:0', {}, 0);
  const { link } = await opened(t, sequencer);
  await link.write(SYSEX);
  assert.equal(sequencer.sent[0]?.[0], HEAT);
});

test('ports that never stand still are not opened', async (t) => {
  const sequencer = withHeat();
  let n = 0;
  const shuffle = () => sequencer.plug(`Wrong ${n++}:Wrong 20:0`, {}, 0);
  Object.defineProperty(sequencer, 'beforeOpen', { get: () => shuffle, set: () => undefined });
  await assert.rejects(opened(t, sequencer), (error) => isPortError(error, /come and go/));
  assert.equal(sequencer.open, 0);
});

test('no port of that name, or several, is refused with the names', async (t) => {
  const sequencer = withHeat();
  await assert.rejects(opened(t, sequencer, { name: 'Micstasy' }), (error) =>
    isPortError(error, /no MIDI input is called "Micstasy"; there is Midi Through.*24:0/),
  );
  sequencer.plug(HEAT.replace('24:0', '28:0'));
  await assert.rejects(opened(t, sequencer), (error) => isPortError(error, /could be any of .*24:0, .*28:0/));
  await assert.rejects(opened(t, new FakeSequencer()), (error) => isPortError(error, /none at all/));
});

test('a unit that says nothing needs no input, any other does', async (t) => {
  const sequencer = new FakeSequencer();
  sequencer.plug(HEAT, { input: false });
  await assert.rejects(opened(t, sequencer), (error) => isPortError(error, /no MIDI input/));
  const { link } = await opened(t, sequencer, { listens: false });
  await link.write(SYSEX);
  assert.equal(sequencer.sent.length, 1);
});

test('a failed write is a loss', async (t) => {
  const sequencer = withHeat();
  const { link, lost } = await opened(t, sequencer);
  sequencer.failSending = new Error('no memory');
  await assert.rejects(link.write(SYSEX), /no memory/);
  assert.match((await lost()).message, /no memory/);
});

test('a DIN cable takes its time, USB does not', async (t) => {
  const { link } = await opened(t, withHeat(), { link: 'din' });
  const message = Uint8Array.of(0xf0, ...new Uint8Array(248), 0xf7);
  const began = performance.now();
  const leftAtMs = await link.write(message);
  assert.ok(leftAtMs - began >= 80, '250 bytes at 3125 a second are 80 ms');
  const { link: usb } = await opened(t, withHeat(), { link: 'usb' });
  assert.ok((await usb.write(message)) <= performance.now());
});

test('a message that the sequencer could tear apart is not sent', async (t) => {
  const sequencer = withHeat();
  const { link } = await opened(t, sequencer, { sysexMax: 5 });
  await assert.rejects(link.write(SYSEX), /6 bytes; at most 5/);
  assert.deepEqual(sequencer.sent, []);
});

test('a host without a sequencer says so, and what to do', async () => {
  await assert.rejects(loadMidi('/dev/snd/none'), (error) => isPortError(error, /no MIDI.*modprobe snd-seq/));
});

test('a name means a port, its client, or both; a number is never part of it', () => {
  const names = [
    'Midi Through:Midi Through Port-0 14:0',
    'ESI: M4U:ESI: M4U MIDI 1 20:0',
    'ESI: M4U:ESI: M4U MIDI 2 20:1',
  ];
  const index = (name: string) => findPort(names, name, 'output').index;
  assert.equal(index('Midi Through'), 0);
  assert.equal(index('Midi Through Port-0'), 0);
  assert.equal(index('Midi Through:Midi Through Port-0'), 0);
  assert.equal(index('ESI: M4U MIDI 2'), 2);
  assert.equal(index('ESI: M4U:ESI: M4U MIDI 1'), 1);
  assert.throws(() => index('ESI: M4U'), /could be any/);
  assert.throws(() => index('ESI: M4U MIDI'), /no MIDI output/);
  assert.throws(() => index('Midi Through Port-0 14:0'), /no MIDI output/);
  assert.throws(() => index('midi through'), /no MIDI output/);
});

const data = fc.integer({ min: 0, max: 127 });
const message = fc.oneof(
  fc.tuple(fc.constantFrom(0x80, 0x9f, 0xb0, 0xef, 0xf2), data, data),
  fc.tuple(fc.constantFrom(0xc0, 0xdf, 0xf1, 0xf3), data),
  fc.constantFrom([0xf6], [0xf8], [0xfe]),
  fc.array(data, { maxLength: 40 }).map((inside) => [0xf0, ...inside, 0xf7]),
);

test('whatever is joined out of whole messages is split into them again', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
      const split = splitMessages(Uint8Array.from(messages.flat())).map((each) => [...each]);
      assert.deepEqual(split, messages);
    }),
  );
});

test('bytes that are no whole messages are refused', () => {
  const wrong = [[0x10], [0xb0, 1], [0xf0, 1, 2], [0xb0, 1, 0x90], [0xf0, 0x80, 0xf7], [0xf4], [0xf7], [0xb0, 1, 2, 3]];
  for (const bytes of wrong) assert.throws(() => splitMessages(Uint8Array.from(bytes)), RangeError, String(bytes));
});
