/** What the thread that seals or opens a file and its owner say to each other. Chunks are transferred, never copied. */
import type { ErrorCode } from '../core/errors.js';
import type { Identity } from './sealing.js';

/** Bytes per chunk of plaintext that comes out, and per write of ciphertext. */
export const CHUNK_BYTES = 256 * 1024;
/** Chunks that may be on their way out of the thread: 2 MiB. */
export const OPEN_WINDOW_CHUNKS = 8;
/** Bytes that may be on their way into the thread. */
export const SEAL_WINDOW_BYTES = 2 * 1024 * 1024;

/** The file is opened by the owner: a descriptor belongs to the process, and is closed whatever becomes of the thread. */
export type Task =
  | { kind: 'open'; fd: number; identity: Identity }
  | { kind: 'seal'; fd: number; path: string; recipients: readonly string[] };

export type ToThread = { take: number } | { chunk: Uint8Array } | { finish: true };

export type FromThread =
  | { chunk: Uint8Array }
  | { consumed: number }
  | { done: { digest: string; bytes: number } }
  | { failed: { code: ErrorCode; message: string; details: Record<string, unknown> } };
