/**
 * The far end of a wire: a simulated unit with the faults that real units and real wires have. It takes bytes and says bytes; which wire lies between
 * is not its business. What is set stays set while nobody is connected, as it does in the gear.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SettingValue } from '../../core/contract/primitives.js';
import type { PathModifier } from './path-modifier.js';
import type { Profile } from './profile.js';
import { SimulatedUnit } from './simulated-unit.js';

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

/** One laying of the wire, seen from the unit. */
export interface NearEnd {
  deliver(bytes: Uint8Array): void;
  /** The wire is cut. */
  fail(error: Error): void;
}

const HEARD = 1000;

export class SimulatedEnd {
  readonly unit: SimulatedUnit;
  /** Commands that reached the unit, oldest first, the last thousand. */
  readonly heard: string[] = [];
  readonly #profile: Profile;
  readonly #name: string;
  readonly #faults: AnswerFault[] = [];
  #near: NearEnd | undefined;
  /** Monotonic time until which the unit starts up and hears nothing. */
  #deafUntilMs = 0;
  /** Answers leave in the order of the commands. */
  #answering: Promise<void> = Promise.resolve();

  /** `modifier` moves at once, to what the unit has at power-up. `name` is for messages. */
  constructor(profile: Profile, modifier: PathModifier, name: string) {
    this.#profile = profile;
    this.#name = name;
    this.unit = new SimulatedUnit(profile, modifier);
  }

  /** From now on it speaks to this one; undefined: to nobody. */
  connect(near: NearEnd | undefined): void {
    this.#near = near;
  }

  cut(error: Error): void {
    this.#near?.fail(error);
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
    const near = this.#near;
    void sleep(bootMs).then(() => {
      if (banner !== undefined && this.#near === near) this.#say(banner);
    });
  }

  /** Bytes arrive at the unit. */
  receive(bytes: Uint8Array): void {
    if (performance.now() < this.#deafUntilMs) return;
    for (const command of this.unit.hear(bytes, performance.now())) {
      this.heard.push(command);
      if (this.heard.length > HEARD) this.heard.shift();
      const near = this.#near;
      const fault = this.#faults.shift();
      this.#answering = this.#answering.then(() => this.#answer(command, fault, near));
    }
  }

  async #answer(command: string, fault: AnswerFault | undefined, near: NearEnd | undefined): Promise<void> {
    const [shortest, longest] = this.#profile.document.sim.replyMs;
    if (longest > 0) await sleep(shortest + Math.random() * (longest - shortest));
    if (fault?.kind === 'deaf') return;
    if (fault?.kind === 'reboot') return this.reboot();
    if (fault?.kind === 'close') return near?.fail(new Error(`${this.#name} went away`));
    const said = fault?.kind === 'busy' ? this.unit.error('busy') : this.unit.obey(command);
    if (said === undefined || fault?.kind === 'silent') return;
    const answer = Buffer.from(said + this.#profile.framing.rxEnd, 'latin1');
    if (fault?.kind === 'late') await sleep(fault.ms);
    if (fault?.kind === 'before') near?.deliver(fault.bytes);
    if (fault?.kind === 'instead') near?.deliver(fault.bytes);
    else near?.deliver(fault?.kind === 'partial' ? answer.subarray(0, fault.bytes) : answer);
  }

  #say(said: string): void {
    this.#near?.deliver(Buffer.from(said + this.#profile.framing.rxEnd, 'latin1'));
  }
}
