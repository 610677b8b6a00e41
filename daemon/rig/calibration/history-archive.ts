/** The rig's memory of its calibration: runs are judged, signed and kept, and whoever watches the rig hears of what failed or moved. */
import { basename } from 'node:path';
import { History, runDigest, type SeriesQuery } from '../../../calibration/history/history.js';
import { assess } from '../../../calibration/limits/index.js';
import type { Signer } from '../../../certs/keys.js';
import type {
  CalibrationPayload,
  CalibrationRun,
  CalibrationSet,
  CalibrationSummary,
  EffectiveLimits,
  InsertHistoryAnswer,
  Problem,
  RigConfig,
  RunAnswer,
  RunSummary,
  Severity,
  UnjudgedRun,
} from '../../../core/contract/index.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import type { Journal } from '../journal/journal.js';
import { setAside } from './set-aside.js';

export interface HistoryArchiveOptions {
  file: string;
  config: Pick<RigConfig, 'rig' | 'inserts'>;
  journal: Journal;
  signer: Signer;
  /** As they stand now, for each insert. @throws OutboardError config.* | limits.class */
  limits(): Promise<ReadonlyMap<string, EffectiveLimits>>;
  alert(severity: Severity, problem: Problem): void;
}

export class HistoryArchive {
  readonly #o: HistoryArchiveOptions;
  readonly #history: History;
  readonly #listeners = new Set<() => void>();

  constructor(options: HistoryArchiveOptions) {
    this.#o = options;
    this.#history = new History(options.file);
  }

  /**
   * A damaged history is set aside, and a new one begins: a rig is not kept from its work by what it remembers of calibrations.
   * @throws OutboardError history.open | history.schema
   */
  open(): void {
    const { file, journal, alert } = this.#o;
    try {
      this.#history.open();
    } catch (cause) {
      if (!isOutboardError(cause, 'history.broken')) throw cause;
      const aside = setAside(file);
      this.#history.open();
      const message = `${cause.message}; it is set aside as ${basename(aside)}, and a new history begins`;
      journal.db.commit('calibration.set-aside', () =>
        journal.audit.append('calibration.set-aside', { why: cause.message }),
      );
      alert('critical', new OutboardError('history.broken', message, { cause }).toJSON());
    }
  }

  close(): void {
    this.#history.close();
  }

  /** Called after a run or a set of trims was kept. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * What a run on the insert would be judged by: asked before anything is played, so that nobody measures for a file that cannot be read.
   * @throws OutboardError calibration.insert | config.* | limits.class | limits.version
   */
  async limitsOf(insert: string): Promise<EffectiveLimits> {
    const limits = await this.#limits(insert);
    this.#history.claimLimits(limits);
    return limits;
  }

  async #limits(insert: string): Promise<EffectiveLimits> {
    const limits = (await this.#o.limits()).get(insert);
    if (!limits) throw new OutboardError('calibration.insert', `this rig has no insert ${insert}`);
    return limits;
  }

  /**
   * Judges a run against the limits in force and its baseline, signs and keeps it. Limits that cannot be read now leave it unjudged, with an alert: what
   * was measured is not thrown away for them.
   * @returns the run as it is kept
   * @throws OutboardError history.known
   */
  async add(run: UnjudgedRun): Promise<CalibrationRun> {
    const limits = await this.limitsOf(run.insert).catch((cause) => {
      this.#o.alert('warning', asOutboardError(cause).toJSON());
      return null;
    });
    const document: CalibrationRun = limits
      ? assess(run, limits, this.#history)
      : { ...run, limits: null, verdicts: [], drifts: [], passed: null };
    const [before] = this.#history.list({ insert: run.insert, kind: run.kind, whole: true, limit: 1 });
    const digest = runDigest(document);
    const token = await this.#sign(document, digest);
    this.#history.add(document, token);
    const { run: id, insert, kind, passed } = document;
    this.#o.journal.db.commit('calibration.kept', () =>
      this.#o.journal.audit.append('calibration.kept', { run: id, insert, kind, passed, document: digest }),
    );
    // One that did not come to its end shows neither that all is well nor what is not: the next one tells.
    if (!document.problem) this.#announce(document, before);
    this.#changed();
    return document;
  }

  latestSet(): CalibrationSet | null {
    return this.#history.latestSet();
  }

  /** @throws OutboardError history.known */
  addSet(set: CalibrationSet): void {
    this.#history.addSet(set);
    this.#changed();
  }

  /** @throws OutboardError history.unknown */
  setBaseline(run: string, technician: string, reason: string): void {
    this.#history.setBaseline(run, technician, reason);
    this.#changed();
  }

  runs(query: Parameters<History['list']>[0]): RunSummary[] {
    return this.#history.list(query);
  }

  /** The newest of each kind, and the newest that came to its end. */
  newest(insert: string): RunSummary[] {
    return this.#history.standing(insert);
  }

  /** @throws OutboardError history.unknown | history.damaged */
  run(id: string): RunAnswer {
    const { run, token } = this.#history.get(id);
    return { document: run, token };
  }

  /**
   * @param query of the trends: since when, in seconds since the epoch, and the newest so many points
   * @throws OutboardError calibration.insert | config.* | limits.class
   */
  async insert(
    insert: string,
    query: Pick<SeriesQuery, 'since' | 'points'>,
  ): Promise<Omit<InsertHistoryAnswer, 'rig' | 'calibration'>> {
    const limits = await this.#limits(insert);
    const names = new Set([...limits.limits, ...limits.drift].map(({ measurement }) => measurement));
    return {
      insert,
      limits,
      set: this.#history.latestSet(),
      baselines: this.#history.baselines(insert),
      series: this.#history.series({ insert, names: [...names], ...query }),
    };
  }

  /** @param calibration version of the trims in force */
  summaries(calibration: string | null): CalibrationSummary[] {
    return Object.keys(this.#o.config.inserts).map((insert) => ({
      insert,
      calibration,
      runs: this.#history.newest(insert).map(told),
    }));
  }

  #sign({ run, insert, kind, passed, virtual }: CalibrationRun, document: string): Promise<string> {
    const payload: CalibrationPayload = {
      iss: this.#o.config.rig,
      iat: nowSeconds(),
      calibration: { run, insert, kind, document, passed, virtual },
    };
    return this.#o.signer.sign('calibration', payload);
  }

  /** A technician sees at once what failed; what the rig finds by itself, and what moves over months, is for those who watch it. */
  #announce(run: CalibrationRun, before: RunSummary | undefined): void {
    const moved = run.drifts.filter(({ alarm }) => alarm);
    const failed = run.verdicts.filter(({ passed }) => passed === false);
    const details = { run: run.run, insert: run.insert };
    const name = (index: number) => run.measurements[index]!.name;
    if (moved.length > 0) {
      const worst = moved.map(({ measurement, change }) => `${name(measurement)} by ${change.toFixed(2)}`);
      const message = `insert ${run.insert}: moved from the baseline: ${worst.slice(0, 5).join(', ')}`;
      this.#o.alert('warning', new OutboardError('calibration.drift', message, { details }).toJSON());
    } else if (before && before.alarms > 0) this.#over('calibration.drift', run, 'is back at its baseline');
    if (run.kind !== 'self-test') return;
    if (failed.length > 0) {
      const rules = [...new Set(failed.map(({ rule }) => rule))].join(', ');
      const message = `insert ${run.insert}: the self-test is beyond its limits: ${rules}`;
      this.#o.alert('warning', new OutboardError('calibration.limit', message, { details }).toJSON());
    } else if (before?.passed === false) this.#over('calibration.limit', run, 'is within its limits again');
  }

  #over(code: 'calibration.drift' | 'calibration.limit', { run, insert }: CalibrationRun, how: string): void {
    const message = `insert ${insert} ${how}`;
    this.#o.alert('notice', { code, message, advice: 'Nothing is to be done.', details: { run, insert } });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function told(summary: RunSummary): CalibrationSummary['runs'][number] {
  const { run, kind, virtual, endedAt, measurements, refused, failed, alarms, passed, limits, problem, digest } =
    summary;
  return { run, kind, virtual, endedAt, measurements, refused, failed, alarms, passed, limits, problem, digest };
}
