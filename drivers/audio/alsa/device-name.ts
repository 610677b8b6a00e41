/** The names of devices that a claim takes: a card by its id, and the number of a PCM on it. */
import { OutboardError } from '../../../core/errors.js';

export interface DeviceName {
  /** As it was given. */
  name: string;
  card: string;
  device: number;
}

/** @throws OutboardError audio.device */
export function parseDeviceName(name: string): DeviceName {
  const match = /^hw:CARD=([A-Za-z0-9_-]{1,32}),DEV=(\d{1,3})$/.exec(name);
  if (match === null) {
    throw new OutboardError(
      'audio.device',
      `"${name}" is not hw:CARD=NAME,DEV=N: a card's number changes from boot to boot, and every other kind of device is shared or converts.`,
    );
  }
  return { name, card: match[1]!, device: Number(match[2]) };
}
