/**
 * A tape machine with a Sony 9-pin (P2) remote port, as the protocol manuals describe it. It is written from them alone and shares nothing with the
 * profile and its driver.
 *
 * RS-422, 38,400 baud 8O1. A block is command and count of its data in one byte, a second command byte, the data, and the sum of all bytes before it,
 * modulo 256.
 */

const ACK = [0x10, 0x01];
const NAK = 0x11;
/** Bits of a NAK. */
const [UNDEFINED, CHECKSUM, TIMEOUT] = [0x01, 0x04, 0x80];
/** Longest pause between two bytes of one block. */
const BYTE_GAP_MS = 10;

type Motion = 'stop' | 'play' | 'record' | 'forward' | 'rewind' | 'cue';

type Timecode = [number, number, number, number];

export interface NinePinOptions {
  deviceType?: [number, number];
  /** How many questions pass until the servo has locked after a start, or a cue has been reached. */
  lockAfterPolls?: number;
  /** How far from where it was sent the tape parks, in frames of 1/25 s. */
  parksOffFrames?: number;
  /** A machine without the bit "cue-up done": it stands, and that is all it says. */
  hasCueBit?: boolean;
  /** Checks the pause between bytes; a test whose host may stall leaves it out. */
  now?: () => number;
}

export class NinePinDeck {
  motion: Motion = 'stop';
  local = false;
  standby = false;
  cassette = true;
  hardError = false;
  recordInhibit = false;
  /** Hours, minutes, seconds, frames. */
  position: Timecode = [0, 0, 0, 0];
  cuedUp = false;
  /** Whole blocks as hex, oldest first. */
  readonly heard: string[] = [];
  spoil: ((answer: number[]) => number[] | undefined) | undefined;
  readonly #say: (bytes: Uint8Array) => void;
  readonly #deviceType: [number, number];
  readonly #lockAfterPolls: number;
  readonly #parksOffFrames: number;
  readonly #hasCueBit: boolean;
  readonly #now: (() => number) | undefined;
  #pollsSinceStart = 0;
  #target: Timecode = [0, 0, 0, 0];
  #begun: number[] = [];
  #lastByteAtMs = 0;

  constructor(say: (bytes: Uint8Array) => void, options: NinePinOptions = {}) {
    this.#say = say;
    this.#deviceType = options.deviceType ?? [0x25, 0x25];
    this.#lockAfterPolls = options.lockAfterPolls ?? 2;
    this.#parksOffFrames = options.parksOffFrames ?? 0;
    this.#hasCueBit = options.hasCueBit ?? true;
    this.#now = options.now;
  }

  /** Somebody flips the switch at the front: the remote port is deaf for commands from now on. */
  takeLocal(): void {
    this.local = true;
    this.motion = 'stop';
  }

  hear(bytes: Uint8Array): void {
    for (const byte of bytes) {
      const now = this.#now?.() ?? 0;
      if (this.#begun.length > 0 && this.#now && now - this.#lastByteAtMs > BYTE_GAP_MS) {
        this.#begun = [];
        this.#nak(TIMEOUT);
      }
      this.#lastByteAtMs = now;
      this.#begun.push(byte);
      const data = (this.#begun[0] as number) & 0x0f;
      if (this.#begun.length === data + 3) {
        const block = this.#begun;
        this.#begun = [];
        this.#block(block);
      }
    }
  }

  #block(block: number[]): void {
    this.heard.push(Buffer.from(block).toString('hex'));
    const sum = block.slice(0, -1).reduce((a, b) => a + b, 0) & 0xff;
    if (block.at(-1) !== sum) return this.#nak(CHECKSUM);
    const [first, second, ...rest] = block;
    this.#obey((first as number) >> 4, second as number, rest.slice(0, -1));
  }

  #obey(group: number, command: number, data: number[]): void {
    if (group === 0) return this.#system(command);
    if (group === 6) return this.#sense(command, data);
    if (this.local) return this.#nak(UNDEFINED);
    if (group === 2 && data.length === 0) return this.#transport(command);
    if (group === 2 && command === 0x31 && data.length === 4) {
      const [ff, ss, mm, hh] = data.map(fromBcd);
      if ([ff, ss, mm, hh].some((n) => n === undefined)) return this.#nak(UNDEFINED);
      this.#target = [hh, mm, ss, ff] as Timecode;
      this.#start('cue');
      return this.#block10();
    }
    return this.#nak(UNDEFINED);
  }

  #system(command: number): void {
    if (command === 0x11) return this.#answer([0x12, 0x11, ...this.#deviceType]);
    if (command === 0x0c) this.local = false;
    else if (command === 0x1d) this.local = true;
    else return this.#nak(UNDEFINED);
    this.#block10();
  }

  #transport(command: number): void {
    const motions: Record<string, Motion> = { 0: 'stop', 1: 'play', 2: 'record', 16: 'forward', 32: 'rewind' };
    const motion = motions[command];
    if (command === 4) this.standby = false;
    else if (command === 5) this.standby = true;
    else if (command === 15) {
      if (this.motion === 'record') return this.#nak(UNDEFINED);
      this.cassette = false;
      this.#start('stop');
    } else if (motion === undefined) return this.#nak(UNDEFINED);
    else if (motion === 'record' && this.recordInhibit) return this.#nak(UNDEFINED);
    else this.#start(motion);
    this.#block10();
  }

  #start(motion: Motion): void {
    this.motion = motion;
    this.cuedUp = false;
    this.#pollsSinceStart = 0;
  }

  #sense(command: number, data: number[]): void {
    this.#pollsSinceStart++;
    if (this.motion === 'cue' && this.#arrived) {
      this.position = moved(this.#target, this.#parksOffFrames);
      this.cuedUp = true;
    }
    if (command === 0x0c) {
      const [hh, mm, ss, ff] = this.position.map(toBcd);
      return this.#answer([0x74, 0x04, ff as number, ss as number, mm as number, hh as number]);
    }
    if (command !== 0x20 || data.length !== 1) return this.#nak(UNDEFINED);
    const [start, count] = [(data[0] as number) >> 4, (data[0] as number) & 15];
    if (count === 0) return this.#nak(UNDEFINED);
    const status = this.#status().slice(start, start + count);
    this.#answer([0x70 | status.length, 0x20, ...status]);
  }

  get #arrived(): boolean {
    return this.#pollsSinceStart > this.#lockAfterPolls;
  }

  #status(): number[] {
    const { motion } = this;
    const status = Array.from({ length: 10 }, () => 0);
    status[0] = (this.local ? 0x01 : 0) | (this.hardError ? 0x04 : 0) | (this.cassette ? 0 : 0x20);
    status[1] =
      (motion === 'play' || motion === 'record' ? 0x01 : 0) |
      (motion === 'record' ? 0x02 : 0) |
      (motion === 'forward' ? 0x04 : 0) |
      (motion === 'rewind' ? 0x08 : 0) |
      (motion === 'stop' || this.cuedUp ? 0x20 : 0) |
      (this.standby ? 0x80 : 0);
    const servo = (motion === 'play' || motion === 'record') && this.#arrived;
    status[2] = (this.cuedUp && this.#hasCueBit ? 0x01 : 0) | (servo ? 0x80 : 0);
    status[8] = this.recordInhibit ? 0x01 : 0;
    return status;
  }

  #block10(): void {
    this.#answer(ACK);
  }

  #nak(error: number): void {
    this.#answer([NAK, 0x12, error]);
  }

  #answer(bytes: number[]): void {
    const whole = [...bytes, bytes.reduce((a, b) => a + b, 0) & 0xff];
    const said = this.spoil === undefined ? whole : this.spoil(whole);
    if (said !== undefined) this.#say(Uint8Array.from(said));
  }
}

function moved([hh, mm, ss, ff]: Timecode, frames: number): Timecode {
  const all = ((hh * 60 + mm) * 60 + ss) * 25 + ff + frames;
  return [Math.floor(all / 90_000), Math.floor(all / 1500) % 60, Math.floor(all / 25) % 60, all % 25];
}

function fromBcd(byte: number): number | undefined {
  const [tens, ones] = [byte >> 4, byte & 15];
  return tens > 9 || ones > 9 ? undefined : tens * 10 + ones;
}

function toBcd(n: number): number {
  return (Math.floor(n / 10) << 4) | (n % 10);
}
