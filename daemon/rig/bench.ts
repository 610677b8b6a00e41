/** The technicians' side of the rig: their requests, maintenance, the processors by hand, and everything that is measured. */
import { join } from 'node:path';
import type { Procedure } from '../../calibration/procedures/procedure.js';
import type { Signer } from '../../certs/keys.js';
import type {
  CalibrationFile,
  CalibrationKind,
  EffectiveLimits,
  Problem,
  RigConfig,
  Severity,
} from '../../core/contract/index.js';
import { asOutboardError, type OutboardError } from '../../core/errors.js';
import type { DevicePair } from '../audio-driver.js';
import type { Logger } from '../log.js';
import { processorsOn } from './calibration/conditions.js';
import { HistoryArchive } from './calibration/history-archive.js';
import { CalibrationInForce } from './calibration/in-force.js';
import { CalibrationRuns } from './calibration/runs.js';
import { SelfTests } from './calibration/self-tests.js';
import { GearDesk } from './gear-desk.js';
import { CALIBRATION_TENANT, type InsertMemory } from './insert-memory.js';
import type { InterfaceKeeper } from './interface-keeper.js';
import type { Journal } from './journal/journal.js';
import { Maintenance } from './maintenance.js';
import type { ModeKeeper } from './mode.js';
import type { Patching } from './patching.js';
import type { Rack } from './rack.js';
import { sessionActions } from './session-actions.js';
import { SessionRequests } from './session-requests.js';
import type { TrustStore } from './trust-store.js';

export interface BenchOptions {
  config: RigConfig;
  /** The file that the configuration names. */
  calibration: CalibrationFile | null;
  measurementLimits(): Promise<ReadonlyMap<string, EffectiveLimits>>;
  procedures: Readonly<Record<CalibrationKind, Procedure>>;
  stateDir: string;
  device: DevicePair;
  version: string;
  signer: Signer;
  journal: Journal;
  trust: TrustStore;
  mode: ModeKeeper;
  rack: Rack;
  keeper: InterfaceKeeper;
  memory: InsertMemory;
  patching: Patching;
  log: Logger;
  /** Resolves when no take holds an insert. */
  drained(signal: AbortSignal): Promise<void>;
  alert(severity: Severity, problem: Problem): void;
  /** Other trims are in force: what was planned with the old ones is planned anew. */
  onTrims(): void;
}

export class Bench {
  readonly #o: BenchOptions;
  readonly archive: HistoryArchive;
  readonly inForce: CalibrationInForce;
  readonly gear: GearDesk;
  readonly runs: CalibrationRuns;
  readonly selfTests: SelfTests;
  readonly maintenance: Maintenance;
  readonly sessions: SessionRequests;

  constructor(options: BenchOptions) {
    const { config, journal, trust, mode, rack, keeper, memory, log, alert } = options;
    this.#o = options;
    this.archive = new HistoryArchive({
      ...options,
      file: join(options.stateDir, 'calibration.sqlite'),
      limits: options.measurementLimits,
    });
    this.inForce = new CalibrationInForce({
      config,
      device: options.device,
      alert,
      file: options.calibration,
      archive: this.archive,
      onChange: () => options.onTrims(),
    });
    this.gear = new GearDesk({ config, rack, mode: () => mode.mode });
    this.runs = new CalibrationRuns({
      ...options,
      inForce: this.inForce,
      archive: this.archive,
      engineAt: (rate) => keeper.engineAt(rate),
      streamRate: () => keeper.rate,
    });
    this.selfTests = new SelfTests({
      ...options,
      archive: this.archive,
      runs: this.runs,
      memorySeconds: (insert) => options.memory.secondsOf(insert),
      ready: (insert) => keeper.ready && rack.ready(processorsOn(config, insert)),
    });
    this.maintenance = new Maintenance({
      journal,
      mode,
      log,
      drained: async (signal) => {
        await this.runs.abort('maintenance begins');
        await options.drained(signal);
      },
      quieten: async (signal) => {
        // Whoever puts his hands into the gear finds it safe, whatever the last take left.
        const unsafe = await rack.safe();
        signal.throwIfAborted();
        const noisy = await this.#flush(memory.holdingOthers(null), signal);
        const [failure] = [...unsafe.map(({ error }) => error), ...noisy];
        if (failure) throw failure;
      },
      forgetClients: async (signal) => {
        const [failure] = await this.#flush(memory.holdingOthers(CALIBRATION_TENANT), signal);
        if (failure) throw failure;
      },
      ownInserts: () => {
        const clients = memory.holdingOthers(CALIBRATION_TENANT);
        for (const insert of Object.keys(config.inserts))
          if (!clients.includes(insert)) memory.own(insert, CALIBRATION_TENANT);
      },
      endMeasuring: (why) => this.runs.abort(why),
      makeSafe: () => rack.safe(),
      attend: (attended) => rack.attend(attended),
      giveUp: async (reason) => {
        const error = await keeper.release(reason);
        log.warn({ code: error.code }, error.message);
        alert('warning', error.toJSON());
      },
      takeBack: () => keeper.start(),
      trouble: () => keeper.trouble,
    });
    this.sessions = new SessionRequests({
      rig: config.rig,
      journal,
      trust,
      handlers: sessionActions({
        maintenance: this.maintenance,
        gear: this.gear,
        runs: this.runs,
        archive: this.archive,
        memory,
        mode: () => mode.mode,
      }),
      standing: () => ({ mode: mode.mode, until: this.maintenance.session?.until ?? null }),
    });
  }

  /** @throws OutboardError history.open | history.schema */
  open(): void {
    this.archive.open();
    this.inForce.open();
  }

  /** Ends what is measured, and leaves the session to the next start. */
  async stop(): Promise<void> {
    await this.maintenance.stop();
    await this.selfTests.stop();
    await this.runs.abort('the rig is stopping');
  }

  close(): void {
    this.archive.close();
  }

  /** Has inserts forget what they hold. @returns why some did not, each of which was told */
  async #flush(inserts: readonly string[], signal: AbortSignal): Promise<OutboardError[]> {
    const { keeper, config, memory, alert } = this.#o;
    const failures: OutboardError[] = [];
    for (const insert of inserts) {
      try {
        const engine = await keeper.engineAt(keeper.rate ?? config.interface.rates[0]!);
        await memory.flush(insert, engine, signal);
      } catch (cause) {
        signal.throwIfAborted();
        const error = asOutboardError(cause);
        failures.push(error);
        alert('warning', error.toJSON());
      }
    }
    return failures;
  }
}
