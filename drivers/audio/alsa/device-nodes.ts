/**
 * Whether this user may open the nodes of a card. alsa-lib looks for a card by asking the control node of every one, passes over those that it may
 * not open, and then says ENODEV: that the card is not there.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceName } from './device-name.js';
import { cardNumber } from './proc.js';

export const DEVICE_ROOT = '/dev/snd';

const DENIED: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM']);

/** The control node of the card when it may not be opened, and the system's word for it; null when it may, or is not there. */
export function deniedNode(
  roots: { procRoot: string; deviceRoot: string },
  device: DeviceName,
): { node: string; errno: string } | null {
  const number = cardNumber(roots.procRoot, device.card);
  if (number === null) return null;
  const node = join(roots.deviceRoot, `controlC${number}`);
  try {
    // Tried, not asked for: a policy of the service manager shows in no permission bits. Who has a control node open keeps nobody from the card.
    closeSync(openSync(node, constants.O_RDWR | constants.O_NONBLOCK));
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return DENIED.has(code) ? { node, errno: code! } : null;
  }
}
