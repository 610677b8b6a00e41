/**
 * What was measured, for years: every run as it was signed, and its readings where a trend can be read from them. A file of its own, because
 * it outlives journals; in clear, because nothing of any client is in it.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import Database from 'better-sqlite3-multiple-ciphers';
import { canonicalBytes } from '../../core/canonical.js';
import {
  type Baseline,
  CalibrationKind,
  type CalibrationRun,
  type CalibrationSet,
  type Measurement,
  type RunSummary,
  type Series,
  type UnjudgedRun,
} from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { digestOf, seriesKey, setupKey } from './key.js';
import { migrate } from './schema.js';

export interface RunQuery {
  insert?: string | undefined;
  kind?: CalibrationKind | undefined;
  /** Seconds since the epoch: runs that began then or later. */
  since?: number | undefined;
  /** Only runs that came to their end. */
  whole?: boolean | undefined;
  /** The newest so many. */
  limit?: number | undefined;
}

export interface SeriesQuery {
  insert: string;
  names: readonly string[];
  since?: number | undefined;
  /** The newest so many of each series; all when absent. */
  points?: number | undefined;
}

interface RunRow {
  id: number;
  summary: string;
  digest: string;
  baseline: number;
}

const IS_BASELINE = 'EXISTS (SELECT 1 FROM baseline WHERE baseline.run_id = run.id) AS baseline';
/** Of a run that came to its end: what one had until it was broken off, or over which the gear moved, is no reading of anything. */
const WHOLE = "json_extract(run.summary, '$.problem') IS NULL";

export class History {
  readonly #file: string;
  #db: Database.Database | undefined;

  /** @param file `:memory:` for one that nobody keeps */
  constructor(file: string) {
    this.#file = file;
  }

  /** @throws OutboardError history.open | history.broken when it is there and is no sound history | history.schema */
  open(): void {
    let db: Database.Database | undefined;
    try {
      db = new Database(this.#file);
      db.pragma('journal_mode=WAL');
      db.pragma('synchronous=FULL');
      db.pragma('foreign_keys=ON');
      migrate(db);
      // A page that is damaged would be found when somebody needs it.
      const sound = db.pragma('quick_check(1)', { simple: true });
      if (sound !== 'ok') throw new OutboardError('history.broken', `${this.#file} is damaged: ${String(sound)}`);
    } catch (cause) {
      db?.close();
      if (cause instanceof OutboardError) throw cause;
      const reason = (cause as { code?: string }).code ?? String(cause);
      if (/^SQLITE_(NOTADB|CORRUPT)/.test(reason))
        throw new OutboardError('history.broken', `${this.#file} is damaged (${reason})`, { cause });
      throw new OutboardError('history.open', `${this.#file} cannot be opened (${reason})`, { cause });
    }
    this.#db = db;
  }

  /** May be called twice. */
  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  get #open(): Database.Database {
    if (!this.#db) throw new OutboardError('internal', 'the calibration history is closed');
    return this.#db;
  }

  /**
   * Keeps a run and its signed statement. The first run of an insert, kind and setup that did not fail becomes the baseline.
   *
   * @param token the rig's `outboard-calibration+jws` over the run's digest ({@link runDigest})
   * @throws OutboardError history.known for a run that is there already; rig.disk-full, and then nothing of it is kept
   */
  add(run: CalibrationRun, token: string): RunSummary {
    const bytes = canonicalBytes(run);
    const summary = summaryOf(run, digestOf(bytes));
    const verdicts = new Map<number, boolean>();
    for (const { measurement, passed } of run.verdicts)
      if (passed !== null) verdicts.set(measurement, (verdicts.get(measurement) ?? true) && passed);
    this.#commit(() => {
      if (this.#find(run.run)) throw new OutboardError('history.known', `run ${run.run} is in the history already`);
      const setup = setupKey(run);
      const id = this.#open
        .prepare(
          `INSERT INTO run (run, insert_name, kind, started_at, passed, setup, summary, digest, token, document)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          run.run,
          run.insert,
          run.kind,
          run.startedAt,
          bit(run.passed),
          setup,
          JSON.stringify(summary),
          summary.digest,
          token,
          deflateRawSync(bytes),
        ).lastInsertRowid;
      const keep = this.#open.prepare('INSERT INTO reading VALUES (?, ?, ?, ?, ?)');
      for (const [position, m] of run.measurements.entries())
        keep.run(this.#seriesId(run.insert, m), id, position, m.value, bit(verdicts.get(position) ?? null));
      const first = run.passed !== false && run.problem === undefined && !this.#baselineOf(run.insert, run.kind, setup);
      if (first) this.#setBaseline(Number(id), null, 'the first run that did not fail');
    });
    return { ...summary, baseline: this.#isBaseline(run.run) };
  }

  /** @throws OutboardError history.unknown | history.damaged */
  get(run: string): { run: CalibrationRun; token: string } {
    const row = this.#find<{ document: Buffer; digest: string; token: string }>(run);
    if (!row) throw new OutboardError('history.unknown', `no run ${run} is in the history`);
    let bytes: Buffer;
    try {
      bytes = inflateRawSync(row.document);
    } catch (cause) {
      throw new OutboardError('history.damaged', `the document of run ${run} cannot be unpacked`, { cause });
    }
    if (digestOf(bytes) !== row.digest)
      throw new OutboardError('history.damaged', `the document of run ${run} has another digest`);
    return { run: JSON.parse(bytes.toString('utf8')) as CalibrationRun, token: row.token };
  }

  /** Newest first. */
  list({ insert, kind, since, whole, limit }: RunQuery = {}): RunSummary[] {
    const asked = [
      ['insert_name = ?', insert],
      ['kind = ?', kind],
      ['started_at >= ?', since],
    ].filter(([, value]) => value !== undefined);
    const clauses = asked.map(([clause]) => clause);
    if (whole) clauses.push(WHOLE);
    const where = clauses.length > 0 ? `WHERE ${clauses.join(' AND ')}` : '';
    return this.#open
      .prepare<unknown[], RunRow>(
        `SELECT summary, ${IS_BASELINE} FROM run ${where} ORDER BY started_at DESC, id DESC LIMIT ?`,
      )
      .all(...asked.map(([, value]) => value), limit ?? -1)
      .map(summaryOfRow);
  }

  /** The newest run of each kind, newest first. */
  newest(insert: string): RunSummary[] {
    return CalibrationKind.options
      .flatMap((kind) => this.list({ insert, kind, limit: 1 }))
      .sort((a, b) => b.startedAt - a.startedAt);
  }

  /** As `newest`; of a kind whose newest run did not come to its end, also the newest that did. */
  standing(insert: string): RunSummary[] {
    return this.newest(insert)
      .flatMap((run) =>
        run.problem === null ? run : [run, ...this.list({ insert, kind: run.kind, whole: true, limit: 1 })],
      )
      .sort((a, b) => b.startedAt - a.startedAt);
  }

  /** Valid readings of the measurements with these names, each comparable set of them for itself. */
  series({ insert, names, since, points: most = -1 }: SeriesQuery): Series[] {
    const rows = this.#open
      .prepare<unknown[], { id: number; name: string; channel: number | null } & Record<string, string>>(
        `SELECT id, name, channel, unit, definition, conditions FROM series
         WHERE insert_name = ? AND name IN (${names.map(() => '?').join(',')}) ORDER BY name, channel, id`,
      )
      .all(insert, ...names);
    const points = this.#open.prepare<
      unknown[],
      { run: string; kind: CalibrationKind; at: number; value: number; passed: number | null }
    >(
      `SELECT run, kind, started_at AS at, value, reading.passed AS passed FROM reading JOIN run ON run.id = run_id
       WHERE series_id = ? AND value IS NOT NULL AND started_at >= ? AND ${WHOLE}
       ORDER BY started_at DESC, run.id DESC, position DESC LIMIT ?`,
    );
    return rows
      .map(({ id, name, channel, unit, definition, conditions }) => ({
        name,
        channel,
        unit: unit!,
        definition: definition!,
        conditions: JSON.parse(conditions!) as Series['conditions'],
        points: points
          .all(id, since ?? 0, most)
          .reverse()
          .map((point) => ({ ...point, passed: truth(point.passed) })),
      }))
      .filter((series) => series.points.length > 0);
  }

  /**
   * The readings that a measurement of a run is compared with: the baseline's first, then the later ones of the same setup. Undefined where there is
   * no baseline, or it has no such number. The baseline of the run's own kind comes before those of other kinds.
   *
   * @param most so many readings at most
   */
  sinceBaseline(
    run: Pick<UnjudgedRun, 'insert' | 'kind' | 'conditions' | 'startedAt'>,
    m: Measurement,
    most: number,
  ): { baseline: string; readings: number[] } | undefined {
    const setup = setupKey(run);
    const key = seriesKey(m);
    const baseline = this.#open
      .prepare<unknown[], { id: number; series: number; run: string; at: number; value: number }>(
        `SELECT run.id AS id, series.id AS series, run.run AS run, run.started_at AS at, value
         FROM baseline JOIN run ON run.id = baseline.run_id JOIN reading ON reading.run_id = run.id
           JOIN series ON series.id = reading.series_id
         WHERE run.insert_name = ? AND run.setup = ? AND series.key = ? AND series.insert_name = run.insert_name
           AND value IS NOT NULL AND ${WHOLE}
         ORDER BY run.kind = ? DESC, baseline.id DESC LIMIT 1`,
      )
      .get(run.insert, setup, key, run.kind);
    if (!baseline) return undefined;
    const later = this.#open
      .prepare<unknown[], { value: number }>(
        `SELECT value FROM reading JOIN run ON run.id = run_id
         WHERE series_id = ? AND setup = ? AND started_at >= ? AND run.id <> ? AND value IS NOT NULL AND ${WHOLE}
         ORDER BY started_at, run.id, position LIMIT ?`,
      )
      .all(baseline.series, setup, baseline.at, baseline.id, most - 1);
    return { baseline: baseline.run, readings: [baseline.value, ...later.map(({ value }) => value)] };
  }

  /**
   * From now on later runs of its insert, kind and setup are compared with this one.
   * @throws OutboardError history.unknown | history.partial for one that did not come to its end | rig.disk-full
   */
  setBaseline(run: string, setBy: string, reason: string): void {
    const row = this.#find<{ id: number; summary: string }>(run);
    if (!row) throw new OutboardError('history.unknown', `no run ${run} is in the history`);
    if ((JSON.parse(row.summary) as RunSummary).problem !== null)
      throw new OutboardError('history.partial', `run ${run} did not come to its end: nothing can be compared with it`);
    this.#commit(() => this.#setBaseline(row.id, setBy, reason));
  }

  /** The one in force for each insert and kind. */
  baselines(insert?: string): Baseline[] {
    return this.#open
      .prepare<unknown[], Baseline>(
        `SELECT insert_name AS "insert", kind, run, baseline.at AS at, set_by AS setBy, baseline.reason AS reason
         FROM baseline JOIN run ON run.id = run_id
         WHERE baseline.id IN (SELECT max(b.id) FROM baseline b JOIN run r ON r.id = b.run_id GROUP BY insert_name, kind)
           AND (@insert IS NULL OR insert_name = @insert) ORDER BY insert_name, kind`,
      )
      .all({ insert: insert ?? null });
  }

  /** The trims in force, or null before any were measured. */
  latestSet(): CalibrationSet | null {
    const row = this.#open
      .prepare<unknown[], { document: string }>('SELECT document FROM trim_set ORDER BY id DESC LIMIT 1')
      .get();
    return row ? (JSON.parse(row.document) as CalibrationSet) : null;
  }

  /** @throws OutboardError history.known for a version that is used up | rig.disk-full */
  addSet(set: CalibrationSet): void {
    const changes = this.#commit(
      () =>
        this.#open
          .prepare('INSERT INTO trim_set (version, document) VALUES (?, ?) ON CONFLICT DO NOTHING')
          .run(set.version, JSON.stringify(set)).changes,
    );
    if (changes === 0) throw new OutboardError('history.known', `calibration ${set.version} is in the history already`);
  }

  /**
   * A version of the limits means one thing for ever.
   * @throws OutboardError limits.version when the version was used for another file | rig.disk-full
   */
  claimLimits({ version, digest }: { version: string; digest: string }): void {
    this.#commit(() =>
      this.#open
        .prepare('INSERT INTO limits (version, digest, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
        .run(version, digest, nowSeconds()),
    );
    const known = this.#open
      .prepare<unknown[], { digest: string }>('SELECT digest FROM limits WHERE version = ?')
      .get(version);
    if (known!.digest !== digest)
      throw new OutboardError('limits.version', `limits ${version} were something else before`);
  }

  #commit<T>(body: () => T): T {
    try {
      return this.#open.transaction(body)();
    } catch (cause) {
      if (!(cause as { code?: string }).code?.startsWith('SQLITE_FULL')) throw cause;
      throw new OutboardError('rig.disk-full', 'the disk of the calibration history is full', { cause });
    }
  }

  #find<T = RunRow>(run: string): T | undefined {
    return this.#open.prepare<unknown[], T>('SELECT * FROM run WHERE run = ?').get(run);
  }

  #isBaseline(run: string): boolean {
    return (
      this.#open.prepare<unknown[], RunRow>(`SELECT ${IS_BASELINE} FROM run WHERE run = ?`).get(run)!.baseline === 1
    );
  }

  #baselineOf(insert: string, kind: string, setup: string): boolean {
    return (
      this.#open
        .prepare(
          `SELECT 1 FROM baseline JOIN run ON run.id = run_id WHERE insert_name = ? AND kind = ? AND setup = ? LIMIT 1`,
        )
        .get(insert, kind, setup) !== undefined
    );
  }

  #setBaseline(id: number, setBy: string | null, reason: string): void {
    this.#open
      .prepare('INSERT INTO baseline (run_id, at, set_by, reason) VALUES (?, ?, ?, ?)')
      .run(id, nowSeconds(), setBy, reason);
  }

  #seriesId(insert: string, m: Measurement): number {
    const key = seriesKey(m);
    this.#open
      .prepare(
        `INSERT INTO series (insert_name, key, name, channel, unit, definition, conditions) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
      )
      .run(insert, key, m.name, m.channel ?? null, m.unit, m.definition, JSON.stringify(m.conditions));
    return this.#open
      .prepare<unknown[], { id: number }>('SELECT id FROM series WHERE insert_name = ? AND key = ?')
      .get(insert, key)!.id;
  }
}

/** What the rig signs of a run: `sha256:<hex>` of its RFC 8785 form. */
export function runDigest(run: CalibrationRun): string {
  return digestOf(canonicalBytes(run));
}

function summaryOf(run: CalibrationRun, digest: string): Omit<RunSummary, 'baseline'> {
  return {
    run: run.run,
    insert: run.insert,
    kind: run.kind,
    virtual: run.virtual,
    technician: run.technician,
    reason: run.reason,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    measurements: run.measurements.length,
    refused: run.measurements.filter(({ valid }) => !valid).length,
    failed: run.verdicts.filter(({ passed }) => passed === false).length,
    alarms: run.drifts.filter(({ alarm }) => alarm).length,
    passed: run.passed,
    calibration: run.conditions.calibration,
    limits: run.limits?.version ?? null,
    problem: run.problem?.code ?? null,
    digest,
  };
}

function summaryOfRow({ summary, baseline }: Pick<RunRow, 'summary' | 'baseline'>): RunSummary {
  return { ...(JSON.parse(summary) as RunSummary), baseline: baseline === 1 };
}

function bit(value: boolean | null): number | null {
  return value === null ? null : Number(value);
}

function truth(value: number | null): boolean | null {
  return value === null ? null : value === 1;
}
