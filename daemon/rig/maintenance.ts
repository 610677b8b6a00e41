/**
 * Maintenance: no job runs while technicians work on the rig. It ends by itself. Queued jobs stay queued. In it the interface can be released
 * for outside tools, and is taken back when it ends or is entered again.
 */
import type { Mode } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import type { ModeKeeper } from './mode.js';

export interface MaintenanceOptions {
  journal: Journal;
  mode: ModeKeeper;
  log: Logger;
  /** Resolves when no take holds an insert and nothing is measured. */
  drained(signal: AbortSignal): Promise<void>;
  /**
   * Then: recalls the safe states, and flushes every insert that remembers. It rejects with what was not in order; nothing plays then either,
   * so that the technician comes in all the same.
   */
  quieten(signal: AbortSignal): Promise<void>;
  /** Flushes every insert that may hold a client's sound. @throws OutboardError insert.noisy | processor.* | audio.* */
  forgetClients(signal: AbortSignal): Promise<void>;
  /** Inside a commit: who is at the interface now may leave sound in every insert, which the next client must not hear. */
  ownInserts(): void;
  /** Ends what is being measured; resolves when nothing plays any more. */
  endMeasuring(why: string): Promise<void>;
  /** Recalls the safe state of every processor and verifies it; what failed stays owed and is returned. */
  makeSafe(): Promise<{ processor: string; error: OutboardError }[]>;
  /** Front panels are for people, or for the rig alone. */
  attend(attended: boolean): Promise<void>;
  /** Gives the interface up, and tells who watches the rig. */
  giveUp(reason: string): Promise<void>;
  /** Claims the interface again. Resolves when that was tried; it goes on trying. */
  takeBack(): Promise<void>;
  /** Null when takes could roll: without its interface a rig is not ready. */
  trouble(): OutboardError | null;
}

/** In the journal: what outlives a restart. */
interface Kept {
  until: number;
  reason: string;
  technician: string;
  /** The interface was given up: an outside tool may have it. */
  released?: boolean;
}

interface Session {
  until: number;
  reason: string;
  /** Who began it, and may prolong it. */
  technician: string;
  abort: AbortController;
  timer: NodeJS.Timeout;
  /** The drain, from its beginning; it does not reject. */
  draining: Promise<void>;
  /** No take holds the gear any more: the session has it. */
  hasGear: boolean;
  drained: boolean;
  released: boolean;
  /** It is being released or ended: nothing new may begin. */
  closing: boolean;
}

export class Maintenance {
  readonly #o: MaintenanceOptions;
  #session: Session | undefined;
  /** One thing after another: a release is over before the interface is taken back. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: MaintenanceOptions) {
    this.#o = options;
  }

  get session(): { until: number; reason: string } | undefined {
    return this.#session && { until: this.#session.until, reason: this.#session.reason };
  }

  /** The mode that a session asks for, whatever the interface does meanwhile; null when there is none. */
  get mode(): 'draining' | 'maintenance' | 'released' | null {
    if (!this.#session) return null;
    const { closing, released, drained } = this.#session;
    if (closing) return 'draining';
    return released ? 'released' : drained ? 'maintenance' : 'draining';
  }

  /** After a restart: a session whose time is not over goes on, because somebody may have his hands in the gear. */
  resume(): void {
    const kept = this.#kept();
    if (!kept || this.#session) return;
    const left = kept.until - nowSeconds();
    if (left > 0) this.#begin(left, kept);
    else this.#note(null);
  }

  /**
   * After a restart, before the interface is claimed: an outside tool may still have it.
   * @returns false when it was not released, or the time of that is over
   */
  async resumeReleased(): Promise<boolean> {
    const { journal, mode, attend, ownInserts, giveUp } = this.#o;
    const kept = this.#kept();
    const left = (kept?.until ?? 0) - nowSeconds();
    if (!kept?.released || left <= 0) return false;
    journal.db.commit('maintenance.released', () => {
      ownInserts();
      journal.audit.append('maintenance.released', { reason: kept.reason, why: 'the rig started again' });
    });
    Object.assign(this.#makeSession(left, kept), { hasGear: true, drained: true, released: true });
    mode.set('released');
    await attend(true);
    await giveUp(kept.reason);
    return true;
  }

  /**
   * Begins a session, takes the interface back that was released, or lets one's own session last from now on for so long.
   * @throws OutboardError rig.mode | audio.*
   */
  async enter(seconds: number, reason: string, technician: string): Promise<void> {
    const session = this.#session;
    if (session?.released) return await this.#inTurn(() => this.#reenter(seconds, reason, technician));
    if (session && !session.closing) return this.#prolong(session, seconds, technician);
    const { mode } = this.#o.mode;
    // Without its interface, or with an insert that is not quiet, is just when a rig needs a technician.
    if (session || (mode !== 'ready' && mode !== 'faulted'))
      throw new OutboardError('rig.mode', `maintenance cannot begin while the rig is ${mode}`);
    this.#note({ until: nowSeconds() + seconds, reason, technician });
    this.#begin(seconds, { reason, technician });
  }

  #prolong(session: Session, seconds: number, technician: string): void {
    const { reason } = session;
    if (technician !== session.technician)
      throw new OutboardError('rig.mode', `${session.technician} is in maintenance already: ${reason}`, {
        details: { technician: session.technician, until: session.until },
      });
    const until = nowSeconds() + seconds;
    this.#note({ until, reason, technician });
    clearTimeout(session.timer);
    Object.assign(session, { until, timer: this.#timer(seconds) });
  }

  /**
   * Gives the interface up for outside tools until the session ends or is entered again; not while an insert holds a client's sound that it
   * cannot be made to forget.
   * @throws OutboardError rig.mode | insert.noisy | processor.* | audio.*
   */
  async release(reason: string): Promise<void> {
    await this.#inTurn(async () => {
      const { mode, makeSafe, endMeasuring, forgetClients, ownInserts, giveUp } = this.#o;
      const session = this.#session;
      if (mode.mode !== 'maintenance' || !session)
        throw new OutboardError('rig.mode', `the interface is released in maintenance only; the rig is ${mode.mode}`);
      await this.#closing(session, async () => {
        await endMeasuring('the interface is released');
        await forgetClients(session.abort.signal);
        // What an outside tool plays shall find nothing that amplifies.
        this.#tellUnsafe(await makeSafe());
        const { until, reason: why, technician } = session;
        this.#note({ until, reason: why, technician, released: true }, ownInserts);
        session.released = true;
        await giveUp(reason);
      });
      this.#become('released');
    });
  }

  /** Ends a session; a processor takes jobs again only when its safe state was reached and verified. @throws OutboardError rig.mode */
  async exit(why: string): Promise<void> {
    const session = this.#session;
    if (!session) throw new OutboardError('rig.mode', 'the rig is not in maintenance');
    await this.#inTurn(async () => {
      if (this.#session !== session) return;
      const { journal, attend, makeSafe, endMeasuring, takeBack, trouble } = this.#o;
      clearTimeout(session.timer);
      session.abort.abort(new OutboardError('take.aborted', why));
      await this.#closing(session, async () => {
        await endMeasuring(why);
        // No job shall begin under a safe state that is being recalled, or a flush.
        await session.draining;
        if (session.released) {
          session.released = false;
          await takeBack();
        }
        // A session that ends while takes are still rolling has touched nothing, and the takes need their settings.
        if (session.hasGear) {
          await attend(false);
          this.#tellUnsafe(await makeSafe());
        }
        journal.db.commit('maintenance.over', () => {
          journal.setMeta('maintenance', '');
          journal.audit.append('maintenance.over', { why });
        });
        this.#session = undefined;
      });
      this.#become(trouble() ? 'faulted' : 'ready');
    });
  }

  /** Resolves when nothing of a session goes on any more. The rig's mode is `stopping` by then, so that nothing new begins; the next start resumes the session. */
  async stop(): Promise<void> {
    const session = this.#session;
    clearTimeout(session?.timer);
    session?.abort.abort(new OutboardError('take.aborted', 'the rig is stopping'));
    await session?.draining;
    await this.#turn;
    // One that was entered again meanwhile has a new one.
    clearTimeout(session?.timer);
  }

  async #reenter(seconds: number, reason: string, technician: string): Promise<void> {
    const session = this.#session;
    const { mode, takeBack, trouble } = this.#o;
    if (!session?.released)
      throw new OutboardError('rig.mode', `maintenance cannot begin while the rig is ${mode.mode}`);
    const until = nowSeconds() + seconds;
    this.#note({ until, reason, technician });
    clearTimeout(session.timer);
    Object.assign(session, { reason, technician, until, timer: this.#timer(seconds), released: false });
    await takeBack();
    const why = trouble();
    this.#become(why ? 'faulted' : 'maintenance');
    if (why) throw why;
  }

  /** What must find nothing beginning beside it. When it fails, the session stands as before. */
  async #closing(session: Session, work: () => Promise<void>): Promise<void> {
    const { mode } = this.#o;
    session.closing = true;
    if (mode.mode === 'maintenance' || mode.mode === 'released') mode.set('draining');
    try {
      await work();
    } catch (error) {
      session.closing = false;
      if (mode.mode === 'draining') mode.set(this.mode!);
      throw error;
    }
    session.closing = false;
  }

  #become(next: Mode): void {
    if (this.#o.mode.mode !== 'stopping') this.#o.mode.set(next);
  }

  #kept(): Kept | null {
    const kept = this.#o.journal.meta('maintenance');
    return kept ? (JSON.parse(kept) as Kept) : null;
  }

  #note(session: Kept | null, beside: () => void = () => undefined): void {
    this.#o.journal.db.commit('maintenance', () => {
      this.#o.journal.setMeta('maintenance', session ? JSON.stringify(session) : '');
      beside();
    });
  }

  #timer(seconds: number): NodeJS.Timeout {
    const { log } = this.#o;
    return setTimeout(
      () => void this.exit('its time is over').catch((error) => log.error({ err: error }, 'maintenance did not end')),
      seconds * 1000,
    );
  }

  #makeSession(seconds: number, { reason, technician }: Pick<Session, 'reason' | 'technician'>): Session {
    this.#session = {
      until: nowSeconds() + seconds,
      reason,
      technician,
      abort: new AbortController(),
      timer: this.#timer(seconds),
      draining: Promise.resolve(),
      hasGear: false,
      drained: false,
      released: false,
      closing: false,
    };
    return this.#session;
  }

  #begin(seconds: number, by: Pick<Session, 'reason' | 'technician'>): void {
    const session = this.#makeSession(seconds, by);
    this.#o.mode.set('draining');
    session.draining = this.#drain(session);
  }

  async #drain(session: Session): Promise<void> {
    const { mode, log, attend, drained, quieten } = this.#o;
    const { signal } = session.abort;
    try {
      await drained(signal);
      signal.throwIfAborted();
      session.hasGear = true;
      await quieten(signal);
    } catch (cause) {
      if (signal.aborted) return;
      const error = asOutboardError(cause);
      mode.fault(error);
      log.error({ code: error.code, err: cause }, 'something was not in order when maintenance began');
    }
    if (signal.aborted) return;
    session.hasGear = true;
    await attend(true);
    if (signal.aborted) return;
    session.drained = true;
    this.#become('maintenance');
  }

  #tellUnsafe(failures: { processor: string; error: OutboardError }[]): void {
    const { mode, log } = this.#o;
    for (const { processor, error } of failures) {
      // The unit owes its safe state and takes no job until it has reached it; the others go on.
      log.error({ processor, code: error.code }, 'a processor is not in its safe state after maintenance');
      mode.fault(error);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      if (this.#o.mode.mode === 'stopping') throw new OutboardError('rig.mode', 'the rig is stopping');
      return await work();
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
