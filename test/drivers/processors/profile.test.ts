import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { canonicalBytes } from '../../../core/canonical.js';
import { isOutboardError } from '../../../core/errors.js';
import { compileProfile, loadProfiles, parseProfile } from '../../../drivers/processors/profile.js';
import { MATRIX } from './matrix-profile.js';

/** Refused, with this path, and a message that this matches. */
function refused(text: string, path: string, message = /./): void {
  assert.throws(
    () => parseProfile(text, 'test.yaml'),
    (error) => {
      assert.ok(isOutboardError(error, 'profile.invalid'), String(error));
      assert.equal(error.details.path, path, error.message);
      assert.equal(error.details.source, 'test.yaml');
      assert.match(error.message, message);
      return true;
    },
  );
}

/** The matrix with one piece of its text exchanged. */
function matrixWith(from: string, to: string): string {
  assert.ok(MATRIX.includes(from), from);
  return MATRIX.replace(from, () => to);
}

test('a profile in the format of a real unit is understood', () => {
  const profile = parseProfile(MATRIX, 'test.yaml');
  assert.deepEqual([...profile.params.keys()], ['lock', 'mute', 'inGain', 'outVol', 'lamp']);
  assert.equal(Object.keys(profile.safeState).length, 8 + 8 + 16);
  assert.deepEqual(Object.keys(profile.safeState).slice(7, 9), ['mute@out=8', 'outVol@out=1']);
  assert.equal(profile.safeState['mute@out=3'], true);
});

test('the hash is that of the content: neither comments nor spelling nor order count', () => {
  const { hash } = parseProfile(MATRIX, 'a');
  const expected = createHash('sha256')
    .update(canonicalBytes(parse(MATRIX)))
    .digest('hex');
  assert.equal(hash, `sha256:${expected}`);
  assert.equal(parseProfile(`# a comment\n${MATRIX}`, 'b').hash, hash);
  assert.equal(compileProfile(Object.fromEntries(Object.entries(parse(MATRIX)).reverse())).hash, hash);
  assert.notEqual(parseProfile(matrixWith('settleMs: 3', 'settleMs: 4'), 'c').hash, hash);
});

test('an unknown key is refused, at every depth', () => {
  refused(`${MATRIX}\nslew: 1`, '(top)', /slew/);
  refused(matrixWith('tolWire: 0}', 'tolWire: 0, tolerance: 1}'), 'params.inGain.verify', /tolerance/);
  refused(matrixWith('enc: ascii, tx: "{w}X"', 'enc: cc8, tx: "{w}X"'), 'params.lock.wire.enc');
  refused(matrixWith('{kind: enum,', '{kind: knob,'), 'params.lock.kind');
});

test('a tolerance under which another value would pass is refused', () => {
  const at = (name: string) => `params.${name}.verify.tolWire`;
  const mute = 'read: {tx: "{out}Z", reply: "{w}"}, verify: {by: readback';
  refused(matrixWith(mute, `${mute}, tolWire: 1`), at('mute'), /bool/);
  const lock = 'ack: "Exe{w}"}, verify: {by: ack';
  refused(matrixWith(lock, `${lock}, tolWire: 0.5`), at('lock'), /enum/);
  refused(matrixWith('tolWire: 0}', 'tolWire: 1000}'), at('inGain'), /at most 2.1/);
  refused(matrixWith('tolWire: 0}', 'tolWire: 3}'), at('inGain'), /of 42/);
  parseProfile(matrixWith('tolWire: 0}', 'tolWire: 2}'), 'test.yaml');
});

test('YAML that is none, or says a thing twice, is refused with its line', () => {
  refused('a: [1', 'line 1');
  refused(`${MATRIX}\nid: again`, 'line 45', /[Uu]nique/);
  refused('a: &x [1]\nb: *x', '(top)', /alias/i);
  for (const none of ['', '- a', 'words', '7']) refused(none, '(top)', /a map of keys/);
});

test('irreversible templates are refused', () => {
  refused(matrixWith('tx: "{in}*{w}G"', 'tx: "{in}{w}G"'), 'params.inGain.wire.tx', /cannot be told/);
  refused(matrixWith('tx: "{out}*{w}V"', 'tx: "{w}V"'), 'params.outVol.wire.tx', /\{out\}/);
  refused(matrixWith('reply: "{w:02}"', 'reply: "ok"'), 'params.outVol.read.reply', /\{w\}/);
  refused(matrixWith('tx: "{in}*{w}G"', 'tx: "{in}*{abs}G"'), 'params.inGain.wire.tx', /\{abs\}/);
  refused(matrixWith('ack: "Exe{w}"', 'ack: "Exe"'), 'params.lock.wire.ack', /\{w\}/);
});

test('min and max that the wire cannot carry are refused', () => {
  refused(matrixWith('reply: "{w:02}"', 'reply: "{w:01}"'), 'params.outVol.read.reply', /no room/);
  refused(matrixWith('min: -18, max: 24', 'min: -18, max: 124'), 'params.inGain.wire.ack', /no room for 10\d/);
  refused(matrixWith('in: {from: 1, to: 16}', 'in: {from: 1, to: 100}'), 'params.inGain.wire.ack', /in = 100/);
  refused(matrixWith('max: 24, step: 1', 'max: 24, step: 0.5'), 'params.inGain.wire.tx', /0 places/);
  refused(matrixWith('min: -85, max: 0', 'min: -80, max: 0'), 'params.outVol.min', /-85/);
  refused(matrixWith('max: 24, step: 1', 'max: 24, step: 5'), 'params.inGain.step', /whole number/);
  refused(matrixWith('min: -18, max: 24', 'min: 24, max: 24'), 'params.inGain.min');
});

test('tapers that are not monotonic are refused', () => {
  refused(matrixWith('[1,-63]', '[1,-126]'), 'params.outVol.taper', /not monotonic/);
  refused(matrixWith('[0,-85],[1,-63]', '[1,-63],[0,-85]'), 'params.outVol.taper.points', /rise/);
  refused(matrixWith('[64,0]', '[67,0]'), 'params.outVol.taper.points', /grid/);
  refused(matrixWith('{free: 0, full: 1', '{free: 1, full: 1'), 'params.lock.taper.map', /same number/);
  refused(matrixWith('t: linear}', 't: linear, scale: 0}'), 'params.inGain.taper.scale', /monotonic/);
});

test('a hazard without a safe value, and a safe value that is illegal, are refused', () => {
  refused(matrixWith('outVol: -85, inGain: 0}', 'outVol: -85}'), 'safe.state', /inGain@in=1 is a hazard/);
  refused(matrixWith('inGain: 0}', 'inGain@in=1: 0}'), 'safe.state', /inGain@in=2 is a hazard/);
  refused(matrixWith('outVol: -85, inGain', 'outVol: -80, inGain'), 'safe.state.outVol', /allowed/);
  refused(matrixWith('{mute: "on", outVol', '{mute: "maybe", outVol'), 'safe.state.mute', /true or false/);
  refused(matrixWith('{mute: "on", outVol', '{mute: "on", mute@out=2: "on", outVol'), 'safe.state.mute@out=2', /twice/);
});

test('a vector that does not match is refused', () => {
  refused(matrixWith('tx: 7*9g', 'tx: 7*9G'), 'vectors.0.tx', /7\*9g/);
  refused(matrixWith('rx: Out01 Vol50', 'rx: Out01 Vol51'), 'vectors.2.rx', /Vol50/);
  refused(matrixWith('tx: 1L}', 'tx: 1L, rx: 1L}'), 'vectors.6.rx', /none/);
  refused(matrixWith('{mute@out=2: "on"}', '{mute: "on"}'), 'vectors.4.set', /exactly one/);
});

test('order, axes, commands and the simulation have to fit together', () => {
  refused(matrixWith('order: [lock, mute, "*"]', 'order: [lock, mute]'), 'order', /missing/);
  refused(matrixWith('order: [lock, mute, "*"]', 'order: [lock, lock, "*"]'), 'order', /twice/);
  refused(matrixWith('axis: [in]', 'axis: [side]'), 'params.inGain.axis');
  refused(matrixWith('tx: "{w}L"', 'tx: "{w}X"'), 'params.lamp.wire', /could also be/);
  refused(matrixWith('tx: "{w}L"', 'tx: "{w}XL"'), 'params.lock.wire', /begins with a whole command/);
  refused(matrixWith('identity: [60-330-16]', 'identity: [60-330-17]'), 'sim.identity.0');
  refused(matrixWith('busy: E22, bad-value: E13', 'busy: E13, bad-value: E13'), 'sim.errors.busy');
  refused(matrixWith('"mute@out=1": muted', '"mute@out=1": gainDb'), 'sim.drives.mute@out=1');
  refused(matrixWith('unit: dB, min: -18', 'unit: steps, min: -18'), 'params.inGain.gain', /dB/);
});

test('a folder is loaded by id; names have to agree', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'profiles-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'test.matrix.yaml'), MATRIX);
  assert.deepEqual([...(await loadProfiles(dir)).keys()], ['test.matrix']);
  await writeFile(join(dir, 'other.yaml'), MATRIX);
  await assert.rejects(loadProfiles(dir), (error) => isOutboardError(error, 'profile.invalid'));
  await assert.rejects(loadProfiles(join(dir, 'none')), (error) => isOutboardError(error, 'file.unreadable'));
});
