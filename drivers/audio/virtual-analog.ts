/**
 * The simulated analog side: what hangs between the send and the return channels of the virtual interface.
 *
 * Each insert loops its sends to its returns through a path (virtual-path.ts); a channel without an insert loops nothing. At the
 * returns, what leaks from the inputs of other inserts is added. Its time is the stream's: while the clock stands still, or no stream
 * runs, everything keeps what it remembers.
 */
import { type InsertConfig, VirtualPath } from '../../core/contract/config.js';
import { OutboardError } from '../../core/errors.js';
import { dbToRatio } from '../../core/units.js';
import type { PathModifier } from '../processors/path-modifier.js';
import {
  isConnected,
  type PatchedChannel,
  type PatchLeaks,
  patchedChannels,
  patchLeaks,
  VirtualPatchbay,
} from './virtual-patchbay.js';
import { VirtualChannel } from './virtual-path.js';

export type { PathModifier } from '../processors/path-modifier.js';

/** The most frames that `process` takes at once. */
export const ANALOG_BLOCK_FRAMES = 512;

export interface CrosstalkConfig {
  from: string;
  to: string;
  db: number;
}

type InsertWires = Pick<InsertConfig, 'sends' | 'returns' | 'path' | 'via'>;

interface Insert {
  /** Indices from 0. */
  sends: number[];
  returns: number[];
  path: VirtualPath;
  modifier: LiveModifier;
  channels: VirtualChannel[];
  /** Linear; what each return also hears of every other one. */
  crosstalk: number;
  /** Per channel, where the insert leads through patchbays. */
  patched: PatchedChannel[] | null;
}

/** A channel behind patchbays and its sound in the present block. */
interface Patched {
  channel: PatchedChannel;
  path: VirtualChannel;
  into: Float64Array;
  outOf: Float64Array;
}

interface Leak {
  send: number;
  return: number;
  gain: number;
}

export class VirtualAnalog {
  /** Called before a modifier changes, so that a clock that is behind can catch up with the old value. */
  beforeChange: () => void = () => {};
  readonly #inserts = new Map<string, Insert>();
  readonly #leaks: Leak[] = [];
  readonly #sum = new Float64Array(ANALOG_BLOCK_FRAMES);
  readonly #patchbays = new Map<string, VirtualPatchbay>();
  readonly #patched: Patched[] = [];
  #patchLeaks: PatchLeaks<Patched> = { sendToUnit: [], sendToReturn: [], unitToReturn: [] };

  /**
   * @param inserts as in the rig's configuration; one without `path` is an ideal wire
   * @param crosstalk what leaks, at which level, from the input of one insert to the return of another
   * @param leakage what leaks in a patchbay from every input to every output
   * @throws OutboardError config.invalid
   */
  constructor(
    inserts: Readonly<Record<string, InsertWires>>,
    crosstalk: readonly CrosstalkConfig[] = [],
    leakage: readonly { patchbay: string; db: number }[] = [],
  ) {
    for (const [name, config] of Object.entries(inserts)) this.#addInsert(name, config);
    for (const leak of crosstalk) this.#addLeaks(leak);
    this.#patchLeaks = patchLeaks(this.#patched, new Map(leakage.map(({ patchbay, db }) => [patchbay, db])));
  }

  /** What a simulated unit moves: the patchbay of this name, the path of its insert, or nothing that can be heard. */
  modifierOf(processor: string, insert: string | undefined): PathModifier {
    if (insert !== undefined) return this.modifier(insert);
    return this.#patchbays.get(processor) ?? { gainDb: 0, muted: false, delaySeconds: 0 };
  }

  /** What a simulated processor does to its insert: changes are heard from the next block on. @throws RangeError */
  modifier(insert: string): PathModifier {
    const found = this.#inserts.get(insert);
    if (found === undefined) throw new RangeError(`no insert ${insert}`);
    return found.modifier;
  }

  /** @throws OutboardError config.invalid for channels that the interface does not have, or a filter that a rate cannot hold */
  check(interfaceConfig: { in: number; out: number; rates: readonly number[] }): void {
    for (const [name, insert] of this.#inserts) {
      for (const send of insert.sends) {
        if (send >= interfaceConfig.out) throw invalid(name, `send ${send + 1} of ${interfaceConfig.out} outputs`);
      }
      for (const back of insert.returns) {
        if (back >= interfaceConfig.in) throw invalid(name, `return ${back + 1} of ${interfaceConfig.in} inputs`);
      }
      const { lowpassHz } = insert.path;
      const slowest = Math.min(...interfaceConfig.rates);
      if (lowpassHz !== null && lowpassHz >= slowest / 2) {
        throw invalid(name, `path.lowpassHz ${lowpassHz} is not under half of the lowest rate, ${slowest}`);
      }
    }
  }

  /** Sets the rate of the stream that begins. */
  prepare(rateHz: number): void {
    for (const insert of this.#inserts.values()) for (const channel of insert.channels) channel.prepare(rateHz);
  }

  /** True where an insert hangs on this output (index from 0). */
  usesSend(send: number): boolean {
    return [...this.#inserts.values()].some((insert) => insert.sends.includes(send));
  }

  /** True where an insert hangs on this input (index from 0). */
  usesReturn(back: number): boolean {
    return [...this.#inserts.values()].some((insert) => insert.returns.includes(back));
  }

  /**
   * Runs a block.
   * @param sends one array per output, full scale 1.0; not changed
   * @param returns one array per input; those that belong to an insert are overwritten
   */
  process(sends: readonly Float64Array[], returns: readonly Float64Array[], frames: number): void {
    for (const insert of this.#inserts.values()) {
      if (insert.patched) continue;
      for (let i = 0; i < insert.channels.length; i++) {
        const block = returns[insert.returns[i]!]!;
        copy(sends[insert.sends[i]!]!, block, frames);
        insert.channels[i]!.process(block, frames);
      }
      if (insert.crosstalk > 0) this.#leakWithin(insert, returns, frames);
    }
    this.#processPatched(sends, returns, frames);
    for (const leak of this.#leaks) mix(sends[leak.send]!, returns[leak.return]!, frames, leak.gain);
  }

  /** R' = R + k L and L' = L + k R, both from what they were before: (1 - k) of itself and k of the sum of all. */
  #leakWithin({ returns: own, crosstalk }: Insert, returns: readonly Float64Array[], frames: number): void {
    const sum = this.#sum;
    sum.fill(0, 0, frames);
    for (const back of own) mix(returns[back]!, sum, frames, 1);
    for (const back of own) {
      const block = returns[back]!;
      for (let i = 0; i < frames; i++) block[i] = (1 - crosstalk) * block[i]! + crosstalk * sum[i]!;
    }
  }

  #processPatched(sends: readonly Float64Array[], returns: readonly Float64Array[], frames: number): void {
    for (const { channel, into } of this.#patched) {
      returns[channel.back]!.fill(0, 0, frames);
      if (isConnected(channel)) copy(sends[channel.send]!, into, frames);
      else into.fill(0, 0, frames);
    }
    const { sendToUnit, sendToReturn, unitToReturn } = this.#patchLeaks;
    for (const { send, to, gain } of sendToUnit) mix(sends[send]!, to.into, frames, gain);
    for (const { channel, path, into, outOf } of this.#patched) {
      copy(into, outOf, frames);
      path.process(outOf, frames);
      if (isConnected(channel)) mix(outOf, returns[channel.back]!, frames, 1);
    }
    for (const { send, back, gain } of sendToReturn) mix(sends[send]!, returns[back]!, frames, gain);
    for (const { from, back, gain } of unitToReturn) mix(from.outOf, returns[back]!, frames, gain);
  }

  /** Frames of silence after which no insert remembers anything. */
  get forgetsAfterFrames(): number {
    let most = 0;
    for (const insert of this.#inserts.values()) {
      for (const channel of insert.channels) most = Math.max(most, channel.forgetsAfterFrames);
    }
    return most;
  }

  #addInsert(name: string, config: InsertWires): void {
    const { sends, returns, via } = config;
    if (sends.length !== returns.length) {
      throw invalid(
        name,
        `${sends.length} sends and ${returns.length} returns; the simulated path needs as many of each`,
      );
    }
    // Behind patchbays inserts take turns on a channel.
    const taken = (side: 'sends' | 'returns', channel: number) =>
      [...this.#inserts.values()].some((other) => other[side].includes(channel - 1) && !(via && other.patched));
    for (const send of sends) if (taken('sends', send)) throw invalid(name, `send ${send} belongs to another insert`);
    for (const back of returns)
      if (taken('returns', back)) throw invalid(name, `return ${back} belongs to another insert`);
    if (new Set(sends).size < sends.length) throw invalid(name, 'a send is listed twice');
    if (new Set(returns).size < returns.length) throw invalid(name, 'a return is listed twice');
    const path = config.path ?? VirtualPath.parse({});
    if (path.crosstalkDb !== null && via)
      throw invalid(
        name,
        'path.crosstalkDb is for inserts that no patchbay stands before: say interface.leakage there',
      );
    const modifier = new LiveModifier(() => this.beforeChange());
    const channels = sends.map((_, i) => new VirtualChannel(path, modifier, `${name}/${i + 1}`));
    const patched = via ? patchedChannels(name, config, (bay) => this.#patchbay(bay)) : null;
    patched?.forEach((channel, i) => {
      const block = () => new Float64Array(ANALOG_BLOCK_FRAMES);
      this.#patched.push({ channel, path: channels[i]!, into: block(), outOf: block() });
    });
    this.#inserts.set(name, {
      sends: sends.map((c) => c - 1),
      returns: returns.map((c) => c - 1),
      path,
      modifier,
      channels,
      crosstalk: path.crosstalkDb === null ? 0 : dbToRatio(path.crosstalkDb),
      patched,
    });
  }

  #patchbay(name: string): VirtualPatchbay {
    const known = this.#patchbays.get(name) ?? new VirtualPatchbay(() => this.beforeChange());
    this.#patchbays.set(name, known);
    return known;
  }

  /** Every channel of `from` leaks, and every channel of `to` hears one: the pairs go round where the widths differ. */
  #addLeaks({ from, to, db }: CrosstalkConfig): void {
    const source = this.#inserts.get(from);
    const victim = this.#inserts.get(to);
    if (source === undefined || victim === undefined || source === victim) {
      throw new OutboardError('config.invalid', `interface.crosstalk: no crosstalk from ${from} to ${to} can be.`);
    }
    for (let i = 0; i < Math.max(source.sends.length, victim.returns.length); i++) {
      this.#leaks.push({
        send: source.sends[i % source.sends.length]!,
        return: victim.returns[i % victim.returns.length]!,
        gain: dbToRatio(db),
      });
    }
  }
}

/** A modifier that says before it changes. */
class LiveModifier implements PathModifier {
  readonly #before: () => void;
  #gainDb = 0;
  #muted = false;
  #delaySeconds = 0;
  #erasing = false;

  constructor(before: () => void) {
    this.#before = before;
  }

  get gainDb(): number {
    return this.#gainDb;
  }

  set gainDb(value: number) {
    if (!Number.isFinite(value)) throw new RangeError(`gainDb: ${value}`);
    this.#before();
    this.#gainDb = value;
  }

  get muted(): boolean {
    return this.#muted;
  }

  set muted(value: boolean) {
    this.#before();
    this.#muted = value;
  }

  get erasing(): boolean {
    return this.#erasing;
  }

  set erasing(value: boolean) {
    this.#before();
    this.#erasing = value;
  }

  get delaySeconds(): number {
    return this.#delaySeconds;
  }

  set delaySeconds(value: number) {
    if (!Number.isFinite(value) || value < 0) throw new RangeError(`delaySeconds: ${value}`);
    this.#before();
    this.#delaySeconds = value;
  }
}

function invalid(insert: string, what: string): OutboardError {
  return new OutboardError('config.invalid', `inserts.${insert}: ${what}.`);
}

function copy(from: Float64Array, to: Float64Array, frames: number): void {
  for (let i = 0; i < frames; i++) to[i] = from[i]!;
}

function mix(from: Float64Array, into: Float64Array, frames: number, gain: number): void {
  for (let i = 0; i < frames; i++) into[i] = into[i]! + from[i]! * gain;
}
