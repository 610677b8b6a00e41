/**
 * The rig process, put together. What is simulated or real, where sockets and keys are, is decided by `main.ts`; here only the order counts:
 * journal, trust, safe state, interface, open jobs, and the doors last. Stopping is the same backwards.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { verifyEnvelope } from '../../certs/envelope.js';
import { type LinkReport, type Problem, type Severity, STATE_INTERVAL_SECONDS } from '../../core/contract/index.js';
import { within } from '../../core/duration.js';
import { asOutboardError, type ErrorCode, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { deviceName } from '../audio-driver.js';
import { createClockSync } from '../clock-sync.js';
import type { Pulse } from '../service-manager.js';
import { calibrationLiveRoutes } from './api/calibration-live-api.js';
import { controlRoutes } from './api/control-api.js';
import { courierRoutes } from './api/courier-api.js';
import { createServer, type Listener, listen } from './api/server.js';
import { Bench } from './bench.js';
import { Bounce } from './bounce.js';
import { Broadcast } from './broadcast.js';
import { GearAlerts } from './gear-alerts.js';
import { healthOf } from './health.js';
import { InsertMemory } from './insert-memory.js';
import { Intake } from './intake.js';
import { InterfaceKeeper } from './interface-keeper.js';
import { isolationRules } from './isolation.js';
import { planJob } from './job-rules.js';
import { isOpen, type JobRow } from './journal/jobs.js';
import { Journal } from './journal/journal.js';
import { ModeKeeper } from './mode.js';
import { Outgoing } from './outgoing.js';
import { Patching } from './patching.js';
import { Rack } from './rack.js';
import { beginEpoch, recover } from './recovery.js';
import type { RigOptions } from './rig-options.js';
import { RigReport } from './rig-report.js';
import { Scheduler } from './scheduler.js';
import { Spool } from './spool.js';
import { Transfers } from './transfers.js';
import { TrustStore } from './trust-store.js';
import { Upkeep } from './upkeep.js';

/** Longest that a stop waits for the gear: half of what the process has before it is ended. */
const SAFE_MS = 15_000;
/** Two words of the state and the health may be late or refused; without three, something hangs. */
const STALE_ROUND_MS = 3 * STATE_INTERVAL_SECONDS * 1000;

export class Rig {
  readonly #o: RigOptions;
  readonly #journal: Journal;
  readonly #spool: Spool;
  readonly #trust: TrustStore;
  readonly #mode = new ModeKeeper();
  readonly #rack: Rack;
  readonly #gearAlerts: GearAlerts;
  readonly #keeper: InterfaceKeeper;
  readonly #scheduler: Scheduler;
  readonly #intake: Intake;
  readonly #outgoing: Outgoing;
  readonly #transfers: Transfers;
  readonly #report: RigReport;
  readonly #broadcast: Broadcast;
  readonly #bench: Bench;
  readonly #upkeep: Upkeep;
  #servers: FastifyInstance[] = [];
  #link: LinkReport | null = null;
  #running = false;
  readonly #abort = new AbortController();

  constructor(options: RigOptions) {
    const { config, log, profiles, wrappingKeys, signer } = options;
    const rig = config.rig;
    this.#o = options;
    const clock = createClockSync(config.clock.sync);
    this.#journal = new Journal({
      path: join(options.stateDir, 'journal.db'),
      rig,
      ...(options.observer ? { observer: options.observer } : {}),
      onIndeterminate: options.onIndeterminate,
    });
    const journal = this.#journal;
    const spool = new Spool({ dir: join(options.stateDir, 'spool'), ballastBytes: config.limits.ballastBytes });
    const trust = new TrustStore({ journal, roots: config.trust.roots });
    const rack = new Rack({ config, profiles, make: options.makeUnit, log });
    const keeper = new InterfaceKeeper({
      config: config.interface,
      audio: options.audio,
      device: options.device,
      log,
      onDown: (error) => this.#interfaceDown(error),
      onBack: (awayMs, codes) => this.#interfaceBack(awayMs, codes),
      onRefused: (error) => this.#alert('warning', error.toJSON()),
    });
    const outgoing = new Outgoing({ journal, signer, rig });
    const transfers = new Transfers({ journal, spool, log });
    const progress = (job: JobRow, phase: string, percent: number) => outgoing.progress(job, phase, percent);
    const isolation = isolationRules(config);
    const patching = new Patching({ config, profiles, rack, log });
    const memory = new InsertMemory({ config, isolation, profiles, journal, rack, patching, log });
    const bench = new Bench({
      ...options,
      journal,
      trust,
      mode: this.#mode,
      rack,
      keeper,
      memory,
      patching,
      drained: (signal): Promise<void> => scheduler.drained(signal),
      alert: (severity, problem) => this.#alert(severity, problem),
      onTrims: () => {
        void scheduler.replan();
        this.#broadcast.changed();
      },
    });
    const trims = () => bench.inForce.trims;
    const bounce = new Bounce({
      config,
      trims,
      journal,
      spool,
      trust,
      profiles,
      rack,
      memory,
      patching,
      wrappingKeys,
      log,
      progress,
    });
    const scheduler = new Scheduler({
      journal,
      bounce,
      isolation,
      log,
      planOf: async (job) => {
        const reading = { trust: trust.current(), now: nowSeconds(), aud: rig, expiry: false };
        const payload = await verifyEnvelope(journal.jobs.token(job.id), ['job'], reading);
        const grant = await verifyEnvelope(payload.payload.job.grant, ['grant'], reading);
        return await planJob(payload.payload.job, grant.payload, config, profiles, trims());
      },
      engineAt: async (rate) => {
        // A self-test ends when a job comes in; no take shall hear the end of its tone.
        await bench.runs.silent();
        return await keeper.engineAt(rate);
      },
      streamRate: () => keeper.rate,
      mayStart: () => this.#mode.mode === 'ready' && keeper.ready,
      mayRoll: () => ['ready', 'draining'].includes(this.#mode.mode) && keeper.ready,
      unitsReady: (names) => rack.ready(names),
      toFlush: (plan) => memory.toFlush(plan.tenant, plan.inserts),
      makeSafe: async (names) => void (await rack.safe(names)),
    });
    const cancel = async (job: JobRow) => {
      const reason = new OutboardError('job.cancelled', 'the dispatcher cancelled the job');
      await scheduler.withdraw(job, reason);
      const now = journal.jobs.get(job.id);
      if (now.state === 'sealed' || now.state === 'delivered')
        journal.db.commit('cancel.late', () =>
          journal.jobs.say(now, 'too-late', {
            problem: new OutboardError('job.too-late', 'the take was sealed before the cancel came').toJSON(),
          }),
        );
      else if (isOpen(now)) journal.jobs.transition(job.id, 'cancelled', { problem: reason.toJSON() });
    };
    this.#spool = spool;
    this.#trust = trust;
    this.#rack = rack;
    this.#gearAlerts = new GearAlerts({
      rack,
      alert: (severity, problem) => this.#alert(severity, problem),
      attended: () => this.#mode.mode === 'maintenance',
    });
    this.#keeper = keeper;
    this.#outgoing = outgoing;
    this.#transfers = transfers;
    this.#bench = bench;
    this.#scheduler = scheduler;
    this.#intake = new Intake({
      config,
      trims,
      journal,
      spool,
      trust,
      profiles,
      clock,
      wrappingKeys,
      memory,
      cancel,
    });
    const report = new RigReport({
      ...options,
      mode: this.#mode,
      maintenance: bench.maintenance,
      trust,
      journal,
      rack,
      keeper,
      outgoing,
      intake: this.#intake,
      health: () => this.#broadcast.health(),
      link: () => this.#link,
    });
    this.#report = report;
    this.#broadcast = new Broadcast({
      rig,
      log,
      journal,
      signer,
      state: () => report.state(),
      health: () =>
        healthOf({
          clock,
          keeper,
          rack,
          journal,
          trust,
          transfers,
          stateDir: options.stateDir,
          link: () => this.#link,
        }),
      calibration: () => bench.archive.summaries(bench.inForce.version),
    });
    this.#upkeep = new Upkeep({ journal, spool, trust, stateDir: options.stateDir, log });
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { config, journalKey, listeners, log, stateDir } = this.#o;
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    // A full disk refuses even the commits that would free it.
    await this.#spool.open();
    this.#journal.open(journalKey);
    this.#bench.open();
    if (this.#o.newEpoch !== undefined) beginEpoch(this.#journal, this.#o.newEpoch);
    const disbelief = await this.#trust.load();
    if (disbelief)
      log.error({ code: disbelief.code }, `the trust bundle of the last run is not believed: ${disbelief.message}`);
    await this.#installInitialTrust();
    // Who looks at the rig sees what it waits for.
    await this.#openControl();
    this.#gearAlerts.start();
    // Safe state first: whatever the last run left in the gear ends before anything else begins.
    await this.#rack.start(this.#abort.signal);
    this.#gearAlerts.look();
    await recover(this.#journal, this.#spool, log);
    // An outside tool may have the interface still: then it is not touched.
    if (!(await this.#bench.maintenance.resumeReleased())) await this.#keeper.start();
    this.#outgoing.start();
    this.#transfers.start();
    this.#watch();
    if (this.#mode.mode === 'starting') this.#mode.set(this.#keeper.ready ? 'ready' : 'faulted');
    // A technician whose rig restarted is still at work.
    this.#bench.maintenance.resume();
    this.#bench.selfTests.start();
    await this.#scheduler.start();
    await this.#upkeep.start();
    await this.#broadcast.start();
    await this.#openDoor(listeners.courier, (app) =>
      courierRoutes(app, {
        intake: this.#intake,
        outgoing: this.#outgoing,
        transfers: this.#transfers,
        trust: this.#trust,
        broadcast: this.#broadcast,
        link: (report) => this.#heardLink(report),
      }),
    );
    log.info({ rig: config.rig, mode: this.#mode.mode }, 'the rig is up');
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#mode.set('stopping');
    await this.#endInSafety();
    await this.#broadcast.stop();
    this.#outgoing.stop();
    this.#transfers.stop();
    await Promise.all(this.#servers.map((server) => server.close()));
    this.#servers = [];
    await this.#upkeep.stop();
    await this.#keeper.stop();
    this.#abort.abort();
    await this.#rack.stop();
    this.#bench.close();
    this.#journal.close();
  }

  /** Takes end, and the gear is safe or, where a unit does not answer, left. */
  async #endInSafety(): Promise<void> {
    const { config, log } = this.#o;
    const rolling = this.#scheduler.inserts;
    const idle = (name: string): boolean => {
      const { insert } = config.processors[name]!;
      // A patchbay may carry any of the takes.
      return insert !== undefined && !rolling.has(insert);
    };
    const names = this.#rack.units.map(({ name }) => name);
    const ended = Promise.all([
      this.#rack.safe(names.filter(idle)),
      Promise.all([this.#bench.stop(), this.#scheduler.stop()]).then(() =>
        this.#rack.safe(names.filter((name) => !idle(name))),
      ),
    ]);
    const late = new Error('the gear takes its time');
    await within(SAFE_MS, ended, () => late).catch(async (error) => {
      if (error !== late) throw error;
      log.error({ processors: [...names].filter((name) => this.#rack.owed.has(name)) }, 'left without a safe state');
      // Whoever still waits for one of them waits no more.
      this.#gearAlerts.stop();
      await this.#rack.stop();
      await ended;
    });
    this.#gearAlerts.stop();
  }

  /** For the service manager. Not well is only what a new process may cure: no word of state and health, which lead through all its parts. */
  pulse(): Pulse {
    const { mode, lastFault } = this.#mode;
    const why = mode === 'faulted' && lastFault ? `: ${lastFault.error.message}` : '';
    return { status: `${mode}${why}`, well: this.#broadcast.sinceRoundMs < STALE_ROUND_MS };
  }

  async #openControl(): Promise<void> {
    const { config, listeners } = this.#o;
    await this.#openDoor(listeners.control, (app) => {
      controlRoutes(app, {
        rig: config.rig,
        trust: this.#trust,
        sessions: this.#bench.sessions,
        gear: this.#bench.gear,
        archive: this.#bench.archive,
        calibration: () => this.#bench.inForce.version,
        status: () => this.#report.status(),
        audio: (probe) => this.#report.audio(probe),
      });
      calibrationLiveRoutes(app, this.#bench.runs);
    });
  }

  async #openDoor(listener: Listener, routes: (app: FastifyInstance) => void): Promise<void> {
    const app = createServer(this.#o.log);
    routes(app);
    await listen(app, listener);
    this.#servers.push(app);
  }

  #watch(): void {
    const changed = () => this.#broadcast.changed();
    this.#mode.onChange(() => {
      changed();
      this.#scheduler.poke();
    });
    this.#journal.jobs.onChange((job) => {
      changed();
      if (!isOpen(job) || job.state === 'sealed') this.#tidy(job);
    });
    this.#rack.onState(() => {
      changed();
      this.#scheduler.poke();
    });
    this.#trust.onChange(changed);
    this.#bench.archive.onChange(changed);
  }

  /**
   * The spool keeps a source while a job may still play it, and a result until somebody else has it. Looking and removing are one step, so that
   * no job can be accepted for a source in between.
   */
  #tidy(job: JobRow): void {
    const { jobs } = this.#journal;
    if (
      job.sourceDigest &&
      !jobs.openBySource(job.sourceDigest).some((other) => ['accepted', 'ready', 'rolling'].includes(other.state))
    )
      this.#spool.removeSource(job.sourceDigest);
    if (job.resultDigest && !isOpen(jobs.get(job.id))) this.#spool.removeResult(job.resultDigest);
  }

  async #installInitialTrust(): Promise<void> {
    const { initialTrust, log } = this.#o;
    if (initialTrust === null) return;
    try {
      await this.#trust.apply(initialTrust);
    } catch (cause) {
      const error = asOutboardError(cause);
      // An older file than the bundle in force is what a restart looks like.
      if (error.code !== 'trust.version')
        log.error({ code: error.code }, `the configured trust bundle is not taken: ${error.message}`);
    }
  }

  /** A full disk must not turn an alert into a crash. */
  #alert(severity: Severity, problem: Problem): void {
    try {
      this.#journal.db.commit('alert', () => this.#journal.outbox.putAlert(severity, problem));
    } catch (cause) {
      this.#o.log.error({ err: cause, alert: problem.code }, 'an alert could not be noted');
    }
  }

  #interfaceDown(error: OutboardError): void {
    this.#o.log.error({ code: error.code }, error.message);
    this.#mode.fault(error);
    if (this.#mode.mode !== 'stopping') this.#mode.set('faulted');
    this.#alert('critical', error.toJSON());
  }

  #interfaceBack(awayMs: number, codes: readonly ErrorCode[]): void {
    const device = deviceName(this.#o.device);
    const message = `${device} is back after ${(awayMs / 1000).toFixed(1)} s`;
    this.#o.log.warn(message);
    if (this.#mode.mode === 'faulted') this.#mode.set(this.#bench.maintenance.mode ?? 'ready');
    // Who keeps a list of alerts by their code strikes them off with these.
    for (const code of codes)
      this.#alert('notice', { code, message, advice: 'Nothing is to be done.', details: { device } });
  }

  #heardLink(report: LinkReport): void {
    this.#link = report;
    this.#outgoing.courierBegan();
    this.#broadcast.changed();
  }
}
