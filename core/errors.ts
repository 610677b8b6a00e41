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

  /** As it is told: what JSON has no word for (infinities, half of a surrogate pair) is spelled out, so that a refusal can always be signed. */
  toJSON(): { code: ErrorCode; message: string; advice: string; details?: Record<string, unknown> } {
    const details = sayable(this.details) as Record<string, unknown>;
    return {
      code: this.code,
      message: wellFormed(this.message).slice(0, MAX_MESSAGE),
      advice: this.advice,
      ...(Object.keys(details).length > 0 ? { details } : {}),
    };
  }
}

const MAX_MESSAGE = 1000;
const MAX_DETAILS = 4096;

function sayable(details: Readonly<Record<string, unknown>>): unknown {
  const text = JSON.stringify(details, (_key, value) => {
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    if (typeof value === 'bigint') return String(value);
    return typeof value === 'string' ? wellFormed(value) : value;
  });
  return text.length <= MAX_DETAILS ? JSON.parse(text) : { note: 'the particulars are too long to be told' };
}

function wellFormed(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text));
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
