/**
 * The profiles of real units against units that were written from the manuals alone. What both agree on is what the manuals say; over real
 * terminals where the unit has a serial line.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { within } from '../../../core/duration.js';
import { isOutboardError } from '../../../core/errors.js';
import type { ProcessorUnit } from '../../../drivers/processors/processor-unit.js';
import { bindProfile, loadProfiles, type Profile, parseProfile } from '../../../drivers/processors/profile.js';
import { openPty } from '../../../drivers/processors/pty.js';
import { createSerialTransport } from '../../../drivers/processors/serial-transport.js';
import type { LinkListener, Transport } from '../../../drivers/processors/transport.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import { ExtronCrossPoint } from '../../peers/gear/extron.js';
import { Micstasy } from '../../peers/gear/micstasy.js';
import { NinePinDeck } from '../../peers/gear/nine-pin.js';
import { becomes } from './started-unit.js';

const WAIT_MS = 60_000;
const profiles = await loadProfiles();

/** As it is, but patient: the host may be busy, and a stall is no fault of the unit. */
function patient(id: string, replyMs: number, framing: object = {}): Profile {
  const { document } = profiles.get(id)!;
  const pacing = { ...document.pacing, replyMs };
  return parseProfile(JSON.stringify({ ...document, pacing, framing: { ...document.framing, ...framing } }), id);
}

async function start(t: TestContext, profile: Profile, transport: Transport): Promise<ProcessorUnit> {
  const unit = createUnit({ name: 'u', profile, transport, backoff: { baseMs: 20, maxMs: 200 } });
  t.after(() => unit.stop());
  await unit.start(AbortSignal.timeout(10 * WAIT_MS));
  return unit;
}

async function ready(t: TestContext, profile: Profile, transport: Transport): Promise<ProcessorUnit> {
  const unit = await start(t, profile, transport);
  assert.equal(unit.state, 'ready', String(unit.lastFault));
  return unit;
}

/** A terminal with this at its far end. */
async function terminal(t: TestContext, profile: Profile, hear: (bytes: Uint8Array) => void) {
  const pty = await openPty(hear);
  t.after(() => pty.close());
  const line = profile.transport;
  assert.ok(line.kind === 'serial');
  const { baud, format, flow } = line;
  return { pty, transport: createSerialTransport({ path: pty.path, baud, format, flow }) };
}

// --- Extron CrossPoint 300 HVA

const extron = () => patient('extron.crosspoint300-hva', 5000);

async function matrix(t: TestContext) {
  let say = (_: string): void => undefined;
  const peer = new ExtronCrossPoint((text) => say(text));
  const { pty, transport } = await terminal(t, extron(), (bytes) => peer.hear(Buffer.from(bytes).toString('latin1')));
  say = (text) => pty.write(Buffer.from(text, 'latin1'));
  return { peer, pty, transport };
}

for (const late of ['7*1G', '2*1Z', '1X'])
  test(`Extron: an acknowledgement of ${late} that comes too late is nobody's doing; what somebody does is told`, async (t) => {
    const { peer, pty, transport } = await matrix(t);
    const unit = await ready(t, patient('extron.crosspoint300-hva', 500), transport);
    const changes: string[] = [];
    unit.onLocalChange(({ line }) => changes.push(line));
    await unit.recall({ 'inGain@in=7': 0, 'mute@out=2': false });
    await unit.panel('people');
    let times = 0;
    peer.spoil = (command, answer) => {
      if (command !== late || ++times > 1) return answer;
      setTimeout(() => pty.write(Buffer.from(`${answer}\r\n`, 'latin1')), 800);
      return undefined;
    };
    await unit.panel('rig');
    const recalled = await unit.recall({ 'inGain@in=7': 1, 'mute@out=2': true });
    assert.deepEqual(
      recalled.map(({ state }) => state),
      ['verified', 'verified'],
    );
    assert.ok(times >= 2, 'it was sent again');
    assert.deepEqual(changes, []);
    const told = new Promise<void>((resolve) => unit.onLocalChange(() => resolve()));
    // Word for word what was acknowledged: nothing is awaited any more.
    pty.write(Buffer.from('In07 Aud+01\r\n', 'latin1'));
    await within(WAIT_MS, told, () => new Error('nothing was told'));
    assert.deepEqual(changes, ['In07 Aud+01']);
  });

test('Extron: what somebody does while an answer is overdue is told', async (t) => {
  const { peer, pty, transport } = await matrix(t);
  const unit = await ready(t, patient('extron.crosspoint300-hva', 500), transport);
  const changes: string[] = [];
  unit.onLocalChange(({ line }) => changes.push(line));
  let times = 0;
  peer.spoil = (command, answer) => {
    if (command !== '7*1G' || ++times > 1) return answer;
    setTimeout(() => pty.write(Buffer.from('In07 Aud+09\r\n', 'latin1')), 800);
    return undefined;
  };
  await assert.rejects(unit.recall({ 'inGain@in=7': 1 }), (error) => isOutboardError(error, 'processor.unverified'));
  assert.deepEqual(changes, ['In07 Aud+09']);
});

test('Extron: identified, locked, recalled, and unlocked again', async (t) => {
  const { peer, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  assert.equal(unit.identity?.['part'], '60-330-16');
  assert.equal(peer.commands[0], 'N', 'nothing is said before it is known who is there');
  assert.equal(peer.panelLock, 1);
  const recalled = await unit.recall({
    'inGain@in=7': -9,
    'inGain@in=16': 24,
    'outVol@out=1': -14,
    'outVol@out=8': -85,
    'mute@out=2': true,
    'mute@out=1': false,
  });
  assert.deepEqual([...new Set(recalled.map(({ state }) => state))], ['verified']);
  assert.equal(peer.inputGain.get(7), -9);
  assert.equal(peer.inputGain.get(16), 24);
  assert.equal(peer.volume.get(1), 50);
  assert.equal(peer.volumeDb(1), -14);
  assert.equal(peer.volume.get(8), 0);
  assert.deepEqual([...peer.muted], [2]);
  await unit.stop();
  assert.equal(peer.panelLock, 0);
});

test('Extron: another model on the port is refused, and nothing else is sent to it', async (t) => {
  const { peer, transport } = await matrix(t);
  peer.spoil = (command, answer) => (command === 'N' ? '60-331-16' : answer);
  const unit = await start(t, extron(), transport);
  assert.equal(unit.state, 'refused');
  assert.ok(isOutboardError(unit.lastFault, 'processor.identity'));
  assert.deepEqual([...new Set(peer.commands)], ['N']);
});

test('Extron: a digit that is lost on the way is never believed', async (t) => {
  const { peer, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  let lies = 0;
  peer.spoil = (_, answer) => {
    if (!answer.startsWith('In03 Aud') || lies > 0) return answer;
    lies++;
    return answer.replace(/\d$/, '');
  };
  // It could be a knob that was turned just then.
  await assert.rejects(unit.recall({ 'inGain@in=3': 12 }), (error) => isOutboardError(error, 'processor.unverified'));
  assert.equal(lies, 1);
  const [gain] = await unit.recall({ 'inGain@in=3': 12 });
  assert.equal(gain?.state, 'verified');
  assert.equal(peer.inputGain.get(3), 12);
});

test('Extron: a knob at the front panel voids what was verified', async (t) => {
  const { peer, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  await unit.recall({ 'outVol@out=1': -63 });
  const told = new Promise<void>((resolve) => {
    unit.onLocalChange(({ means }) => means === 'local-change' && resolve());
  });
  peer.turnVolume(1, 60);
  await within(WAIT_MS, told, () => new Error('nobody was told'));
  const [volume] = await unit.readBack({ 'outVol@out=1': -63 });
  assert.equal(volume?.readBack, -4);
  assert.equal(volume?.state, 'sent, unverified');
});

test('Extron: a power cycle is noticed by its banner, and the panel is locked anew', async (t) => {
  const { peer, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  const lost = becomes(unit, 'lost');
  peer.powerCycle();
  await lost;
  await becomes(unit, 'ready');
  assert.equal(peer.panelLock, 1);
});

test('Extron: safe is muted and down, whatever was set', async (t) => {
  const { peer, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  assert.equal(peer.volumeDb(4), 0);
  await unit.safe();
  assert.equal(peer.muted.size, 8);
  for (let output = 1; output <= 8; output++) assert.equal(peer.volumeDb(output), -85);
});

test('Extron: a pulled cable is lost; the unit keeps what it has', async (t) => {
  const { peer, pty, transport } = await matrix(t);
  const unit = await ready(t, extron(), transport);
  await unit.recall({ 'inGain@in=1': 3 });
  await pty.close();
  await becomes(unit, 'absent');
  await assert.rejects(unit.recall({ 'inGain@in=1': 0 }), (error) => isOutboardError(error, 'processor.lost'));
  assert.equal(peer.inputGain.get(1), 3);
});

// --- RME Micstasy

function preamp(address = 0) {
  let listener: LinkListener | undefined;
  const peer = new Micstasy((message) => queueMicrotask(() => listener?.data(message)), address);
  const transport: Transport = {
    description: 'a MIDI cable',
    open: async (to) => {
      listener = to;
      return {
        write: async (bytes) => {
          peer.hear(bytes);
          return performance.now();
        },
        close: async () => {
          listener = undefined;
        },
      };
    },
  };
  return { peer, transport };
}

/** Its own 4 s would make every lost answer a long wait. */
const micstasy = () => patient('rme.micstasy', 1000);

test('Micstasy: half steps of gain are two bytes, and both are set', async (t) => {
  const { peer, transport } = preamp();
  const unit = await ready(t, micstasy(), transport);
  const recalled = await unit.recall({ 'gain@ch=1': 10.5, 'gain@ch=8': -9, 'gain@ch=2': 33 });
  assert.deepEqual([...new Set(recalled.map(({ state }) => state))], ['verified']);
  assert.equal(peer.gainDb(1), 10.5);
  assert.equal(peer.gainDb(8), -9);
  assert.equal(peer.gainDb(2), 33);
});

test('Micstasy: a bit is changed in what the unit has now, so that no neighbour of it moves', async (t) => {
  const { peer, transport } = preamp();
  const unit = await ready(t, micstasy(), transport);
  // After it was opened: what was read then is stale.
  peer.bytes[3 * 2 + 2] = 0x40;
  peer.meter(3, 9);
  await unit.recall({ 'lowCut@ch=3': true });
  assert.equal(peer.phantom(3), true, 'a low cut must not switch phantom power');
  assert.equal(peer.bytes[3 * 2 + 2], 0x48);
  await unit.recall({ 'gain@ch=3': 7.5 });
  assert.equal(peer.gainDb(3), 7.5);
  assert.equal((peer.bytes[3 * 2 + 1] ?? 0) & 0x3c, 9 << 2, 'the meter is the unit’s own');
});

test('Micstasy: a gain that the unit limits without a word is not verified', async (t) => {
  const { peer, transport } = preamp();
  const unit = await ready(t, micstasy(), transport);
  peer.bytes[3 * 3 + 2] = 0x01;
  await assert.rejects(unit.recall({ 'gain@ch=4': 60 }), (error) => isOutboardError(error, 'processor.unverified'));
});

test('Micstasy: its keys are locked on request, and a change before that is found', async (t) => {
  const { peer, transport } = preamp();
  const unit = await ready(t, micstasy(), transport);
  await unit.recall({ 'gain@ch=6': 20 });
  assert.equal(peer.turn(6, 21.5), true);
  const [gain] = await unit.readBack({ 'gain@ch=6': 20 });
  assert.equal(gain?.readBack, 21.5);
  assert.equal(gain?.state, 'sent, unverified');
  await unit.recall({ lockKeys: true, 'gain@ch=6': 20 });
  assert.equal(peer.keysLocked, true);
  assert.equal(peer.turn(6, 30), false);
});

test('Micstasy: half a dump, or one with a byte gone, is never believed', async (t) => {
  const { peer, transport } = preamp();
  const unit = await ready(t, micstasy(), transport);
  let lies = 0;
  peer.spoil = (answer) => {
    lies++;
    if (lies === 1) return answer.slice(0, 30);
    if (lies === 3) return [...answer.slice(0, 20), ...answer.slice(21)];
    return answer;
  };
  const [gain] = await unit.recall({ 'gain@ch=1': 5 });
  assert.ok(lies > 3);
  assert.equal(gain?.state, 'verified');
  assert.equal(peer.gainDb(1), 5);
});

test('Micstasy: a unit of another number does not answer, and its own does', async (t) => {
  const { peer, transport } = preamp(0x12);
  const other = await start(t, patient('rme.micstasy', 200), transport);
  assert.notEqual(other.state, 'ready');
  await other.stop();
  const unit = await ready(t, bindProfile(micstasy(), { bank: 1, dev: 2 }), transport);
  await unit.recall({ 'gain@ch=1': 1 });
  assert.equal(peer.gainDb(1), 1);
});

// --- Sony 9-pin

const ninePin = () => patient('sony.9pin', 3000, { rxGapMs: 3000 });

async function deck(t: TestContext, lockAfterPolls = 2) {
  let say = (_: Uint8Array): void => undefined;
  const peer = new NinePinDeck((bytes) => say(bytes), { lockAfterPolls });
  const { pty, transport } = await terminal(t, ninePin(), (bytes) => peer.hear(bytes));
  say = (bytes) => pty.write(bytes);
  return { peer, pty, transport };
}

test('9-pin: a machine is identified and plays; verified is it when its servo has locked', async (t) => {
  const { peer, transport } = await deck(t, 4);
  const unit = await ready(t, ninePin(), transport);
  assert.equal(peer.heard[0], '001111');
  const [transport_] = await unit.recall({ transport: 'play' });
  assert.equal(peer.motion, 'play');
  assert.equal(transport_?.state, 'verified');
  const asked = peer.heard.filter((block) => block.startsWith('6120')).length;
  assert.ok(asked >= 5, `${asked} questions for the status, and the servo locks after four`);
  assert.ok(peer.heard.includes('200121'));
});

test('9-pin: every motion is what it is called', async (t) => {
  const { peer, transport } = await deck(t);
  const unit = await ready(t, ninePin(), transport);
  const motions = { 'fast forward': 'forward', rewind: 'rewind', record: 'record', stop: 'stop' } as const;
  for (const [value, motion] of Object.entries(motions)) {
    const [recalled] = await unit.recall({ transport: value });
    assert.equal(peer.motion, motion);
    assert.equal(recalled?.state, 'verified', value);
  }
});

test('9-pin: a cue is hours, minutes and seconds, and over when the machine is there', async (t) => {
  const { peer, transport } = await deck(t, 3);
  const unit = await ready(t, ninePin(), transport);
  const [cue] = await unit.recall({ cue: 3723 });
  assert.equal(peer.cuedUp, true);
  assert.deepEqual(peer.position, [1, 2, 3, 0]);
  assert.equal(cue?.state, 'verified');
});

test('9-pin: a block with a wrong sum is never believed', async (t) => {
  const { peer, transport } = await deck(t);
  const unit = await ready(t, ninePin(), transport);
  let lies = 0;
  peer.spoil = (answer) => {
    if (lies > 1) return answer;
    lies++;
    return answer.map((byte, i) => (i === answer.length - 1 ? byte ^ 1 : byte));
  };
  const [recalled] = await unit.recall({ transport: 'play' });
  assert.equal(lies, 2);
  assert.equal(recalled?.state, 'verified');
  assert.equal(peer.motion, 'play');
});

test('9-pin: a machine that refuses to record is not said to record', async (t) => {
  const { peer, transport } = await deck(t);
  const unit = await ready(t, ninePin(), transport);
  peer.recordInhibit = true;
  await assert.rejects(unit.recall({ transport: 'record' }), (error) => isOutboardError(error));
  assert.equal(peer.motion, 'stop');
});

test('9-pin: a machine that is switched to local is not where it was left', async (t) => {
  const { peer, transport } = await deck(t);
  const unit = await ready(t, ninePin(), transport);
  await unit.recall({ transport: 'play' });
  peer.takeLocal();
  const [recalled] = await unit.readBack({ transport: 'play' });
  assert.equal(recalled?.state, 'sent, unverified');
});
