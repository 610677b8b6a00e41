/**
 * The 9-pin remote protocol of tape machines and what imitates them (RS-422, 38 400 baud, 8O1): the host asks, the unit answers each command
 * with ACK, NAK or data. The state of the transport is polled: a machine plays when its servo has locked, not when it said ACK.
 *
 * Source: the M20's RS-422 document; the checksum is the sum of the bytes (code that XORs them happens to work for PLAY).
 */
import type { Codec, Statement } from '../codec.js';
import { decimalOf, toNumber } from '../decimal.js';
import type { ErrorMeaning } from '../profile-schema.js';
import type { CodeDriver, DriverCells, DriverParameter, DriverSimulation } from './code-driver.js';
import { SumFramer, sum8 } from './sum-framer.js';

/** A frame with its checksum, from the bytes before it. */
export function frameOf(...bytes: number[]): string {
  const text = String.fromCharCode(...bytes);
  return text + String.fromCharCode(sum8(text));
}

export const ACK = frameOf(0x10, 0x01);
const LOCAL_DISABLE = frameOf(0x00, 0x0c);
const LOCAL_ENABLE = frameOf(0x00, 0x1d);
const STANDBY_OFF = frameOf(0x20, 0x04);
const STANDBY_ON = frameOf(0x20, 0x05);
const DEVICE_TYPE = frameOf(0x00, 0x11);
/** Ten status bytes from byte 0 on. */
const STATUS_SENSE = frameOf(0x61, 0x20, 0x0a);
/** The time on tape as the longitudinal time code says it. */
const TIME_SENSE = frameOf(0x61, 0x0c, 0x01);

/** The time code as it was read, and as the machine counted on from where it was last read: at a standstill there is none to read. */
const TIMES = [0x04, 0x14];

/** The transport's commands by their second byte, and the bit of status byte 1 that says the machine does it. */
const MOTIONS = new Map<number, { bit: number; locks: boolean }>([
  [0x00, { bit: 1 << 5, locks: false }], // stop
  [0x01, { bit: 1 << 0, locks: true }], // play
  [0x02, { bit: 1 << 1, locks: true }], // record
  [0x0f, { bit: 1 << 4, locks: false }], // eject
  [0x10, { bit: 1 << 2, locks: false }], // fast forward
  [0x20, { bit: 1 << 3, locks: false }], // rewind
]);
const PLAYS = 1 << 0;
const STOPPED = 1 << 5;
const LOCAL = 1 << 0;
const STANDBY = 1 << 7;
const SERVO_LOCK = 1 << 7;
/** Bits of status byte 2: the place has been reached; the tape stands. */
const CUED_UP = 1 << 0;
const STILL = 1 << 1;
/** The last frame of a second at 24, 25 and 30 frames; which of them it is, no message says. */
const LAST_FRAMES = [23, 24, 29];
const DAY_SECONDS = 86_400;

/** The status bytes of a reply to STATUS_SENSE. */
function status(frame: string): number[] | undefined {
  if (frame.length !== 13 || frame.charCodeAt(0) !== 0x7a || frame.charCodeAt(1) !== 0x20) return undefined;
  return Array.from(frame.slice(2, -1), (c) => c.charCodeAt(0));
}

function said(w: number): Statement {
  return { index: null, w: decimalOf(w) };
}

const NOT_YET: Statement = { index: null, w: null, pending: true };

function motion(frame: string): Statement | undefined {
  const bytes = status(frame);
  if (bytes === undefined) return undefined;
  const [d0 = 0, d1 = 0, d2 = 0] = bytes;
  // With its own keys in force the machine is in somebody else's hands, whatever it does just now.
  if ((d0 & LOCAL) !== 0) return NOT_YET;
  // Recording is playing as well: the bit that says more counts.
  for (const w of [0x02, 0x01, 0x10, 0x20, 0x0f, 0x00]) {
    const { bit, locks } = MOTIONS.get(w) as { bit: number; locks: boolean };
    if ((d1 & bit) !== 0) return locks && (d2 & SERVO_LOCK) === 0 ? NOT_YET : said(w);
  }
  return NOT_YET;
}

function flag(byte: number, bit: number): (frame: string) => Statement | undefined {
  return (frame) => {
    const bytes = status(frame);
    return bytes === undefined ? undefined : said(((bytes[byte] ?? 0) & bit) === 0 ? 0 : 1);
  };
}

function acknowledged(frame: string): Statement | undefined {
  return frame === ACK ? { index: null, w: null } : undefined;
}

/** Two decimal digits in one byte, or undefined for a byte that is none. */
function fromBcd(byte: number): number | undefined {
  const [tens, ones] = [byte >> 4, byte & 15];
  return tens < 10 && ones < 10 ? tens * 10 + ones : undefined;
}

function toBcd(n: number): number {
  return (Math.floor(n / 10) << 4) | (n % 10);
}

/**
 * Whether a machine that was sent somewhere is on its way no more: it says that it has cued up or, where it has no such bit, it stands; or it
 * plays from there.
 */
function parked(frame: string): Statement | undefined {
  const bytes = status(frame);
  if (bytes === undefined) return undefined;
  const [d0 = 0, d1 = 0, d2 = 0] = bytes;
  if ((d0 & LOCAL) !== 0) return NOT_YET;
  const plays = (d1 & PLAYS) !== 0 && (d2 & SERVO_LOCK) !== 0;
  const stands = (d2 & (CUED_UP | STILL)) !== 0 || (d1 & STOPPED) !== 0;
  return plays || stands ? { index: null, w: null } : NOT_YET;
}

/** Seconds from the reply to TIME_SENSE: tapes park within a frame of where they were sent. Further off the machine is still on its way. */
function time(frame: string): Statement | undefined {
  if (frame.length !== 7 || frame.charCodeAt(0) !== 0x74 || !TIMES.includes(frame.charCodeAt(1))) return undefined;
  const [ff, ss, mm, hh] = Array.from(frame.slice(2, -1), (c) => fromBcd(c.charCodeAt(0)));
  if (ff === undefined || ss === undefined || mm === undefined || hh === undefined) return undefined;
  if (ss > 59 || mm > 59 || hh > 23) return undefined;
  const seconds = hh * 3600 + mm * 60 + ss;
  if (ff <= 1) return said(seconds);
  return LAST_FRAMES.includes(ff) ? said((seconds + 1) % DAY_SECONDS) : NOT_YET;
}

function cue(seconds: number): string {
  const [hh, mm, ss] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return frameOf(0x24, 0x31, 0, toBcd(ss), toBcd(mm), toBcd(hh));
}

function parameter(
  max: number,
  set: (w: number) => string,
  tx: string,
  reply: (frame: string) => Statement | undefined,
  first?: { tx: string; reply: (frame: string) => Statement | undefined },
): DriverParameter {
  const codec: Codec = {
    set: (_, w) => [set(toNumber(w))],
    ack: acknowledged,
    read: { kind: 'ask', tx: () => tx, reply, ...(first ? { first } : {}) },
  };
  return { min: 0, max, axis: undefined, codec };
}

const PARAMETERS = new Map<string, DriverParameter>([
  ['transport', parameter(0x20, (w) => frameOf(0x20, w), STATUS_SENSE, motion)],
  ['standby', parameter(1, (w) => (w === 0 ? STANDBY_OFF : STANDBY_ON), STATUS_SENSE, flag(1, STANDBY))],
  ['local', parameter(1, (w) => (w === 0 ? LOCAL_DISABLE : LOCAL_ENABLE), STATUS_SENSE, flag(0, LOCAL))],
  ['cue', parameter(DAY_SECONDS - 1, cue, TIME_SENSE, time, { tx: STATUS_SENSE, reply: parked })],
]);

/** NAK: communication errors are worth another try, an undefined command is not. */
function error(frame: string): ErrorMeaning | undefined {
  if (frame.length !== 4 || frame.charCodeAt(0) !== 0x11 || frame.charCodeAt(1) !== 0x12) return undefined;
  return (frame.charCodeAt(2) & 0x01) === 0 ? 'busy' : 'unsupported';
}

/** The machine's side. It locks at once, and is where it is told to be. */
class Machine implements DriverSimulation {
  #isCuedUp = false;

  framer(): SumFramer {
    return new SumFramer([0x0, 0x2, 0x6], 10);
  }

  hear(frame: string, cells: DriverCells): string[] {
    const [group, command] = [frame.charCodeAt(0), frame.charCodeAt(1)];
    // A profile need not have every parameter.
    const take = (name: string, w: number): string[] => {
      if (cells.has(name)) cells.set(name, null, decimalOf(w));
      return [ACK];
    };
    const now = (name: string): number => (cells.has(name) ? toNumber(cells.get(name, null)) : 0);
    if (frame === DEVICE_TYPE) return [frameOf(0x12, 0x11, 0x25, 0x25)];
    if (frame === LOCAL_DISABLE) return take('local', 0);
    if (frame === LOCAL_ENABLE) return take('local', 1);
    if (frame === STANDBY_OFF) return take('standby', 0);
    if (frame === STANDBY_ON) return take('standby', 1);
    if (group === 0x20 && MOTIONS.has(command)) {
      this.#isCuedUp = false;
      return take('transport', command);
    }
    if (group === 0x24 && command === 0x31) {
      const at = time(frameOf(0x74, 0x04, ...Array.from(frame.slice(2, -1), (c) => c.charCodeAt(0))));
      if (at?.w == null) return [frameOf(0x11, 0x12, 0x01)];
      this.#isCuedUp = true;
      take('transport', 0x00);
      return take('cue', toNumber(at.w));
    }
    if (group === 0x61 && command === 0x20) {
      const doing = MOTIONS.get(now('transport')) as { bit: number; locks: boolean };
      const going = (doing.locks ? SERVO_LOCK : 0) | (this.#isCuedUp ? CUED_UP : 0);
      const all = [now('local'), doing.bit | (now('standby') << 7), going, 0, 0, 0, 0, 0, 0, 0];
      const ask = frame.charCodeAt(2);
      const data = Array.from({ length: ask & 15 }, (_, i) => all[(ask >> 4) + i] ?? 0);
      return [frameOf(0x70 | data.length, 0x20, ...data)];
    }
    if (group === 0x61 && command === 0x0c) {
      const seconds = now('cue');
      const [hh, mm, ss] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
      return [frameOf(0x74, 0x04, 0, toBcd(ss), toBcd(mm), toBcd(hh))];
    }
    return [frameOf(0x11, 0x12, 0x01)];
  }
}

export const sony9pin: CodeDriver = {
  name: 'sony9pin',
  framer: (gapMs) => new SumFramer([0x1, 0x7], gapMs),
  parameters: PARAMETERS,
  error,
  unsolicited: () => undefined,
  simulate: () => new Machine(),
};
