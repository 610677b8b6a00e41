/** The trust bundle in force: kept in the journal, replaced only by a valid newer one, and looked up before everything that acts. */

import { restoreTrust, type TrustBundle, type TrustState, verifyTrust } from '../../certs/trust-bundle.js';
import { MAX_IAT_AHEAD_SECONDS, type Roots } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Journal } from './journal/journal.js';

export class TrustStore {
  readonly #journal: Journal;
  readonly #pinned: Roots;
  readonly #listeners = new Set<() => void>();
  #bundle: TrustBundle | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: { journal: Journal; roots: Roots }) {
    this.#journal = options.journal;
    this.#pinned = options.roots;
  }

  /** Loads what was in force at the last run; what cannot be believed any more is returned as an error and left out. */
  async load(): Promise<OutboardError | null> {
    const chain = this.#journal.meta('trust.chain');
    if (!chain) return null;
    try {
      this.#bundle = await restoreTrust(JSON.parse(chain) as TrustState, this.#pinned);
      return null;
    } catch (cause) {
      // Other roots are pinned now: what those sign counts from here on.
      return asOutboardError(cause);
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get inForce(): TrustBundle | undefined {
    return this.#bundle;
  }

  /**
   * An expired bundle is still given: acknowledgements and cancels go on with it, and what takes on work asks for its expiry itself.
   *
   * @throws OutboardError trust.missing | trust.clock
   */
  current(): TrustBundle {
    if (!this.#bundle) throw new OutboardError('trust.missing', 'no trust bundle is in force');
    if (this.#bundle.payload.iat > nowSeconds() + MAX_IAT_AHEAD_SECONDS)
      throw new OutboardError('trust.clock', 'the clock of this host is earlier than the trust bundle');
    return this.#bundle;
  }

  /** Takes a bundle over; false when it is the one in force. @throws OutboardError trust.* */
  apply(text: string): Promise<boolean> {
    // One after the other: two at once could each be newer than what they saw, and the lower one stay.
    const turn = this.#turn.then(() => this.#apply(text));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #apply(text: string): Promise<boolean> {
    const bundle = await verifyTrust(text, this.#pinned, nowSeconds(), this.#bundle);
    if (bundle === this.#bundle) return false;
    const epochFloor = Number(this.#journal.meta('epoch.floor') ?? 0);
    if (bundle.payload.iat < epochFloor)
      throw new OutboardError('rig.epoch', 'the bundle is older than the epoch of this rig; publish a new one');
    this.#journal.db.commit('trust', () => {
      this.#journal.setMeta('trust.chain', JSON.stringify(bundle.state));
      this.#journal.audit.append('trust', { version: bundle.payload.version, revoked: bundle.payload.revoked });
    });
    this.#bundle = bundle;
    for (const listener of this.#listeners) listener();
    return true;
  }
}
