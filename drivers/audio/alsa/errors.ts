/** Errors of the system, as outboard tells them. */
import { getSystemErrorName } from 'node:util';
import { OutboardError } from '../../../core/errors.js';
import type { StreamRequest } from '../port.js';
import { deniedNode } from './device-nodes.js';
import type { NativeAnswer } from './native.js';
import { listCards } from './proc.js';
import type { HeldDevices } from './proof.js';
import { holders } from './proof.js';

const DENIED = new Set(['EACCES', 'EPERM']);
const BUSY = new Set(['EBUSY', 'EAGAIN']);

export function errnoName(errno: number): string {
  return getSystemErrorName(-errno);
}

/** Why the device could not be opened. */
export function openError(
  errno: number,
  roots: { procRoot: string; deviceRoot: string },
  held: HeldDevices,
): OutboardError {
  const { procRoot } = roots;
  const name = errnoName(errno);
  const { playback, capture } = held;
  const devices = [...new Set([playback.device.name, capture.device.name])].join(' and ');
  if (BUSY.has(name)) {
    const who = (['playback', 'capture'] as const)
      .map((direction) => [direction, holders(procRoot, held[direction].device, direction)])
      .flatMap(([direction, names]) => (names ? [`${direction} by ${names}`] : []));
    const by = who.length > 0 ? `: ${who.join(', ')}` : '';
    return new OutboardError('audio.busy', `${devices} is held already${by}.`, { details: { errno: name } });
  }
  if (DENIED.has(name)) {
    return new OutboardError('audio.denied', `This user may not open ${devices} (${name}).`, {
      details: { errno: name },
    });
  }
  const denied = deniedNode(roots, playback.device) ?? deniedNode(roots, capture.device);
  if (denied !== null) return deniedError(devices, denied);
  const cards = listCards(procRoot);
  const there = cards.length > 0 ? `the cards here are ${cards.join(', ')}` : 'there is no sound card here';
  return new OutboardError('audio.gone', `${devices} cannot be opened (${name}); ${there}.`, {
    details: { errno: name },
  });
}

/** @param devices their names */
export function deniedError(devices: string, { node, errno }: { node: string; errno: string }): OutboardError {
  return new OutboardError('audio.denied', `This user may not open ${devices} (${errno} on ${node}).`, {
    details: { errno, node },
  });
}

/** Why the stream did not start. */
export function startError(device: string, request: StreamRequest, answer: NativeAnswer): OutboardError {
  if (answer.refusal !== '') return formatError(device, request, answer.refusal);
  const name = errnoName(answer.errno);
  const details = { errno: name };
  if (name === 'EINVAL') return formatError(device, request, 'this combination');
  if (BUSY.has(name)) return new OutboardError('audio.busy', `${device} is held already (${name}).`, { details });
  if (name === 'ENOMEM') {
    return new OutboardError('audio.format', `There is no memory for the rings of ${device}.`, { details });
  }
  return new OutboardError('audio.gone', `${device} did not start (${name}).`, { details });
}

/** @param offered what is refused, and what is offered instead */
export function formatError(device: string, request: StreamRequest, offered: string): OutboardError {
  return new OutboardError('audio.format', `${device} does not run what was asked: ${offered}.`, {
    details: { wanted: { ...request }, offered },
  });
}
