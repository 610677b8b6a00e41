/** The processors of the rig: one unit each, started together, recalled per chain, and brought into their safe state together. */
import type { RecalledSetting, RigConfig, Settings } from '../../core/contract/index.js';
import { allOrNone, within } from '../../core/duration.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { leftErasing } from '../../drivers/processors/hazards.js';
import type { LocalChange, ProcessorUnit, UnitState } from '../../drivers/processors/processor-unit.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';
import { allOpen } from '../patchbay-routes.js';

export type UnitFactory = (name: string, profile: Profile, insert: string | undefined) => ProcessorUnit;

const RETRY_MS = 5000;
/** Whoever has not been made safe by then keeps nobody from the others. */
const START_MS = 4000;

export interface RackOptions {
  config: RigConfig;
  profiles: ReadonlyMap<string, Profile>;
  make: UnitFactory;
  log: Logger;
  /** Between two tries to reach a safe state that is owed; 5 s when absent. */
  retryMs?: number;
  /** Longest that `start` takes; 4 s when absent. */
  startMs?: number;
}

export class Rack {
  readonly #o: RackOptions;
  readonly #units = new Map<string, ProcessorUnit>();
  /** Who owes a safe state, and whether it may be tried now. */
  readonly #owed = new Map<string, () => boolean>();
  /** The safe state as it was last reached; not of units that have been away since. */
  readonly #lastSafe = new Map<string, readonly RecalledSetting[]>();
  #retry: NodeJS.Timeout | undefined;
  readonly #stateListeners = new Set<(name: string) => void>();
  readonly #changeListeners = new Set<(name: string, change: LocalChange) => void>();
  /** Why a safe state was not reached, of those that still owe it. */
  readonly #unsafe = new Map<string, OutboardError>();
  #running = false;
  /** What is done with a unit that has just come. */
  readonly #welcomes = new Map<string, Promise<void>>();
  #attended = false;

  constructor(options: RackOptions) {
    this.#o = options;
  }

  /**
   * Resolves when every unit was tried once, and made safe where it answers: whatever the last run left in the gear ends there. Whoever takes long
   * over that is not waited for. No unit takes a job before its safe state was reached.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { config, profiles, make } = this.#o;
    this.#running = true;
    for (const [name, entry] of Object.entries(config.processors)) {
      const unit = make(name, profiles.get(entry.profile)!, entry.insert);
      this.#units.set(name, unit);
      this.#owed.set(name, always);
      let before: Standing = 'away';
      unit.onState((state) => {
        const now = standingOf(state);
        if (now === undefined || now === before || !this.#running) return;
        // Nobody knows what a unit has after it was away: it takes no job before it is safe again.
        if (before === 'well') this.#owed.set(name, always);
        if (now !== 'well') this.#lastSafe.delete(name);
        before = now;
        if (now === 'well') this.#welcomes.set(name, this.#welcome(name));
        this.#tell(name);
      });
      unit.onLocalChange((change) => {
        for (const listener of this.#changeListeners) listener(name, change);
      });
    }
    const tried = this.units.map(async (unit) => {
      await unit.start(signal);
      await this.#welcomes.get(unit.name);
    });
    const late = new Error('a unit takes its time');
    await within(this.#o.startMs ?? START_MS, Promise.all(tried), () => late).catch((error) => {
      if (error !== late) throw error;
      this.#o.log.warn(
        { processors: [...this.#owed.keys()] },
        'the rig does not wait for processors that are not safe yet',
      );
    });
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
  get owed(): Pick<ReadonlyMap<string, unknown>, 'has' | 'size'> {
    return this.#owed;
  }

  /**
   * From now on the unit takes no job before its safe state was reached; it is tried in a few seconds.
   * @param when false as long as somebody else's take needs the unit as it is
   */
  owe(name: string, when: () => boolean = always): void {
    this.#owed.set(name, when);
    this.#retryLater();
  }

  /** How the safe state was last reached: as far as the unit can say, or only sent. Null when it was not, or the unit has been away since. */
  safety(name: string): RecalledSetting['state'] | null {
    const settings = this.#lastSafe.get(name);
    if (settings === undefined) return null;
    return settings.every(({ state }) => state === 'verified') ? 'verified' : 'sent, unverified';
  }

  /** The settings of the safe state as they were last reached. */
  lastSafe(name: string): readonly RecalledSetting[] | undefined {
    return this.#lastSafe.get(name);
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

  /**
   * All chains' units at once: the slowest one counts, not the sum. One that fails ends the others.
   *
   * @param signal ends it, behind the commands in flight
   * @throws OutboardError processor.*; the signal's reason
   */
  async recall(
    chain: readonly { processor: string; settings: Settings }[],
    signal: AbortSignal,
  ): Promise<RecalledSetting[][]> {
    return await allOrNone(signal, (until) =>
      chain.map(({ processor, settings }) => this.unit(processor).recall(settings, until)),
    );
  }

  async readBack(chain: readonly { processor: string; settings: Settings }[]): Promise<RecalledSetting[][]> {
    return await Promise.all(chain.map((link) => this.unit(link.processor).readBack(link.settings)));
  }

  /**
   * After a take: what could erase a recording (hazard erase) goes back to its safe value. A unit that does not do that owes its whole safe
   * state.
   */
  async stopErasing(chain: readonly { processor: string; settings: Settings }[]): Promise<void> {
    await Promise.all(
      chain.map(async ({ processor, settings }) => {
        const unit = this.unit(processor);
        const left = leftErasing(unit.profile, settings);
        if (Object.keys(left).length === 0) return;
        await unit.recall(left).catch(() => this.safe([processor]));
      }),
    );
  }

  /** Whether people are at the gear: their front panels are unlocked then, also of units that come back meanwhile. What does not obey is logged. */
  async attend(attended: boolean): Promise<void> {
    this.#attended = attended;
    await Promise.all(this.units.map((unit) => this.#givePanel(unit)));
  }

  /** Whoever took these units meanwhile, for a safe state or a flush, is done: in maintenance their front panels are for people again. */
  async handBack(names: readonly string[]): Promise<void> {
    if (this.#attended) await Promise.all(names.map((name) => this.#givePanel(this.unit(name))));
  }

  async #givePanel(unit: ProcessorUnit): Promise<void> {
    if (!isWell(unit.state)) return;
    try {
      await unit.panel(this.#attended ? 'people' : 'rig');
    } catch (cause) {
      const { code, message } = asOutboardError(cause);
      this.#o.log.warn({ processor: unit.name, code }, `the front panel did not change hands: ${message}`);
    }
  }

  /** A unit that answers again. */
  async #welcome(name: string): Promise<void> {
    if (this.#owed.has(name)) await this.safe([name]);
    if (this.#attended) await this.#givePanel(this.unit(name));
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
        this.#owed.set(name, always);
        try {
          this.#lastSafe.set(name, await this.#makeSafe(name));
          this.#owed.delete(name);
          this.#unsafe.delete(name);
        } catch (cause) {
          const error = asOutboardError(cause);
          this.#owed.set(name, always);
          this.#unsafe.set(name, error);
          failures.push({ processor: name, error });
          this.#o.log.error({ processor: name, code: error.code }, 'the safe state was not reached; it is tried again');
        }
      }),
    );
    if (this.#owed.size > 0 && this.#running) this.#retryLater();
    for (const name of names) this.#tell(name);
    return failures;
  }

  /**
   * The safe state of units that nobody waits for, to look at them in it: ended at once by whoever wants them. Nothing is owed then, because a job
   * recalls every setting.
   * @throws OutboardError processor.*; the signal's reason
   */
  async rest(names: readonly string[], signal: AbortSignal): Promise<void> {
    await allOrNone(signal, (until) => names.map((name) => this.unit(name).safe(until)));
  }

  /** A patchbay that is safe connects nothing, whatever its profile's safe state is. */
  async #makeSafe(name: string): Promise<RecalledSetting[]> {
    const unit = this.unit(name);
    const settings = await unit.safe();
    if (!this.#o.config.processors[name]?.patchbay) return settings;
    return [...settings, ...(await unit.recall(allOpen(unit.profile, name)))];
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      const waiting = [...this.#owed].flatMap(([name, when]) =>
        isWell(this.#units.get(name)?.state ?? 'absent') && when() ? [name] : [],
      );
      if (waiting.length > 0) void this.safe(waiting);
      else if (this.#owed.size > 0) this.#retryLater();
    }, this.#o.retryMs ?? RETRY_MS);
  }
}

const always = (): boolean => true;

type Standing = 'well' | 'refused' | 'away';

/** What is news of a unit; undefined while it is asked who it is. That it is busy for a moment with every command is none. */
function standingOf(state: UnitState): Standing | undefined {
  if (state === 'opening' || state === 'identifying') return undefined;
  return isWell(state) ? 'well' : state === 'refused' ? 'refused' : 'away';
}

/** A unit that takes commands: the moment in which it carries one out counts too. */
export function isWell(state: UnitState): boolean {
  return state === 'ready' || state === 'busy';
}
