/** What the rig says of itself: the state that it signs, and the answers for whoever asks at control.sock. */
import type {
  HealthPayload,
  InterfaceAnswer,
  LinkReport,
  RigConfig,
  StatePayload,
  StatusAnswer,
} from '../../core/contract/index.js';
import type { DevicePair } from '../audio-driver.js';
import type { Intake } from './intake.js';
import type { InterfaceKeeper } from './interface-keeper.js';
import type { Journal } from './journal/journal.js';
import type { Maintenance } from './maintenance.js';
import type { ModeKeeper } from './mode.js';
import type { Outgoing } from './outgoing.js';
import { isWell, type Rack } from './rack.js';
import type { TrustStore } from './trust-store.js';

export interface RigReportOptions {
  config: RigConfig;
  device: DevicePair;
  version: string;
  mode: ModeKeeper;
  maintenance: Pick<Maintenance, 'session'>;
  trust: TrustStore;
  journal: Journal;
  rack: Rack;
  keeper: InterfaceKeeper;
  outgoing: Outgoing;
  intake: Pick<Intake, 'counters'>;
  health(): Promise<HealthPayload['health'][]>;
  /** The courier's word; null before its first. */
  link(): LinkReport | null;
}

/** Ended jobs are shown until so many newer ones have come. */
const RECENT_JOBS = 50;

export class RigReport {
  readonly #o: RigReportOptions;

  constructor(options: RigReportOptions) {
    this.#o = options;
  }

  state(): StatePayload['state'] {
    const { config, version, mode, maintenance, trust, journal, rack } = this.#o;
    const { lastFault } = mode;
    const { session } = maintenance;
    const bundle = trust.inForce;
    return {
      mode: mode.mode,
      since: mode.since,
      ...(lastFault ? { lastFault: { at: lastFault.at, problem: lastFault.error.toJSON() } } : {}),
      ...(session ? { maintenance: session } : {}),
      epoch: Number(journal.meta('epoch') ?? 1),
      version,
      virtual: config.interface.driver === 'virtual',
      audit: journal.audit.head(),
      trust: bundle ? { version: bundle.payload.version, exp: bundle.payload.exp } : null,
      jobs: journal.jobs.countsByState(),
      processors: rack.units.map((unit) => {
        const insert = config.processors[unit.name]?.insert;
        return {
          name: unit.name,
          profile: unit.profile.id,
          ...(insert ? { insert } : {}),
          state: isWell(unit.state) ? 'ready' : unit.state,
        };
      }),
      inserts: Object.entries(config.inserts).map(([name, insert]) => ({ name, channels: insert.sends.length })),
      rates: config.interface.rates,
    };
  }

  /** @param probe has another process try to open the device */
  async audio(probe: boolean): Promise<InterfaceAnswer> {
    const { config, device, mode, keeper } = this.#o;
    const proof = await keeper.proof(probe);
    return {
      rig: config.rig,
      driver: config.interface.driver,
      device,
      mode: mode.mode,
      problem: keeper.trouble?.toJSON() ?? null,
      proof,
      checks: keeper.checks().filter(({ name }) => !name.startsWith('claim')),
    };
  }

  async status(): Promise<StatusAnswer> {
    const { config, health, link, journal, outgoing, intake } = this.#o;
    return {
      rig: config.rig,
      state: this.state(),
      health: await health(),
      link: link(),
      jobs: journal.jobs.recent(RECENT_JOBS).map((job) => ({
        job: job.jti,
        dispatcher: job.dispatcher,
        state: job.state,
        attempt: job.attempt,
        progress: outgoing.progressOf(job.id),
        updatedAt: job.updatedAt,
        problem: job.problem ? JSON.parse(job.problem) : null,
      })),
      counters: intake.counters,
    };
  }
}
