/**
 * What is asked of a unit, with its retries: who it is, take this value, what is your value, give me a dump. After a time-out the wire is
 * drained, the unit is asked what it has, and only then is the (absolute) command sent again, so that a late answer is never taken for a fresh
 * one. Every exchange keeps the wire until it is over.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import type { DumpCodec, Statement } from './codec.js';
import { type Conversation, type Judge, NoAnswer, shown } from './conversation.js';
import type { Decimal } from './decimal.js';
import { sameValue } from './parameter.js';
import type { IdentityStep, Profile, SessionStep } from './profile.js';
import type { Target } from './settings.js';

/** A value that the unit reports; undefined: it says that it is still on its way. */
export type Reading = { readonly w: Decimal; readonly value: SettingValue } | undefined;

/** What must be known about a setting to read it. */
type Question = Pick<Target, 'parameter' | 'index' | 'key'>;

interface Fresh {
  readonly frame: string;
  /** `lastByteAtMs` when it had come: with any byte after it, it is old. */
  readonly atMs: number;
}

export class Exchange {
  readonly #name: string;
  readonly #profile: Profile;
  readonly #conversation: Conversation;
  readonly #dumps = new Map<string, Fresh>();
  /** An answer to something earlier may still come. */
  #outOfStep = false;

  constructor(name: string, profile: Profile, conversation: Conversation) {
    this.#name = name;
    this.#profile = profile;
    this.#conversation = conversation;
  }

  /**
   * Asks the unit who it is. Nothing but the profile's identity steps is sent. Resolves with the named groups of their patterns.
   *
   * @throws OutboardError processor.identity for another unit, processor.timeout for silence, processor.lost
   */
  async identify(): Promise<Record<string, string>> {
    return await this.#conversation.turn(async () => {
      await this.#conversation.drain();
      const said: Record<string, string> = {};
      for (const step of this.#profile.identity) Object.assign(said, await this.#identifyStep(step));
      return said;
    });
  }

  async #identifyStep(step: IdentityStep): Promise<Record<string, string>> {
    const noiseBefore = this.#conversation.noise;
    const judge: Judge<Record<string, string>> = (frame) => {
      const match = step.rx.exec(frame);
      return match === null ? undefined : { kind: 'answer', value: { ...match.groups } };
    };
    let groups: Record<string, string>;
    try {
      groups = await this.#persist(() => this.#conversation.ask(step.tx, judge));
    } catch (error) {
      // It spoke, but not as this model does.
      const spoke = !(error instanceof OutboardError) || error.code === 'processor.reply';
      if (spoke || this.#conversation.noise > noiseBefore)
        throw this.#error(
          'processor.identity',
          `the unit does not answer ${shown(step.tx)} as a ${this.#profile.id} does`,
          error,
        );
      throw error;
    }
    for (const [group, value] of Object.entries(step.must))
      if (groups[group] !== value)
        throw this.#error(
          'processor.identity',
          `the unit says ${group} "${groups[group] ?? ''}", the profile ${this.#profile.id} wants "${value}"`,
        );
    return groups;
  }

  /** Steps that begin or end a session with the unit. @throws OutboardError processor.* */
  async say(steps: readonly SessionStep[]): Promise<void> {
    for (const step of steps) await this.#conversation.turn(() => this.#persist(() => this.#sayOnce(step)));
  }

  async #sayOnce({ tx, rx }: SessionStep): Promise<void> {
    if (rx === undefined) await this.#conversation.tell(tx);
    else await this.#conversation.ask(tx, (frame) => (rx.test(frame) ? { kind: 'answer', value: true } : undefined));
  }

  /** Whatever dumps came before are too old from now on: somebody may have been at the unit, unseen. */
  forgetDumps(): void {
    this.#dumps.clear();
  }

  /**
   * Sends one setting and sees it acknowledged, where the unit acknowledges.
   *
   * @param signal ends it behind the command in flight
   * @throws OutboardError processor.*; the signal's reason
   */
  async set(target: Target, signal?: AbortSignal): Promise<void> {
    await this.#conversation.turn(() =>
      this.#persist(
        () => this.#setOnce(target),
        () => this.#query(target),
        signal,
      ),
    );
  }

  async #setOnce({ parameter, index, w, key }: Target): Promise<void> {
    const { codec, mirror } = parameter;
    let dump: string | undefined;
    const modified = codec.modifies?.(index);
    if (modified !== undefined) {
      dump = await this.#dumpOnce(modified, true);
      const present = this.#dumpCodec(modified).value(parameter, index, dump);
      // The bits lie there as they should: writing the whole byte again could only do harm.
      if (present !== undefined && sameValue(parameter, present, w)) return;
    }
    const messages = codec.set(index, w, dump);
    if (codec.ack === undefined) return await this.#conversation.tell(messages);
    const judge: Judge<true> = (frame) => {
      const said = codec.ack?.(frame);
      if (said === undefined || (said.index !== null && said.index !== index)) return undefined;
      if (said.w !== null && !sameValue(parameter, said.w, w))
        return { kind: 'other', message: `${shown(messages.join(''))} was acknowledged as ${shown(frame)} (${key})` };
      return { kind: 'answer', value: true };
    };
    await this.#conversation.ask(messages, judge, () => mirror.ack && { frame: mirror.ack(index, w), value: true });
  }

  /** The present value. @throws OutboardError processor.*; the signal's reason, behind the command in flight */
  async read(target: Target, signal?: AbortSignal): Promise<Reading> {
    return await this.#conversation.turn(() => this.#persist(() => this.#readOnce(target), undefined, signal));
  }

  /**
   * The present values of settings that a dump reports, all from the same one, which is fetched now.
   *
   * @throws OutboardError processor.*; the signal's reason, behind the command in flight
   */
  async readDump(name: string, questions: readonly Question[], signal?: AbortSignal): Promise<Reading[]> {
    const read = async () => {
      const frame = await this.#dumpOnce(name, false);
      return questions.map((question) => this.#inDump(name, frame, question));
    };
    return await this.#conversation.turn(() => this.#persist(read, undefined, signal));
  }

  async #readOnce(target: Target): Promise<Reading> {
    const { parameter, index, key, w, value } = target;
    const { mirror } = parameter;
    const { read } = parameter.codec;
    if (read === undefined) throw new Error(`${key} cannot be read`);
    if (read.kind === 'dump') {
      const name = read.dump(index);
      return this.#inDump(name, await this.#dumpOnce(name, false), target);
    }
    if (read.first !== undefined && !(await this.#isThere(read.first))) return undefined;
    const tx = read.tx(index);
    const judge: Judge<Reading> = (frame) => {
      const said = read.reply(frame);
      if (said === undefined || (said.index !== null && said.index !== index)) return undefined;
      if (said.pending === true) return { kind: 'answer', value: undefined };
      if (said.w === null) return undefined;
      const reading = decoded(target, said);
      return reading === undefined
        ? {
            kind: 'other',
            message: `${shown(tx)} was answered with ${shown(frame)}, which is no value that the profile knows`,
          }
        : { kind: 'answer', value: reading };
    };
    // Mostly it has what it should have.
    const usual = () => mirror.reply && { frame: mirror.reply(index, w), value: { w, value } };
    return await this.#conversation.ask(tx, judge, usual);
  }

  /** False while the unit says that it is still on its way. */
  async #isThere({ tx, reply }: { tx: string; reply(frame: string): Statement | undefined }): Promise<boolean> {
    return await this.#conversation.ask(tx, (frame) => {
      const said = reply(frame);
      return said === undefined ? undefined : { kind: 'answer', value: said.pending !== true };
    });
  }

  #inDump(name: string, frame: string, question: Question): Reading {
    const w = this.#dumpCodec(name).value(question.parameter, question.index, frame);
    const reading = w === undefined ? undefined : decoded(question, { index: question.index, w });
    if (reading === undefined)
      throw new NoAnswer('other', `the dump "${name}" has no value for ${question.key} that the profile knows`);
    return reading;
  }

  /** A dump of what the unit has now. `reuse`: one of this recall after which no byte went or came is as good. */
  async #dumpOnce(name: string, reuse: boolean): Promise<string> {
    const codec = this.#dumpCodec(name);
    const last = this.#dumps.get(name);
    if (reuse && last !== undefined && last.atMs === this.#conversation.lastByteAtMs) return last.frame;
    const frame = await this.#conversation.ask(codec.tx, (said) =>
      codec.isReply(said) ? { kind: 'answer', value: said } : undefined,
    );
    this.#dumps.set(name, { frame, atMs: this.#conversation.lastByteAtMs });
    return frame;
  }

  #dumpCodec(name: string): DumpCodec {
    const codec = this.#profile.dumps.get(name);
    if (codec === undefined) throw new Error(`the profile has no dump "${name}"`);
    return codec;
  }

  /** Proves that question and answer belong together again. What the answer is does not matter: the setting is sent again anyway. */
  async #query(target: Target): Promise<void> {
    if (target.parameter.codec.read !== undefined) await this.#readOnce(target);
    else
      for (const { tx, rx } of this.#profile.identity)
        await this.#conversation.ask(tx, (frame) => (rx.test(frame) ? { kind: 'answer', value: true } : undefined));
  }

  /**
   * Tries, then again up to `retries` times: after silence and wrong answers only when the wire has been quiet for as long as an answer may
   * take, and after `before`. Then once more quiet: an answer to an earlier try could pass for the answer to the next question. Whatever ends
   * in between leaves that to the next exchange.
   */
  async #persist<T>(attempt: () => Promise<T>, before?: () => Promise<void>, signal?: AbortSignal): Promise<T> {
    const { retries, quietMs, replyMs } = this.#profile.pacing;
    const drain = () => this.#conversation.drain(Math.max(quietMs, replyMs), signal);
    for (let left = retries; ; left--) {
      signal?.throwIfAborted();
      try {
        if (this.#outOfStep) {
          await drain();
          await before?.();
        }
        const answer = await attempt();
        if (this.#outOfStep) {
          await drain();
          this.#conversation.expectNothing();
          this.#outOfStep = false;
        }
        return answer;
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (error.why === 'silent' || error.why === 'other') this.#outOfStep = true;
        if (error.why === 'refused') throw this.#error('processor.reply', error.message, error);
        if (left <= 0)
          throw this.#error(error.why === 'silent' ? 'processor.timeout' : 'processor.reply', error.message, error);
        if (error.why === 'busy') await this.#conversation.rest(quietMs, signal);
      }
    }
  }

  #error(
    code: 'processor.identity' | 'processor.reply' | 'processor.timeout',
    message: string,
    cause?: unknown,
  ): OutboardError {
    return new OutboardError(code, `${this.#name}: ${message}`, { cause, details: { processor: this.#name } });
  }
}

function decoded({ parameter }: Question, { w }: Statement): Reading {
  const value = w === null ? undefined : parameter.taper.decode(w);
  return w === null || value === undefined ? undefined : { w, value };
}
