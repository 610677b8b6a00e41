/**
 * One processor and the wire to it. The unit opens its transport, asks who is there, and holds the link; whatever goes wrong with the link
 * makes it `lost`, and it opens and identifies again after a back-off, for as long as it is started. It never sets anything by itself: after a
 * loss the settings are applied again only by whoever asks for them.
 */
import type { RecalledSetting } from '../../core/contract/event.js';
import type { Settings } from '../../core/contract/primitives.js';
import { backoffMs, delay } from '../../core/duration.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import { Conversation } from './conversation.js';
import { absolute, compare, type Decimal, subtract } from './decimal.js';
import { Exchange, type Reading } from './exchange.js';
import type { LocalChange, ProcessorUnit, UnitState } from './processor-unit.js';
import type { Profile } from './profile.js';
import { resolveSettings, type Target } from './settings.js';
import type { Transport } from './transport.js';

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

export function createUnit(options: UnitOptions): ProcessorUnit {
  return new WiredUnit(options);
}

interface Session {
  conversation: Conversation;
  exchange: Exchange;
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
  #state: UnitState = 'absent';
  #lastFault: OutboardError | undefined;
  #lastWireMs = 0;
  #running: { stopper: AbortController; firstTry: Promise<void>; done: Promise<void> } | undefined;
  #session: Session | undefined;
  /** What the unit was last heard to have, by setting; empty after a loss or a local change. */
  #known = new Map<string, Decimal>();
  /** Counts what voids a verification. */
  #disturbances = 0;
  /** `#disturbances` when the last recall had been verified. */
  #undisturbedAt = -1;
  #queue: Promise<void> = Promise.resolve();

  constructor({ name, profile, transport, logger, backoff }: UnitOptions) {
    this.name = name;
    this.profile = profile;
    this.#transport = transport;
    this.#logger = logger;
    this.#backoff = backoff ?? { baseMs: 250, maxMs: 10_000 };
  }

  get state(): UnitState {
    return this.#state;
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

  async recall(settings: Settings): Promise<RecalledSetting[]> {
    const targets = resolveSettings(this.profile, settings);
    return await this.#exclusive((session) => this.#apply(session, targets));
  }

  async readBack(settings: Settings): Promise<RecalledSetting[]> {
    const targets = resolveSettings(this.profile, settings);
    return await this.#exclusive(async (session) => {
      const readings = await this.#readAll(session, targets);
      const undisturbed = this.#disturbances === this.#undisturbedAt;
      return targets.map((target) => {
        const reading = readings.get(target.key);
        return reported(target, reading, undisturbed && reading !== undefined && agrees(target, reading));
      });
    });
  }

  async safe(): Promise<void> {
    const { safeState, document } = this.profile;
    const keys = Object.keys(safeState);
    // The safe state has an order of its own.
    const targets = resolveSettings(this.profile, safeState).sort((a, b) => keys.indexOf(a.key) - keys.indexOf(b.key));
    await this.#exclusive((session) => this.#apply(session, targets, document.safe.settleMs));
  }

  onLocalChange(listener: (change: LocalChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onState(listener: (state: UnitState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Sets, reads back, settles. `leastSettleMs` is waited even where nothing changed. */
  async #apply(session: Session, targets: readonly Target[], leastSettleMs = 0): Promise<RecalledSetting[]> {
    const beganAtMs = performance.now();
    const disturbances = this.#disturbances;
    let settleMs = leastSettleMs;
    for (const target of targets) {
      const known = this.#known.get(target.key);
      if (known === undefined || compare(known, target.w) !== 0)
        settleMs = Math.max(settleMs, target.parameter.settleMs);
      // Until it is read back, nobody knows.
      this.#known.delete(target.key);
      await session.exchange.set(target);
    }
    const readings = await this.#readAll(session, targets, true);
    const { lastByteAtMs } = session.conversation;
    const wireMs = targets.length === 0 ? 0 : lastByteAtMs - beganAtMs;
    const settledAtMs = lastByteAtMs + settleMs;
    // More than once where need be: a timer may fire a little early.
    for (let left = settledAtMs - performance.now(); left > 0; left = settledAtMs - performance.now())
      await session.conversation.rest(left);
    if (this.#disturbances !== disturbances)
      throw this.#unverified('somebody changed a setting at the unit during the recall', {});
    this.#undisturbedAt = disturbances;
    this.#lastWireMs = wireMs;
    return targets.map((target) => reported(target, readings.get(target.key), readings.has(target.key)));
  }

  /** Reads what can be read. With `insist`, a value that is not the requested one is asked for again and then thrown. */
  async #readAll(session: Session, targets: readonly Target[], insist = false): Promise<Map<string, Reading>> {
    const readings = new Map<string, Reading>();
    for (const target of targets) {
      if (target.parameter.verifyBy !== 'readback') continue;
      let reading = await session.exchange.read(target);
      for (let left = this.profile.pacing.retries; insist && !agrees(target, reading) && left > 0; left--) {
        await session.conversation.drain();
        reading = await session.exchange.read(target);
      }
      if (insist && !agrees(target, reading))
        throw this.#unverified(`${target.key} was set to ${target.value} and reads ${reading.value}`, {
          setting: target.key,
          requested: target.value,
          readBack: reading.value,
        });
      this.#known.set(target.key, reading.w);
      readings.set(target.key, reading);
    }
    return readings;
  }

  /** One at a time, and only while the unit is there. A time-out that outlived its retries ends the link. */
  async #exclusive<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const before = this.#queue;
    let leave = (): void => undefined;
    this.#queue = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    const session = this.#session;
    try {
      if (session === undefined) throw this.#notReady();
      this.#become('busy');
      return await work(session);
    } catch (thrown) {
      const error = asOutboardError(thrown);
      if (session !== undefined) this.#lastFault = error;
      if (isOutboardError(error, 'processor.timeout')) session?.end(error);
      throw error;
    } finally {
      if (session !== undefined && this.#session === session) this.#become('ready');
      leave();
    }
  }

  async #run(signal: AbortSignal, tried: () => void): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const wasReady = await this.#connect(signal, tried);
      tried();
      failures = wasReady ? 0 : failures + 1;
      const { baseMs, maxMs } = this.#backoff;
      const pauseMs = this.#state === 'refused' ? maxMs : backoffMs(failures, baseMs, maxMs);
      await delay(pauseMs, signal).catch(() => undefined);
    }
    this.#become('absent');
  }

  /** One life of a link, from opening to its end. Resolves with whether the unit was ready in between. */
  async #connect(signal: AbortSignal, tried: () => void): Promise<boolean> {
    const { name, profile } = this;
    let resolveEnded: (error: OutboardError) => void = () => undefined;
    const ended = new Promise<OutboardError>((resolve) => {
      resolveEnded = resolve;
    });
    const conversation = new Conversation(name, profile, {
      unsolicited: (change) => this.#heard(change, conversation),
      lost: (error) => end(error),
    });
    // At once, so that nobody who hears of the failure still finds the unit ready.
    const end = (error: OutboardError): void => {
      if (this.#session?.conversation === conversation) {
        this.#session = undefined;
        if (!signal.aborted) this.#fault(error, 'lost');
      }
      conversation.close(error).catch(() => undefined);
      resolveEnded(error);
    };
    const failed = ended.then((error) => Promise.reject(error));
    failed.catch(() => undefined);
    const stop = (): void => end(this.#lost('the unit was stopped'));
    signal.addEventListener('abort', stop, { once: true });
    try {
      this.#become('opening');
      await Promise.race([conversation.open(this.#transport, signal), failed]);
      this.#become('identifying');
      const exchange = new Exchange(name, profile, conversation);
      await Promise.race([exchange.identify(), failed]);
      this.#session = { conversation, exchange, end };
      this.#become('ready');
      tried();
      await ended;
      return true;
    } catch (thrown) {
      const error = thrown instanceof OutboardError ? thrown : this.#lost(messageOf(thrown), thrown);
      const refused = error.code === 'processor.identity';
      if (!signal.aborted) this.#fault(error, refused ? 'refused' : this.#state === 'opening' ? 'absent' : 'lost');
      return false;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#session = undefined;
      this.#known.clear();
      this.#disturbances++;
      await conversation.close(this.#lost('the link was closed')).catch(() => undefined);
    }
  }

  #heard(change: LocalChange, conversation: Conversation): void {
    this.#disturbances++;
    this.#known.clear();
    const session = this.#session;
    // Many units restart when their port is opened: while it is being identified, a banner is no news.
    if (session?.conversation !== conversation) return;
    this.#logger?.warn({ processor: this.name, means: change.means }, 'the unit reports what nobody asked for');
    if (change.means === 'reboot') session.end(this.#lost('the unit restarted'));
    for (const listener of this.#changeListeners) this.#tell(() => listener(change));
  }

  #fault(error: OutboardError, state: UnitState): void {
    this.#lastFault = error;
    this.#become(state);
    this.#logger?.warn({ processor: this.name, code: error.code, state }, error.message);
  }

  #become(state: UnitState): void {
    if (this.#state === state) return;
    this.#state = state;
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
      this.#state === 'refused' && this.#lastFault ? this.#lastFault : { code: 'processor.lost' as const };
    const why = this.#lastFault === undefined ? '' : `: ${this.#lastFault.message}`;
    return new OutboardError(code, `${this.name} is ${this.#state}${why}`, {
      cause: this.#lastFault,
      details: { processor: this.name, state: this.#state },
    });
  }

  #lost(message: string, cause?: unknown): OutboardError {
    return new OutboardError('processor.lost', `${this.name}: ${message}`, {
      cause,
      details: { processor: this.name },
    });
  }

  #unverified(message: string, details: Record<string, unknown>): OutboardError {
    return new OutboardError('processor.unverified', `${this.name}: ${message}`, {
      details: { processor: this.name, ...details },
    });
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function agrees({ parameter, w }: Target, reading: Reading): boolean {
  return compare(absolute(subtract(reading.w, w)), parameter.tolWire) <= 0;
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
