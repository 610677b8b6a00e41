/** The states of one unit, and which may follow which: a step that is not here is a fault of ours. */
import type { UnitState } from './processor-unit.js';

const NEXT: Readonly<Record<UnitState, readonly UnitState[]>> = {
  absent: ['opening'],
  opening: ['identifying', 'absent'],
  identifying: ['ready', 'refused', 'lost', 'absent'],
  ready: ['busy', 'lost', 'refused', 'absent'],
  busy: ['ready', 'lost', 'refused', 'absent'],
  lost: ['opening', 'absent'],
  refused: ['opening', 'absent'],
};

export class StateMachine {
  readonly #changed: (state: UnitState) => void;
  #state: UnitState = 'absent';

  constructor(changed: (state: UnitState) => void) {
    this.#changed = changed;
  }

  get state(): UnitState {
    return this.#state;
  }

  /** @throws Error for a step that the table does not have */
  become(state: UnitState): void {
    if (this.#state === state) return;
    if (!NEXT[this.#state].includes(state)) throw new Error(`a unit that is ${this.#state} cannot become ${state}`);
    this.#state = state;
    this.#changed(state);
  }
}
