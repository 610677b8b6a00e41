/** The rig's memory: everything that must outlive a SIGKILL at any instant. */

import type { OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import { AuditLog } from './audit.js';
import { type CommitObserver, JournalDatabase } from './database.js';
import { Jobs } from './jobs.js';
import { Outbox } from './outbox.js';

export type TokenVerdict = 'new' | 'same' | 'other';

export class Journal {
  readonly db: JournalDatabase;
  readonly audit: AuditLog;
  readonly outbox: Outbox;
  readonly jobs: Jobs;

  constructor(options: {
    path: string;
    rig: string;
    observer?: CommitObserver;
    onIndeterminate: (error: OutboardError) => void;
  }) {
    this.db = new JournalDatabase(options);
    this.audit = new AuditLog(this.db);
    this.outbox = new Outbox(this.db, options.rig);
    this.jobs = new Jobs(this.db, this.audit, this.outbox);
  }

  open(key: Buffer): void {
    this.db.open(key);
  }

  close(): void {
    this.db.close();
  }

  meta(key: string): string | undefined {
    return this.db.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value;
  }

  /** Inside a commit. */
  setMeta(key: string, value: string): void {
    this.db.run(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      value,
    );
  }

  /** Whether a jti was seen before, by its issuer and its payload's digest. */
  seen(iss: string, jti: string, digest: string): TokenVerdict {
    const row = this.db.get<{ digest: string }>('SELECT digest FROM token WHERE iss = ? AND jti = ?', iss, jti);
    return row === undefined ? 'new' : row.digest === digest ? 'same' : 'other';
  }

  /** Inside a commit. */
  remember(iss: string, jti: string, digest: string, exp: number): void {
    this.db.run('INSERT INTO token (iss, jti, digest, exp) VALUES (?, ?, ?, ?)', iss, jti, digest, exp);
  }

  /** Cancels of a dispatcher that wait for their offers. */
  earlyCancels(dispatcher: string): number {
    return this.db.get<{ n: number }>('SELECT count(*) AS n FROM early_cancel WHERE dispatcher = ?', dispatcher)!.n;
  }

  /** Whose sound the insert may still hold: a tenant, or null when it was heard to be quiet. `undefined` when nobody knows. */
  insertTenant(insert: string): string | undefined {
    return this.db.get<{ tenant: string }>('SELECT tenant FROM insert_memory WHERE name = ?', insert)?.tenant;
  }

  /** Inside a commit. An empty tenant means: heard to be quiet. */
  setInsertTenant(insert: string, tenant: string): void {
    this.db.run(
      'INSERT INTO insert_memory (name, tenant) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET tenant = excluded.tenant',
      insert,
      tenant,
    );
  }

  /**
   * Forgets what no one can use any more: tokens that expired `keepSeconds` ago, and ended jobs of that age whose events are all done.
   * The audit log is never pruned.
   */
  prune(keepSeconds: number): void {
    const before = nowSeconds() - keepSeconds;
    this.db.commit('prune', () => {
      this.db.run('DELETE FROM token WHERE exp < ?', before);
      this.db.run('DELETE FROM early_cancel WHERE at < ?', before);
      this.db.run('DELETE FROM outbox WHERE done = 1 AND created_at < ?', before);
      this.db.run(
        `DELETE FROM job WHERE updated_at < ? AND state IN ('closed', 'refused', 'failed', 'cancelled', 'expired')
           AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.job_id = job.id)`,
        before,
      );
    });
  }
}
