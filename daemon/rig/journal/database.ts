/**
 * The journal's file: SQLite in WAL mode, synced at each commit, encrypted, and held exclusively for the life of the process, so that a
 * second daemon on the same state directory is turned away by the file itself, also after a SIGKILL.
 */
import Database from 'better-sqlite3-multiple-ciphers';
import { OutboardError } from '../../../core/errors.js';
import { migrate } from './schema.js';

/** Sees each commit by name, before it and after it. Tests use it to kill the process at every transition. */
export interface CommitObserver {
  beforeCommit(name: string): void;
  afterCommit(name: string): void;
}

export type Row = Record<string, unknown>;

export class JournalDatabase {
  readonly #path: string;
  readonly #observer: CommitObserver | undefined;
  readonly #onIndeterminate: (error: OutboardError) => void;
  readonly #statements = new Map<string, Database.Statement>();
  #db: Database.Database | undefined;
  #depth = 0;
  /** Of the commit that runs, and of those inside of it. */
  #names: string[] = [];

  /** `onIndeterminate` must end the process: after it nothing may be believed or said until the journal was read again. */
  constructor(options: { path: string; observer?: CommitObserver; onIndeterminate: (error: OutboardError) => void }) {
    this.#path = options.path;
    this.#observer = options.observer;
    this.#onIndeterminate = options.onIndeterminate;
  }

  /**
   * @param key 32 raw bytes; zeroed here once SQLite has them.
   * @throws OutboardError instance.second | journal.open | journal.schema
   */
  open(key: Buffer): void {
    let db: Database.Database;
    try {
      db = new Database(this.#path, { timeout: 0 });
      db.pragma("cipher='chacha20'");
      db.key(key);
      db.pragma('locking_mode=EXCLUSIVE');
      db.pragma('journal_mode=WAL');
      db.pragma('synchronous=FULL');
      db.pragma('foreign_keys=ON');
      db.pragma('secure_delete=ON');
      db.exec('BEGIN EXCLUSIVE; COMMIT');
    } catch (cause) {
      const code = (cause as { code?: string }).code ?? '';
      if (code.startsWith('SQLITE_BUSY'))
        throw new OutboardError('instance.second', `another process holds ${this.#path}`, { cause });
      throw new OutboardError('journal.open', `${this.#path} cannot be opened (${code || String(cause)})`, { cause });
    } finally {
      key.fill(0);
    }
    this.#db = db;
    migrate(db);
  }

  close(): void {
    this.#statements.clear();
    this.#db?.close();
    this.#db = undefined;
  }

  get #open(): Database.Database {
    if (!this.#db) throw new OutboardError('internal', 'the journal is closed');
    return this.#db;
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#open.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  get<T = Row>(sql: string, ...parameters: unknown[]): T | undefined {
    return this.#statement(sql).get(...parameters) as T | undefined;
  }

  all<T = Row>(sql: string, ...parameters: unknown[]): T[] {
    return this.#statement(sql).all(...parameters) as T[];
  }

  /** Only inside `commit`, so that nothing is ever written without a name and an observer. */
  run(sql: string, ...parameters: unknown[]): { changes: number; lastInsertRowid: number | bigint } {
    if (this.#depth === 0) throw new OutboardError('internal', 'the journal is written inside commit() only');
    return this.#statement(sql).run(...parameters);
  }

  /**
   * Runs `body` in one transaction and syncs it to disk before it returns; a commit inside of it is a part of it. What `body` throws is rolled back and rethrown. An error of the
   * COMMIT itself leaves the outcome unknown, and no answer can be right: the process ends.
   */
  commit<T>(name: string, body: () => T): T {
    if (this.#depth > 0) {
      this.#names.push(name);
      return body();
    }
    const db = this.#open;
    db.exec('BEGIN IMMEDIATE');
    this.#depth = 1;
    this.#names = [name];
    let result: T;
    try {
      result = body();
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      throw diskFull(error);
    } finally {
      this.#depth = 0;
    }
    const names = this.#names;
    for (const each of names) this.#observer?.beforeCommit(each);
    try {
      db.exec('COMMIT');
    } catch (cause) {
      // A full disk leaves the transaction open, and rolled back it is known not to have happened (sqlite.org/lang_transaction.html, 2.3).
      if (isFull(cause) && db.inTransaction) {
        db.exec('ROLLBACK');
        throw diskFull(cause);
      }
      const error = new OutboardError('journal.commit', `the outcome of the commit "${name}" is unknown`, { cause });
      this.#onIndeterminate(error);
      throw error;
    }
    for (const each of names) this.#observer?.afterCommit(each);
    return result;
  }
}

function isFull(error: unknown): boolean {
  return (error as { code?: string }).code?.startsWith('SQLITE_FULL') ?? false;
}

function diskFull(error: unknown): unknown {
  return isFull(error)
    ? new OutboardError('rig.disk-full', 'the disk of the journal is full', { cause: error })
    : error;
}
