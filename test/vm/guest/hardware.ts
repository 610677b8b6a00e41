/** The devices of this machine: the kernel's own loopback card, its virtual MIDI ports, real serial ports. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { attempt, type Ended, expect, sh } from './shell.js';
import { CARD, PACKAGE, SUBDEVICES } from './site.js';

const SERIAL_PORTS = ['ttyS2', 'ttyS3'];
const CLAIM = `${PACKAGE}/build/test/vm/guest/claim.js`;
const NOBODY = '65534';

export async function loadModules(): Promise<string> {
  await sh('modprobe', 'snd-aloop', 'index=0', `id=${CARD}`, `pcm_substreams=${SUBDEVICES}`);
  await sh('modprobe', 'snd-virmidi', 'index=1', 'midi_devs=4');
  await sh('udevadm', 'settle');
  const cards = readFileSync('/proc/asound/cards', 'utf8');
  expect(cards.includes(`[${CARD} `), cards);
  const ports = readdirSync('/dev/snd').filter((name) => name.startsWith('midi'));
  expect(ports.length === 4, `MIDI ports: ${ports.join(', ')}`);
  for (const name of SERIAL_PORTS) {
    // A name without hardware behind it answers stty with an input/output error.
    const { code, said } = await attempt('stty', '-F', `/dev/${name}`, '-a');
    expect(code === 0, `${name}: ${said}`);
  }
  return `${CARD} with ${SUBDEVICES} sub-devices, ${ports.length} MIDI ports, serial ports ${SERIAL_PORTS.join(', ')}`;
}

/** Whoever may open the card at all: its owner, and root. */
export function expectOwnDevices(): string {
  const nodes = ['snd/controlC0', 'snd/pcmC0D0p', 'snd/pcmC0D1c', 'ttyS2'];
  const owner = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('outboard:'))
    ?.split(':')[2];
  for (const node of nodes) {
    const { mode, uid } = statSync(`/dev/${node}`);
    expect(
      (mode & 0o777) === 0o600 && String(uid) === owner,
      `/dev/${node}: mode ${(mode & 0o777).toString(8)}, uid ${uid}`,
    );
  }
  return nodes.map((node) => `/dev/${node}`).join(', ');
}

/** aplay and arecord, on every sub-device that the rig claims, are told that it is busy. */
export async function expectBusy(): Promise<string> {
  const format = ['-q', '-t', 'raw', '-f', 'S32_LE', '-c', '8', '-r', '48000', '-d', '1'];
  const tries: Promise<Ended>[] = [];
  for (let sub = 0; sub < SUBDEVICES; sub++) {
    tries.push(attempt('aplay', '-D', `hw:${CARD},0,${sub}`, ...format, '/dev/zero'));
    tries.push(attempt('arecord', '-D', `hw:${CARD},1,${sub}`, ...format, '/dev/null'));
  }
  // The short name takes any sub-device that is free.
  tries.push(attempt('aplay', '-D', `hw:${CARD},0`, ...format, '/dev/zero'));
  const said = await Promise.all(tries);
  for (const { code, said: words } of said)
    expect(code !== 0 && /Device or resource busy/.test(words), `status ${code}: ${words || 'it played'}`);
  return `${said.length} of ${said.length} tries: Device or resource busy`;
}

/** The driver, run by others than the rig's user: root may open the card and finds it held, nobody may not. */
export async function expectRefused(): Promise<string> {
  const command = ['/usr/bin/node', CLAIM, `hw:CARD=${CARD},DEV=0`, `hw:CARD=${CARD},DEV=1`];
  const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const [nobody, root] = [
    await sh(asNobody[0]!, ...asNobody.slice(1), ...command),
    await sh(command[0]!, ...command.slice(1)),
  ];
  expect(/^audio\.denied: .*EACCES on \/dev\/snd\/controlC0/.test(nobody), nobody);
  expect(/^audio\.busy: .*by process \d+/.test(root), root);
  return `nobody is told "${nobody}", root "${root}"`;
}

export function expectOwner(pid: number): string {
  const owners = ['pcm0p', 'pcm1c'].flatMap((pcm) =>
    Array.from({ length: SUBDEVICES }, (_, sub) => {
      const file = `/proc/asound/${CARD}/${pcm}/sub${sub}/status`;
      return /^owner_pid\s*: (\d+)/m.exec(readFileSync(file, 'utf8'))?.[1];
    }),
  );
  const threads = readdirSync(`/proc/${pid}/task`);
  for (const owner of owners) expect(owner !== undefined && threads.includes(owner), `owners ${owners.join(', ')}`);
  return `${owners.length} sub-devices are held by threads of process ${pid}`;
}

/** Takes the card out and puts it back, as a cable would: the kernel's driver lets go of its device. */
export async function unplug(): Promise<{ plug(): Promise<void> }> {
  const driver = '/sys/bus/platform/drivers/snd_aloop';
  // Returns only once the last one who has it open has closed it.
  const gone = attempt('sh', '-c', `echo snd_aloop.0 > ${driver}/unbind`);
  return {
    plug: async () => {
      const { code, said } = await gone;
      expect(code === 0, `unbind: ${said}`);
      await sh('sh', '-c', `echo snd_aloop.0 > ${driver}/bind`);
      await sh('udevadm', 'settle');
    },
  };
}
