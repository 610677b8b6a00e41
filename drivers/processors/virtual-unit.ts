/**
 * The wire to a simulated unit, with the faults that real wires and real units have. What is set stays set while nobody is connected, as it does
 * in the gear.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import type { PathModifier } from './path-modifier.js';
import type { Profile } from './profile.js';
import { SimulatedUnit } from './simulated-unit.js';
import type { Link, LinkListener, Transport } from './transport.js';

/** A fault in the answer to one command. `times` of them follow each other. */
export type AnswerFault =
  | { kind: 'late'; ms: number }
  /** Only so many bytes of the answer come. */
  | { kind: 'partial'; bytes: number }
  /** These bytes come instead of the answer. */
  | { kind: 'instead'; bytes: Uint8Array }
  /** These bytes come right before the answer. */
  | { kind: 'before'; bytes: Uint8Array }
  /** The command is obeyed, and nothing is said. */
  | { kind: 'silent' }
  /** The command does not reach the unit. */
  | { kind: 'deaf' }
  | { kind: 'busy' }
  /** The unit restarts instead of obeying. */
  | { kind: 'reboot' }
  /** The link goes away instead of the answer. */
  | { kind: 'close' };

export interface VirtualTransport extends Transport {
  /** The simulated hardware: for hearing what it has and for turning its knobs unannounced. */
  readonly unit: SimulatedUnit;
  /** Commands that reached the unit, oldest first, the last thousand. */
  readonly heard: readonly string[];
  /** The next answers fail like this; faults queue. */
  inject(fault: AnswerFault, times?: number): void;
  /** Somebody turns a knob; the unit says `announce` unasked, or nothing. */
  localChange(key: string, value: SettingValue, announce?: string): void;
  /** Power off and on: the link stays, the settings go, the banner comes. */
  reboot(): void;
  /** Pulls the cable. */
  unplug(): void;
  /** As long as it is false, there is nothing to open. */
  plugged: boolean;
}

const HEARD = 1000;

/**
 * Makes the simulated unit of a profile and the wire to it; it moves `modifier` at once, to what the unit has at power-up.
 */
export function createVirtualTransport(profile: Profile, modifier: PathModifier): VirtualTransport {
  return new SimulatedWire(profile, modifier);
}

class SimulatedWire implements VirtualTransport {
  readonly description: string;
  readonly unit: SimulatedUnit;
  readonly heard: string[] = [];
  plugged = true;
  readonly #profile: Profile;
  readonly #faults: AnswerFault[] = [];
  #link: SimulatedLink | undefined;
  /** Monotonic time until which the unit starts up and hears nothing. */
  #deafUntilMs = 0;
  /** Answers leave in the order of the commands. */
  #answering: Promise<void> = Promise.resolve();

  constructor(profile: Profile, modifier: PathModifier) {
    this.#profile = profile;
    this.description = `simulated ${profile.id}`;
    this.unit = new SimulatedUnit(profile, modifier);
  }

  async open(listener: LinkListener, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    if (!this.plugged) throw new OutboardError('processor.lost', `${this.description} is not plugged in`);
    if (this.#link?.isOpen) throw new OutboardError('processor.lost', `${this.description} is open already`);
    this.#link = new SimulatedLink(listener, (bytes) => this.#receive(bytes));
    return this.#link;
  }

  inject(fault: AnswerFault, times = 1): void {
    for (let i = 0; i < times; i++) this.#faults.push(fault);
  }

  localChange(key: string, value: SettingValue, announce?: string): void {
    this.unit.turn(key, value);
    if (announce !== undefined) this.#say(announce);
  }

  reboot(): void {
    const { bootMs = 0 } = this.#profile.document.sim;
    const banner = this.unit.banner;
    this.unit.restart();
    this.#deafUntilMs = performance.now() + bootMs;
    const link = this.#link;
    void sleep(bootMs).then(() => {
      if (banner !== undefined && this.#link === link) this.#say(banner);
    });
  }

  unplug(): void {
    this.plugged = false;
    this.#link?.fail(new Error(`${this.description} was unplugged`));
  }

  #receive(bytes: Uint8Array): void {
    if (performance.now() < this.#deafUntilMs) return;
    for (const command of this.unit.hear(bytes, performance.now())) {
      this.heard.push(command);
      if (this.heard.length > HEARD) this.heard.shift();
      const link = this.#link;
      const fault = this.#faults.shift();
      this.#answering = this.#answering.then(() => this.#answer(command, fault, link));
    }
  }

  async #answer(command: string, fault: AnswerFault | undefined, link: SimulatedLink | undefined): Promise<void> {
    const [shortest, longest] = this.#profile.document.sim.replyMs;
    await sleep(shortest + Math.random() * (longest - shortest));
    if (fault?.kind === 'deaf') return;
    if (fault?.kind === 'reboot') return this.reboot();
    if (fault?.kind === 'close') return link?.fail(new Error(`${this.description} went away`));
    const line = fault?.kind === 'busy' ? this.unit.error('busy') : this.unit.obey(command);
    if (line === undefined || fault?.kind === 'silent') return;
    const answer = Buffer.from(line + this.#profile.framing.rxEnd, 'latin1');
    if (fault?.kind === 'late') await sleep(fault.ms);
    if (fault?.kind === 'before') link?.deliver(fault.bytes);
    if (fault?.kind === 'instead') link?.deliver(fault.bytes);
    else link?.deliver(fault?.kind === 'partial' ? answer.subarray(0, fault.bytes) : answer);
  }

  #say(line: string): void {
    this.#link?.deliver(Buffer.from(line + this.#profile.framing.rxEnd, 'latin1'));
  }
}

class SimulatedLink implements Link {
  readonly #listener: LinkListener;
  readonly #received: (bytes: Uint8Array) => void;
  isOpen = true;

  constructor(listener: LinkListener, received: (bytes: Uint8Array) => void) {
    this.#listener = listener;
    this.#received = received;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.isOpen) throw new Error('the link is closed');
    this.#received(Uint8Array.from(bytes));
  }

  async close(): Promise<void> {
    this.isOpen = false;
  }

  deliver(bytes: Uint8Array): void {
    if (this.isOpen) this.#listener.data(bytes);
  }

  fail(error: Error): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#listener.lost(error);
  }
}
