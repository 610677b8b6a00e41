import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOutboardError } from '../../../core/errors.js';
import { loadProfiles, parseProfile } from '../../../drivers/processors/profile.js';
import {
  checkSettings,
  maxGainDb,
  readable,
  resolveSettings,
  withDefaults,
} from '../../../drivers/processors/settings.js';
import { MATRIX } from './matrix-profile.js';

const matrix = parseProfile(MATRIX, 'test.yaml');
const profiles = await loadProfiles();
const gain = profiles.get('virtual.gain')!;

function refused(settings: Record<string, unknown>, details: Record<string, unknown>, message: RegExp): void {
  assert.throws(
    () => checkSettings(gain, settings as Record<string, number>, 'job.chain[0].settings'),
    (error) => {
      assert.ok(isOutboardError(error, 'job.setting'), String(error));
      assert.deepEqual(error.details, details);
      assert.match(error.message, message);
      return true;
    },
  );
}

test('an illegal value is refused with path, value and range', () => {
  const path = 'job.chain[0].settings.gain';
  const range = '-60 to 24 dB in steps of 0.01';
  for (const value of [24.01, -60.01, 1e308, -1e308])
    refused({ gain: value }, { path, value, range }, /settings\.gain: .* is not allowed; allowed is -60 to 24 dB/);
  refused({ gain: 0.1 + 0.2 }, { path, value: 0.1 + 0.2, range }, /the nearest are 0\.3 and 0\.31/);
  refused({ gain: Number.NaN }, { path, value: 'NaN', range }, /NaN is not allowed/);
  refused({ gain: Number.POSITIVE_INFINITY }, { path, value: 'Infinity', range }, /Infinity/);
  refused({ gain: '-6' }, { path, value: '-6', range }, /"-6" is not allowed/);
  refused({ gain: true }, { path, value: true, range }, /true is not allowed/);
  refused({ mute: 'on' }, { path: 'job.chain[0].settings.mute', value: 'on', range: 'true or false' }, /true or false/);
});

test('an unknown name is refused with the names that there are', () => {
  for (const name of ['gian', 'gain@in=1', 'Gain', 'constructor', '__proto__', 'gain@', ''])
    refused(
      JSON.parse(`{${JSON.stringify(name)}: 1}`),
      { path: `job.chain[0].settings.${name}`, value: 1, range: 'gain, mute' },
      /it has gain, mute/,
    );
});

test('axes count as they are written', () => {
  checkSettings(matrix, { 'inGain@in=1': 0, 'inGain@in=16': 24 });
  for (const name of [
    'inGain',
    'inGain@in=0',
    'inGain@in=17',
    'inGain@in=01',
    'inGain@out=1',
    'lock@in=1',
    'inGain@in=1@in=2',
  ])
    assert.throws(() => checkSettings(matrix, { [name]: 0 }), /inGain@in=1\.\.16/, name);
});

test('settings are put into the order of the profile, then of the channel', () => {
  const targets = resolveSettings(matrix, { 'outVol@out=2': -63, 'inGain@in=10': 1, 'inGain@in=9': 1, lock: 'full' });
  assert.deepEqual(
    targets.map(({ key }) => key),
    ['lock', 'inGain@in=9', 'inGain@in=10', 'outVol@out=2'],
  );
  assert.ok(Object.is(resolveSettings(gain, { gain: -0 })[0]?.value, 0));
});

test('the largest gain counts what is not known as its maximum', () => {
  assert.equal(maxGainDb(gain, { gain: -6 }), -6);
  assert.equal(maxGainDb(gain, {}), 0);
  assert.equal(maxGainDb(gain, { mute: true, gain: 24 }), 24);
  assert.equal(maxGainDb(matrix, { 'inGain@in=1': -6, 'outVol@out=1': -14 }), 24 + 0);
  const all = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`inGain@in=${i + 1}`, i - 10]));
  assert.equal(maxGainDb(matrix, all), 5);
});

test('a gain of labels counts as the profile says for each, and as the largest where nobody names it', () => {
  const micstasy = profiles.get('rme.micstasy')!;
  const quiet = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`gain@ch=${i + 1}`, -9]));
  assert.equal(maxGainDb(micstasy, quiet), -9);
  assert.equal(maxGainDb(micstasy, { ...quiet, outputLevel: '+19 dBu' }), -3);
  assert.equal(maxGainDb(micstasy, { ...quiet, outputLevel: '+24 dBu' }), 2);
  const gainOf = (db: object) =>
    parseProfile(MATRIX.replace('{free: 0, full: 1, basic: 2}}', `$&, gain: {db: ${JSON.stringify(db)}}`), 'test');
  assert.equal(maxGainDb(gainOf({ free: 0, full: 3, basic: 4.5 }), {}), 24 + 0 + 4.5);
  for (const db of [
    { free: 0, full: 3 },
    { free: 0, full: 3, basic: 4, other: 5 },
    { free: 0, full: 3, simple: 4 },
  ])
    assert.throws(() => gainOf(db), /params\.lock\.gain\.db.*it has free, full, basic/);
});

test('readable is what can be read back, defaults included', () => {
  assert.ok(readable(gain, {}));
  assert.ok(readable(matrix, { 'inGain@in=1': 0 }));
  assert.ok(!readable(matrix, { 'inGain@in=1': 0, lock: 'full' }));
  assert.ok(!readable(matrix, { lamp: true }));
});

test('defaults complete a take and never replace what is named', () => {
  assert.deepEqual(withDefaults(gain, { mute: true }), { mute: true, gain: 0 });
  assert.deepEqual(withDefaults(gain, { gain: -6, mute: false }), { gain: -6, mute: false });
  assert.deepEqual(withDefaults(matrix, { lock: 'full' }), { lock: 'full' });
});
