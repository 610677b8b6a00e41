/** The lines of `outboard check`: what was looked at and what came of it. One fault does not hide the next. */
import { type ErrorCode, isOutboardError } from '../../../core/errors.js';

export interface CheckRow {
  status: 'ok' | 'warn' | 'fail';
  /** What was looked at. */
  what: string;
  detail: string;
  /** Of a fault: where to read on, and what to do. */
  code?: ErrorCode;
  advice?: string;
}

/** What a check that did not throw has to say; a warning is something that works now and will not for long, or not everywhere. */
export type Finding = string | { warn: string };

export class CheckReport {
  readonly rows: CheckRow[] = [];

  get failed(): boolean {
    return this.rows.some((row) => row.status === 'fail');
  }

  add(what: string, finding: Finding): void {
    if (typeof finding === 'string') this.rows.push({ status: 'ok', what, detail: finding });
    else this.rows.push({ status: 'warn', what, detail: finding.warn });
  }

  /**
   * Runs one check and keeps its outcome. What it found is given back for the checks that build on it, undefined when it failed.
   *
   * @param look throws an OutboardError for a fault; anything else it throws is a fault of ours and goes through
   */
  async run<T>(what: string, look: () => Promise<{ finding: Finding; value: T }>): Promise<T | undefined> {
    try {
      const { finding, value } = await look();
      this.add(what, finding);
      return value;
    } catch (error) {
      if (!isOutboardError(error) || error.code === 'internal') throw error;
      this.rows.push({ status: 'fail', what, detail: error.message, code: error.code, advice: error.advice });
      return undefined;
    }
  }
}

/** A finding that has nothing to hand on. */
export function only(finding: Finding): { finding: Finding; value: true } {
  return { finding, value: true };
}
