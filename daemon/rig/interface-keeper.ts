/**
 * Holds the interface for the daemon's whole life, idle included, and gives out the one engine on it. A stream that a fault has ended is begun
 * again at once. When the device goes away, or another process has it, the daemon stays up, says what it waits for, tries for ever and goes on
 * by itself. A device that is held and cannot be used (no sound on the sync wire, no such format) stays held meanwhile.
 */
import type { HealthCheck, InterfaceConfig } from '../../core/contract/index.js';
import { backoffMs, delay, within } from '../../core/duration.js';
import { asOutboardError, type ErrorCode, OutboardError } from '../../core/errors.js';
import type { AudioInterface, Claim, ClaimProof, Fault } from '../../drivers/audio/port.js';
import { type DevicePair, deviceName, streamWishes } from '../audio-driver.js';
import type { Logger } from '../log.js';
import { ClaimWatch } from './claim-watch.js';
import { Engine } from './engine/engine.js';
import { interfaceChecks } from './interface-health.js';
import { faultText, StreamFaults } from './stream-faults.js';

export interface InterfaceKeeperOptions {
  config: InterfaceConfig;
  audio: AudioInterface;
  device: DevicePair;
  log: Logger;
  /** No take can roll, and why; called again when the reason becomes another one. */
  onDown(error: OutboardError): void;
  /** Takes can roll again, after so many milliseconds. @param codes of all that was told since */
  onBack(awayMs: number, codes: readonly ErrorCode[]): void;
  /** A rate of the configuration is not to be had. Takes at the others roll. */
  onRefused(error: OutboardError): void;
}

/** Until the device is there again, or free. */
const AWAY_BASE_MS = 250;
const AWAY_MAX_MS = 2000;
/** Between streams, or claims, of a device whose stream ends again and again. */
const UNSOUND_MAX_MS = 60_000;
/** Between two tries to begin a stream. */
const STREAM_BASE_MS = 100;
const STREAM_MAX_MS = 5000;
/** So many streams in a row that a fault has ended are not cured by one more. */
const TOO_MANY_IN_A_ROW = 3;
/** After that a stream is believed when it has run for so long. */
const PROBATION_MS = 2000;
/** A device that was held for so long begins with short waits again. */
const STABLE_MS = 30_000;
/** A stream that is stopped ends its ramps first. */
const STOP_MS = 3000;
/** The rig goes on starting without its interface when this has passed. */
const FIRST_TRY_MS = 15_000;

/** Faults of the stream for which nobody else shall have the device. */
const STAYS_CLAIMED: ReadonlySet<ErrorCode> = new Set(['audio.format', 'audio.latency', 'audio.sync']);
/** A stream that ended while it began. */
const BROKE_OFF: ReadonlySet<ErrorCode> = new Set(['audio.closed']);

interface Held {
  claim: Claim;
  engine: Engine;
  watch: ClaimWatch;
}

interface Trouble {
  error: OutboardError;
  /** Monotonic ms. */
  since: number;
  /** Reasons that were told already. */
  told: Set<ErrorCode>;
}

export class InterfaceKeeper {
  readonly #o: InterfaceKeeperOptions;
  readonly #name: string;
  readonly faults = new StreamFaults();
  /** Rates that were asked for and refused, until they are not. */
  readonly #refused = new Map<number, OutboardError>();
  #held: Held | undefined;
  #trouble: Trouble | undefined;
  /** Of the stream, now or when it runs again. */
  #rate: number;
  #abort: AbortController | undefined;
  #living: Promise<void> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();
  /** What waits for the stream to change. */
  #stir: () => void = () => {};
  #tried: () => void = () => {};

  constructor(options: InterfaceKeeperOptions) {
    this.#o = options;
    this.#name = deviceName(options.device);
    this.#rate = options.config.rates[0]!;
  }

  /** True when a take can roll, or could once a stream that has just had a fault is begun again. */
  get ready(): boolean {
    return this.#held !== undefined && this.#trouble === undefined;
  }

  /** Of the stream that runs, or is about to run again, Hz; null while there is trouble. */
  get rate(): number | null {
    return this.ready ? this.#rate : null;
  }

  /** Why no take can roll. */
  get trouble(): OutboardError | null {
    return this.#trouble?.error ?? null;
  }

  /** Resolves when the device was tried once, whatever came of it; it goes on trying. */
  async start(): Promise<void> {
    if (this.#abort) return;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => this.#down(gone(`${this.#name} does not answer`)), FIRST_TRY_MS);
      this.#tried = () => {
        clearTimeout(late);
        resolve();
      };
      this.#living = this.#live(signal).finally(this.#tried);
    });
  }

  async stop(): Promise<void> {
    this.#abort?.abort(new OutboardError('audio.closed', 'the rig is stopping'));
    await this.#living;
    this.#abort = undefined;
    this.#trouble = undefined;
  }

  /**
   * Gives the device up for outside tools until `start` claims it again; what comes of that is told by `onBack` or `onDown`.
   * @returns why no take can roll now
   */
  async release(reason: string): Promise<OutboardError> {
    await this.stop();
    const error = new OutboardError('interface.released', `${this.#name} is released for outside tools: ${reason}`, {
      details: { device: this.#name, reason },
    });
    this.#trouble = { error, since: performance.now(), told: new Set([error.code]) };
    return error;
  }

  /**
   * The engine, running at a rate. A change of the rate begins a new stream, so nothing may roll then.
   * @throws OutboardError audio.*; `audio.format` when the device does not run this rate
   */
  async engineAt(rate: number): Promise<Engine> {
    if (!this.#held || this.#trouble) throw this.#trouble?.error ?? gone(`${this.#name} is not there`);
    const { engine } = this.#held;
    return await this.#inTurn(async () => {
      if (engine.state === 'running' && engine.rate !== rate && engine.takes > 0)
        throw new OutboardError('audio.busy', `takes roll at ${engine.rate} Hz`);
      try {
        await engine.start({ rate });
      } catch (cause) {
        const error = asOutboardError(cause);
        if (STAYS_CLAIMED.has(error.code)) this.#refuse(rate, error);
        else if (BROKE_OFF.has(error.code)) this.faults.noteEnd();
        this.#stir();
        throw error;
      }
      this.#rate = rate;
      this.#refused.delete(rate);
      return engine;
    });
  }

  /** What is known of the hold; null while there is none. @param probe also has another process try to open the device */
  async proof(probe: boolean): Promise<ClaimProof | null> {
    const watch = this.#held?.watch;
    return watch ? await (probe ? watch.probe() : watch.proof) : null;
  }

  checks(): HealthCheck[] {
    const engine = this.#held?.engine.state === 'running' ? this.#held.engine : null;
    return interfaceChecks({
      device: this.#name,
      trouble: this.trouble,
      proof: this.#held?.watch.proof ?? null,
      granted: engine?.granted ?? null,
      latency: engine?.latency ?? null,
      rates: this.#o.config.rates,
      refused: this.#refused,
      faults: this.faults,
    });
  }

  async #live(signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      const since = performance.now();
      try {
        await this.#hold(signal);
      } catch (cause) {
        this.#down(asOutboardError(cause));
      }
      if (performance.now() - since > STABLE_MS) tries = 0;
      const unsound = this.faults.inARow >= TOO_MANY_IN_A_ROW;
      await delay(backoffMs(tries, AWAY_BASE_MS, unsound ? UNSOUND_MAX_MS : AWAY_MAX_MS), signal).catch(
        () => undefined,
      );
    }
  }

  /** Claims the device and keeps it until it is lost. @throws OutboardError audio.* */
  async #hold(signal: AbortSignal): Promise<void> {
    const { audio, device, config, log } = this.#o;
    const claim = await audio.claim(device);
    const lost = new AbortController();
    const lose = (error: OutboardError) => {
      // Told before anything is tidied up: who watches the rig hears of it first.
      this.#down(error);
      lost.abort(error);
    };
    const wishes = streamWishes(config);
    const engine = new Engine({
      claim,
      inChannels: config.in,
      outChannels: config.out,
      logger: log,
      ...(wishes ? { stream: wishes } : {}),
      ...(config.sync ? { sync: config.sync } : {}),
      ...(config.loopLatencyFrames === undefined ? {} : { loopLatencyFrames: config.loopLatencyFrames }),
    });
    const watch = new ClaimWatch({ claim, log, onLost: (check) => lose(taken(check.detail)) });
    claim.onFault((fault) => {
      this.faults.note(fault);
      if (fault.kind === 'lost') lose(gone(`${this.#name} went away`));
      else if (fault.kind === 'claim-lost') lose(taken('the kernel names another owner'));
    });
    engine.onFault((fault) => this.#hear(engine, fault));
    this.#held = { claim, engine, watch };
    this.#rate = config.rates[0]!;
    try {
      watch.start();
      await this.#keepStream(engine, AbortSignal.any([signal, lost.signal]));
    } finally {
      this.#held = undefined;
      watch.stop();
      // A thread of the driver that hangs in the kernel must not keep the rig from looking for its device again.
      const hung = () => gone(`${this.#name} does not let go of its stream`);
      await within(STOP_MS, engine.stop(), hung).catch((error) => log.warn({ err: error }, 'the engine did not stop'));
      await claim.close().catch((error) => log.warn({ err: error }, 'the claim was not given back well'));
    }
  }

  /** Also what the sync channel finds, of which the driver says nothing. */
  #hear(engine: Engine, fault: Fault): void {
    this.faults.note(fault);
    if (engine.state !== 'faulted') return;
    if (fault.kind !== 'lost' && fault.kind !== 'claim-lost') this.faults.noteEnd();
    this.#stir();
  }

  /** Has a stream run, idle too: so the format is proved before a job needs it, and a fault is known before one meets it. */
  async #keepStream(engine: Engine, signal: AbortSignal): Promise<never> {
    for (let failures = 0; ; ) {
      signal.throwIfAborted();
      try {
        await this.#begin(engine);
      } catch (cause) {
        signal.throwIfAborted();
        const error = asOutboardError(cause);
        if (BROKE_OFF.has(error.code)) {
          this.faults.noteEnd();
          await this.#rest(signal);
          continue;
        }
        if (!STAYS_CLAIMED.has(error.code)) throw error;
        if (!this.#fallBack(error)) this.#down(atRate(error, this.#rate));
        await delay(backoffMs(failures++, STREAM_BASE_MS, STREAM_MAX_MS), signal);
        continue;
      }
      failures = 0;
      if (this.faults.inARow >= TOO_MANY_IN_A_ROW && (await this.#lasts(engine, PROBATION_MS, signal)))
        this.faults.endRow();
      if (this.faults.inARow < TOO_MANY_IN_A_ROW) this.#up();
      await this.#lasts(engine, Number.POSITIVE_INFINITY, signal);
      // It also ends when a rate is tried that the device does not run: then it is only begun again.
      if (engine.state === 'faulted') await this.#rest(signal);
    }
  }

  /** After a fault: the first time not at all. @throws OutboardError when the device stands still and has to be opened anew */
  async #rest(signal: AbortSignal): Promise<void> {
    const { inARow, last } = this.faults;
    if (inARow >= TOO_MANY_IN_A_ROW) {
      const error = unsound(inARow, last ? faultText(last) : 'no fault told');
      if (error.code !== 'audio.late') throw error;
      // The host is too slow, the device is not: it stays ours, because in the moment in which it is closed anybody could play into the gear.
      this.#down(error);
      await delay(backoffMs(inARow - TOO_MANY_IN_A_ROW, AWAY_BASE_MS, UNSOUND_MAX_MS), signal);
      return;
    }
    if (inARow > 1) await delay(backoffMs(inARow, STREAM_BASE_MS, STREAM_MAX_MS), signal);
  }

  async #begin(engine: Engine): Promise<void> {
    await this.#inTurn(async () => {
      if (engine.state !== 'running') await engine.start({ rate: this.#rate });
    });
  }

  /** A job's rate that the device does not run any more is no reason to run none. */
  #fallBack(error: OutboardError): boolean {
    const home = this.#o.config.rates[0]!;
    if (this.#rate === home) return false;
    this.#refuse(this.#rate, error);
    this.#rate = home;
    return true;
  }

  #refuse(rate: number, error: OutboardError): void {
    if (rate === this.#o.config.rates[0]) return;
    const news = this.#refused.get(rate)?.code !== error.code;
    this.#refused.set(rate, error);
    if (news)
      this.#o.onRefused(
        new OutboardError(error.code, `${this.#name} at ${rate} Hz: ${error.message}`, {
          cause: error,
          details: { ...error.details, device: this.#name, rate },
        }),
      );
  }

  /** True when the stream ran for so long, false when it came to stand before. */
  async #lasts(engine: Engine, ms: number, signal: AbortSignal): Promise<boolean> {
    const until = performance.now() + ms;
    while (engine.state === 'running' && performance.now() < until) {
      const stirred = new Promise<void>((resolve) => {
        this.#stir = resolve;
      });
      const waiting = new AbortController();
      await Promise.race([
        stirred,
        // Node's timers hold no more than this.
        delay(Math.min(until - performance.now(), 2 ** 30), AbortSignal.any([signal, waiting.signal])),
      ]).finally(() => waiting.abort());
    }
    return engine.state === 'running';
  }

  #down(error: OutboardError): void {
    if (this.#abort?.signal.aborted) return;
    const trouble: Trouble = this.#trouble ?? { error, since: performance.now(), told: new Set() };
    const told = new OutboardError(error.code, `the rig waits for ${this.#name}: ${error.message}`, {
      cause: error,
      details: { ...error.details, device: this.#name },
    });
    trouble.error = told;
    this.#trouble = trouble;
    if (!trouble.told.has(error.code)) {
      trouble.told.add(error.code);
      this.#o.onDown(told);
    }
    this.#tried();
  }

  #up(): void {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    if (trouble) this.#o.onBack(performance.now() - trouble.since, [...trouble.told]);
    this.#tried();
  }

  /** A change of rate and a restart after a fault never meet. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function gone(what: string): OutboardError {
  return new OutboardError('audio.gone', what);
}

function taken(how: string): OutboardError {
  return new OutboardError('audio.busy', `the claim was lost: ${how}`, {
    details: { fault: 'claim-lost' },
  });
}

function atRate(error: OutboardError, rate: number): OutboardError {
  return new OutboardError(error.code, `at ${rate} Hz: ${error.message}`, {
    cause: error,
    details: { ...error.details, rate },
  });
}

function unsound(count: number, last: string): OutboardError {
  const text = `its stream ended ${count} times in a row, the last time with ${last}`;
  return new OutboardError(last.startsWith('stalled') ? 'audio.gone' : 'audio.late', text);
}
