/**
 * One error type with stable codes. A code is part of the contract: dispatchers and scripts branch on it, people look it up in
 * docs/troubleshooting.md, where each one has an entry. What to do stands in `advice`.
 */
import { ERRORS, type ErrorCode } from './error-codes.js';

export type { ErrorCode } from './error-codes.js';

export class OutboardError extends Error {
  override readonly name = 'OutboardError';
  readonly code: ErrorCode;
  /** Machine-readable particulars: never a secret, never audio, never a path into the spool. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** What the reader should do about it. */
  get advice(): string {
    return ERRORS[this.code].advice;
  }

  /** The sysexits(3) status for a command that ends with this error. */
  get exitCode(): number {
    return ERRORS[this.code].exit;
  }

  toJSON(): { code: ErrorCode; message: string; advice: string; details?: Readonly<Record<string, unknown>> } {
    return {
      code: this.code,
      message: this.message,
      advice: this.advice,
      ...(Object.keys(this.details).length > 0 ? { details: this.details } : {}),
    };
  }
}

/** True for an OutboardError with one of the codes (or any, when none is named). */
export function isOutboardError(error: unknown, ...codes: ErrorCode[]): error is OutboardError {
  return error instanceof OutboardError && (codes.length === 0 || codes.includes(error.code));
}

/** Any thrown thing as an OutboardError; what was not ours becomes `internal`. */
export function asOutboardError(error: unknown): OutboardError {
  if (error instanceof OutboardError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new OutboardError('internal', message, { cause: error });
}
