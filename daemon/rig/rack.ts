/** The processors of the rig: one unit each, started together, recalled per chain, and brought into their safe state together. */
import type { RecalledSetting, RigConfig, Settings } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { LocalChange, ProcessorUnit, UnitState } from '../../drivers/processors/processor-unit.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';
import { allOpen } from '../patchbay-routes.js';

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
  readonly #changeListeners = new Set<(name: string, change: LocalChange) => void>();
  /** Why a safe state was not reached, of those that still owe it. */
  readonly #unsafe = new Map<string, OutboardError>();
  #running = false;

  constructor(options: { config: RigConfig; profiles: ReadonlyMap<string, Profile>; make: UnitFactory; log: Logger }) {
    this.#config = options.config;
    this.#profiles = options.profiles;
    this.#make = options.make;
    this.#log = options.log;
  }

  /** Resolves when every unit was tried once, whether it answered or not. */
  async start(signal: AbortSignal): Promise<void> {
    this.#running = true;
    for (const [name, entry] of Object.entries(this.#config.processors)) {
      const unit = this.#make(name, this.#profiles.get(entry.profile)!, entry.insert);
      this.#units.set(name, unit);
      let before: 'well' | 'refused' | 'away' = 'away';
      unit.onState((state) => {
        // A unit is busy for a moment with every command: that is no news.
        const now = isWell(state) ? 'well' : state === 'refused' ? 'refused' : 'away';
        if (now === before || !this.#running) return;
        // Nobody knows what a unit has after it was away: it takes no job before it is safe again.
        if (before === 'well') this.#owed.add(name);
        before = now;
        if (now === 'well' && this.#owed.has(name)) void this.safe([name]);
        this.#tell(name);
      });
      unit.onLocalChange((change) => {
        for (const listener of this.#changeListeners) listener(name, change);
      });
    }
    await Promise.all([...this.#units.values()].map((unit) => unit.start(signal)));
  }

  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#retry);
    this.#owed.clear();
    this.#unsafe.clear();
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

  /** From now on the unit takes no job before its safe state was reached; it is tried in a few seconds. */
  owe(name: string): void {
    this.#owed.add(name);
    this.#retryLater();
  }

  /** Why the safe state of a unit was not reached when it was last tried; undefined when it is, or was not tried since the unit came back. */
  unsafe(name: string): OutboardError | undefined {
    return this.#unsafe.get(name);
  }

  /** Called when a unit comes, goes, is refused, or reaches its safe state or does not. */
  onState(listener: (name: string) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Called when somebody turns a knob of a unit, or it restarts. */
  onLocalChange(listener: (name: string, change: LocalChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  #tell(name: string): void {
    for (const listener of this.#stateListeners) listener(name);
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
          await this.#makeSafe(name);
          this.#owed.delete(name);
          this.#unsafe.delete(name);
        } catch (cause) {
          const error = asOutboardError(cause);
          this.#unsafe.set(name, error);
          failures.push({ processor: name, error });
          this.#log.error({ processor: name, code: error.code }, 'the safe state was not reached; it is tried again');
        }
      }),
    );
    if (this.#owed.size > 0) this.#retryLater();
    for (const name of names) this.#tell(name);
    return failures;
  }

  /**
   * The safe state of units that nobody waits for, to look at them in it: ended at once by whoever wants them. Nothing is owed then, because a job
   * recalls every setting.
   * @throws OutboardError processor.*; the signal's reason
   */
  async rest(names: readonly string[], signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const until = AbortSignal.any([signal, failed.signal]);
    try {
      await Promise.all(names.map((name) => this.unit(name).safe(until)));
    } finally {
      // Of several units those that are still busy leave off too.
      failed.abort();
    }
  }

  /** A patchbay that is safe connects nothing, whatever its profile's safe state is. */
  async #makeSafe(name: string): Promise<void> {
    const unit = this.unit(name);
    await unit.safe();
    if (this.#config.processors[name]?.patchbay) await unit.recall(allOpen(unit.profile, name));
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
