/** The daemon's mode, apart from its last fault. */
import type { Mode } from '../../core/contract/index.js';
import type { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';

export class ModeKeeper {
  #mode: Mode = 'starting';
  #since = nowSeconds();
  #fault: { at: number; error: OutboardError } | undefined;
  readonly #listeners = new Set<(mode: Mode) => void>();

  get mode(): Mode {
    return this.#mode;
  }

  get since(): number {
    return this.#since;
  }

  get lastFault(): { at: number; error: OutboardError } | undefined {
    return this.#fault;
  }

  set(mode: Mode): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#since = nowSeconds();
    for (const listener of this.#listeners) listener(mode);
  }

  /** Notes a fault; the mode is the caller's decision. */
  fault(error: OutboardError): void {
    this.#fault = { at: nowSeconds(), error };
    for (const listener of this.#listeners) listener(this.#mode);
  }

  onChange(listener: (mode: Mode) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
