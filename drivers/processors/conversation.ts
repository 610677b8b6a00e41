/**
 * One command in flight on one open link. A command is one message or several that belong together. An answer is correlated with the command
 * that waits for it; any other frame is an error of the unit, something that it says unasked, or noise, in this order.
 */
import { until, within } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';
import type { Framer } from './framer.js';
import type { LocalChange } from './processor-unit.js';
import type { Profile } from './profile.js';
import type { ErrorMeaning } from './profile-schema.js';
import type { Speech } from './speech.js';
import type { Link, LinkListener, Transport } from './transport.js';

/** `other`: the frame is an answer to this question, but not one that may be believed (another value, another unit). */
export type Verdict<T> = { kind: 'answer'; value: T } | { kind: 'other'; message: string };

/** Judges a frame; undefined when it is no answer to this question at all. */
export type Judge<T> = (frame: string) => Verdict<T> | undefined;

/** Why there is no answer. `refused`: the unit said that it will not; asking again is no use. */
export class NoAnswer extends Error {
  readonly why: 'silent' | 'other' | 'busy' | 'refused';

  constructor(why: NoAnswer['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** An answer as the unit spells it, and what it means. */
export interface Usual<T> {
  readonly frame: string;
  readonly value: T;
}

interface Pending {
  /** What the unit repeats before it answers, as far as it has not yet. */
  echoes: string[];
  judge: Judge<unknown>;
  usual: Usual<unknown> | undefined;
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
  readonly #speech: Speech;
  readonly #events: ConversationEvents;
  readonly #framer: Framer;
  readonly #ended = new AbortController();
  #link: Link | undefined;
  #pending: Pending | undefined;
  /** Of commands that nothing answered in time: it may still come, and is no news then. Each answers once. */
  #late: Judge<unknown>[] = [];
  /** What to tell whoever waits for the link when the conversation ends. */
  readonly #waiting = new Set<(error: Error) => void>();
  /** Counts what went and what came. */
  #exchanged = 0;
  #lastByteAtMs = performance.now();
  #turn: Promise<void> = Promise.resolve();
  /** The longest that an answer took since somebody set this to 0, from its command to its end. */
  slowestAnswerMs = 0;
  /** Frames that meant nothing; for the log. */
  noise = 0;

  constructor(name: string, profile: Profile, speech: Speech, events: ConversationEvents) {
    this.#name = name;
    this.#profile = profile;
    this.#speech = speech;
    this.#events = events;
    this.#framer = speech.framer();
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
    this.#exchanged++;
    this.#lastByteAtMs = performance.now();
    for (const frame of this.#framer.push(bytes, this.#lastByteAtMs)) {
      this.#frame(frame);
      // What a frame told may have ended the conversation: the rest of the bytes belongs to nobody.
      if (this.#ended.signal.aborted) return;
    }
  }

  lost(error: Error): void {
    this.#finish(this.#lostError(error.message, error));
  }

  /**
   * Milliseconds on the monotonic clock at which the last byte went or came. It lies ahead while the bytes that were handed over are still on
   * their way.
   */
  get lastByteAtMs(): number {
    return this.#lastByteAtMs;
  }

  /**
   * Keeps the wire for `work`: nothing that also takes its turn comes between. Not to be nested.
   *
   * @throws what `work` throws
   */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let leave = (): void => undefined;
    this.#turn = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /**
   * Sends a command, message by message, and waits for its answer. `usual` is asked for while the bytes are on their way: an answer that is
   * spelled so need not be judged, and the next command does not wait for that.
   *
   * @throws NoAnswer when the unit is silent, busy, refuses or says something else; OutboardError processor.lost when the link is gone
   */
  async ask<T>(command: string | readonly string[], judge: Judge<T>, usual?: () => Usual<T> | undefined): Promise<T> {
    if (this.#pending !== undefined) throw new Error('a command is in flight already');
    const messages = typeof command === 'string' ? [command] : command;
    const [last = ''] = messages.slice(-1);
    const restMs = this.#restMs();
    if (restMs > 0) await this.rest(restMs);
    let timer: NodeJS.Timeout | undefined;
    const echoes = this.#profile.framing.echo === 'command' ? [...messages] : [];
    let reject = (_: Error): void => undefined;
    let resolve = (_: T): void => undefined;
    const answer = new Promise<T>((...both) => {
      [resolve, reject] = both;
    });
    // An earlier message may fail first: then nobody awaits this promise.
    answer.catch(() => undefined);
    const pending: Pending = { echoes, judge, usual: undefined, resolve: resolve as (value: unknown) => void, reject };
    this.#pending = pending;
    const { replyMs } = this.#profile.pacing;
    const silent = (): void =>
      pending.reject(new NoAnswer('silent', `no answer to ${shown(last)} within ${replyMs} ms`));
    try {
      for (const message of messages.slice(0, -1)) await this.#write(message);
      const askedAtMs = performance.now();
      // The answer may come before the link confirms that the bytes have left; the time for it counts from then. A write that fails ends the
      // conversation, and with it this wait.
      this.#write(last).then(
        () => {
          if (this.#pending === pending)
            timer = setTimeout(silent, Math.max(0, this.#lastByteAtMs - performance.now()) + replyMs);
        },
        (error: Error) => pending.reject(error),
      );
      pending.usual = usual?.();
      const said = await answer;
      this.slowestAnswerMs = Math.max(this.slowestAnswerMs, performance.now() - askedAtMs);
      return said;
    } catch (error) {
      if (error instanceof NoAnswer && (error.why === 'silent' || error.why === 'other')) this.#late.push(judge);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#pending = undefined;
    }
  }

  /**
   * Sends a command that the unit does not answer. Resolves when its bytes have left; where the unit echoes, with the echo.
   *
   * @throws NoAnswer when a declared echo does not come or differs; OutboardError processor.lost
   */
  async tell(command: string | readonly string[]): Promise<void> {
    if (this.#profile.framing.echo === 'command')
      return await this.ask(command, (rest) => (rest === '' ? { kind: 'answer', value: undefined } : undefined));
    const restMs = this.#restMs();
    if (restMs > 0) await this.rest(restMs);
    let leftAtMs = 0;
    for (const message of typeof command === 'string' ? [command] : command) leftAtMs = await this.#write(message);
    await this.rest(leftAtMs - performance.now());
  }

  /**
   * Lets whatever is still under way arrive and be dropped, until the wire was silent for `quietMs` (the profile's when absent), and for as long as
   * a message may pause where one has begun: its tail could pass for a message of its own.
   *
   * @param signal ends it: what is under way may still come then
   * @throws OutboardError processor.lost, also when the unit does not stop talking: the link ends then; the signal's reason
   */
  async drain(quietMs = this.#profile.pacing.quietMs, signal?: AbortSignal): Promise<void> {
    const { pacing, framing } = this.#profile;
    const neededMs = (): number => (this.#framer.isBegun ? Math.max(quietMs, framing.rxGapMs) : quietMs);
    const giveUpAtMs = performance.now() + 10 * (pacing.replyMs + Math.max(quietMs, framing.rxGapMs));
    let quietSinceMs = performance.now();
    for (let leftMs = neededMs(); leftMs > 0; leftMs = quietSinceMs + neededMs() - performance.now()) {
      if (performance.now() > giveUpAtMs) {
        // Whoever cannot be interrupted cannot be spoken to.
        const error = this.#lostError('the unit does not stop talking');
        this.#finish(error);
        throw error;
      }
      await this.rest(leftMs, signal);
      quietSinceMs = Math.max(quietSinceMs, this.#lastByteAtMs);
    }
    this.#framer.reset();
  }

  /** Nothing answers any more that was asked before: what sounds like it is news. */
  expectNothing(): void {
    this.#late = [];
  }

  /** Ends the conversation; what waits fails with `error`. `lost` is not called. May be called twice. */
  async close(error: OutboardError): Promise<void> {
    const link = this.#link;
    this.#abandon(error);
    await link?.close();
  }

  /** What is left of the pause that the unit needs between two commands, ms. @throws OutboardError processor.lost */
  #restMs(): number {
    if (this.#link === undefined || this.#ended.signal.aborted) throw this.#gone();
    return this.#lastByteAtMs + this.#profile.pacing.gapMs - performance.now();
  }

  /** Hands one message to the link, when those before it have left. Resolves with the monotonic time in ms at which its own have. */
  async #write(message: string): Promise<number> {
    const link = this.#link;
    if (link === undefined || this.#ended.signal.aborted) throw this.#gone();
    const { replyMs, bytesPerSec } = this.#profile.pacing;
    const bytes = Buffer.from(message + this.#profile.framing.txEnd, 'latin1');
    // A link that takes bytes faster than the unit does (USB-MIDI) would overrun it: the message waits until those before it have gone.
    const wireMs = bytesPerSec === undefined ? 0 : (1000 * bytes.length) / bytesPerSec;
    const waitMs = this.#lastByteAtMs - performance.now();
    if (waitMs > 0) await this.rest(waitMs);
    // Generous against the slowest line: a driver that never confirms must not hold the unit for ever.
    const limitMs = 10 * replyMs;
    const count = ++this.#exchanged;
    let stop = (_: Error): void => undefined;
    let leftAtMs: number;
    try {
      const written = new Promise<number>((resolve, reject) => {
        stop = reject;
        this.#waiting.add(stop);
        link.write(bytes).then(resolve, reject);
      });
      this.#lastByteAtMs = performance.now() + wireMs;
      const taken = await within(limitMs, written, () => new Error(`the bytes were not taken within ${limitMs} ms`));
      leftAtMs = Math.max(taken, this.#lastByteAtMs, performance.now());
    } catch (cause) {
      if (this.#ended.signal.aborted) throw this.#gone();
      const error = this.#lostError(`writing failed: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
      this.#finish(error);
      throw error;
    } finally {
      this.#waiting.delete(stop);
    }
    // Unless the answer was faster than the confirmation.
    if (this.#exchanged === count) this.#lastByteAtMs = leftAtMs;
    return leftAtMs;
  }

  /** Waits without speaking, not a moment less. @throws OutboardError processor.lost when the link goes meanwhile; the signal's reason */
  async rest(ms: number, signal?: AbortSignal): Promise<void> {
    const ended = this.#ended.signal;
    try {
      await until(performance.now() + ms, signal ? AbortSignal.any([ended, signal]) : ended);
    } catch {
      if (!ended.aborted) signal?.throwIfAborted();
      throw this.#gone();
    }
  }

  #frame(received: string): void {
    const pending = this.#pending;
    const echo = pending?.echoes[0];
    let frame = received;
    if (pending !== undefined && echo !== undefined && received.startsWith(echo)) {
      pending.echoes.shift();
      // Without an end of its own the echo runs into the answer; for a command without an answer it is all there is.
      frame = received.slice(echo.length);
      if (frame === '' && (pending.echoes.length > 0 || pending.judge('') === undefined)) return;
    }
    // As long as its echo is due, nobody knows what the unit heard.
    const isEchoed = pending?.echoes.length === 0;
    if (isEchoed && frame === pending?.usual?.frame) return pending.resolve(pending.usual.value);
    const verdict = isEchoed ? pending?.judge(frame) : undefined;
    if (verdict?.kind === 'answer') return pending?.resolve(verdict.value);
    const meaning = this.#speech.error(frame);
    if (meaning !== undefined) {
      pending?.reject(new NoAnswer(whyOf(meaning), `the unit answered ${shown(frame)} (${meaning})`));
      return;
    }
    // A wrong echo is more than news: the command that waits may have been heard wrongly.
    if (verdict?.kind === 'other') return pending?.reject(new NoAnswer('other', verdict.message));
    if ((pending === undefined || isEchoed) && this.#isLate(frame)) {
      this.noise++;
      return;
    }
    const means = this.#speech.unsolicited(frame);
    if (means !== undefined) return this.#events.unsolicited({ means, line: frame });
    if (pending !== undefined && !isEchoed)
      return pending.reject(new NoAnswer('other', `the unit repeated ${shown(echo ?? '')} as ${shown(frame)}`));
    this.noise++;
  }

  /** Whether this answers, word for word, what was asked too long ago. Anything else that the unit says of the same setting is somebody's doing. */
  #isLate(frame: string): boolean {
    const at = this.#late.findIndex((judge) => judge(frame)?.kind === 'answer');
    if (at < 0) return false;
    this.#late.splice(at, 1);
    return true;
  }

  #finish(error: OutboardError): void {
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
    for (const stop of this.#waiting) stop(error);
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

/** A frame for people: as text where it is text, else its bytes in hexadecimal. */
export function shown(frame: string): string {
  if (/^[\x20-\x7e]*$/.test(frame)) return `"${frame}"`;
  return Array.from(frame, (c) => c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()).join(' ');
}
