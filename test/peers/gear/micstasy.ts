/**
 * An RME Micstasy as its manual describes it (chapter 20, MIDI): eight preamps whose gain is set digitally and changed in the analog domain. It is
 * written from the manual alone and shares nothing with the profile.
 *
 * F0 00 20 0D 68 <bank and device> <type> … F7. Type 10h asks for all values, 20h sets pairs of number and value, 30h is the answer, all 27 pairs.
 */

const HEAD = [0xf0, 0x00, 0x20, 0x0d, 0x68];
const PAIRS = 27;
const [SETUP_1, SETUP_2, LOCK_SYNC] = [0x18, 0x19, 0x1a];
/** Bits of the settings byte of a channel. */
const [FRONT, AUTOSET, PHANTOM] = [0x01, 0x04, 0x40];
const LOCK_KEYS = 0x01;

export class Micstasy {
  readonly bytes: number[] = Array.from({ length: PAIRS }, () => 0);
  /** Whole messages that were for this unit, as hex. */
  readonly heard: string[] = [];
  /** For what happens on a bad day: the answer to a request, changed or withheld. */
  spoil: ((answer: number[]) => number[] | undefined) | undefined;
  readonly #say: (message: Uint8Array) => void;
  /** Bank in the high nibble, device in the low one. */
  readonly #address: number;
  #begun: number[] = [];

  constructor(say: (message: Uint8Array) => void, address = 0) {
    this.#say = say;
    this.#address = address;
    this.reset();
  }

  /** 0 dB everywhere, +13 dBu out. */
  reset(): void {
    this.bytes.fill(0);
    for (let channel = 1; channel <= 8; channel++) this.bytes[3 * (channel - 1)] = 9;
    this.bytes[LOCK_SYNC] = 0x01;
  }

  /** dB of a channel from 1: the coarse step less 9, and the half step. */
  gainDb(channel: number): number {
    const at = 3 * (channel - 1);
    return (this.bytes[at] ?? 0) - 9 + ((this.bytes[at + 1] ?? 0) & 1 ? 0.5 : 0);
  }

  phantom(channel: number): boolean {
    return ((this.bytes[3 * (channel - 1) + 2] ?? 0) & PHANTOM) !== 0;
  }

  get keysLocked(): boolean {
    return ((this.bytes[SETUP_2] ?? 0) & LOCK_KEYS) !== 0;
  }

  /** Somebody turns the encoder of a channel. @returns false where the keys are locked */
  turn(channel: number, gainDb: number): boolean {
    if (this.keysLocked) return false;
    const at = 3 * (channel - 1);
    this.bytes[at] = Math.floor(gainDb) + 9;
    this.bytes[at + 1] = ((this.bytes[at + 1] ?? 0) & ~1) | (gainDb % 1 === 0 ? 0 : 1);
    return true;
  }

  /** The meter moves: bits of the fine byte that only the unit writes. */
  meter(channel: number, level: number): void {
    const at = 3 * (channel - 1) + 1;
    this.bytes[at] = ((this.bytes[at] ?? 0) & ~0x3c) | ((level & 15) << 2);
  }

  /** A signal is too loud: where AutoSet is on, the unit lowers the gain by itself. */
  tooLoud(channel: number): void {
    const at = 3 * (channel - 1);
    if ((this.bytes[at + 2] ?? 0) & AUTOSET) this.bytes[at] = Math.max(0, (this.bytes[at] ?? 0) - 6);
  }

  hear(bytes: Uint8Array): void {
    for (const byte of bytes) {
      // Real-time messages may stand anywhere.
      if (byte >= 0xf8) continue;
      if (byte >= 0x80 && byte !== 0xf7) this.#begun = [];
      this.#begun.push(byte);
      if (byte === 0xf7) {
        const message = this.#begun;
        this.#begun = [];
        this.#obey(message);
      }
    }
  }

  #obey(message: number[]): void {
    const address = message[5];
    if (!HEAD.every((byte, i) => message[i] === byte)) return;
    // Each half of the address may be "all".
    if (address !== this.#address && address !== 0x7f) return;
    this.heard.push(Buffer.from(message).toString('hex'));
    const body = message.slice(7, -1);
    if (message[6] === 0x10) this.#dump();
    else if (message[6] === 0x20)
      for (let i = 0; i + 1 < body.length; i += 2) this.#set(body[i] as number, body[i + 1] as number);
  }

  #set(number: number, value: number): void {
    if (number >= PAIRS || number === LOCK_SYNC) return;
    if (number < SETUP_1) {
      const [channel, part] = [Math.floor(number / 3), number % 3];
      const front = ((this.bytes[3 * channel + 2] ?? 0) & FRONT) !== 0;
      // Out of range is limited without a word, and the front input has less of it.
      if (part === 0) this.bytes[number] = Math.min(value, front ? 50 : 85);
      // The meter bits are the unit's own.
      else if (part === 1) this.bytes[number] = (value & ~0x3c) | ((this.bytes[number] ?? 0) & 0x3c);
      else {
        this.bytes[number] = value;
        if (value & FRONT) this.bytes[3 * channel] = Math.min(this.bytes[3 * channel] ?? 0, 50);
      }
    } else this.bytes[number] = value;
  }

  #dump(): void {
    const pairs = this.bytes.flatMap((value, number) => [number, value]);
    const answer = [...HEAD, this.#address, 0x30, ...pairs, 0xf7];
    const said = this.spoil === undefined ? answer : this.spoil(answer);
    if (said !== undefined) this.#say(Uint8Array.from(said));
  }
}
