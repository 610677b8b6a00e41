/**
 * The portaudio driver: PortAudio by way of npm's naudiodon, in a process of its own that can be killed. It is for comparison, and for
 * hosts where the alsa driver cannot be had; it knows no frame of a fault at the device, and L from no start to the next.
 * docs/decisions/0010-portaudio.md says what is guarded against and what is not.
 */
import { OutboardError } from '../../../core/errors.js';
import { DEVICE_ROOT } from '../alsa/device-nodes.js';
import { listDevices } from '../alsa/proc.js';
import type { AudioInterface } from '../port.js';
import { bindingFile } from './binding.js';
import { checkClaimable, parsePair } from './devices.js';
import { PortaudioClaim } from './portaudio-claim.js';

export interface PortaudioOptions {
  /** Default /proc/asound. */
  procRoot?: string;
  /** Default /dev/snd. */
  deviceRoot?: string;
  /** How long a reader may stay away without losing frames. Default 2.5. */
  ringSeconds?: number;
}

const PROC_ROOT = '/proc/asound';
const RING_SECONDS = 2.5;

/** Why there is no portaudio driver on this host; null when there is one. */
export function portaudioMissing(): string | null {
  if (bindingFile() !== null) return null;
  return 'naudiodon is not built: install g++, make and python3, then run `npm ci` (or `npm rebuild naudiodon`).';
}

export function createPortaudioInterface(o: PortaudioOptions = {}): AudioInterface {
  const procRoot = o.procRoot ?? PROC_ROOT;
  const deviceRoot = o.deviceRoot ?? DEVICE_ROOT;
  return {
    list: async () => listDevices(procRoot),
    claim: async (names) => {
      const devices = parsePair(names);
      const missing = portaudioMissing();
      if (missing !== null) throw new OutboardError('audio.driver', missing);
      checkClaimable({ procRoot, deviceRoot }, devices);
      const claim = new PortaudioClaim({
        procRoot,
        deviceRoot,
        devices,
        ringSeconds: o.ringSeconds ?? RING_SECONDS,
      });
      await claim.take();
      return claim;
    },
  };
}
