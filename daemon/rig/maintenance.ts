/**
 * Maintenance: no job runs while technicians work on the rig. Every request is signed over a nonce that is good once, for a minute, on the
 * connection that asked for it. It ends by itself. Queued jobs stay queued.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { verifyEnvelope } from '../../certs/envelope.js';
import type { RecalledSetting, SessionAction, SessionAnswer, Settings } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import type { ModeKeeper } from './mode.js';
import type { TrustStore } from './trust-store.js';

export const NONCE_SECONDS = 60;

/** What a technician may do with a processor, in maintenance only. */
export interface GearActions {
  /** @throws OutboardError job.processor | job.setting, before anything is done */
  check(processor: string | undefined, settings: Settings | undefined): string;
  set(processor: string, settings: Settings): Promise<RecalledSetting[]>;
  safe(processor: string): Promise<void>;
  identify(processor: string): Promise<Readonly<Record<string, string>>>;
}

export interface MaintenanceOptions {
  rig: string;
  journal: Journal;
  trust: TrustStore;
  mode: ModeKeeper;
  log: Logger;
  /**
   * Settles when no take holds an insert and every insert that remembers was flushed. It rejects with what was not in order; nothing plays
   * then either, so that the technician comes in all the same.
   */
  drain(signal: AbortSignal): Promise<void>;
  /** Recalls the safe state of every processor and verifies it; what failed stays owed and is returned. */
  makeSafe(): Promise<{ processor: string; error: OutboardError }[]>;
  gear: GearActions;
  /** What the rig is when a session is over: without its interface it is not ready. */
  modeAfter(): 'ready' | 'faulted';
}

export class Maintenance {
  readonly #o: MaintenanceOptions;
  readonly #nonces = new WeakMap<Socket, { nonce: string; expiresAtMs: number }>();
  #session:
    | { until: number; reason: string; abort: AbortController; timer: NodeJS.Timeout; drained: boolean }
    | undefined;

  constructor(options: MaintenanceOptions) {
    this.#o = options;
  }

  get session(): { until: number; reason: string } | undefined {
    return this.#session && { until: this.#session.until, reason: this.#session.reason };
  }

  nonce(connection: Socket): string {
    const nonce = randomBytes(32).toString('base64url');
    this.#nonces.set(connection, { nonce, expiresAtMs: performance.now() + NONCE_SECONDS * 1000 });
    return nonce;
  }

  /** @throws OutboardError envelope.* | session.nonce | rig.mode | job.processor | job.setting | processor.* */
  async request(token: string | Uint8Array, connection: Socket): Promise<SessionAnswer> {
    const { journal, trust, rig } = this.#o;
    const given = this.#nonces.get(connection);
    this.#nonces.delete(connection);
    const verified = await verifyEnvelope(token, ['session'], { trust: trust.current(), now: nowSeconds(), aud: rig });
    const { session, iss, jti, exp } = verified.payload;
    if (!given || given.nonce !== session.nonce || given.expiresAtMs < performance.now())
      throw new OutboardError(
        'session.nonce',
        'the nonce is not the one that this connection was given, or it is too old',
      );
    if (journal.seen(iss, jti, verified.payloadDigest) !== 'new')
      throw new OutboardError('envelope.replayed', 'this request was made before');
    const { action, reason, seconds, processor, settings } = session;
    const onGear = action !== 'maintenance.enter' && action !== 'maintenance.exit';
    journal.db.commit('session', () => {
      journal.remember(iss, jti, verified.payloadDigest, exp);
      journal.audit.append(action, {
        technician: iss,
        reason,
        ...(onGear ? { processor: processor ?? null, settings: settings ?? {} } : { seconds }),
      });
    });
    if (action === 'maintenance.enter') this.#enter(seconds, reason);
    else if (action === 'maintenance.exit') await this.exit('a technician ended it');
    const done = onGear ? await this.#handle(action, processor, settings) : {};
    return { mode: this.#o.mode.mode, until: this.#session?.until ?? null, ...done };
  }

  async #handle(
    action: Exclude<SessionAction, 'maintenance.enter' | 'maintenance.exit'>,
    processor: string | undefined,
    settings: Settings | undefined,
  ): Promise<Pick<SessionAnswer, 'settings' | 'identity'>> {
    const { gear, mode } = this.#o;
    // Draining is not enough: a take may still use the unit.
    if (mode.mode !== 'maintenance')
      throw new OutboardError('rig.mode', `processors are set in maintenance only; the rig is ${mode.mode}`);
    const name = gear.check(processor, action === 'processors.set' ? (settings ?? {}) : undefined);
    if (action === 'processors.set') return { settings: await gear.set(name, settings ?? {}) };
    if (action === 'processors.identify') return { identity: { ...(await gear.identify(name)) } };
    await gear.safe(name);
    return {};
  }

  #note(session: { until: number; reason: string } | null): void {
    this.#o.journal.db.commit('maintenance', () =>
      this.#o.journal.setMeta('maintenance', session ? JSON.stringify(session) : ''),
    );
  }

  /** After a restart: a session whose time is not over goes on, because somebody may have his hands in the gear. */
  resume(): void {
    const kept = this.#o.journal.meta('maintenance');
    if (!kept) return;
    const { until, reason } = JSON.parse(kept) as { until: number; reason: string };
    const left = until - nowSeconds();
    if (left > 0) this.#begin(left, reason);
    else this.#note(null);
  }

  /** The mode that a session asks for, whatever the interface does meanwhile; null when there is none. */
  get mode(): 'draining' | 'maintenance' | null {
    return this.#session ? (this.#session.drained ? 'maintenance' : 'draining') : null;
  }

  #enter(seconds: number, reason: string): void {
    const { mode } = this.#o.mode;
    // Without its interface, or with an insert that is not quiet, is just when a rig needs a technician.
    if (this.#session || (mode !== 'ready' && mode !== 'faulted'))
      throw new OutboardError('rig.mode', `maintenance cannot begin while the rig is ${mode}`);
    this.#note({ until: nowSeconds() + seconds, reason });
    this.#begin(seconds, reason);
  }

  #begin(seconds: number, reason: string): void {
    const { mode, log } = this.#o;
    const abort = new AbortController();
    const timer = setTimeout(
      () => void this.exit('its time is over').catch((error) => log.error({ err: error }, 'maintenance did not end')),
      seconds * 1000,
    );
    const session = { until: nowSeconds() + seconds, reason, abort, timer, drained: false };
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
      });
  }

  /** Ends a session; a processor takes jobs again only when its safe state was reached and verified. */
  async exit(why: string): Promise<void> {
    const { mode, journal, log } = this.#o;
    const session = this.#session;
    if (!session) throw new OutboardError('rig.mode', 'the rig is not in maintenance');
    clearTimeout(session.timer);
    session.abort.abort(new OutboardError('take.aborted', why));
    // A session that ends while takes are still rolling has touched nothing, and the takes need their settings.
    if (session.drained)
      for (const { processor, error } of await this.#o.makeSafe()) {
        // The unit owes its safe state and takes no job until it has reached it; the others go on.
        log.error({ processor, code: error.code }, 'a processor is not in its safe state after maintenance');
        mode.fault(error);
      }
    this.#session = undefined;
    journal.db.commit('maintenance.over', () => {
      journal.setMeta('maintenance', '');
      journal.audit.append('maintenance.over', { why });
    });
    if (mode.mode !== 'stopping') mode.set(this.#o.modeAfter());
  }

  stop(): void {
    if (!this.#session) return;
    clearTimeout(this.#session.timer);
    this.#session.abort.abort(new OutboardError('take.aborted', 'the rig is stopping'));
  }
}
