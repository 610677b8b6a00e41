/**
 * Maintenance: no job runs while technicians work on the rig. It ends by itself. Queued jobs stay queued. In it the interface can be released
 * for outside tools, and is taken back when it ends or is entered again.
 */
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import type { ModeKeeper } from './mode.js';

export interface MaintenanceOptions {
  journal: Journal;
  mode: ModeKeeper;
  log: Logger;
  /**
   * Settles when no take holds an insert and every insert that remembers was flushed. It rejects with what was not in order; nothing plays
   * then either, so that the technician comes in all the same.
   */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends what is being measured; resolves when nothing plays any more. */
  endMeasuring(why: string): Promise<void>;
  /** Recalls the safe state of every processor and verifies it; what failed stays owed and is returned. */
  makeSafe(): Promise<{ processor: string; error: OutboardError }[]>;
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
  /** The interface was given up: an outside tool may have it. */
  released?: boolean;
}

interface Session {
  until: number;
  reason: string;
  abort: AbortController;
  timer: NodeJS.Timeout;
  drained: boolean;
  released: boolean;
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
    if (this.#session.released) return 'released';
    return this.#session.drained ? 'maintenance' : 'draining';
  }

  /** After a restart: a session whose time is not over goes on, because somebody may have his hands in the gear. */
  resume(): void {
    const kept = this.#o.journal.meta('maintenance');
    if (!kept) return;
    const { until, reason, released } = JSON.parse(kept) as Kept;
    const left = until - nowSeconds();
    if (left > 0) this.#begin(left, reason, released);
    else this.#note(null);
  }

  /** Begins a session, or takes the interface back that was released. @throws OutboardError rig.mode | audio.* */
  async enter(seconds: number, reason: string): Promise<void> {
    if (this.#session?.released) return await this.#inTurn(() => this.#reenter(seconds, reason));
    const { mode } = this.#o.mode;
    // Without its interface, or with an insert that is not quiet, is just when a rig needs a technician.
    if (this.#session || (mode !== 'ready' && mode !== 'faulted'))
      throw new OutboardError('rig.mode', `maintenance cannot begin while the rig is ${mode}`);
    this.#note({ until: nowSeconds() + seconds, reason });
    this.#begin(seconds, reason);
  }

  /** Gives the interface up for outside tools until the session ends or is entered again. @throws OutboardError rig.mode */
  async release(reason: string): Promise<void> {
    await this.#inTurn(async () => {
      const { mode, makeSafe, endMeasuring, giveUp } = this.#o;
      const session = this.#session;
      if (mode.mode !== 'maintenance' || !session)
        throw new OutboardError('rig.mode', `the interface is released in maintenance only; the rig is ${mode.mode}`);
      await endMeasuring('the interface is released');
      // What an outside tool plays shall find nothing that amplifies.
      this.#tellUnsafe(await makeSafe());
      session.released = true;
      this.#note({ until: session.until, reason: session.reason, released: true });
      mode.set('released');
      await giveUp(reason);
    });
  }

  /** Ends a session; a processor takes jobs again only when its safe state was reached and verified. @throws OutboardError rig.mode */
  async exit(why: string): Promise<void> {
    const session = this.#session;
    if (!session) throw new OutboardError('rig.mode', 'the rig is not in maintenance');
    await this.#inTurn(async () => {
      if (this.#session !== session) return;
      const { mode, journal, makeSafe, endMeasuring, takeBack, trouble } = this.#o;
      clearTimeout(session.timer);
      session.abort.abort(new OutboardError('take.aborted', why));
      await endMeasuring(why);
      if (session.released) {
        session.released = false;
        await takeBack();
      }
      // A session that ends while takes are still rolling has touched nothing, and the takes need their settings.
      if (session.drained) this.#tellUnsafe(await makeSafe());
      this.#session = undefined;
      journal.db.commit('maintenance.over', () => {
        journal.setMeta('maintenance', '');
        journal.audit.append('maintenance.over', { why });
      });
      if (mode.mode !== 'stopping') mode.set(trouble() ? 'faulted' : 'ready');
    });
  }

  stop(): void {
    if (!this.#session) return;
    clearTimeout(this.#session.timer);
    this.#session.abort.abort(new OutboardError('take.aborted', 'the rig is stopping'));
  }

  async #reenter(seconds: number, reason: string): Promise<void> {
    const session = this.#session;
    const { mode, takeBack, trouble } = this.#o;
    if (!session?.released)
      throw new OutboardError('rig.mode', `maintenance cannot begin while the rig is ${mode.mode}`);
    this.#note({ until: nowSeconds() + seconds, reason });
    clearTimeout(session.timer);
    Object.assign(session, { reason, until: nowSeconds() + seconds, timer: this.#timer(seconds), released: false });
    await takeBack();
    const why = trouble();
    mode.set(why ? 'faulted' : 'maintenance');
    if (why) throw why;
  }

  #note(session: Kept | null): void {
    this.#o.journal.db.commit('maintenance', () =>
      this.#o.journal.setMeta('maintenance', session ? JSON.stringify(session) : ''),
    );
  }

  #timer(seconds: number): NodeJS.Timeout {
    const { log } = this.#o;
    return setTimeout(
      () => void this.exit('its time is over').catch((error) => log.error({ err: error }, 'maintenance did not end')),
      seconds * 1000,
    );
  }

  #begin(seconds: number, reason: string, thenRelease = false): void {
    const { mode, log } = this.#o;
    const abort = new AbortController();
    const session: Session = {
      until: nowSeconds() + seconds,
      reason,
      abort,
      timer: this.#timer(seconds),
      drained: false,
      released: false,
    };
    this.#session = session;
    mode.set('draining');
    this.#o
      .drain(abort.signal)
      .catch((cause) => {
        if (abort.signal.aborted) return;
        const error = asOutboardError(cause);
        mode.fault(error);
        log.error({ code: error.code, err: cause }, 'something was not in order when maintenance began');
      })
      .finally(() => {
        if (abort.signal.aborted) return;
        session.drained = true;
        mode.set('maintenance');
        if (thenRelease)
          void this.release(reason).catch((error) => log.error({ err: error }, 'the interface was not released again'));
      });
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
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
