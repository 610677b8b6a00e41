/** What the fields of rig.yaml must be to one another; each fault is named with its line and path. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OutboardError } from '../../core/errors.js';
import { loadRigConfig } from '../../daemon/rig-config.js';
import { scratch } from '../peers/scratch.js';

const GOOD = `rig: rig-01
production: false
stateDir: state
sockets: {courier: run/courier.sock, control: run/control.sock}
keys: {signing: s.jwk, wrapping: w.jwk}
trust:
  bundle: trust.jws
  roots:
    threshold: 1
    keys: [{kty: OKP, crv: Ed25519, x: 3qC9FXfpSbddIh4LLJW5iTHofkefvX1M3Ik9JFd5N0U}]
clock: {sync: unchecked}
interface: {driver: virtual, clock: fast, rates: [48000], in: 4, out: 4}
inserts:
  a: {sends: [1, 2], returns: [1, 2], latencyFrames: 0}
  b: {sends: [3, 4], returns: [3, 4], latencyFrames: 0}
processors:
  gain-1: {profile: virtual.gain, insert: a, port: {virtual: true}}
`;

const TWO_ROOTS = 'threshold: 2\n    keys: [{kty: OKP, crv: Ed25519, x: 4qC9FXfpSbddIh4LLJW5iTHofkefvX1M3Ik9JFd5N0U}, ';

const WRONG: [what: string, from: string, to: string, line: number, path: string][] = [
  ['a send that does not exist', 'sends: [3, 4]', 'sends: [3, 5]', 15, 'inserts.b.sends.1'],
  ['a return that does not exist', 'returns: [3, 4]', 'returns: [3, 5]', 15, 'inserts.b.returns.1'],
  ['a send that two inserts have', 'sends: [3, 4]', 'sends: [2, 4]', 15, 'inserts.b.sends.0'],
  ['a return that two inserts have', 'returns: [3, 4]', 'returns: [3, 1]', 15, 'inserts.b.returns.1'],
  ['a channel twice in one insert', 'sends: [3, 4]', 'sends: [3, 3]', 15, 'inserts.b.sends.1'],
  ['fewer returns than sends', 'returns: [3, 4]', 'returns: [3]', 15, 'inserts.b.returns'],
  ['an insert that does not exist', 'insert: a', 'insert: c', 17, 'processors.gain-1.insert'],
  [
    'crosstalk of an insert that does not exist',
    'processors:',
    'isolation: {crosstalk: [{from: a, to: x, db: -90}]}\nprocessors:',
    16,
    'isolation.crosstalk.0.to',
  ],
  ['an unchecked clock in production', 'production: false', 'production: true', 11, 'clock.sync'],
  ['a misspelt field', 'stateDir: state', 'stateDirectory: state', 3, ''],
];

test('a good configuration is read, its paths relative to the file', async (t) => {
  const dir = await scratch(t);
  await writeFile(join(dir, 'rig.yaml'), GOOD);
  const { config, resolve } = await loadRigConfig(join(dir, 'rig.yaml'));
  assert.equal(config.rig, 'rig-01');
  assert.equal(resolve(config.sockets.control), join(dir, 'run/control.sock'));
});

for (const [what, from, to, line, path] of WRONG) {
  test(`${what} is refused with its line`, async (t) => {
    const file = join(await scratch(t), 'rig.yaml');
    assert.ok(GOOD.includes(from));
    await writeFile(file, GOOD.replace(from, to));
    await assert.rejects(loadRigConfig(file), (error) => {
      assert.ok(error instanceof OutboardError);
      assert.equal(error.code, 'config.invalid');
      if (path !== '') {
        assert.equal(error.details['path'], path);
        assert.equal(error.details['line'], line);
        assert.ok(error.message.startsWith(`${file}:${line}: ${path}: `), error.message);
      }
      return true;
    });
  });
}

const HARDWARE =
  'interface: {driver: alsa, device: "hw:CARD=Loop,DEV=0", rates: [48000, 96000], in: 6, out: 6, sync: {send: 5, return: 6}}';

const WRONG_INTERFACES: [what: string, interface_: string, path: string, says: RegExp][] = [
  [
    'a device that is not hw:',
    HARDWARE.replace('hw:CARD=Loop,DEV=0', 'default'),
    'interface.device',
    /hw:CARD=NAME,DEV=N/,
  ],
  ['plughw', HARDWARE.replace('hw:', 'plughw:'), 'interface.device', /hw:CARD=NAME,DEV=N/],
  ["a card's number", HARDWARE.replace('CARD=Loop,DEV=0', '0,0'), 'interface.device', /hw:CARD=NAME,DEV=N/],
  ['an index as a card', HARDWARE.replace('CARD=Loop,DEV=0', 'CARD=Loop'), 'interface.device', /hw:CARD=NAME,DEV=N/],
  ['another driver', HARDWARE.replace('alsa', 'asio'), 'interface.driver', /./],
  ['another format', HARDWARE.replace('rates', 'format: S16_LE, rates'), 'interface.format', /S32_LE/],
  ['a rate twice', HARDWARE.replace('96000', '48000'), 'interface.rates.1', /48000 Hz is listed twice/],
  ['no rate', HARDWARE.replace('48000, 96000', ''), 'interface.rates', /./],
  [
    'a sync send that does not exist',
    HARDWARE.replace('send: 5', 'send: 7'),
    'interface.sync.send',
    /7 does not exist.*interface\.out/,
  ],
  [
    'a sync return that does not exist',
    HARDWARE.replace('return: 6', 'return: 7'),
    'interface.sync.return',
    /7 does not exist.*interface\.in/,
  ],
  ['a sync send of an insert', HARDWARE.replace('send: 5', 'send: 3'), 'interface.sync.send', /3 belongs to insert b/],
  [
    'a sync return of an insert',
    HARDWARE.replace('return: 6', 'return: 1'),
    'interface.sync.return',
    /1 belongs to insert a/,
  ],
  [
    'an interface of unknown latency',
    HARDWARE.replace(', sync: {send: 5, return: 6}', ''),
    'interface',
    /sync: \{send, return\}.*loopLatencyFrames/,
  ],
];

async function refusalOf(t: TestContext, text: string): Promise<OutboardError> {
  const file = join(await scratch(t), 'rig.yaml');
  await writeFile(file, text);
  const error = await loadRigConfig(file).then(
    () => assert.fail('it was taken'),
    (cause) => cause,
  );
  assert.ok(error instanceof OutboardError, String(error));
  assert.equal(error.code, 'config.invalid');
  return error;
}

const onHardware = (interface_: string) => GOOD.replace(/^interface: .*$/m, interface_);

for (const [what, interface_, path, says] of WRONG_INTERFACES)
  test(`${what} is refused with its line`, async (t) => {
    assert.notEqual(interface_, HARDWARE);
    const error = await refusalOf(t, onHardware(interface_));
    assert.equal(error.details['path'], path);
    assert.equal(error.details['line'], 12);
    assert.match(error.message, says);
  });

test('a real interface is taken with its sync wire, or with a latency that was measured', async (t) => {
  const file = join(await scratch(t), 'rig.yaml');
  for (const text of [HARDWARE, HARDWARE.replace('sync: {send: 5, return: 6}', 'loopLatencyFrames: 100')]) {
    await writeFile(file, onHardware(text));
    assert.equal((await loadRigConfig(file)).config.interface.driver, 'alsa');
  }
});

test('what is simulated is refused where the interface is real: a path; in production also a unit', async (t) => {
  const hardware = onHardware(HARDWARE);
  const path = await refusalOf(t, hardware.replace('latencyFrames: 0}', 'latencyFrames: 0, path: {gainDb: -6}}'));
  assert.equal(path.details['path'], 'inserts.a.path');
  const production = hardware
    .replace('production: false', 'production: true')
    .replace('unchecked', 'timesyncd')
    .replace(/threshold: 1\n {4}keys: \[/, TWO_ROOTS);
  const unit = await refusalOf(t, production);
  assert.equal(unit.details['path'], 'processors.gain-1.port');
  assert.match(unit.message, /simulated/);
});

test('production wants two signatures and a real interface', async (t) => {
  const file = join(await scratch(t), 'rig.yaml');
  await writeFile(file, GOOD.replace('production: false', 'production: true').replace('unchecked', 'timesyncd'));
  await assert.rejects(loadRigConfig(file), /trust\.roots\.threshold: .*two signatures/);
  await writeFile(
    file,
    GOOD.replace('production: false', 'production: true')
      .replace('unchecked', 'timesyncd')
      .replace(/threshold: 1\n {4}keys: \[/, TWO_ROOTS),
  );
  await assert.rejects(loadRigConfig(file), /interface\.driver: .*real interface/);
});

test('what is no YAML is unreadable, with its line', async (t) => {
  const file = join(await scratch(t), 'rig.yaml');
  await writeFile(file, 'rig: rig-01\nkeys: {signing: [}\n');
  await assert.rejects(loadRigConfig(file), (error) => {
    assert.ok(error instanceof OutboardError && error.code === 'config.unreadable');
    assert.match(error.message, /rig\.yaml:2: /);
    return true;
  });
});
