/** Messages that a profile spells out: the identity's questions, a session's steps, vectors, what a simulated unit says. */
import { compileBytes } from './byte-template.js';
import { bytesOfHex, type FramingKind } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import type { Message } from './schema-basics.js';

/**
 * The frame of a message. A line stands for itself; with another framing it is bytes in hex, in which `{dev}` or `{16*bank+dev}` stands for a
 * variable.
 *
 * @throws OutboardError profile.invalid at `path`
 */
export function messageFrame(
  kind: FramingKind,
  message: Message,
  vars: ReadonlyMap<string, number>,
  path: string,
): string {
  if (typeof message === 'string' && kind === 'line') return message;
  const text = typeof message === 'string' ? message : message.hex;
  if (text.includes('{')) return compileBytes(text, { fields: [], vars }, path).format(new Map());
  const frame = bytesOfHex(text);
  if (frame === undefined) throw invalidProfile(path, 'has to be bytes in hex, such as F0 7E 7F 06 01 F7');
  return frame;
}
