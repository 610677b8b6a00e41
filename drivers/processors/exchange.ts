/**
 * What is asked of a unit, with its retries: who it is, take this value, what is your value. After a time-out the wire is drained, the unit is
 * asked what it has, and only then is the (absolute) command sent again, so that a late answer is never taken for a fresh one.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import { type Conversation, type Judge, NoAnswer } from './conversation.js';
import { compare, type Decimal } from './decimal.js';
import { parseAck, parseReply, readLine, setLine } from './parameter.js';
import type { IdentityStep, Profile } from './profile.js';
import type { Target } from './settings.js';

export interface Reading {
  readonly w: Decimal;
  readonly value: SettingValue;
}

export class Exchange {
  readonly #name: string;
  readonly #profile: Profile;
  readonly #conversation: Conversation;

  constructor(name: string, profile: Profile, conversation: Conversation) {
    this.#name = name;
    this.#profile = profile;
    this.#conversation = conversation;
  }

  /**
   * Asks the unit who it is. Nothing but the profile's identity steps is sent.
   *
   * @throws OutboardError processor.identity for another unit, processor.timeout for silence, processor.lost
   */
  async identify(): Promise<void> {
    await this.#conversation.drain();
    for (const step of this.#profile.identity) await this.#identifyStep(step);
  }

  async #identifyStep(step: IdentityStep): Promise<void> {
    const noiseBefore = this.#conversation.noise;
    const judge: Judge<Record<string, string>> = (line) => {
      const match = step.rx.exec(line);
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
          `the unit does not answer "${step.tx}" as a ${this.#profile.id} does`,
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
  }

  /** Sends one setting and sees it acknowledged, where the unit acknowledges. @throws OutboardError processor.* */
  async set(target: Target): Promise<void> {
    const { parameter, index, w } = target;
    const command = setLine(parameter, index, w);
    if (parameter.codec.ack === undefined) return await this.#conversation.tell(command);
    const judge: Judge<true> = (line) => {
      const said = parseAck(parameter, line);
      if (said === undefined || (said.index !== null && said.index !== index)) return undefined;
      if (said.w !== null && compare(said.w, w) !== 0)
        return { kind: 'other', message: `"${command}" was acknowledged as "${line}"` };
      return { kind: 'answer', value: true };
    };
    await this.#persist(
      () => this.#conversation.ask(command, judge),
      () => this.#query(target),
    );
  }

  /** The present value. @throws OutboardError processor.* */
  async read(target: Target): Promise<Reading> {
    return await this.#persist(() => this.#readOnce(target));
  }

  async #readOnce({ parameter, index }: Target): Promise<Reading> {
    const question = readLine(parameter, index) as string;
    return await this.#conversation.ask(question, (line) => {
      const said = parseReply(parameter, line);
      if (said?.w == null || (said.index !== null && said.index !== index)) return undefined;
      const value = parameter.taper.decode(said.w);
      return value === undefined
        ? {
            kind: 'other',
            message: `"${question}" was answered with "${line}", which is no value that the profile knows`,
          }
        : { kind: 'answer', value: { w: said.w, value } };
    });
  }

  /** Proves that question and answer belong together again. What the answer is does not matter: the setting is sent again anyway. */
  async #query(target: Target): Promise<void> {
    if (target.parameter.codec.read !== undefined) await this.#readOnce(target);
    else
      for (const { tx, rx } of this.#profile.identity)
        await this.#conversation.ask(tx, (line) => (rx.test(line) ? { kind: 'answer', value: true } : undefined));
  }

  /**
   * Tries, then again up to `retries` times: after silence and wrong answers only when the wire has been quiet for as long as an answer may
   * take, and after `before`. Then once more quiet: an answer to an earlier try could pass for the answer to the next question.
   */
  async #persist<T>(attempt: () => Promise<T>, before?: () => Promise<void>): Promise<T> {
    const { retries, quietMs, replyMs } = this.#profile.pacing;
    let resynchronise = false;
    for (let left = retries; ; left--) {
      try {
        if (resynchronise) {
          await this.#conversation.drain(Math.max(quietMs, replyMs));
          await before?.();
        }
        const answer = await attempt();
        if (resynchronise) await this.#conversation.drain(Math.max(quietMs, replyMs));
        return answer;
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (error.why === 'refused') throw this.#error('processor.reply', error.message, error);
        if (left <= 0)
          throw this.#error(error.why === 'silent' ? 'processor.timeout' : 'processor.reply', error.message, error);
        if (error.why === 'busy') await this.#conversation.rest(quietMs);
        else resynchronise = true;
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
