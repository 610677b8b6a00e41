/**
 * The recall of settings on a link that stands: what has to hold first, what is held meanwhile, steps where a jump would be heard, then
 * everything read back, and time to settle.
 */
import { OutboardError } from '../../core/errors.js';
import type { Conversation } from './conversation.js';
import { absolute, compare, subtract } from './decimal.js';
import type { Exchange, Reading } from './exchange.js';
import { heldWhile } from './interlock.js';
import { type Knowledge, readsBack } from './knowledge.js';
import { sameValue, settlingMs } from './parameter.js';
import type { Profile } from './profile.js';
import { companions, resolveSettings, type Target } from './settings.js';
import { slewSteps } from './slew.js';

export interface Applied {
  /** What was read back, by key. */
  readonly readings: ReadonlyMap<string, Reading>;
  /** Milliseconds from the first byte to the last read-back; without the settling. */
  readonly wireMs: number;
}

export interface RecallOptions {
  /** Waited even where nothing changed. */
  leastSettleMs?: number;
  /**
   * For the safe state: straight to the values, in the order given, without steps, interlocks and preconditions; what one setting refuses
   * does not keep the others from theirs.
   */
  direct?: boolean;
  /** Ends it behind the command in flight, and whatever it waits for. What an interlock holds stays held. */
  signal?: AbortSignal;
}

export class Recall {
  readonly #name: string;
  readonly #profile: Profile;
  readonly #conversation: Conversation;
  readonly #exchange: Exchange;
  readonly #known: Knowledge;

  constructor(
    name: string,
    profile: Profile,
    link: { conversation: Conversation; exchange: Exchange },
    known: Knowledge,
  ) {
    this.#name = name;
    this.#profile = profile;
    this.#conversation = link.conversation;
    this.#exchange = link.exchange;
    this.#known = known;
  }

  /** Sets, reads back, settles. @throws OutboardError job.setting before anything is sent | processor.*; the signal's reason */
  async apply(
    targets: readonly Target[],
    { leastSettleMs = 0, direct = false, signal }: RecallOptions = {},
  ): Promise<Applied> {
    const beganAtMs = performance.now();
    const { disturbances } = this.#known;
    const pass = new Pass(targets, leastSettleMs, signal);
    this.#exchange.forgetDumps();
    this.#conversation.slowestAnswerMs = 0;
    if (direct) await this.#straight(pass);
    else await this.#gently(pass);
    const readings = pass.failure === undefined ? await this.#verify(pass) : new Map<string, Reading>();
    const { lastByteAtMs } = this.#conversation;
    const wireMs = targets.length === 0 ? 0 : Math.max(0, lastByteAtMs - beganAtMs);
    const settledAtMs = lastByteAtMs + pass.settleMs;
    await this.#conversation.rest(settledAtMs - performance.now(), signal);
    if (pass.failure !== undefined) throw pass.failure;
    if (this.#known.disturbances !== disturbances)
      throw this.#unverified('somebody changed a setting at the unit during the recall', {});
    return { readings, wireMs };
  }

  /** One reading of each setting that can be read; what a dump holds comes from one dump. @throws OutboardError processor.*; the signal's reason */
  async read(targets: readonly Target[], signal?: AbortSignal): Promise<Map<string, Reading>> {
    const readings = new Map<string, Reading>();
    const inDumps = new Map<string, Target[]>();
    for (const target of targets) {
      signal?.throwIfAborted();
      const { verifyBy, codec } = target.parameter;
      if (verifyBy === 'dump' && codec.read?.kind === 'dump') {
        const name = codec.read.dump(target.index);
        inDumps.set(name, [...(inDumps.get(name) ?? []), target]);
      } else if (readsBack(target.parameter)) readings.set(target.key, await this.#exchange.read(target, signal));
    }
    for (const [name, list] of inDumps) {
      const found = await this.#exchange.readDump(name, list, signal);
      for (const [i, target] of list.entries()) readings.set(target.key, found[i]);
    }
    for (const [key, reading] of readings) if (reading !== undefined) this.#known.heard(key, reading.w);
    return readings;
  }

  async #straight(pass: Pass): Promise<void> {
    for (const target of pass.targets) {
      pass.signal?.throwIfAborted();
      pass.settles(target, this.#known);
      try {
        await this.#send(target, pass.signal);
      } catch (error) {
        // A unit that answers can take the rest; one that is silent or gone cannot.
        if (!(error instanceof OutboardError) || error.code !== 'processor.reply') throw error;
        pass.failure ??= error;
      }
    }
  }

  async #gently(pass: Pass): Promise<void> {
    const needed = this.#needed(pass);
    const inOrder = needsFirst(pass.targets);
    // A front panel may have been touched since: whoever steps or mutes relies on what the unit has now.
    await this.read(this.#worthReading([...pass.targets, ...needed]), pass.signal);
    this.#checkNeeds(needed);
    await this.#prepareRestores(pass, inOrder);
    for (const group of byParameter(inOrder)) {
      const { settings, settleMs } = this.#heldWhile(group);
      await this.#letGo(
        pass,
        [...pass.held.keys()].filter((key) => !settings.has(key)),
      );
      await this.#hold(pass, [...settings.values()], settleMs);
      for (const target of group) pass.settles(target, this.#known);
      await this.#move(
        group.filter(({ key }) => !pass.held.has(key)),
        pass.signal,
      );
      // What takes its time has to be there before anything else moves: a tape is wound before it plays.
      const slow = group.filter(({ parameter }) => parameter.verifyWithinMs > 0);
      for (const [key, reading] of await this.#insist(slow, pass.signal)) pass.reached.set(key, reading);
    }
    await this.#letGo(pass, [...pass.held.keys()]);
  }

  /** What the settings need and do not themselves name. @throws OutboardError job.setting when they name the contrary */
  #needed({ targets }: Pass): (Target & { by: Target })[] {
    const needed: (Target & { by: Target })[] = [];
    for (const target of targets)
      for (const need of companions(this.#profile.params, target.parameter.needs, target, 'needs')) {
        const named = targets.find(({ key }) => key === need.key);
        if (named === undefined) needed.push({ ...need, by: target });
        else if (compare(named.w, need.w) !== 0)
          throw this.#refused(`${target.key} needs ${need.key} to be ${need.value}`, named, String(need.value));
      }
    return needed;
  }

  #checkNeeds(needed: readonly (Target & { by: Target })[]): void {
    for (const need of needed) {
      const present = this.#known.present(need.key);
      if (present !== undefined && sameValue(need.parameter, present, need.w)) continue;
      const has = present === undefined ? 'nobody knows what it is' : `it is ${need.parameter.taper.decode(present)}`;
      throw this.#unverified(
        `${need.by.key} needs ${need.key} to be ${need.value}, and ${has}; name it in the settings too`,
        { setting: need.key, requested: need.value },
      );
    }
  }

  #worthReading(targets: readonly Target[]): Target[] {
    const changing = new Set(this.#profile.interlocks.flatMap((interlock) => [...interlock.changing]));
    return targets.filter(
      ({ parameter, key }, i) =>
        readsBack(parameter) &&
        ('by' in (targets[i] as object) ||
          parameter.slew !== undefined ||
          parameter.settlePer !== undefined ||
          changing.has(parameter.name)) &&
        targets.findIndex((other) => other.key === key) === i,
    );
  }

  /** What interlocks demand of settings of one parameter, as far as they change. */
  #heldWhile(group: readonly Target[]): ReturnType<typeof heldWhile> {
    const isInterlocked = this.#profile.interlocks.some(({ changing }) => changing.has(group[0]?.parameter.name ?? ''));
    return heldWhile(this.#profile, isInterlocked ? this.#changing(group) : []);
  }

  #changing(targets: readonly Target[]): Target[] {
    return targets.filter((target) => {
      const present = this.#known.present(target.key);
      return present === undefined || !sameValue(target.parameter, present, target.w);
    });
  }

  /** Finds out, before anything is sent, what has to be put back after the interlocks. @throws OutboardError job.setting */
  async #prepareRestores(pass: Pass, inOrder: readonly Target[]): Promise<void> {
    const all = new Map<string, Target>();
    for (const group of byParameter(inOrder))
      for (const held of this.#heldWhile(group).settings.values()) all.set(held.key, held);
    const unnamed = [...all.values()].filter(({ key }) => !pass.targets.some((target) => target.key === key));
    await this.read(unnamed, pass.signal);
    for (const held of all.values()) {
      const named = pass.targets.find(({ key }) => key === held.key);
      const w = named?.w ?? this.#known.present(held.key);
      const value = w === undefined ? undefined : held.parameter.taper.decode(w);
      if (w === undefined || value === undefined)
        throw this.#refused(
          `${held.key} is ${held.value} while other settings change, and nobody knows what it was: name it too`,
          held,
          held.parameter.taper.range,
        );
      pass.restores.set(held.key, { ...held, w, value });
    }
  }

  async #hold(pass: Pass, settings: readonly Target[], settleMs: number): Promise<void> {
    const fresh = settings.filter(({ key }) => !pass.held.has(key));
    for (const target of fresh) pass.held.set(target.key, target);
    const moving = this.#changing(fresh);
    if (moving.length === 0) return;
    for (const group of byParameter(moving)) await this.#move(group, pass.signal);
    // An acknowledgement is enough to go on; where there is none, the unit has to show that it holds.
    for (const target of moving) {
      if (target.parameter.codec.ack !== undefined || !readsBack(target.parameter)) continue;
      await this.#insist([target], pass.signal);
    }
    const heldAtMs = this.#conversation.lastByteAtMs + settleMs;
    await this.#conversation.rest(heldAtMs - performance.now(), pass.signal);
  }

  async #letGo(pass: Pass, keys: readonly string[]): Promise<void> {
    const restored = keys.map((key) => pass.restores.get(key) as Target);
    for (const key of keys) pass.held.delete(key);
    for (const target of restored) pass.settles(target, this.#known);
    for (const group of byParameter(restored)) await this.#move(group, pass.signal);
  }

  /** To their values, all of them together, in steps where the profile wants steps. */
  async #move(targets: readonly Target[], signal: AbortSignal | undefined): Promise<void> {
    const ways = targets.map((target) => this.#way(target));
    const rounds = Math.max(0, ...ways.map((way) => way.length));
    for (let round = 0; round < rounds; round++) {
      const beganAtMs = performance.now();
      for (const way of ways) {
        const step = way[round];
        if (step !== undefined) await this.#send(step, signal);
      }
      const everyMs = Math.max(0, ...targets.map(({ parameter }) => parameter.slew?.everyMs ?? 0));
      if (round + 1 < rounds) await this.#conversation.rest(beganAtMs + everyMs - performance.now(), signal);
    }
  }

  #way(target: Target): Target[] {
    const { parameter, key, w } = target;
    if (parameter.slew === undefined) return [target];
    const present = this.#known.present(target.key);
    // From an unknown place the one jump that must be made goes to where it can do no harm.
    const safe = this.#profile.safeState[key];
    const start = present ?? (safe === undefined ? undefined : parameter.taper.encode(safe));
    if (start === undefined) return [target];
    const steps = slewSteps(parameter, start, w, parameter.slew.maxStep);
    return (present === undefined && compare(start, w) !== 0 ? [start, ...steps] : steps).map((step) => ({
      ...target,
      w: step,
    }));
  }

  async #send(target: Target, signal: AbortSignal | undefined): Promise<void> {
    this.#known.telling(target.key);
    await this.#exchange.set(target, signal);
    this.#known.told(target.key, target.w);
  }

  /** Everything that was asked for or put back. */
  async #verify(pass: Pass): Promise<ReadonlyMap<string, Reading>> {
    const named = new Set(pass.targets.map(({ key }) => key));
    const restored = [...pass.restores.values()].filter(({ key }) => !named.has(key));
    const open = [...pass.targets, ...restored].filter(({ key }) => !pass.reached.has(key));
    return new Map([...pass.reached, ...(await this.#insist(open, pass.signal))]);
  }

  /** Reads until every value is what was asked for: once more for each retry, and as long as a parameter takes to get there. */
  async #insist(targets: readonly Target[], signal?: AbortSignal): Promise<Map<string, Reading>> {
    const { retries, quietMs } = this.#profile.pacing;
    const found = new Map<string, Reading>();
    const beganAtMs = performance.now();
    let open = targets.filter(({ parameter }) => readsBack(parameter));
    for (let left = retries; open.length > 0; ) {
      const readings = await this.read(open, signal);
      for (const target of open) found.set(target.key, readings.get(target.key));
      open = open.filter((target) => !agrees(target, readings.get(target.key)));
      const [first] = open;
      if (first === undefined) break;
      const elapsedMs = performance.now() - beganAtMs;
      if (open.some(({ parameter }) => parameter.verifyWithinMs > elapsedMs))
        await this.#conversation.rest(quietMs, signal);
      else if (left-- > 0) await this.#conversation.turn(() => this.#conversation.drain(undefined, signal));
      else throw this.#disagrees(first, readings.get(first.key));
    }
    return found;
  }

  #disagrees({ key, value }: Target, reading: Reading): OutboardError {
    const reads = reading === undefined ? 'is still on its way' : `reads ${reading.value}`;
    return this.#unverified(`${key} was set to ${value} and ${reads}`, {
      setting: key,
      requested: value,
      ...(reading === undefined ? {} : { readBack: reading.value }),
    });
  }

  #refused(message: string, { key, value }: Target, range: string): OutboardError {
    return new OutboardError('job.setting', `${this.#name}: ${message}`, {
      details: { path: `settings.${key}`, value, range },
    });
  }

  #unverified(message: string, details: Record<string, unknown>): OutboardError {
    return new OutboardError('processor.unverified', `${this.#name}: ${message}`, {
      details: { processor: this.#name, ...details },
    });
  }
}

/** What one recall has done so far. */
class Pass {
  readonly targets: readonly Target[];
  /** What interlocks hold just now. */
  readonly held = new Map<string, Target>();
  /** What each of them gets back. */
  readonly restores = new Map<string, Target>();
  /** What was read back on the way, because it takes its time. */
  readonly reached = new Map<string, Reading>();
  settleMs: number;
  failure: OutboardError | undefined;
  readonly signal: AbortSignal | undefined;

  constructor(targets: readonly Target[], leastSettleMs: number, signal: AbortSignal | undefined) {
    this.targets = targets;
    this.settleMs = leastSettleMs;
    this.signal = signal;
  }

  /** To be called before the target is sent: only what changes has to settle. */
  settles(target: Target, known: Knowledge): void {
    const { settleMs, settlePer } = target.parameter;
    if (settlePer === undefined && settleMs <= this.settleMs) return;
    const present = known.present(target.key);
    if (present !== undefined && sameValue(target.parameter, present, target.w)) return;
    const from = present === undefined ? undefined : target.parameter.taper.decode(present);
    this.settleMs = Math.max(this.settleMs, settlingMs(target.parameter, from, target.value));
  }
}

/** The safe state in its own order. */
export function safeTargets(profile: Profile): Target[] {
  const keys = Object.keys(profile.safeState);
  return resolveSettings(profile, profile.safeState).sort((a, b) => keys.indexOf(a.key) - keys.indexOf(b.key));
}

/** True when the reading is the value that was asked for, within what the profile tolerates. */
export function agrees({ parameter, value, w }: Target, reading: Reading): boolean {
  if (reading === undefined) return false;
  return reading.value === value || compare(absolute(subtract(reading.w, w)), parameter.tolWire) <= 0;
}

/** Neighbours of one parameter move together. */
function byParameter(targets: readonly Target[]): Target[][] {
  const groups: Target[][] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    if (last?.[0]?.parameter === target.parameter) last.push(target);
    else groups.push([target]);
  }
  return groups;
}

/** The same settings; one that another needs comes before it. */
function needsFirst(targets: readonly Target[]): Target[] {
  const sorted: Target[] = [];
  const place = (target: Target, above: readonly string[]): void => {
    const { name, needs } = target.parameter;
    if (sorted.includes(target) || above.includes(name)) return;
    const names = Object.keys(needs).map((key) => key.split('@')[0]);
    for (const other of targets) if (names.includes(other.parameter.name)) place(other, [...above, name]);
    sorted.push(target);
  };
  for (const target of targets) place(target, []);
  return sorted;
}
