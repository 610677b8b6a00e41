/**
 * What an insert remembers (a tape, a delay line, a reverb): how long, whose it is, and how it is made to forget. Who owns it stands in the
 * journal, so that a restart forgets nothing; what nobody knows counts as somebody's.
 */
import type { InsertHolds, RecalledSetting, RigConfig } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import type { Profile, Steps } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';
import type { Engine } from './engine/engine.js';
import { type IsolatedInsert, type IsolationRules, silentIn } from './isolation.js';
import type { Journal } from './journal/journal.js';
import type { Patching } from './patching.js';
import type { Rack } from './rack.js';

/** How long the returns are listened to after a flush. */
const LISTEN_SECONDS = 0.2;
const FLUSH_TRIES = 3;
/** In the journal: played out and heard to be quiet. */
const NOBODY = '';
/** What measurements leave in an insert is no tenant's, and no tenant shall hear it. No tenant's id has a tilde. */
export const CALIBRATION_TENANT = '~calibration';

export interface InsertMemoryOptions {
  config: RigConfig;
  isolation: IsolationRules;
  profiles: ReadonlyMap<string, Profile>;
  journal: Journal;
  rack: Rack;
  patching: Pick<Patching, 'connect' | 'disconnect'>;
  log: Logger;
}

export class InsertMemory {
  readonly #o: InsertMemoryOptions;
  readonly #seconds: ReadonlyMap<string, number>;

  constructor(options: InsertMemoryOptions) {
    this.#o = options;
    const { config, profiles } = options;
    this.#seconds = new Map(
      Object.entries(config.inserts).map(([name, insert]) => {
        const profile = profiles.get(processorsOf(config, name)[0]?.profile ?? '');
        return [name, Math.max(insert.memorySeconds, rememberedSeconds(profile))];
      }),
    );
  }

  /** How long an insert remembers: what the configuration or the processor's profile says, whichever is longer. */
  secondsOf(insert: string): number {
    return this.#seconds.get(insert) ?? 0;
  }

  /** Inserts that may still hold somebody's sound other than this tenant's; everybody's for null. */
  holdingOthers(tenant: string | null): string[] {
    return [...this.#seconds].flatMap(([name, seconds]) => {
      const owner = this.#o.journal.insertTenant(name);
      return seconds > 0 && owner !== NOBODY && owner !== tenant ? [name] : [];
    });
  }

  /**
   * Inserts that a take of this tenant needs flushed first: its own, and those from which a strange echo could leak into its own.
   */
  toFlush(tenant: string, inserts: readonly IsolatedInsert[]): string[] {
    return this.holdingOthers(tenant).filter((name) => {
      if (inserts.some((own) => own.name === name)) return true;
      return !silentIn({ inserts: [{ name, loudDb: 0, amplifyDb: 0 }] }, { inserts }, this.#o.isolation);
    });
  }

  /**
   * Of what a take of this tenant needs flushed, the first that no flush could prove to be empty: a unit on it does not confirm that it erases.
   */
  strange(tenant: string, inserts: readonly IsolatedInsert[]): OutboardError | undefined {
    return this.toFlush(tenant, inserts).flatMap((name) => this.#unprovable(name) ?? [])[0];
  }

  #unprovable(insert: string): OutboardError | undefined {
    const { config, profiles } = this.#o;
    const blind = processorsOf(config, insert).find(({ profile }) => confirmsNothing(profiles.get(profile)));
    if (blind === undefined) return undefined;
    return new OutboardError(
      'insert.owner',
      `${insert} may hold another tenant's sound, and ${blind.name} does not confirm that it erases: a technician has to say what it holds`,
      { details: { insert, processor: blind.name } },
    );
  }

  /**
   * A technician's word: the insert holds this tenant's sound, or nobody's for null. It is the only one there is where a unit confirms nothing.
   * @throws OutboardError chain.insert for an insert that remembers nothing, or that there is not
   */
  declare({ insert, tenant }: InsertHolds, technician: string, reason: string): void {
    const { journal } = this.#o;
    if (this.secondsOf(insert) === 0) {
      const known = [...this.#seconds].flatMap(([name, seconds]) => (seconds > 0 ? [name] : []));
      const has =
        known.length === 0 ? 'no insert of this rig remembers anything' : `those that do are ${known.join(', ')}`;
      throw new OutboardError('chain.insert', `no insert "${insert}" remembers anything; ${has}`, {
        details: { path: 'session.holds.insert', value: insert, allowed: known },
      });
    }
    journal.db.commit('insert.declared', () => {
      journal.setInsertTenant(insert, tenant ?? NOBODY);
      journal.audit.append('insert.declared', { insert, tenant, technician, reason });
    });
  }

  /** Inside a commit: from now on the insert holds this tenant's sound. */
  own(insert: string, tenant: string): void {
    if (this.secondsOf(insert) > 0) this.#o.journal.setInsertTenant(insert, tenant);
  }

  /**
   * Makes an insert forget, listens, and notes it as quiet: connected, its processor in its safe state or, where that lets nothing through, brought
   * to play what it holds, so that no mute and no low level hides what is still there. A unit whose profile has a procedure (a tape that is erased)
   * goes through it first; then silence is played for as long as the insert remembers.
   *
   * @throws OutboardError insert.owner, before anything is done, where no flush could be believed | insert.noisy | insert.unheard | processor.*
   */
  async flush(insert: string, engine: Engine, signal: AbortSignal): Promise<void> {
    const { patching, rack } = this.#o;
    const unprovable = this.#unprovable(insert);
    if (unprovable) throw unprovable;
    try {
      await patching.connect([insert], signal);
      await this.#forget(insert, engine, signal);
    } finally {
      await this.#stopPlaying(insert);
      await patching.disconnect([insert]);
      await rack.handBack(processorsOf(this.#o.config, insert).map(({ name }) => name));
    }
  }

  /** What was brought to play what it holds stops; a failure stays owed by the rack. */
  async #stopPlaying(insert: string): Promise<void> {
    const { config, profiles, rack } = this.#o;
    const playing = processorsOf(config, insert).filter(({ profile }) => profiles.get(profile)?.hearing);
    if (playing.length > 0) await rack.safe(playing.map(({ name }) => name));
  }

  async #forget(insert: string, engine: Engine, signal: AbortSignal): Promise<void> {
    const { config, journal, log } = this.#o;
    const { sends, returns } = config.inserts[insert]!;
    let heard: number[] = [];
    for (let attempt = 0; attempt < FLUSH_TRIES; attempt++) {
      const silence = { sends, returns, listenSeconds: LISTEN_SECONDS, signal };
      const play = async (seconds: number) => void (await engine.flush({ ...silence, seconds }));
      await this.#erase(insert, play, signal);
      await this.#beHeard(insert, play, signal);
      const report = await engine.flush({ ...silence, seconds: this.#silenceSeconds(insert) });
      heard = report.rmsDbfs;
      if (heard.every((level) => level <= config.isolation.quietDbfs)) {
        journal.db.commit('flushed', () => {
          journal.setInsertTenant(insert, NOBODY);
          journal.audit.append('insert.flushed', { insert, rmsDbfs: heard.map(finite) });
        });
        return;
      }
      log.warn({ insert, heard: heard.map(finite) }, 'the insert is not quiet after a flush');
    }
    throw new OutboardError('insert.noisy', `the return of ${insert} stays at ${Math.max(...heard).toFixed(1)} dBFS`, {
      details: { insert, rmsDbfs: heard.map(finite), limitDbfs: config.isolation.quietDbfs },
    });
  }

  /**
   * Goes through the procedure of the insert's processor, if it has one, and leaves the processor in its safe state.
   * @param play plays silence for so many seconds: the time of a procedure is that of the stream
   */
  async #erase(insert: string, play: (seconds: number) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { config, profiles, rack } = this.#o;
    const processors = processorsOf(config, insert);
    const safe = async () => {
      const [failure] = await rack.safe(processors.map(({ name }) => name));
      // Muted or low, it would be heard to be quiet and still hold a song.
      if (failure) throw failure.error;
      signal.throwIfAborted();
    };
    await safe();
    for (const { name, profile } of processors) {
      const memory = profiles.get(profile)?.memory;
      if (memory === undefined || 'seconds' in memory) continue;
      await this.#goThrough(name, memory.procedure, play, signal);
      await safe();
    }
  }

  /** A deck that stands still and a unit that is muted are quiet whatever they hold. */
  async #beHeard(insert: string, play: (seconds: number) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { config, profiles } = this.#o;
    for (const { name, profile } of processorsOf(config, insert)) {
      const { hearing, silentWhenSafe = false } = profiles.get(profile) ?? {};
      if (hearing) await this.#goThrough(name, hearing, play, signal);
      else if (silentWhenSafe)
        throw new OutboardError(
          'insert.unheard',
          `nobody can hear whether ${insert} is quiet: ${name} lets nothing through in its safe state`,
          { details: { insert, processor: name } },
        );
    }
  }

  /** @throws OutboardError processor.unverified for a step that the unit does not confirm */
  async #goThrough(
    name: string,
    steps: Steps,
    play: (seconds: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const step of steps) {
      if ('set' in step) believe(name, await this.#o.rack.unit(name).recall(step.set, signal));
      else await play(step.waitSeconds);
      signal.throwIfAborted();
    }
  }

  /** Behind a procedure only what the configuration says is left to be played out. */
  #silenceSeconds(insert: string): number {
    const { config, profiles } = this.#o;
    const erased = processorsOf(config, insert).some(({ profile }) => {
      const memory = profiles.get(profile)?.memory;
      return memory !== undefined && 'procedure' in memory;
    });
    return erased ? config.inserts[insert]!.memorySeconds : this.secondsOf(insert);
  }
}

function processorsOf(config: RigConfig, insert: string): { name: string; profile: string }[] {
  return Object.entries(config.processors).flatMap(([name, { insert: on, profile }]) =>
    on === insert ? [{ name, profile }] : [],
  );
}

/** A unit that is off erases nothing, and is quiet. @throws OutboardError processor.unverified */
function believe(name: string, recalled: readonly RecalledSetting[]): void {
  const doubtful = recalled.filter(({ state }) => state !== 'verified').map((one) => one.name);
  if (doubtful.length > 0)
    throw new OutboardError('processor.unverified', `${name} does not say that it did what makes it forget`, {
      details: { processor: name, settings: doubtful },
    });
}

/** True when something that makes the unit forget, or be heard, is sent without proof. */
function confirmsNothing(profile: Profile | undefined): boolean {
  const { memory, hearing = [], params } = profile ?? {};
  const steps = [...(memory !== undefined && 'procedure' in memory ? memory.procedure : []), ...hearing];
  return steps.some(
    (step) =>
      'set' in step &&
      Object.keys(step.set).some((key) => ['none', 'ack'].includes(params?.get(key.split('@')[0]!)?.verifyBy ?? '')),
  );
}

/** JSON has no infinity: digital silence is null. */
function finite(levelDbfs: number): number | null {
  return Number.isFinite(levelDbfs) ? levelDbfs : null;
}

/** A unit that forgets only by a procedure remembers for ever; how long that takes is what can be said. */
function rememberedSeconds(profile: Profile | undefined): number {
  const memory = profile?.memory;
  if (memory === undefined) return 0;
  if ('seconds' in memory) return memory.seconds;
  const waits = memory.procedure.reduce((sum, step) => sum + ('waitSeconds' in step ? step.waitSeconds : 0), 0);
  return Math.max(Number.MIN_VALUE, waits);
}
