/** The journal's tables, one migration after the other. A journal of a newer version is refused, never guessed at. */
import type Database from 'better-sqlite3-multiple-ciphers';
import { OutboardError } from '../../../core/errors.js';

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  -- Every token that was taken: the same jti with other bytes is a forgery or a fault, for as long as anyone could try.
  CREATE TABLE token (
    iss TEXT NOT NULL, jti TEXT NOT NULL, digest TEXT NOT NULL, exp INTEGER NOT NULL,
    PRIMARY KEY (iss, jti)
  ) WITHOUT ROWID;

  CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dispatcher TEXT NOT NULL,
    jti TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 1,
    tenant TEXT,
    token TEXT,                     -- gone when the job has ended: the granted key is inside
    start_by INTEGER,
    source_digest TEXT, source_bytes INTEGER, result_reserved INTEGER,
    result_digest TEXT, result_bytes INTEGER,
    certificate TEXT,
    problem TEXT,
    accepted_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    UNIQUE (dispatcher, jti)
  );
  CREATE INDEX job_open ON job (state) WHERE state IN ('accepted', 'ready', 'rolling', 'sealed', 'delivered');
  CREATE INDEX job_start_by ON job (start_by) WHERE start_by IS NOT NULL;
  CREATE INDEX job_source ON job (source_digest);
  CREATE INDEX job_result ON job (result_digest);

  -- A cancel that overtook its offer.
  CREATE TABLE early_cancel (
    dispatcher TEXT NOT NULL, job TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (dispatcher, job)
  ) WITHOUT ROWID;

  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    jti TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,             -- event | alert
    dispatcher TEXT,
    job_id INTEGER,
    payload TEXT NOT NULL,          -- RFC 8785; signed when it is handed out, by the key of that day
    created_at INTEGER NOT NULL,
    due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX outbox_due ON outbox (due_at) WHERE done = 0;
  CREATE INDEX outbox_open ON outbox (dispatcher) WHERE done = 0;
  CREATE INDEX outbox_job ON outbox (job_id);

  -- Each row's hash covers the one before it, so that a row can neither be changed nor taken out unseen.
  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL
  );

  -- Whose sound an insert may still remember.
  CREATE TABLE insert_memory (name TEXT PRIMARY KEY, tenant TEXT NOT NULL) WITHOUT ROWID;
  `,
];

/** @throws OutboardError journal.schema when the file is newer than this program. */
export function migrate(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > MIGRATIONS.length)
    throw new OutboardError(
      'journal.schema',
      `the journal has version ${version}, this program knows ${MIGRATIONS.length}`,
    );
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.exec('BEGIN IMMEDIATE');
    db.exec(MIGRATIONS[next]!);
    db.pragma(`user_version=${next + 1}`);
    db.exec('COMMIT');
  }
}
