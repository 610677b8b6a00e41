/**
 * One command in flight on one open link. An answer is correlated with the command that waits for it; any other line is an error of the unit,
 * something that it says unasked, or noise, in this order.
 */
import { delay, within } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';
import { LineFramer } from './framer.js';
import type { LocalChange } from './processor-unit.js';
import type { Profile } from './profile.js';
import type { ErrorMeaning } from './profile-schema.js';
import type { Link, LinkListener, Transport } from './transport.js';

/** `other`: the line is an answer to this question, but not one that may be believed (another value, another unit). */
export type Verdict<T> = { kind: 'answer'; value: T } | { kind: 'other'; message: string };

/** Judges a line; undefined when it is no answer to this question at all. */
export type Judge<T> = (line: string) => Verdict<T> | undefined;

/** Why there is no answer. `refused`: the unit said that it will not; asking again is no use. */
export class NoAnswer extends Error {
  readonly why: 'silent' | 'other' | 'busy' | 'refused';

  constructor(why: NoAnswer['why'], message: string) {
    super(message);
    this.why = why;
  }
}

interface Pending {
  judge: Judge<unknown>;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface ConversationEvents {
  unsolicited(change: LocalChange): void;
  lost(error: OutboardError): void;
}

export class Conversation implements LinkListener {
  readonly #name: string;
  readonly #profile: Profile;
  readonly #events: ConversationEvents;
  readonly #framer: LineFramer;
  readonly #ended = new AbortController();
  #link: Link | undefined;
  #pending: Pending | undefined;
  #stopWriting: ((error: Error) => void) | undefined;
  #lastByteAtMs = performance.now();
  /** Lines that meant nothing; for the log. */
  noise = 0;

  constructor(name: string, profile: Profile, events: ConversationEvents) {
    this.#name = name;
    this.#profile = profile;
    this.#events = events;
    const { rxEnd, rxMax, rxGapMs } = profile.framing;
    this.#framer = new LineFramer({ end: rxEnd, maxBytes: rxMax, gapMs: rxGapMs });
  }

  /** Opens the link. @throws what the transport throws */
  async open(transport: Transport, signal: AbortSignal): Promise<void> {
    const link = await transport.open(this, signal);
    if (signal.aborted || this.#ended.signal.aborted) {
      await link.close();
      throw this.#lostError('the link was closed while it was opened');
    }
    this.#link = link;
  }

  data(bytes: Uint8Array): void {
    if (this.#ended.signal.aborted) return;
    this.#lastByteAtMs = performance.now();
    for (const line of this.#framer.push(bytes, this.#lastByteAtMs)) this.#line(line);
  }

  lost(error: Error): void {
    this.#end(this.#lostError(error.message, error));
  }

  /** Milliseconds on the monotonic clock at which the last byte went or came. */
  get lastByteAtMs(): number {
    return this.#lastByteAtMs;
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @throws NoAnswer when the unit is silent, busy, refuses or says something else; OutboardError processor.lost when the link is gone
   */
  async ask<T>(command: string, judge: Judge<T>): Promise<T> {
    if (this.#pending !== undefined) throw new Error('a command is in flight already');
    await this.#pace();
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<T>((resolve, reject) => {
      this.#pending = { judge, resolve: resolve as (value: unknown) => void, reject };
    });
    // The write may fail first: then nobody awaits this promise.
    answer.catch(() => undefined);
    const { replyMs } = this.#profile.pacing;
    try {
      await this.#write(command, () => {
        timer = setTimeout(() => {
          this.#pending?.reject(new NoAnswer('silent', `no answer to "${command}" within ${replyMs} ms`));
        }, replyMs);
      });
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#pending = undefined;
    }
  }

  /** Sends a command that the unit does not answer. @throws OutboardError processor.lost */
  async tell(command: string): Promise<void> {
    await this.#pace();
    await this.#write(command, () => undefined);
  }

  /**
   * Lets whatever is still under way arrive and be dropped, until the wire was silent for `quietMs` (the profile's when absent).
   *
   * @throws OutboardError processor.reply when the unit does not stop talking; processor.lost
   */
  async drain(quietMs = this.#profile.pacing.quietMs): Promise<void> {
    const giveUpAtMs = performance.now() + 10 * (this.#profile.pacing.replyMs + quietMs);
    let quietSinceMs = performance.now();
    for (let leftMs = quietMs; leftMs > 0; leftMs = quietSinceMs + quietMs - performance.now()) {
      if (performance.now() > giveUpAtMs)
        throw new OutboardError('processor.reply', `${this.#name}: the unit does not stop talking`);
      await this.rest(leftMs);
      quietSinceMs = Math.max(quietSinceMs, this.#lastByteAtMs);
    }
    this.#framer.reset();
  }

  /** Ends the conversation; what waits fails with `error`. `lost` is not called. May be called twice. */
  async close(error: OutboardError): Promise<void> {
    const link = this.#link;
    this.#abandon(error);
    await link?.close();
  }

  async #pace(): Promise<void> {
    if (this.#link === undefined || this.#ended.signal.aborted) throw this.#gone();
    const restMs = this.#lastByteAtMs + this.#profile.pacing.gapMs - performance.now();
    if (restMs > 0) await this.rest(restMs);
  }

  /** `sent` runs as soon as the bytes are handed over: the answer can come before the write is confirmed. */
  async #write(command: string, sent: () => void): Promise<void> {
    const link = this.#link;
    if (link === undefined || this.#ended.signal.aborted) throw this.#gone();
    // Generous against the slowest line: a driver that never confirms must not hold the unit for ever.
    const limitMs = 10 * this.#profile.pacing.replyMs;
    try {
      const written = new Promise<void>((resolve, reject) => {
        this.#stopWriting = reject;
        link.write(Buffer.from(command + this.#profile.framing.txEnd, 'latin1')).then(resolve, reject);
      });
      sent();
      await within(limitMs, written, () => new Error(`the bytes did not leave within ${limitMs} ms`));
    } catch (cause) {
      if (this.#ended.signal.aborted) throw this.#gone();
      const error = this.#lostError(`writing failed: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
      this.#end(error);
      throw error;
    } finally {
      this.#stopWriting = undefined;
    }
    this.#lastByteAtMs = Math.max(this.#lastByteAtMs, performance.now());
  }

  /** Waits without speaking. @throws OutboardError processor.lost when the link goes meanwhile */
  async rest(ms: number): Promise<void> {
    try {
      await delay(Math.max(0, ms), this.#ended.signal);
    } catch {
      throw this.#gone();
    }
  }

  #line(line: string): void {
    const pending = this.#pending;
    const verdict = pending?.judge(line);
    if (verdict?.kind === 'answer') return pending?.resolve(verdict.value);
    const meaning = this.#profile.errors.find(({ rx }) => rx.test(line))?.as;
    if (meaning !== undefined) {
      pending?.reject(new NoAnswer(whyOf(meaning), `the unit answered "${line}" (${meaning})`));
      return;
    }
    const unsolicited = this.#profile.unsolicited.find(({ rx }) => rx.test(line));
    // A wrong echo is more than news: the command that waits may have been heard wrongly.
    if (verdict?.kind === 'other') return pending?.reject(new NoAnswer('other', verdict.message));
    if (unsolicited !== undefined) return this.#events.unsolicited({ means: unsolicited.means, line });
    this.noise++;
  }

  #end(error: OutboardError): void {
    if (this.#ended.signal.aborted) return;
    const link = this.#link;
    this.#abandon(error);
    link?.close().catch(() => undefined);
    this.#events.lost(error);
  }

  #abandon(error: OutboardError): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(error);
    this.#pending?.reject(error);
    this.#stopWriting?.(error);
  }

  #gone(): OutboardError {
    const reason: unknown = this.#ended.signal.reason;
    return reason instanceof OutboardError ? reason : this.#lostError('the link is not open');
  }

  #lostError(message: string, cause?: unknown): OutboardError {
    return new OutboardError('processor.lost', `${this.#name}: ${message}`, {
      cause,
      details: { processor: this.#name },
    });
  }
}

function whyOf(meaning: ErrorMeaning): NoAnswer['why'] {
  return meaning === 'busy' ? 'busy' : 'refused';
}
