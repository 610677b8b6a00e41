/**
 * One processor and the wire to it. The unit opens its transport, asks who is there, and holds the link; whatever goes wrong with the link
 * makes it `lost`, and it opens and identifies again after a back-off, for as long as it is started. It never sets anything by itself: after a
 * loss the settings are applied again only by whoever asks for them.
 */
import type { RecalledSetting } from '../../core/contract/event.js';
import type { Settings } from '../../core/contract/primitives.js';
import { awake, backoffMs, delay, within } from '../../core/duration.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import { Conversation } from './conversation.js';
import { Exchange, type Reading } from './exchange.js';
import { KeepAlive } from './keep-alive.js';
import { Knowledge } from './knowledge.js';
import type { LocalChange, ProcessorUnit, UnitState } from './processor-unit.js';
import type { Profile } from './profile.js';
import { agrees, Recall, type RecallOptions, safeTargets } from './recall.js';
import { resolveSettings, type Target } from './settings.js';
import { Speech } from './speech.js';
import type { Transport } from './transport.js';
import { StateMachine } from './unit-state.js';

/** What pino offers, as far as it is used. */
export interface UnitLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface UnitOptions {
  name: string;
  profile: Profile;
  transport: Transport;
  logger?: UnitLogger;
  /** First and longest pause before the port is opened again; 250 ms and 10 s when absent. A refused unit is asked again after the longest. */
  backoff?: { baseMs: number; maxMs: number };
}

/** How many of its longest answers a slow unit has to answer a question that has a limit. */
const PATIENCE = 3;
/** Longest time to take leave of a unit beside its answers. */
const LEAVE_MS = 1000;

export function createUnit(options: UnitOptions): ProcessorUnit {
  return new WiredUnit(options);
}

interface Session {
  conversation: Conversation;
  exchange: Exchange;
  recall: Recall;
  identity: Readonly<Record<string, string>>;
  end(error: OutboardError): void;
}

class WiredUnit implements ProcessorUnit {
  readonly name: string;
  readonly profile: Profile;
  readonly #transport: Transport;
  readonly #logger: UnitLogger | undefined;
  readonly #backoff: { baseMs: number; maxMs: number };
  readonly #changeListeners = new Set<(change: LocalChange) => void>();
  readonly #stateListeners = new Set<(state: UnitState) => void>();
  readonly #machine = new StateMachine((state) => this.#became(state));
  readonly #known = new Knowledge();
  readonly #speech: Speech;
  #lastFault: OutboardError | undefined;
  #lastWireMs = 0;
  #running: { stopper: AbortController; firstTry: Promise<void>; done: Promise<void> } | undefined;
  #session: Session | undefined;
  /** Ends the recalls that are under way. */
  #givesWay = new AbortController();
  /** `disturbances` when the last recall had been verified. */
  #undisturbedAt = -1;
  #queue: Promise<void> = Promise.resolve();

  constructor({ name, profile, transport, logger, backoff }: UnitOptions) {
    this.name = name;
    this.profile = profile;
    this.#speech = new Speech(profile);
    this.#transport = transport;
    this.#logger = logger;
    this.#backoff = backoff ?? { baseMs: 250, maxMs: 10_000 };
  }

  get state(): UnitState {
    return this.#machine.state;
  }

  get identity(): Readonly<Record<string, string>> | undefined {
    return this.#session?.identity;
  }

  get lastFault(): OutboardError | undefined {
    return this.#lastFault;
  }

  get lastWireMs(): number {
    return this.#lastWireMs;
  }

  start(signal: AbortSignal): Promise<void> {
    if (this.#running === undefined) {
      const stopper = new AbortController();
      const both = AbortSignal.any([signal, stopper.signal]);
      let tried = (): void => undefined;
      const firstTry = new Promise<void>((resolve) => {
        tried = resolve;
      });
      const done = this.#run(both, tried).finally(() => {
        tried();
        if (this.#running?.stopper === stopper) this.#running = undefined;
      });
      this.#running = { stopper, firstTry, done };
    }
    return this.#running.firstTry;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    running?.stopper.abort();
    await running?.done;
  }

  async identify(limitMs?: number): Promise<Readonly<Record<string, string>>> {
    return await this.#exclusive(
      async (session) => {
        session.identity = await session.exchange.identify();
        return session.identity;
      },
      { limitMs },
    );
  }

  async recall(settings: Settings, wanted?: AbortSignal): Promise<RecalledSetting[]> {
    const targets = resolveSettings(this.profile, settings);
    const signal = wanted ? AbortSignal.any([wanted, this.#givesWay.signal]) : this.#givesWay.signal;
    return await this.#exclusive((session) => this.#apply(session, targets, { signal }), { signal });
  }

  async readBack(settings: Settings, limitMs?: number): Promise<RecalledSetting[]> {
    const targets = resolveSettings(this.profile, settings);
    return await this.#exclusive(
      async (session) => {
        const readings = await session.recall.read(targets);
        const undisturbed = this.#known.disturbances === this.#undisturbedAt;
        return targets.map((target) => {
          const reading = readings.get(target.key);
          return reported(target, reading, undisturbed && agrees(target, reading));
        });
      },
      { limitMs },
    );
  }

  async safe(signal?: AbortSignal): Promise<RecalledSetting[]> {
    const targets = safeTargets(this.profile);
    const { settleMs } = this.profile.document.safe;
    const options = { leastSettleMs: settleMs, direct: true, ...(signal ? { signal } : {}) };
    if (signal === undefined) this.#endRecalls();
    return await this.#exclusive((session) => this.#apply(session, targets, options), { signal });
  }

  /** A recall may wind a tape for minutes. What has to be safe does not wait for that. */
  #endRecalls(): void {
    const why = 'the recall was given up for the safe state';
    this.#givesWay.abort(
      new OutboardError('processor.unverified', `${this.name}: ${why}`, { details: { processor: this.name } }),
    );
    this.#givesWay = new AbortController();
  }

  async panel(to: 'people' | 'rig'): Promise<void> {
    const { session, panel } = this.profile;
    const targets = resolveSettings(this.profile, to === 'people' ? panel.free : panel.held);
    await this.#exclusive(async (current) => {
      if (session.panel) await current.exchange.say(to === 'people' ? session.end : session.begin);
      if (targets.length > 0) await this.#apply(current, targets);
    });
  }

  onLocalChange(listener: (change: LocalChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onState(listener: (state: UnitState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  async #apply(session: Session, targets: readonly Target[], options?: RecallOptions): Promise<RecalledSetting[]> {
    const { readings, wireMs } = await session.recall.apply(targets, options);
    this.#undisturbedAt = this.#known.disturbances;
    this.#lastWireMs = wireMs;
    return targets.map((target) => reported(target, readings.get(target.key), readings.get(target.key) !== undefined));
  }

  /** One at a time, and only while the unit is there. A time-out that outlived its retries ends the link, as does another unit's answer. */
  async #exclusive<T>(
    work: (session: Session) => Promise<T>,
    { limitMs, signal }: { limitMs?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const before = this.#queue;
    let leave = (): void => undefined;
    this.#queue = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    const session = this.#session;
    try {
      signal?.throwIfAborted();
      if (session === undefined) throw this.#notReady();
      this.#machine.become('busy');
      return await (limitMs === undefined ? work(session) : this.#soon(session, work(session), limitMs));
    } catch (thrown) {
      // Who asked wants it no more: that is no fault of the unit.
      if (signal?.aborted && thrown === signal.reason) throw thrown;
      const error = asOutboardError(thrown);
      if (session !== undefined) this.#lastFault = error;
      const isOver = isOutboardError(error, 'processor.timeout') || isOutboardError(error, 'processor.identity');
      if (isOver) session?.end(error);
      throw error;
    } finally {
      if (session !== undefined && this.#session === session) this.#machine.become('ready');
      leave();
    }
  }

  /** @throws OutboardError processor.timeout */
  async #soon<T>({ conversation }: Session, work: Promise<T>, limitMs: number): Promise<T> {
    const longestMs = Math.max(limitMs, PATIENCE * conversation.slowestAnswerMs);
    const over = new AbortController();
    const late = awake(longestMs, over.signal).then(() => {
      throw new OutboardError('processor.timeout', `${this.name}: no answer within ${Math.round(longestMs)} ms`, {
        details: { processor: this.name },
      });
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      over.abort();
    }
  }

  async #run(signal: AbortSignal, tried: () => void): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const wasReady = await this.#connect(signal, tried);
      tried();
      failures = wasReady ? 0 : failures + 1;
      const { baseMs, maxMs } = this.#backoff;
      const pauseMs = this.state === 'refused' ? maxMs : backoffMs(failures, baseMs, maxMs);
      await delay(pauseMs, signal).catch(() => undefined);
    }
    this.#machine.become('absent');
  }

  /** One life of a link, from opening to its end. Resolves with whether the unit was ready in between. */
  async #connect(signal: AbortSignal, tried: () => void): Promise<boolean> {
    const { name, profile } = this;
    let resolveEnded: (error: OutboardError) => void = () => undefined;
    const ended = new Promise<OutboardError>((resolve) => {
      resolveEnded = resolve;
    });
    const conversation = new Conversation(name, profile, this.#speech, {
      unsolicited: (change) => this.#heard(change, conversation),
      lost: (error) => end(error),
    });
    // At once, so that nobody who hears of the failure still finds the unit ready.
    const end = (error: OutboardError): void => {
      if (this.#session?.conversation === conversation) {
        this.#session = undefined;
        if (!signal.aborted) this.#fault(error, error.code === 'processor.identity' ? 'refused' : 'lost');
      }
      conversation.close(error).catch(() => undefined);
      resolveEnded(error);
    };
    const failed = ended.then((error) => Promise.reject(error));
    failed.catch(() => undefined);
    const exchange = new Exchange(name, profile, conversation);
    const { keepAlive } = profile.session;
    const beat = keepAlive === undefined ? undefined : new KeepAlive(keepAlive, exchange, end);
    const stop = (): void => void this.#leave(exchange).finally(() => end(this.#lost('the unit was stopped')));
    signal.addEventListener('abort', stop, { once: true });
    try {
      this.#machine.become('opening');
      await Promise.race([conversation.open(this.#transport, signal), failed]);
      this.#machine.become('identifying');
      const identity = await Promise.race([exchange.identify(), failed]);
      await Promise.race([exchange.say(profile.session.begin), failed]);
      const recall = new Recall(name, profile, { conversation, exchange }, this.#known);
      this.#session = { conversation, exchange, recall, identity, end };
      this.#machine.become('ready');
      beat?.start();
      tried();
      await ended;
      return true;
    } catch (thrown) {
      const error = thrown instanceof OutboardError ? thrown : this.#lost(messageOf(thrown), thrown);
      const refused = error.code === 'processor.identity';
      if (!signal.aborted) this.#fault(error, refused ? 'refused' : this.state === 'opening' ? 'absent' : 'lost');
      return false;
    } finally {
      signal.removeEventListener('abort', stop);
      beat?.stop();
      this.#session = undefined;
      this.#known.disturbed();
      await conversation.close(this.#lost('the link was closed')).catch(() => undefined);
    }
  }

  /** Takes leave of a unit that is listening: its front panel is people's again, by the profile's settings and the end of its session. */
  async #leave(exchange: Exchange): Promise<void> {
    const { session, pacing, panel } = this.profile;
    const targets = resolveSettings(this.profile, panel.free);
    const recall = this.#session?.recall;
    if (this.state !== 'ready' || recall === undefined || session.end.length + targets.length === 0) return;
    this.#session = undefined;
    const limitMs = LEAVE_MS + (session.end.length + targets.length) * (pacing.retries + 1) * pacing.replyMs;
    const farewell = async () => {
      if (targets.length > 0) await recall.apply(targets, { direct: true });
      await exchange.say(session.end);
    };
    try {
      await within(limitMs, farewell(), () => new Error('the unit does not answer'));
    } catch (error) {
      this.#logger?.warn({ processor: this.name, error: messageOf(error) }, 'the session with the unit was not ended');
    }
  }

  #heard(change: LocalChange, conversation: Conversation): void {
    this.#known.disturbed();
    const session = this.#session;
    // Many units restart when their port is opened: while it is being identified, a banner is no news.
    if (session?.conversation !== conversation) return;
    this.#logger?.warn({ processor: this.name, means: change.means }, 'the unit reports what nobody asked for');
    if (change.means === 'reboot') session.end(this.#lost('the unit restarted'));
    for (const listener of this.#changeListeners) this.#tell(() => listener(change));
  }

  #fault(error: OutboardError, state: UnitState): void {
    this.#lastFault = error;
    this.#machine.become(state);
    this.#logger?.warn({ processor: this.name, code: error.code, state }, error.message);
  }

  #became(state: UnitState): void {
    for (const listener of this.#stateListeners) this.#tell(() => listener(state));
  }

  /** A listener that throws must not stop the unit. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger?.warn({ processor: this.name, error: messageOf(error) }, 'a listener failed');
    }
  }

  #notReady(): OutboardError {
    const { code } =
      this.state === 'refused' && this.#lastFault ? this.#lastFault : { code: 'processor.lost' as const };
    const named = `${this.name}: `;
    const said = this.#lastFault?.message ?? '';
    const why = said === '' ? '' : `: ${said.startsWith(named) ? said.slice(named.length) : said}`;
    return new OutboardError(code, `${this.name} is ${this.state}${why}`, {
      cause: this.#lastFault,
      details: { processor: this.name, state: this.state },
    });
  }

  #lost(message: string, cause?: unknown): OutboardError {
    return new OutboardError('processor.lost', `${this.name}: ${message}`, {
      cause,
      details: { processor: this.name },
    });
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Only what was read back is verified: an acknowledgement is the unit's word that it heard, not that it did. */
function reported({ key, parameter, value }: Target, reading: Reading | undefined, verified: boolean): RecalledSetting {
  return {
    name: key,
    ...(parameter.unit === undefined ? {} : { unit: parameter.unit }),
    requested: value,
    sent: value,
    ...(reading === undefined ? {} : { readBack: reading.value }),
    state: verified ? 'verified' : 'sent, unverified',
  };
}
