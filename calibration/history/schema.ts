/** The tables of the calibration history, one migration after the other. A file of a newer version is refused, never guessed at. */
import type Database from 'better-sqlite3-multiple-ciphers';
import { OutboardError } from '../../core/errors.js';

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    insert_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    passed INTEGER,
    setup TEXT NOT NULL,            -- what hung on the insert, and how it was set
    summary TEXT NOT NULL,
    digest TEXT NOT NULL,
    token TEXT NOT NULL,
    document BLOB NOT NULL          -- the RFC 8785 form, deflated
  );
  CREATE INDEX run_by_time ON run (started_at);
  CREATE INDEX run_by_insert ON run (insert_name, started_at);
  CREATE INDEX run_by_kind ON run (insert_name, kind, started_at);

  -- Everything that makes two readings comparable, once.
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    insert_name TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    channel INTEGER,
    unit TEXT NOT NULL,
    definition TEXT NOT NULL,
    conditions TEXT NOT NULL,
    UNIQUE (insert_name, key)
  );
  CREATE INDEX series_by_name ON series (insert_name, name);

  CREATE TABLE reading (
    series_id INTEGER NOT NULL REFERENCES series (id),
    run_id INTEGER NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,      -- in the measurements of its run
    value REAL,                     -- NULL where it was refused
    passed INTEGER,
    PRIMARY KEY (series_id, run_id, position)
  ) WITHOUT ROWID;
  CREATE INDEX reading_by_run ON reading (run_id);

  -- Never changed: the newest of an insert and kind holds.
  CREATE TABLE baseline (
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run (id), at INTEGER NOT NULL, set_by TEXT, reason TEXT NOT NULL
  );

  CREATE TABLE trim_set (id INTEGER PRIMARY KEY, version TEXT NOT NULL UNIQUE, document TEXT NOT NULL);

  -- A version of limits means one thing for ever.
  CREATE TABLE limits (version TEXT PRIMARY KEY, digest TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
  `,
];

/** @throws OutboardError history.schema when the file is newer than this program. */
export function migrate(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > MIGRATIONS.length)
    throw new OutboardError(
      'history.schema',
      `the calibration history has version ${version}, this program knows ${MIGRATIONS.length}`,
    );
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.exec('BEGIN IMMEDIATE');
    db.exec(MIGRATIONS[next]!);
    db.pragma(`user_version=${next + 1}`);
    db.exec('COMMIT');
  }
}
