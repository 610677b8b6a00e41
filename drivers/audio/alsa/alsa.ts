/**
 * The driver of a real rig: `hw:` devices of the kernel's own, over a thin addon on alsa-lib (native/), because only that tells of every lost
 * sample with its position. Every sub-device of both directions is opened and held for as long as the claim is.
 */
import { OutboardError } from '../../../core/errors.js';
import type { AudioInterface, Claim } from '../port.js';
import { AlsaClaim } from './alsa-claim.js';
import { type DeviceName, parseDeviceName } from './device-name.js';
import { DEVICE_ROOT } from './device-nodes.js';
import { loadNative } from './native.js';
import { type Direction, listCards, listDevices, subDevices } from './proc.js';

export interface AlsaOptions {
  /** Where the kernel tells of its sound cards; /proc/asound when absent. */
  procRoot?: string;
  /** Where its device nodes are; /dev/snd when absent. */
  deviceRoot?: string;
  /** How long the rings are, and so how long JavaScript may be held up; 1.5 s when absent. */
  ringSeconds?: number;
}

const MAX_SUBDEVICES = 32;

export function createAlsaInterface(options: AlsaOptions = {}): AudioInterface {
  const { procRoot = '/proc/asound', deviceRoot = DEVICE_ROOT, ringSeconds = 1.5 } = options;
  return {
    list: async () => listDevices(procRoot),

    async claim(names: { playback: string; capture: string }): Promise<Claim> {
      const native = loadNative();
      const held = {
        playback: holdAll(procRoot, parseDeviceName(names.playback), 'playback'),
        capture: holdAll(procRoot, parseDeviceName(names.capture), 'capture'),
      };
      const claim = new AlsaClaim({ native, procRoot, deviceRoot, ringSeconds, held });
      await claim.open();
      return claim;
    },
  };
}

/** All sub-devices that the kernel tells of; one where it tells nothing, which is for alsa-lib to find or not. */
function holdAll(procRoot: string, device: DeviceName, direction: Direction): { device: DeviceName; count: number } {
  const subs = subDevices(procRoot, device, direction);
  if (subs === null && listCards(procRoot).includes(device.card)) {
    throw new OutboardError('audio.gone', `The card ${device.card} has no ${direction} device ${device.device}.`);
  }
  const count = subs?.length ?? 1;
  if (count < 1 || count > MAX_SUBDEVICES) {
    throw new OutboardError(
      'audio.device',
      `${device.name} has ${count} ${direction} sub-devices; 1 to ${MAX_SUBDEVICES} can be held.`,
    );
  }
  return { device, count };
}
