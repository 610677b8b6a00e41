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
  [
    'PortAudio without a sync wire',
    HARDWARE.replace('alsa', 'portaudio').replace('sync: {send: 5, return: 6}', 'loopLatencyFrames: 100'),
    'interface',
    /another number of frames each time.*sync: \{send, return\}/,
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

const BAY = 'bay: {profile: virtual.gain, patchbay: true, port: {virtual: true}}';
const patched = (via: string, more = '') =>
  GOOD.replace(
    'b: {sends: [3, 4], returns: [3, 4], latencyFrames: 0}',
    `b: {sends: [3, 4], returns: [3, 4], latencyFrames: 0, via: ${via}}${more}`,
  ).replace('processors:', `processors:\n  ${BAY}`);
const C = '\n  c: {sends: [3, 4], returns: [3, 4], latencyFrames: 0';
const unit = (port: string, more = '') =>
  GOOD.replace(
    'gain-1: {profile: virtual.gain, insert: a, port: {virtual: true}}',
    `gain-1: {profile: virtual.gain, insert: a, port: ${port}${more}}`,
  );
const BY_ID = '/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0';

const PORTS: [what: string, text: string][] = [
  ['by-id', unit(`{serial: ${BY_ID}}`)],
  ['by-path with a rate', unit('{serial: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0", baud: 38400}')],
  ['any path that is named so', unit('{serial: /dev/ttyS2, anyPath: true}')],
  ['a MIDI port, with vars', unit('{midi: "Analog Heat"}', ', vars: {ch: 3}')],
  ['a pty', unit('{virtual: pty}')],
  ['a virtual MIDI port', unit('{virtual: midi}')],
  [
    'two units on one MIDI port',
    `${unit('{midi: Bus}')}  gain-2: {profile: virtual.gain, insert: b, port: {midi: Bus}}\n`,
  ],
  ['an insert behind a patchbay', patched('{bay: [{in: 1, out: 3}, {in: 4, out: 1}]}')],
  [
    'two inserts behind it on the same channels',
    patched('{bay: [{in: 1, out: 3}]}', `${C}, via: {bay: [{in: 1, out: 4}]}}`),
  ],
];

for (const [what, text] of PORTS)
  test(`a port may be ${what}`, async (t) => {
    const file = join(await scratch(t), 'rig.yaml');
    await writeFile(file, text);
    await loadRigConfig(file);
  });

const WRONG_PORTS: [what: string, text: string, path: string, says: RegExp][] = [
  ['a number of the kernel', unit('{serial: /dev/ttyUSB0}'), 'processors.gain-1.port.serial', /by-id.*anyPath: true/],
  ['anyPath: false', unit('{serial: /dev/ttyUSB0, anyPath: false}'), 'processors.gain-1.port', /\{serial:/],
  [
    'a path that climbs out',
    unit('{serial: /dev/serial/by-id/../../ttyUSB0}'),
    'processors.gain-1.port.serial',
    /by-id/,
  ],
  ['a path that is not whole', unit('{serial: ttyUSB0, anyPath: true}'), 'processors.gain-1.port.serial', /whole path/],
  ['two kinds at once', unit('{serial: /dev/ttyS2, anyPath: true, midi: x}'), 'processors.gain-1.port', /a port is/],
  ['nothing', unit('{}'), 'processors.gain-1.port', /a port is/],
  ['virtual: false', unit('{virtual: false}'), 'processors.gain-1.port', /a port is/],
  ['a MIDI port without a name', unit('{midi: " "}'), 'processors.gain-1.port.midi', /./],
  ['a var that is no whole number', unit('{virtual: true}', ', vars: {ch: 1.5}'), 'processors.gain-1.vars.ch', /int/],
  [
    'the line of another unit',
    `${unit(`{serial: ${BY_ID}}`)}  gain-2: {profile: virtual.gain, insert: b, port: {serial: ${BY_ID}}}\n`,
    'processors.gain-2.port.serial',
    /port of gain-1/,
  ],
  [
    'a patchbay on an insert',
    unit('{virtual: true}', ', patchbay: true'),
    'processors.gain-1.insert',
    /between the inserts/,
  ],
  ['a patchbay that does not exist', patched('{bax: [{in: 1, out: 3}]}'), 'inserts.b.via.bax', /no processor bax/],
  ['a processor that is no patchbay', patched('{gain-1: [{in: 1, out: 3}]}'), 'inserts.b.via.gain-1', /no patchbay/],
  [
    'an output that is patched twice',
    patched('{bay: [{in: 1, out: 3}, {in: 2, out: 3}]}'),
    'inserts.b.via.bay.1.out',
    /output 3/,
  ],
  ['crosspoint 0', patched('{bay: [{in: 0, out: 3}]}'), 'inserts.b.via.bay.0.in', /./],
  [
    'channels that a patched insert shares with one that is not',
    patched('{bay: [{in: 1, out: 3}]}', `${C}}`),
    'inserts.c.sends.0',
    /not both are patched/,
  ],
];

for (const [what, text, path, says] of WRONG_PORTS)
  test(`refused: ${what}`, async (t) => {
    const error = await refusalOf(t, text);
    assert.equal(error.details['path'], path, error.message);
    assert.match(error.message, says);
  });

test('production takes units on real ports, and none that is simulated however real its port', async (t) => {
  const file = join(await scratch(t), 'rig.yaml');
  const production = (port: string) =>
    unit(port)
      .replace(/^interface: .*$/m, HARDWARE)
      .replace('production: false', 'production: true')
      .replace('unchecked', 'timesyncd')
      .replace(/threshold: 1\n {4}keys: \[/, TWO_ROOTS);
  for (const port of [`{serial: ${BY_ID}}`, '{serial: /dev/ttyS0, anyPath: true}', '{midi: Micstasy}']) {
    await writeFile(file, production(port));
    assert.equal((await loadRigConfig(file)).config.production, true);
  }
  for (const port of ['{virtual: true}', '{virtual: pty}', '{virtual: midi}']) {
    const error = await refusalOf(t, production(port));
    assert.equal(error.details['path'], 'processors.gain-1.port');
    assert.match(error.message, /simulated/);
  }
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
