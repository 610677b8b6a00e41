/** The audit log: a hash chain of everything that changed. Its head is in the signed state, so that others hold witnesses of it. */
import { createHash } from 'node:crypto';
import { canonicalBytes } from '../../../core/canonical.js';
import { nowSeconds } from '../../../core/units.js';
import type { JournalDatabase } from './database.js';

export interface AuditHead {
  seq: number;
  /** `sha256:<hex>`, or `genesis` for the empty log. */
  head: string;
}

export class AuditLog {
  readonly #db: JournalDatabase;

  constructor(db: JournalDatabase) {
    this.#db = db;
  }

  head(): AuditHead {
    const row = this.#db.get<{ seq: number; hash: string }>('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1');
    return row ? { seq: row.seq, head: row.hash } : { seq: 0, head: 'genesis' };
  }

  /** Appends one entry; inside a commit. `detail` holds no secret and no audio. */
  append(kind: string, detail: Record<string, unknown>): void {
    const before = this.head();
    const at = nowSeconds();
    const text = new TextDecoder().decode(canonicalBytes(detail));
    const hash = entryHash(before, at, kind, text);
    this.#db.run(
      'INSERT INTO audit (seq, at, kind, detail, hash) VALUES (?, ?, ?, ?, ?)',
      before.seq + 1,
      at,
      kind,
      text,
      hash,
    );
  }

  /** The first entry whose hash does not follow, or null when the chain is whole. */
  firstBreak(): number | null {
    let before: AuditHead = { seq: 0, head: 'genesis' };
    for (const row of this.#db.all<{ seq: number; at: number; kind: string; detail: string; hash: string }>(
      'SELECT * FROM audit ORDER BY seq',
    )) {
      if (row.seq !== before.seq + 1 || entryHash(before, row.at, row.kind, row.detail) !== row.hash) return row.seq;
      before = { seq: row.seq, head: row.hash };
    }
    return null;
  }
}

function entryHash(before: AuditHead, at: number, kind: string, detail: string): string {
  const entry = canonicalBytes({ before: before.head, seq: before.seq + 1, at, kind, detail });
  return `sha256:${createHash('sha256').update(entry).digest('hex')}`;
}
