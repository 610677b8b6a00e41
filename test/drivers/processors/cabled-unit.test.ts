/** Simulated units behind real ports: what is recalled is heard, at the pace of the line, through the faults of real wires. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { delay, within } from '../../../core/duration.js';
import { isOutboardError } from '../../../core/errors.js';
import { createPtyTransport, createVirtualMidiTransport } from '../../../drivers/processors/cabled-unit.js';
import { loadMidi, type MidiLibrary, SEQUENCER } from '../../../drivers/processors/midi-library.js';
import { PacedPipe } from '../../../drivers/processors/paced-pipe.js';
import type { PathModifier } from '../../../drivers/processors/path-modifier.js';
import type { ProcessorUnit } from '../../../drivers/processors/processor-unit.js';
import { loadProfiles, type Profile, parseProfile } from '../../../drivers/processors/profile.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import type { AnswerFault, VirtualTransport } from '../../../drivers/processors/virtual-unit.js';
import { FakeSequencer } from './fake-sequencer.js';
import { becomes } from './started-unit.js';

const WAIT_MS = 30_000;
const profiles = await loadProfiles();
/** As it is, but patient: the host may be busy. */
const patient = (id: string): Profile => {
  const { document } = profiles.get(id)!;
  return parseProfile(JSON.stringify({ ...document, pacing: { ...document.pacing, replyMs: 2000 } }), id);
};
const LINE = { baud: 38_400, format: '8N1', flow: 'none' } as const;
const BACKOFF = { baseMs: 10, maxMs: 100 };

async function started(t: TestContext, profile: Profile, transport: VirtualTransport): Promise<ProcessorUnit> {
  const unit = createUnit({ name: 'u', profile, transport, backoff: BACKOFF });
  t.after(() => unit.stop());
  await unit.start(AbortSignal.timeout(10 * WAIT_MS));
  return unit;
}

async function onPty(t: TestContext, baud = 38_400) {
  const modifier: PathModifier = { gainDb: 99, muted: true, delaySeconds: 99 };
  const profile = patient('virtual.gain');
  const transport = createPtyTransport(profile, modifier, { ...LINE, baud });
  const unit = await started(t, profile, transport);
  return { unit, transport, modifier };
}

test('a recall over a real terminal is heard, not only acknowledged', async (t) => {
  const { unit, modifier } = await onPty(t);
  assert.equal(unit.state, 'ready', String(unit.lastFault));
  const [gain] = await unit.recall({ gain: -6.25 });
  assert.equal(gain?.state, 'verified');
  assert.equal(gain?.readBack, -6.25);
  assert.equal(modifier.gainDb, -6.25);
});

test('a recall takes as long as its bytes take at the baud rate', async (t) => {
  const { unit } = await onPty(t, 300);
  const before = performance.now();
  await unit.recall({ mute: true });
  // MUTE 1, MUTE=1, MUTE?, MUTE 1, with their ends, each of ten bits.
  const bytes = 'MUTE 1\rMUTE=1\r\nMUTE?\rMUTE 1\r\n'.length;
  assert.ok(performance.now() - before >= bytes * (10 / 300) * 1000 - 2, `${performance.now() - before} ms`);
});

test('a cable that is pulled and put back: lost, identified again, recalled again by whoever asks', async (t) => {
  const { unit, transport, modifier } = await onPty(t);
  await unit.recall({ gain: -20 });
  transport.unplug();
  await becomes(unit, 'absent');
  await assert.rejects(unit.recall({ gain: -3 }), (error) => isOutboardError(error, 'processor.lost'));
  assert.equal(modifier.gainDb, -20, 'the gear keeps what it has');
  transport.plugged = true;
  await becomes(unit, 'ready');
  await unit.recall({ gain: -3 });
  assert.equal(modifier.gainDb, -3);
});

const FAULTS: [what: string, fault: AnswerFault][] = [
  ['half an answer', { kind: 'partial', bytes: 4 }],
  ['an answer that is lost', { kind: 'silent' }],
  ['a command that is lost', { kind: 'deaf' }],
  ['an answer with a digit lost', { kind: 'instead', bytes: Buffer.from('GAIN=-2.00\r\n') }],
  ['an answer with another value', { kind: 'instead', bytes: Buffer.from('GAIN=-02.00\r\n') }],
  ['garbage before the answer', { kind: 'before', bytes: Buffer.from([0, 255, 27, 13, 10, 200, 13]) }],
  ['an endless line before the answer', { kind: 'before', bytes: Buffer.alloc(500, 'x') }],
  ['a unit that is busy', { kind: 'busy' }],
  ['an answer that comes too late', { kind: 'late', ms: 2500 }],
];

for (const [what, fault] of FAULTS)
  test(`over a real terminal: ${what}`, async (t) => {
    const { unit, transport, modifier } = await onPty(t, 115_200);
    transport.inject(fault);
    const [gain] = await unit.recall({ gain: -12 });
    assert.equal(gain?.state, 'verified');
    assert.equal(gain?.readBack, -12);
    assert.equal(modifier.gainDb, -12);
  });

test('over a real terminal: a unit that restarts is lost and comes back, and is not set by itself', async (t) => {
  const { unit, transport, modifier } = await onPty(t);
  await unit.recall({ gain: -12 });
  const lost = becomes(unit, 'lost');
  transport.reboot();
  await lost;
  await becomes(unit, 'ready');
  assert.equal(modifier.gainDb, 0, 'it has what it has at power-up');
});

test('over a real terminal: a knob that is turned voids what was verified', async (t) => {
  const { unit, transport } = await onPty(t);
  await unit.recall({ gain: -12 });
  const told = new Promise<void>((resolve) => {
    unit.onLocalChange(() => resolve());
  });
  transport.localChange('gain', -11, 'LOCAL gain');
  await within(WAIT_MS, told, () => new Error('nobody was told'));
  const [gain] = await unit.readBack({ gain: -12 });
  assert.equal(gain?.readBack, -11);
  assert.equal(gain?.state, 'sent, unverified');
});

test('a pipe gives bytes out in order, in parts, and no sooner than the line would', async () => {
  const got: Buffer[] = [];
  let done = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const began = performance.now();
  const at: number[] = [];
  const pipe = new PacedPipe({
    bytesPerSecond: 1000,
    deliver: (bytes) => {
      got.push(Buffer.from(bytes));
      at.push(performance.now() - began);
      if (Buffer.concat(got).length === 50) done();
    },
  });
  pipe.push(Buffer.alloc(30, 'a'));
  pipe.push(Buffer.alloc(20, 'b'));
  await within(WAIT_MS, all, () => new Error('it stopped'));
  assert.equal(Buffer.concat(got).toString(), 'a'.repeat(30) + 'b'.repeat(20));
  assert.ok(got.length > 10);
  got.reduce((sent, part, i) => {
    assert.ok((at[i] ?? 0) >= sent + part.length - 0.01, `${sent + part.length} bytes after ${at[i]} ms`);
    return sent + part.length;
  }, 0);
  pipe.push(Buffer.from('lost'));
  pipe.close();
  assert.equal(Buffer.concat(got).length, 50);
});

const HEAT = 'elektron.analog-heat-fx';
const noHeat = profiles.has(HEAT) ? false : `there is no profile ${HEAT}`;
const noSequencer = await access(SEQUENCER).then(
  () => false as const,
  () => `this host has no ${SEQUENCER}`,
);

async function overMidi(t: TestContext, library: () => Promise<MidiLibrary>): Promise<void> {
  const modifier: PathModifier = { gainDb: 0, muted: false, delaySeconds: 0 };
  const profile = profiles.get(HEAT)!;
  const transport = createVirtualMidiTransport(profile, modifier, { link: 'usb', sysexMax: 1024, library });
  const unit = await started(t, profile, transport);
  assert.equal(unit.state, 'ready', String(unit.lastFault));
  const [drive] = await unit.recall({ drive: 64, volume: 0 });
  assert.equal(drive?.state, 'sent, unverified');
  // Nothing says when a unit without answers has obeyed.
  const giveUpAtMs = performance.now() + WAIT_MS;
  while (transport.unit.value('drive') !== 64 && performance.now() < giveUpAtMs) await delay(5, t.signal);
  assert.equal(transport.unit.value('drive'), 64);
  transport.unplug();
  await becomes(unit, 'absent');
  transport.plugged = true;
  await becomes(unit, 'ready');
}

test('a recall over a MIDI port reaches the unit; pulled, it is lost', { skip: noHeat }, async (t) => {
  const library = new FakeSequencer().library();
  await overMidi(t, async () => library);
});

test('the same over a port of the real sequencer', { skip: noHeat || noSequencer }, (t) => overMidi(t, loadMidi));
