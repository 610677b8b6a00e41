/** A port of the configuration has to be of the kind that the profile speaks over; what is wrong is named before anything is opened. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessorConfig } from '../../core/contract/config.js';
import { OutboardError } from '../../core/errors.js';
import { unitPort } from '../../daemon/unit-port.js';
import { loadProfiles, type Profile, parseProfile } from '../../drivers/processors/profile.js';

const gain = (await loadProfiles()).get('virtual.gain')!;

/** The same unit with another plug. */
function withTransport(id: string, transport: Profile['document']['transport'], more: object = {}): [string, Profile] {
  return [id, parseProfile(JSON.stringify({ ...gain.document, ...more, id, transport }), id)];
}

const MIDI = {
  framing: { kind: 'midi' },
  identity: { strength: 'none', steps: [] },
  errors: [],
  unsolicited: [],
  vars: { ch: { type: 'int', min: 1, max: 16, default: 1 } },
  params: {
    level: {
      kind: 'number',
      unit: 'raw',
      min: 0,
      max: 127,
      step: 1,
      taper: { t: 'linear' },
      wire: { enc: 'cc7', cc: 7 },
      verify: { by: 'none' },
    },
  },
  order: ['level'],
  safe: { state: { level: 0 }, settleMs: 0, onLinkLoss: 'operator' },
  sim: { replyMs: [0, 0], identity: [], errors: {} },
  vectors: [{ set: { level: 1 }, tx: { hex: 'B0 07 01' } }],
};

const profiles = new Map<string, Profile>([
  ['virtual.gain', gain],
  withTransport('wired.gain', { kind: 'serial', baud: 9600, format: '7E1', flow: 'none' }),
  withTransport('midi.gain', { kind: 'midi', link: 'usb' }, MIDI),
  withTransport(
    'mute.gain',
    { kind: 'midi', link: 'din' },
    { ...MIDI, identity: { ...MIDI.identity, operatorConfirm: true } },
  ),
]);

const port = (profile: string, port: unknown, more: object = {}) =>
  unitPort('u', ProcessorConfig.parse({ profile, port, ...more }), profiles);
const MODIFIER = { gainDb: 0, muted: false, delaySeconds: 0 };
const describe = (...from: Parameters<typeof port>) => port(...from).transport({ ...MODIFIER }).description;
const BY_ID = '/dev/serial/by-id/usb-x';

test('a unit that cannot say who it is needs the word of somebody who has looked; its simulation does not', () => {
  assert.throws(
    () => port('mute.gain', { midi: 'Bus 1' }),
    (error) =>
      error instanceof OutboardError &&
      error.code === 'config.invalid' &&
      /u\.confirmed: .*confirmed: true/.test(error.message),
  );
  assert.equal(describe('mute.gain', { midi: 'Bus 1' }, { confirmed: true }), 'MIDI port "Bus 1"');
  assert.equal(describe('mute.gain', { virtual: true }), 'simulated mute.gain');
});

test('each kind of port leads to its transport, with the line of the profile or of the port', () => {
  assert.equal(describe('virtual.gain', { virtual: true }), 'simulated virtual.gain');
  assert.equal(describe('virtual.gain', { virtual: 'pty' }), 'simulated virtual.gain on a pty');
  assert.equal(describe('wired.gain', { serial: BY_ID }), `${BY_ID} at 9600 baud 7E1`);
  assert.equal(describe('wired.gain', { serial: BY_ID, baud: 19_200 }), `${BY_ID} at 19200 baud 7E1`);
  assert.equal(describe('wired.gain', { virtual: 'pty' }), 'simulated wired.gain on a pty');
  assert.equal(describe('midi.gain', { midi: 'Bus 1' }), 'MIDI port "Bus 1"');
  assert.equal(describe('midi.gain', { virtual: 'midi' }), 'simulated midi.gain on a MIDI port');
});

test('the unit has its own variables', () => {
  const { profile } = port('midi.gain', { midi: 'Bus 1' }, { vars: { ch: 3 } });
  assert.equal(profile.vars.get('ch'), 3);
  assert.equal(profile.hash, profiles.get('midi.gain')?.hash);
});

const WRONG: [what: string, from: Parameters<typeof port>, code: string, says: RegExp][] = [
  ['no such profile', ['none', { virtual: true }], 'profile.unknown', /processors\.u\.profile: .*none/],
  ['a simulation on a real line', ['virtual.gain', { serial: BY_ID }], 'config.invalid', /port\.serial: .*simulation/],
  ['a simulation on a MIDI port', ['virtual.gain', { midi: 'Bus' }], 'config.invalid', /port\.midi: .*simulation/],
  ['a serial unit on a MIDI port', ['wired.gain', { midi: 'Bus' }], 'config.invalid', /speaks over a serial line/],
  ['a serial unit on a virtual one', ['wired.gain', { virtual: 'midi' }], 'config.invalid', /serial line/],
  ['a MIDI unit on a line', ['midi.gain', { serial: BY_ID }], 'config.invalid', /speaks over MIDI/],
  ['a MIDI unit on a pty', ['midi.gain', { virtual: 'pty' }], 'config.invalid', /speaks over MIDI/],
  ['an unknown variable', ['virtual.gain', { virtual: true }, { vars: { ch: 1 } }], 'config.invalid', /u\.vars\.ch/],
  ['a variable out of range', ['midi.gain', { midi: 'B' }, { vars: { ch: 17 } }], 'config.invalid', /1 to 16/],
];

for (const [what, from, code, says] of WRONG)
  test(`refused: ${what}`, () => {
    assert.throws(
      () => port(...from),
      (error) => {
        assert.ok(error instanceof OutboardError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, says);
        return true;
      },
    );
  });
