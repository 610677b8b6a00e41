/** The processors of the rig: one unit each, started together, recalled per chain, and brought into their safe state together. */
import type { RecalledSetting, RigConfig, Settings } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { ProcessorUnit, UnitState } from '../../drivers/processors/processor-unit.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';

export type UnitFactory = (name: string, profile: Profile, insert: string | undefined) => ProcessorUnit;

export class Rack {
  readonly #config: RigConfig;
  readonly #log: Logger;
  readonly #units = new Map<string, ProcessorUnit>();
  readonly #make: UnitFactory;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #stateListeners = new Set<(name: string) => void>();

  constructor(options: { config: RigConfig; profiles: ReadonlyMap<string, Profile>; make: UnitFactory; log: Logger }) {
    this.#config = options.config;
    this.#profiles = options.profiles;
    this.#make = options.make;
    this.#log = options.log;
  }

  /** Resolves when every unit was tried once, whether it answered or not. */
  async start(signal: AbortSignal): Promise<void> {
    for (const [name, entry] of Object.entries(this.#config.processors)) {
      const unit = this.#make(name, this.#profiles.get(entry.profile)!, entry.insert);
      this.#units.set(name, unit);
      let well = false;
      unit.onState((state) => {
        // A unit is busy for a moment with every command: that is no news.
        const now = isWell(state);
        if (now === well) return;
        well = now;
        for (const listener of this.#stateListeners) listener(name);
      });
    }
    await Promise.all([...this.#units.values()].map((unit) => unit.start(signal)));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#units.values()].map((unit) => unit.stop()));
    this.#units.clear();
  }

  unit(name: string): ProcessorUnit {
    const unit = this.#units.get(name);
    if (!unit) throw new OutboardError('processor.lost', `the processor ${name} is not running`);
    return unit;
  }

  get units(): ProcessorUnit[] {
    return [...this.#units.values()];
  }

  ready(names: readonly string[]): boolean {
    return names.every((name) => isWell(this.#units.get(name)?.state ?? 'absent'));
  }

  onState(listener: (name: string) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** All chains' units at once: the slowest one counts, not the sum. */
  async recall(chain: readonly { processor: string; settings: Settings }[]): Promise<RecalledSetting[][]> {
    return await Promise.all(chain.map((link) => this.unit(link.processor).recall(link.settings)));
  }

  async readBack(chain: readonly { processor: string; settings: Settings }[]): Promise<RecalledSetting[][]> {
    return await Promise.all(chain.map((link) => this.unit(link.processor).readBack(link.settings)));
  }

  /** Safe state everywhere; what could not be made safe is returned, with the reason, and never hidden. */
  async safe(): Promise<{ processor: string; error: OutboardError }[]> {
    const failures: { processor: string; error: OutboardError }[] = [];
    await Promise.all(
      [...this.#units].map(async ([name, unit]) => {
        try {
          await unit.safe();
        } catch (cause) {
          const error = asOutboardError(cause);
          failures.push({ processor: name, error });
          this.#log.error({ processor: name, code: error.code }, 'the safe state was not reached');
        }
      }),
    );
    return failures;
  }
}

/** A unit that takes commands: the moment in which it carries one out counts too. */
export function isWell(state: UnitState): boolean {
  return state === 'ready' || state === 'busy';
}
