/** The durable states of jobs and the only way to change them: one commit writes the state, the audit entry and the event. */
import type { Certificate, EventPayload, EventType, Problem } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import type { AuditLog } from './audit.js';
import type { JournalDatabase } from './database.js';
import type { Outbox } from './outbox.js';

export type JobState =
  | 'accepted'
  | 'ready'
  | 'rolling'
  | 'sealed'
  | 'delivered'
  | 'closed'
  | 'refused'
  | 'failed'
  | 'cancelled'
  | 'expired';

/** DESIGN section 4. `ready -> ready` never happens; `rolling -> ready` is a spoiled take with attempts left. */
const NEXT: Record<JobState, readonly JobState[]> = {
  accepted: ['ready', 'failed', 'cancelled', 'expired'],
  ready: ['rolling', 'failed', 'cancelled', 'expired'],
  rolling: ['ready', 'sealed', 'failed', 'cancelled', 'expired'],
  sealed: ['delivered', 'closed', 'failed'],
  delivered: ['sealed', 'closed', 'failed'],
  closed: [],
  refused: [],
  failed: [],
  cancelled: [],
  expired: [],
};

export const OPEN_STATES: readonly JobState[] = ['accepted', 'ready', 'rolling', 'sealed', 'delivered'];

export interface JobRow {
  id: number;
  dispatcher: string;
  jti: string;
  /** SHA-256 of the RFC 8785 payload. */
  digest: string;
  state: JobState;
  attempt: number;
  maxAttempts: number;
  tenant: string | null;
  startBy: number | null;
  sourceDigest: string | null;
  sourceBytes: number | null;
  resultReserved: number | null;
  resultDigest: string | null;
  resultBytes: number | null;
  problem: string | null;
  acceptedAt: number;
  updatedAt: number;
}

const COLUMNS = `id, dispatcher, jti, digest, state, attempt, max_attempts AS maxAttempts, tenant, start_by AS startBy,
  source_digest AS sourceDigest, source_bytes AS sourceBytes, result_reserved AS resultReserved,
  result_digest AS resultDigest, result_bytes AS resultBytes, problem, accepted_at AS acceptedAt, updated_at AS updatedAt`;

export interface NewJob {
  dispatcher: string;
  jti: string;
  digest: string;
  tenant: string;
  token: string;
  startBy: number | null;
  maxAttempts: number;
  sourceDigest: string;
  sourceBytes: number;
  resultReserved: number;
}

/** What a transition brings with it. */
export interface Transition {
  attempt?: number;
  problem?: Problem;
  certificate?: Certificate;
  result?: { digest: string; bytes: number };
}

export class Jobs {
  readonly #db: JournalDatabase;
  readonly #audit: AuditLog;
  readonly #outbox: Outbox;
  readonly #listeners = new Set<(job: JobRow) => void>();

  constructor(db: JournalDatabase, audit: AuditLog, outbox: Outbox) {
    this.#db = db;
    this.#audit = audit;
    this.#outbox = outbox;
  }

  /** Called after a job was committed in a new state. */
  onChange(listener: (job: JobRow) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(id: number): JobRow {
    const row = this.#db.get<JobRow>(`SELECT ${COLUMNS} FROM job WHERE id = ?`, id);
    if (!row) throw new OutboardError('job.unknown', `no job with number ${id}`);
    return row;
  }

  /** The job's token, with the granted key in it; empty when the job has ended. Not part of a row: it is large. */
  token(id: number): string {
    return this.#db.get<{ token: string | null }>('SELECT token FROM job WHERE id = ?', id)?.token ?? '';
  }

  #certificate(id: number): Certificate | undefined {
    const text = this.#db.get<{ certificate: string | null }>(
      'SELECT certificate FROM job WHERE id = ?',
      id,
    )?.certificate;
    return text ? (JSON.parse(text) as Certificate) : undefined;
  }

  find(dispatcher: string, jti: string): JobRow | undefined {
    return this.#db.get<JobRow>(`SELECT ${COLUMNS} FROM job WHERE dispatcher = ? AND jti = ?`, dispatcher, jti);
  }

  inState(...states: JobState[]): JobRow[] {
    return this.#db.all<JobRow>(
      `SELECT ${COLUMNS} FROM job WHERE state IN (${states.map(() => '?').join(',')}) ORDER BY id`,
      ...states,
    );
  }

  /** Jobs that should have had their first attempt before this time. */
  startByBefore(atSeconds: number): JobRow[] {
    return this.#db.all<JobRow>(
      `SELECT ${COLUMNS} FROM job WHERE start_by < ? AND attempt = 0 AND state IN ('accepted', 'ready')`,
      atSeconds,
    );
  }

  /** The next time at which a job would be too late, or null. */
  nextStartBy(fromSeconds: number): number | null {
    return this.#db.get<{ at: number | null }>(
      `SELECT min(start_by) AS at FROM job WHERE start_by >= ? AND attempt = 0 AND state IN ('accepted', 'ready')`,
      fromSeconds,
    )!.at;
  }

  /** Open jobs by their source's or their result's digest. */
  openBySource(digest: string): JobRow[] {
    return this.#db
      .all<JobRow>(`SELECT ${COLUMNS} FROM job WHERE source_digest = ? ORDER BY id`, digest)
      .filter(isOpen);
  }

  openByResult(digest: string): JobRow[] {
    return this.#db
      .all<JobRow>(`SELECT ${COLUMNS} FROM job WHERE result_digest = ? ORDER BY id`, digest)
      .filter(isOpen);
  }

  recent(limit: number): JobRow[] {
    return this.#db.all<JobRow>(`SELECT ${COLUMNS} FROM job ORDER BY updated_at DESC, id DESC LIMIT ?`, limit);
  }

  /** Number of open jobs, of all, of one dispatcher, of one tenant. */
  openCounts(dispatcher: string, tenant: string): { all: number; dispatcher: number; tenant: number } {
    const open = OPEN_STATES.map((state) => `'${state}'`).join(',');
    return this.#db.get<{ all: number; dispatcher: number; tenant: number }>(
      `SELECT count(*) AS "all", coalesce(sum(dispatcher = ?), 0) AS dispatcher, coalesce(sum(tenant = ?), 0) AS tenant
       FROM job WHERE state IN (${open})`,
      dispatcher,
      tenant,
    )!;
  }

  countsByState(): Record<string, number> {
    const open = OPEN_STATES.map((state) => `'${state}'`).join(',');
    const rows = this.#db.all<{ state: string; n: number }>(
      `SELECT state, count(*) AS n FROM job WHERE state IN (${open}) GROUP BY state`,
    );
    return Object.fromEntries(rows.map((row) => [row.state, row.n]));
  }

  /** Disk that open jobs may still need: sources not yet in the spool and results not yet sealed. */
  reservedBytes(): number {
    return this.#db.get<{ n: number }>(
      `SELECT coalesce(sum(CASE state WHEN 'accepted' THEN source_bytes + result_reserved
         WHEN 'ready' THEN result_reserved WHEN 'rolling' THEN result_reserved ELSE 0 END), 0) AS n
       FROM job WHERE state IN ('accepted', 'ready', 'rolling')`,
    )!.n;
  }

  /** All bytes that open jobs hold or may come to hold in the spool. */
  committedBytes(): number {
    const open = OPEN_STATES.map((state) => `'${state}'`).join(',');
    return this.#db.get<{ n: number }>(
      `SELECT coalesce(sum(source_bytes + result_reserved), 0) AS n FROM job WHERE state IN (${open})`,
    )!.n;
  }

  /** Inside a commit. */
  insertAccepted(job: NewJob): JobRow {
    const now = nowSeconds();
    const { lastInsertRowid } = this.#db.run(
      `INSERT INTO job (dispatcher, jti, digest, state, tenant, token, start_by, max_attempts, source_digest, source_bytes,
         result_reserved, accepted_at, updated_at) VALUES (?, ?, ?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      job.dispatcher,
      job.jti,
      job.digest,
      job.tenant,
      job.token,
      job.startBy,
      job.maxAttempts,
      job.sourceDigest,
      job.sourceBytes,
      job.resultReserved,
      now,
      now,
    );
    const row = this.get(Number(lastInsertRowid));
    this.#tell(row, 'accepted', {});
    return row;
  }

  /** Inside a commit: a verdict that ends the job before it began. */
  insertRefused(
    job: { dispatcher: string; jti: string; digest: string },
    state: 'refused' | 'cancelled',
    problem: Problem,
  ): JobRow {
    const now = nowSeconds();
    const { lastInsertRowid } = this.#db.run(
      'INSERT INTO job (dispatcher, jti, digest, state, problem, accepted_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
      job.dispatcher,
      job.jti,
      job.digest,
      state,
      JSON.stringify(problem),
      now,
      now,
    );
    const row = this.get(Number(lastInsertRowid));
    this.#tell(row, state, { problem });
    return row;
  }

  /**
   * Commits a transition with its audit entry and its event. The token, with the granted key in it, goes with the end of the job.
   *
   * @throws OutboardError internal when the state machine has no such transition.
   */
  transition(id: number, to: JobState, change: Transition = {}): JobRow {
    const attempt = change.attempt ?? null;
    const name = to === 'rolling' ? `rolling(${attempt})` : to;
    return this.#db.commit(name, () => {
      const before = this.get(id);
      if (!NEXT[before.state].includes(to))
        throw new OutboardError('internal', `job ${id} cannot go from ${before.state} to ${to}`);
      this.#db.run(
        `UPDATE job SET state = ?, attempt = coalesce(?, attempt), problem = ?, certificate = coalesce(?, certificate),
           result_digest = coalesce(?, result_digest), result_bytes = coalesce(?, result_bytes),
           token = CASE WHEN ? THEN NULL ELSE token END, updated_at = ? WHERE id = ?`,
        to,
        attempt,
        change.problem ? JSON.stringify(change.problem) : null,
        change.certificate ? JSON.stringify(change.certificate) : null,
        change.result?.digest ?? null,
        change.result?.bytes ?? null,
        NEXT[to].length === 0 ? 1 : 0,
        nowSeconds(),
        id,
      );
      const row = this.get(id);
      this.#tell(row, to, change);
      return row;
    });
  }

  /** Inside a commit: an event that is no transition (`too-late`). */
  say(row: JobRow, type: EventType, extra: Pick<EventPayload, 'problem' | 'attempt'> = {}): void {
    this.#outbox.putEvent(row.id, { aud: row.dispatcher, job: row.jti, type, ...extra });
  }

  #tell(row: JobRow, type: EventType, change: Transition): void {
    const certified = type === 'sealed' || type === 'delivered' || type === 'closed';
    const certificate = certified ? (change.certificate ?? this.#certificate(row.id)) : undefined;
    this.#outbox.putEvent(row.id, {
      aud: row.dispatcher,
      job: row.jti,
      type,
      ...(row.attempt > 0 ? { attempt: row.attempt } : {}),
      ...(change.problem ? { problem: change.problem } : {}),
      ...(certificate ? { certificate } : {}),
    });
    this.#audit.append(`job.${type}`, {
      job: row.jti,
      dispatcher: row.dispatcher,
      attempt: row.attempt,
      ...(change.problem ? { code: change.problem.code } : {}),
      ...(row.resultDigest ? { result: row.resultDigest } : {}),
    });
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener(row);
    });
  }
}

export function isOpen(row: JobRow): boolean {
  return OPEN_STATES.includes(row.state);
}
