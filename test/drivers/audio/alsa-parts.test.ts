/** Parts of the alsa driver that need no card: what the kernel tells, and which frames were told as missing already. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { parseDeviceName } from '../../../drivers/audio/alsa/device-name.js';
import { openError } from '../../../drivers/audio/alsa/errors.js';
import { listCards, listDevices, subDevices } from '../../../drivers/audio/alsa/proc.js';
import { StarvedFrames } from '../../../drivers/audio/alsa/starved-frames.js';
import { asNobody } from '../../peers/nobody.js';
import { scratch } from '../../peers/scratch.js';

/** As a kernel shows an HDA card, whose PCMs have one direction each, and a USB interface that somebody plays on. */
const KERNEL: Record<string, string> = {
  cards: ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7e10000 irq 33
10 [Interface      ]: USB-Audio - Big Interface
                      Maker Big Interface at usb-0000:00:14.0-2, high speed
`,
  'card0/id': 'PCH\n',
  'card0/pcm3p/info':
    'card: 0\ndevice: 3\nsubdevice: 0\nstream: PLAYBACK\nid: HDMI 0\nname: HDMI 0\nsubdevices_count: 1\n',
  'card0/pcm2c/info': 'card: 0\ndevice: 2\nstream: CAPTURE\nid: Alt\nname: Alt Analog\nsubdevices_count: 2\n',
  'card10/id': 'Interface\n',
  'card10/usbid': '1234:5678\n',
  'card10/pcm0p/info': 'card: 10\ndevice: 0\nstream: PLAYBACK\nid: USB Audio\nname: USB Audio\nsubdevices_count: 1\n',
  'card10/pcm0p/sub0/status': 'state: RUNNING\nowner_pid   : 4711\ntrigger_time: 12.5\ndelay       : 1\n',
  'card10/pcm0p/sub0/hw_params':
    'access: RW_INTERLEAVED\nformat: S32_LE\nsubformat: STD\nchannels: 32\nrate: 96000 (96000/1)\nperiod_size: 256\nbuffer_size: 1024\n',
  'card10/pcm0c/info': 'card: 10\ndevice: 0\nstream: CAPTURE\nid: USB Audio\nname: USB Audio\nsubdevices_count: 1\n',
  'card10/pcm0c/sub0/status': 'closed\n',
  'card10/pcm0c/sub0/hw_params': 'closed\n',
};

/** A folder that everybody may look into, as one of the kernel's. */
async function publicFolder(t: TestContext): Promise<string> {
  const root = await scratch(t);
  chmodSync(root, 0o755);
  return root;
}

async function kernel(t: TestContext): Promise<string> {
  const root = await publicFolder(t);
  for (const [name, text] of Object.entries(KERNEL)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test('cards, devices, owners and parameters are read from /proc/asound', async (t) => {
  const root = await kernel(t);
  assert.deepEqual(listDevices(root), [
    { name: 'hw:CARD=PCH,DEV=2', description: 'HDA Intel PCH: Alt Analog', inChannels: null, outChannels: 0 },
    { name: 'hw:CARD=PCH,DEV=3', description: 'HDA Intel PCH: HDMI 0', inChannels: 0, outChannels: null },
    { name: 'hw:CARD=Interface,DEV=0', description: 'Big Interface: USB Audio', inChannels: null, outChannels: null },
  ]);
  assert.deepEqual(listCards(root), ['PCH', 'Interface']);
  const device = parseDeviceName('hw:CARD=Interface,DEV=0');
  const [playing] = subDevices(root, device, 'playback')!;
  assert.equal(playing!.owner, 4711);
  assert.deepEqual([playing!.hwParams['rate'], playing!.hwParams['channels']], ['96000 (96000/1)', '32']);
  assert.deepEqual(subDevices(root, device, 'capture'), [{ owner: null, hwParams: {} }]);
  assert.equal(subDevices(root, parseDeviceName('hw:CARD=PCH,DEV=3'), 'capture'), null);
  assert.equal(subDevices(root, parseDeviceName('hw:CARD=Nowhere,DEV=0'), 'capture'), null);
  assert.deepEqual(listDevices(join(root, 'nowhere')), []);
});

test('a card whose nodes are closed to this user is denied, and not gone as alsa-lib has it', async (t) => {
  const procRoot = await kernel(t);
  const deviceRoot = await publicFolder(t);
  const node = join(deviceRoot, 'controlC10');
  writeFileSync(node, '', { mode: 0 });
  const codeOf = (card: string, root = deviceRoot) => {
    const held = { device: parseDeviceName(`hw:CARD=${card},DEV=0`), count: 1 };
    const roots = { procRoot, deviceRoot: root };
    return asNobody(() => openError(constants.errno.ENODEV, roots, { playback: held, capture: held }));
  };
  const error = codeOf('Interface');
  assert.equal(error.code, 'audio.denied');
  assert.equal(error.message, `This user may not open hw:CARD=Interface,DEV=0 (EACCES on ${node}).`);
  // A card without such a node, one that the kernel does not know, and nodes that may be opened: then alsa-lib is right.
  assert.equal(codeOf('PCH').code, 'audio.gone');
  assert.equal(codeOf('Nowhere').code, 'audio.gone');
  const open = await publicFolder(t);
  writeFileSync(join(open, 'controlC10'), '');
  chmodSync(join(open, 'controlC10'), 0o666);
  assert.equal(codeOf('Interface', open).code, 'audio.gone');
});

test('a device is named by its card and a number, and in no other way', () => {
  assert.deepEqual(parseDeviceName('hw:CARD=Big_2-x,DEV=12'), {
    name: 'hw:CARD=Big_2-x,DEV=12',
    card: 'Big_2-x',
    device: 12,
  });
  for (const name of [
    '',
    'hw:0',
    'hw:0,0',
    'hw:CARD=,DEV=0',
    'hw:CARD=a b,DEV=0',
    'hw:CARD=a,DEV=0\n',
    'HW:CARD=a,DEV=0',
  ]) {
    assert.throws(() => parseDeviceName(name), { code: 'audio.device' }, name);
  }
});

describe('starved frames', () => {
  test('what is known of some channels is told of the others only', () => {
    const starved = new StarvedFrames();
    assert.deepEqual(starved.add(100, 200, [1, 2]), [{ from: 100, to: 200, channels: [1, 2] }]);
    assert.deepEqual(starved.add(150, 250, [2, 3]), [
      { from: 150, to: 200, channels: [3] },
      { from: 200, to: 250, channels: [2, 3] },
    ]);
    assert.deepEqual(starved.add(120, 240, [2]), []);
    assert.equal(starved.frames, 150);
  });

  test('every frame of every channel is told once, and no other', () => {
    const run = fc.record({
      from: fc.nat(60),
      length: fc.integer({ min: 1, max: 20 }),
      channels: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1 }),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 20 }), (added) => {
        const starved = new StarvedFrames();
        const wanted = new Set<string>();
        const told: string[] = [];
        for (const { from, length, channels } of added) {
          for (let f = from; f < from + length; f++) for (const c of channels) wanted.add(`${f}/${c}`);
          for (const part of starved.add(from, from + length, channels)) {
            for (let f = part.from; f < part.to; f++) for (const c of part.channels) told.push(`${f}/${c}`);
          }
        }
        assert.equal(new Set(told).size, told.length);
        assert.deepEqual(new Set(told), wanted);
        assert.equal(starved.frames, new Set([...wanted].map((key) => key.split('/')[0])).size);
      }),
    );
  });
});
