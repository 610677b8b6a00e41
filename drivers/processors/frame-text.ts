/**
 * Frames and how people write them. A frame is one message of the wire as a latin1 string, one character for each byte: a line without its end,
 * a MIDI message, or what a code driver takes for one. Lines are written as they are, all others as their bytes in hex.
 */
export type FramingKind = 'line' | 'midi' | 'driver';

/** What a pattern of a profile compiles to; a RegExp is one. */
export interface FramePattern {
  test(frame: string): boolean;
  exec(frame: string): { readonly groups?: Readonly<Record<string, string>> | undefined } | null;
}

/** `F0 7E 7F 06 01 F7`. */
export function hexOf(frame: string): string {
  return Array.from(frame, (c) => c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')).join(' ');
}

/** The bytes of hex digits, with or without spaces; undefined when it is anything else. */
export function bytesOfHex(hex: string): string | undefined {
  const digits = hex.replace(/\s+/g, '');
  return /^([0-9A-Fa-f]{2})+$/.test(digits) ? Buffer.from(digits, 'hex').toString('latin1') : undefined;
}

/** For messages and logs. */
export function shownFrame(kind: FramingKind, frame: string): string {
  return kind === 'line' ? frame : hexOf(frame);
}

/**
 * The pattern of a frame.
 *
 * @param whole the pattern has to match the whole frame
 */
export function framePattern(kind: FramingKind, rx: string, whole: boolean): FramePattern {
  // s: a frame may hold any byte, and `.` stands for each of them.
  const pattern = new RegExp(whole ? `^(?:${rx})$` : rx, 'us');
  if (kind === 'line') return pattern;
  return {
    test: (frame) => pattern.test(hexOf(frame)),
    exec: (frame) => pattern.exec(hexOf(frame)),
  };
}
