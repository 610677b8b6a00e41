/** What is known about the settings of a unit while one link stands: what it was heard to have, and what it was last told. */
import type { Decimal } from './decimal.js';
import type { Parameter } from './parameter.js';

export class Knowledge {
  readonly #present = new Map<string, Decimal>();
  /** Counts what voids a verification: somebody at the unit, a restart, the end of a link. */
  disturbances = 0;

  /** The unit reported this value. */
  heard(key: string, w: Decimal): void {
    this.#present.set(key, w);
  }

  /** From now on nobody knows what it has, until it is read or has taken what it was told. */
  telling(key: string): void {
    this.#present.delete(key);
  }

  /** It took this value, as far as it says what it takes. */
  told(key: string, w: Decimal): void {
    this.#present.set(key, w);
  }

  /** The last that is known of it. */
  present(key: string): Decimal | undefined {
    return this.#present.get(key);
  }

  /** Somebody else may have changed anything. */
  disturbed(): void {
    this.disturbances++;
    this.#present.clear();
  }
}

/** True when the parameter's value comes back from the unit. */
export function readsBack({ verifyBy }: Pick<Parameter, 'verifyBy'>): boolean {
  return verifyBy === 'readback' || verifyBy === 'dump';
}
