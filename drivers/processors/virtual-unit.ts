/** Simulated units as units of a rig: behind a wire inside of this process, at once and without loss, unless a fault is wanted. */
import type { SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import type { PathModifier } from './path-modifier.js';
import type { Profile } from './profile.js';
import { type AnswerFault, type NearEnd, SimulatedEnd } from './simulated-end.js';
import type { SimulatedUnit } from './simulated-unit.js';
import type { Link, LinkListener, Transport } from './transport.js';

export type { AnswerFault } from './simulated-end.js';

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

/** A link that is open, as far as its transport has to know it. */
export interface VirtualLink extends Link, NearEnd {
  readonly isOpen: boolean;
}

/**
 * Makes the simulated unit of a profile and the wire to it; it moves `modifier` at once, to what the unit has at power-up.
 */
export function createVirtualTransport(profile: Profile, modifier: PathModifier): VirtualTransport {
  return new SimulatedWire(profile, modifier);
}

/** What all wires to a simulated unit have in common; one lays the wire in `connect`. */
export abstract class VirtualWire implements VirtualTransport {
  readonly description: string;
  plugged = true;
  protected readonly end: SimulatedEnd;
  #link: VirtualLink | undefined;

  constructor(profile: Profile, modifier: PathModifier, wire = '') {
    this.description = `simulated ${profile.id}${wire}`;
    this.end = new SimulatedEnd(profile, modifier, this.description);
  }

  protected abstract connect(listener: LinkListener, signal: AbortSignal): Promise<VirtualLink>;

  get unit(): SimulatedUnit {
    return this.end.unit;
  }

  get heard(): readonly string[] {
    return this.end.heard;
  }

  async open(listener: LinkListener, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    if (!this.plugged) throw new OutboardError('processor.lost', `${this.description} is not plugged in`);
    if (this.#link?.isOpen) throw new OutboardError('processor.lost', `${this.description} is open already`);
    this.#link = await this.connect(listener, signal);
    this.end.connect(this.#link);
    return this.#link;
  }

  inject(fault: AnswerFault, times = 1): void {
    this.end.inject(fault, times);
  }

  localChange(key: string, value: SettingValue, announce?: string): void {
    this.end.localChange(key, value, announce);
  }

  reboot(): void {
    this.end.reboot();
  }

  unplug(): void {
    this.plugged = false;
    this.end.cut(new Error(`${this.description} was unplugged`));
  }
}

class SimulatedWire extends VirtualWire {
  protected override async connect(listener: LinkListener): Promise<VirtualLink> {
    return new SimulatedLink(listener, (bytes) => this.end.receive(bytes));
  }
}

class SimulatedLink implements VirtualLink {
  readonly #listener: LinkListener;
  readonly #received: (bytes: Uint8Array) => void;
  isOpen = true;

  constructor(listener: LinkListener, received: (bytes: Uint8Array) => void) {
    this.#listener = listener;
    this.#received = received;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (!this.isOpen) throw new Error('the link is closed');
    this.#received(Uint8Array.from(bytes));
    return performance.now();
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
