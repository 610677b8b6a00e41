/**
 * Documents on their way out. An event stays until its own dispatcher has acknowledged it; a PUBACK only moves its next repetition. An alert
 * has no one reader who could acknowledge it and is done when the broker has it.
 */
import { randomUUID } from 'node:crypto';
import { canonicalBytes } from '../../../core/canonical.js';
import type { AlertPayload, EventPayload, Problem, Severity } from '../../../core/contract/index.js';
import { nowSeconds } from '../../../core/units.js';
import type { JournalDatabase } from './database.js';

export interface OutboxRow {
  jti: string;
  kind: 'event' | 'alert';
  dispatcher: string | null;
  payload: string;
}

const FIRST_REPEAT_SECONDS = 30;
const LAST_REPEAT_SECONDS = 3600;

export class Outbox {
  readonly #db: JournalDatabase;
  readonly #rig: string;
  readonly #listeners = new Set<() => void>();

  constructor(db: JournalDatabase, rig: string) {
    this.#db = db;
    this.#rig = rig;
  }

  /** Called after something was put in. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Inside a commit; returns the event's id. */
  putEvent(jobId: number, event: Omit<EventPayload, 'iss' | 'jti' | 'iat'>): string {
    const payload: EventPayload = { iss: this.#rig, jti: randomUUID(), iat: nowSeconds(), ...event };
    this.#put('event', payload.jti, event.aud, jobId, payload);
    return payload.jti;
  }

  /** Inside a commit. */
  putAlert(severity: Severity, problem: Problem): void {
    const payload: AlertPayload = {
      iss: this.#rig,
      iat: nowSeconds(),
      jti: randomUUID(),
      alert: { severity, problem },
    };
    this.#put('alert', payload.jti, null, null, payload);
  }

  #put(kind: string, jti: string, dispatcher: string | null, jobId: number | null, payload: object): void {
    const now = nowSeconds();
    this.#db.run(
      'INSERT INTO outbox (jti, kind, dispatcher, job_id, payload, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
      jti,
      kind,
      dispatcher,
      jobId,
      new TextDecoder().decode(canonicalBytes(payload)),
      now,
      now,
    );
    queueMicrotask(() => this.notify());
  }

  /** Due rows, oldest first, without those that are being handed out now. */
  due(limit: number, except: ReadonlySet<string>): OutboxRow[] {
    return this.#db
      .all<OutboxRow>(
        'SELECT jti, kind, dispatcher, payload FROM outbox WHERE done = 0 AND due_at <= ? ORDER BY id LIMIT ?',
        nowSeconds(),
        limit + except.size,
      )
      .filter((row) => !except.has(row.jti))
      .slice(0, limit);
  }

  /** When the next row falls due, or null when nothing is open. */
  nextDueAt(): number | null {
    return this.#db.get<{ at: number | null }>('SELECT min(due_at) AS at FROM outbox WHERE done = 0')?.at ?? null;
  }

  /** The broker has them. Repetitions come at 30 s, 60 s, … up to an hour apart. */
  published(jtis: readonly string[]): void {
    const now = nowSeconds();
    this.#db.commit('outbox.published', () => {
      for (const jti of jtis)
        this.#db.run(
          `UPDATE outbox SET tries = tries + 1, done = CASE kind WHEN 'alert' THEN 1 ELSE done END,
             due_at = ? + min(?, ? * (1 << min(tries, 20))) WHERE jti = ?`,
          now,
          LAST_REPEAT_SECONDS,
          FIRST_REPEAT_SECONDS,
          jti,
        );
    });
  }

  /** Inside a commit. Only the dispatcher of an event can acknowledge it; returns how many were open. */
  acknowledge(dispatcher: string, jtis: readonly string[]): number {
    let count = 0;
    for (const jti of jtis)
      count += this.#db.run(
        'UPDATE outbox SET done = 1 WHERE jti = ? AND dispatcher = ? AND done = 0',
        jti,
        dispatcher,
      ).changes;
    return count;
  }

  /** Inside a commit: sends the last event of a job once more, at once. False when there is none. */
  repeatLast(jobId: number): boolean {
    const row = this.#db.get<{ id: number }>('SELECT id FROM outbox WHERE job_id = ? ORDER BY id DESC LIMIT 1', jobId);
    if (!row) return false;
    this.#db.run('UPDATE outbox SET done = 0, due_at = ? WHERE id = ?', nowSeconds(), row.id);
    queueMicrotask(() => this.notify());
    return true;
  }

  unacknowledged(dispatcher: string): number {
    return this.#db.get<{ n: number }>(
      'SELECT count(*) AS n FROM outbox WHERE dispatcher = ? AND done = 0',
      dispatcher,
    )!.n;
  }

  open(): number {
    return this.#db.get<{ n: number }>('SELECT count(*) AS n FROM outbox WHERE done = 0')!.n;
  }

  /** Events that nobody acknowledged since `before`, to be exported and closed. */
  olderThan(before: number): OutboxRow[] {
    return this.#db.all<OutboxRow>(
      'SELECT jti, kind, dispatcher, payload FROM outbox WHERE done = 0 AND created_at < ?',
      before,
    );
  }

  /** Inside a commit: gives up on an event (after its export). */
  close(jti: string): void {
    this.#db.run('UPDATE outbox SET done = 1 WHERE jti = ?', jti);
  }
}
