/** The processors of the rig: one unit each, started together, recalled per chain, and brought into their safe state together. */
import type { RecalledSetting, RigConfig, Settings } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { ProcessorUnit, UnitState } from '../../drivers/processors/processor-unit.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';

export type UnitFactory = (name: string, profile: Profile, insert: string | undefined) => ProcessorUnit;

const RETRY_MS = 5000;

export class Rack {
  readonly #config: RigConfig;
  readonly #log: Logger;
  readonly #units = new Map<string, ProcessorUnit>();
  readonly #make: UnitFactory;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #owed = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
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
        if (now && this.#owed.has(name)) void this.safe([name]);
        for (const listener of this.#stateListeners) listener(name);
      });
    }
    await Promise.all([...this.#units.values()].map((unit) => unit.start(signal)));
  }

  async stop(): Promise<void> {
    clearTimeout(this.#retry);
    this.#owed.clear();
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

  /** True when each of them answers and owes no safe state. */
  ready(names: readonly string[]): boolean {
    return names.every((name) => isWell(this.#units.get(name)?.state ?? 'absent') && !this.#owed.has(name));
  }

  /** Units whose safe state was asked for and not reached: no take begins on them until it is. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
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

  /**
   * Safe state of these units, of all when none is named. What could not be made safe is returned, with the reason, and stays owed: it is
   * tried again when the unit answers and every few seconds, and the unit takes no job until then.
   */
  async safe(
    names: readonly string[] = [...this.#units.keys()],
  ): Promise<{ processor: string; error: OutboardError }[]> {
    const failures: { processor: string; error: OutboardError }[] = [];
    await Promise.all(
      names.map(async (name) => {
        this.#owed.add(name);
        try {
          await this.unit(name).safe();
          this.#owed.delete(name);
        } catch (cause) {
          const error = asOutboardError(cause);
          failures.push({ processor: name, error });
          this.#log.error({ processor: name, code: error.code }, 'the safe state was not reached; it is tried again');
        }
      }),
    );
    if (this.#owed.size > 0) this.#retryLater();
    for (const name of names) if (!this.#owed.has(name)) for (const listener of this.#stateListeners) listener(name);
    return failures;
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      const waiting = [...this.#owed].filter((name) => isWell(this.#units.get(name)?.state ?? 'absent'));
      if (waiting.length > 0) void this.safe(waiting);
      else if (this.#owed.size > 0) this.#retryLater();
    }, RETRY_MS);
  }
}

/** A unit that takes commands: the moment in which it carries one out counts too. */
export function isWell(state: UnitState): boolean {
  return state === 'ready' || state === 'busy';
}
