/** Messages that a profile spells out, and their patterns: the identity's questions, a session's steps, vectors, what a simulated unit says. */
import { compileBytes } from './byte-template.js';
import { bytesOfHex, type FramePattern, type FramingKind, framePattern, hexOf } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import { type Message, PATTERN_FIELD } from './schema-basics.js';
import { compileTemplate } from './template.js';

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

/**
 * The pattern of a message. `{dev:02}` of a line, `{16*bank+dev}` of bytes stand for a variable: the answer of another unit on the same wire is
 * none.
 *
 * @param whole the pattern has to match the whole frame
 * @throws OutboardError profile.invalid at `path`
 */
export function messagePattern(
  kind: FramingKind,
  rx: string,
  vars: ReadonlyMap<string, number>,
  whole: boolean,
  path: string,
): FramePattern {
  const bound = rx.replace(PATTERN_FIELD, (field) =>
    kind === 'line'
      ? (compileTemplate(`x${field}`, [], path, vars).format(new Map()) ?? '').slice(1)
      : hexOf(compileBytes(field, { fields: [], vars }, path).format(new Map())),
  );
  return framePattern(kind, bound, whole);
}
