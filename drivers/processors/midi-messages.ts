/** Whole MIDI messages out of bytes: the sequencer wants one at a time. */

/** System common messages that MIDI 1.0 defines, and their lengths. */
const SYSTEM: ReadonlyMap<number, number> = new Map([
  [0xf1, 2],
  [0xf2, 3],
  [0xf3, 2],
  [0xf6, 1],
]);

/** Length of a channel or system message by its status byte, sysex excluded; undefined where there is no such message. */
function lengthOf(status: number): number | undefined {
  if (status >= 0xf8) return 1;
  if (status >= 0xf0) return SYSTEM.get(status);
  const kind = status & 0xf0;
  return kind === 0xc0 || kind === 0xd0 ? 2 : 3;
}

/**
 * Splits what is to be sent into messages, each with its own status byte.
 *
 * @throws RangeError for bytes that are no whole messages: what a profile makes is whole, so this is a fault of ours
 */
export function splitMessages(bytes: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const status = bytes[at] as number;
    const sysexEnd = bytes.indexOf(0xf7, at) + 1;
    const length = status === 0xf0 && sysexEnd > 0 ? sysexEnd - at : status < 0x80 ? undefined : lengthOf(status);
    const message = length === undefined ? undefined : bytes.subarray(at, at + length);
    if (message === undefined || message.length !== length || !wellFormed(message))
      throw new RangeError(`no whole MIDI message: ${Buffer.from(bytes).toString('hex')}`);
    messages.push(message);
    at += message.length;
  }
  return messages;
}

function wellFormed(message: Uint8Array): boolean {
  const data = message[0] === 0xf0 ? message.subarray(1, -1) : message.subarray(1);
  return data.every((byte) => byte < 0x80);
}
