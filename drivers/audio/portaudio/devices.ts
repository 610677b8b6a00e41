/** Where a device stands: in the kernel's folders, in PortAudio's list, and why it may not be there. */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { OutboardError } from '../../../core/errors.js';
import { type DeviceName, parseDeviceName } from '../alsa/device-name.js';
import { deniedNode } from '../alsa/device-nodes.js';
import { deniedError } from '../alsa/errors.js';
import { cardNumber, type Direction, subDevices } from '../alsa/proc.js';
import { holders } from '../alsa/proof.js';

export interface DevicePair {
  playback: DeviceName;
  capture: DeviceName;
}

const DIRECTIONS = ['playback', 'capture'] as const;
const LETTER = { playback: 'p', capture: 'c' } as const;

/** @throws OutboardError audio.device */
export function parsePair(names: { playback: string; capture: string }): DevicePair {
  return { playback: parseDeviceName(names.playback), capture: parseDeviceName(names.capture) };
}

/**
 * Refuses what cannot be claimed, from what the kernel tells; opens nothing.
 * @throws OutboardError audio.gone, audio.busy, audio.denied; audio.device for one with several sub-devices
 */
export function checkClaimable(roots: { procRoot: string; deviceRoot: string }, pair: DevicePair): void {
  const { procRoot, deviceRoot } = roots;
  for (const direction of DIRECTIONS) {
    const device = pair[direction];
    const subs = subDevices(procRoot, device, direction);
    if (subs === null) throw new OutboardError('audio.gone', `There is no ${direction} device ${device.name}.`);
    // One that cannot be seen is for PortAudio to find out: it may have ended between two looks.
    if (subs.some(({ owner }) => owner !== null && existsSync(`/proc/${owner}`))) {
      throw new OutboardError('audio.busy', `${device.name} is held by ${holders(procRoot, device, direction)}.`);
    }
    if (subs.length !== 1) {
      throw new OutboardError(
        'audio.device',
        `${device.name} has ${subs.length} ${direction} sub-devices and PortAudio can hold one of them: others could use the rest. The alsa driver claims all.`,
      );
    }
    const node = join(deviceRoot, `pcmC${numberOf(procRoot, device)}D${device.device}${LETTER[direction]}`);
    const denied = deniedNode(roots, device) ?? deniedPcm(node);
    if (denied !== null) throw deniedError(device.name, denied);
  }
}

/** What the name ends with under which PortAudio lists it: the kernel's card by its present number. @throws OutboardError audio.gone */
export function listedName(procRoot: string, device: DeviceName): string {
  return `(hw:${numberOf(procRoot, device)},${device.device})`;
}

/** The folder of the one sub-device. */
export function procFolder(procRoot: string, device: DeviceName, direction: Direction): string {
  return join(procRoot, `card${numberOf(procRoot, device)}`, `pcm${device.device}${LETTER[direction]}`, 'sub0');
}

/** @throws OutboardError audio.gone */
function numberOf(procRoot: string, device: DeviceName): number {
  const number = cardNumber(procRoot, device.card);
  if (number === null) throw new OutboardError('audio.gone', `There is no card ${device.card}.`);
  return number;
}

/** Asked for, not tried: whoever opens a PCM takes it. */
function deniedPcm(node: string): { node: string; errno: string } | null {
  try {
    accessSync(node, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? { node, errno: 'EACCES' } : null;
  }
}
