/**
 * An Extron CrossPoint 300 168 HVA as its manual describes it (SIS commands, chapter 4). It is written from the manual alone and shares nothing with
 * the profile: what both agree on is what the manual says.
 *
 * Commands have no end: each is over with its letter or mark. Answers end in CR LF. Sixteen inputs, eight outputs.
 */

const PART = '60-330-16';
const INPUTS = 16;
const OUTPUTS = 8;

export class ExtronCrossPoint {
  /** dB, by input from 1. */
  readonly inputGain = new Map<number, number>();
  /** Volume steps 0 to 64, by output from 1. */
  readonly volume = new Map<number, number>();
  readonly muted = new Set<number>();
  /** Input of each output; 0 is none. */
  readonly tie = new Map<number, number>();
  panelLock = 0;
  firmware = '1.23';
  /** Every command that was understood or refused, oldest first. */
  readonly commands: string[] = [];
  /** For what happens on a bad day: the answer to a command, changed or withheld. */
  spoil: ((command: string, answer: string) => string | undefined) | undefined;
  readonly #say: (text: string) => void;
  #begun = '';

  constructor(say: (text: string) => void) {
    this.#say = say;
    this.reset();
  }

  /** As it leaves the factory: no ties, full volume. */
  reset(): void {
    for (let input = 1; input <= INPUTS; input++) this.inputGain.set(input, 0);
    for (let output = 1; output <= OUTPUTS; output++) this.volume.set(output, 64);
    for (let output = 1; output <= OUTPUTS; output++) this.tie.set(output, 0);
    this.muted.clear();
    this.panelLock = 0;
  }

  /** Power off and on: settings stay, they are in non-volatile memory; the lock does not. */
  powerCycle(): void {
    this.panelLock = 0;
    this.#begun = '';
    this.#say(`(c) Copyright 2007, Extron Electronics, CrossPoint 300 168 HVA, V${this.firmware}, ${PART}\r\n`);
  }

  /** Somebody presses the volume keys at the front panel. */
  turnVolume(output: number, step: number): void {
    this.volume.set(output, step);
    this.#say(`Out${two(output)} Vol${two(step)}\r\n`);
  }

  /** Somebody makes a tie at the front panel. */
  pressTie(input: number, output: number): void {
    this.tie.set(output, input);
    this.#say('Qik\r\n');
  }

  hear(text: string): void {
    for (const character of text) {
      // Spaces, line ends and whatever else is no part of a command are passed over.
      if (!/[\d*A-Za-z!$&%,]/.test(character)) continue;
      this.#begun += character;
      if (/[A-Za-z!$&%,]/.test(character)) {
        const command = this.#begun;
        this.#begun = '';
        this.#answer(command);
      }
    }
  }

  #answer(command: string): void {
    this.commands.push(command);
    const answer = this.#obey(command);
    const said = this.spoil === undefined ? answer : this.spoil(command, answer);
    if (said !== undefined) this.#say(`${said}\r\n`);
  }

  #obey(command: string): string {
    const letter = command.slice(-1);
    const numbers = command.slice(0, -1).split('*');
    if (numbers.some((number) => !/^\d{0,3}$/.test(number))) return 'E10';
    const [first, second] = numbers.map((number) => (number === '' ? undefined : Number(number)));
    switch (letter) {
      case 'N':
      case 'n':
        return PART;
      case 'Q':
      case 'q':
        return this.firmware;
      case 'I':
      case 'i':
        return `V${two(OUTPUTS)}X${two(INPUTS)} A${two(OUTPUTS)}X${two(INPUTS)}`;
      case 'G':
        return this.#gain(first, second, 1, 24);
      case 'g':
        return this.#gain(first, second, -1, 18);
      case 'V':
      case 'v':
        return this.#volume(first, second);
      case 'Z':
      case 'z':
        return this.#mute(first, second);
      case '!':
        return this.#tie(first, second, 'All');
      case '$':
        return this.#tie(first, second, 'Aud');
      case 'X':
      case 'x':
        return this.#lock(first);
      default:
        return 'E10';
    }
  }

  #gain(input: number | undefined, size: number | undefined, sign: 1 | -1, largest: number): string {
    if (input === undefined || input < 1 || input > INPUTS) return 'E01';
    if (size === undefined) return signed(this.inputGain.get(input) ?? 0);
    if (size > largest || (sign < 0 && size < 1)) return 'E13';
    this.inputGain.set(input, sign * size);
    return `In${two(input)} Aud${signed(sign * size)}`;
  }

  #volume(output: number | undefined, step: number | undefined): string {
    if (output === undefined || output < 1 || output > OUTPUTS) return 'E12';
    if (step === undefined) return two(this.volume.get(output) ?? 0);
    if (step > 64) return 'E13';
    this.volume.set(output, step);
    return `Out${two(output)} Vol${two(step)}`;
  }

  #mute(output: number | undefined, state: number | undefined): string {
    if (output === undefined || output < 1 || output > OUTPUTS) return 'E12';
    if (state === undefined) return this.muted.has(output) ? '1' : '0';
    if (state > 1) return 'E13';
    if (state === 1) this.muted.add(output);
    else this.muted.delete(output);
    return `Amt${two(output)}*${state}`;
  }

  #tie(first: number | undefined, second: number | undefined, planes: string): string {
    if (second === undefined) {
      if (first === undefined || first < 1 || first > OUTPUTS) return 'E12';
      return two(this.tie.get(first) ?? 0);
    }
    if (first === undefined || first > INPUTS) return 'E01';
    if (second < 1 || second > OUTPUTS) return 'E12';
    this.tie.set(second, first);
    return `Out${two(second)} In${two(first)} ${planes}`;
  }

  #lock(mode: number | undefined): string {
    if (mode === undefined) return String(this.panelLock);
    if (mode > 2) return 'E13';
    this.panelLock = mode;
    return `Exe${mode}`;
  }

  /** dB at the output, as the manual's table has it for this model: 1 dB a step, and a mute-like 0. */
  volumeDb(output: number): number {
    const step = this.volume.get(output) ?? 0;
    return step === 0 ? -85 : step - 64;
  }
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function signed(n: number): string {
  return `${n < 0 ? '-' : '+'}${two(Math.abs(n))}`;
}
