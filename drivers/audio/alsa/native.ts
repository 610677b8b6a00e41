/**
 * The addon (native/addon.c) as TypeScript sees it. It is compiled when outboard is installed, where ALSA's headers are; it is loaded at the first
 * use, so that everything else works without it.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { OutboardError } from '../../../core/errors.js';

declare const handle: unique symbol;
/** A claim on the other side, with its thread. */
export type NativeHandle = { [handle]: never };

/** Of the last command: `errno` 0 when it was done. */
export interface NativeAnswer {
  errno: number;
  /** What is offered instead of what was asked; empty when something else went wrong. */
  refusal: string;
  startedSec: number;
  startedNsec: number;
  linked: number;
  realtime: number;
  locked: number;
}

/** Answers of `write` and `read` that are no number of frames. */
export const UNTOLD = -1;
export const BEYOND = -2;

/** What `fault` answers: the place of each in the list. */
export const FAULT_KINDS = [null, 'xrun-in', 'xrun-out', 'stalled', 'lost', 'dropped', 'starved'] as const;

/**
 * Commands (`open`, `start`, `stop`, `close`) are carried out by the claim's own thread, one at a time. When one is done, or something has
 * happened, `bell` is called: it asks for `answer` and then for every `fault`.
 */
export interface NativeAlsa {
  /** Names of PCMs, the streaming one first. */
  open(playback: readonly string[], capture: readonly string[], bell: () => void): NativeHandle;
  /** Rate, inputs, outputs, bytes of a sample, frames of a period, of the buffer, of the rings. */
  start(handle: NativeHandle, request: Float64Array): void;
  stop(handle: NativeHandle): void;
  close(handle: NativeHandle): void;
  answer(handle: NativeHandle): NativeAnswer | null;
  /** Returns how many frames came too late, UNTOLD, or BEYOND the ring. Channels count from 0. */
  write(handle: NativeHandle, atFrame: number, first: number, channels: number, block: Int32Array): number;
  /** Returns frames, or UNTOLD. */
  read(handle: NativeHandle, into: Int32Array): number;
  /** Fills captured, played, earliest write, seconds, nanoseconds. Returns 1 when a fault is to be told first. */
  position(handle: NativeHandle, into: Float64Array): number;
  /** Arms frames [from, to) of the channels of a mask of 4 x 32 bits; takes that back from `from` on where `to` is -1. False: too many wait. */
  order(handle: NativeHandle, mask: Uint32Array, from: number, to: number): boolean;
  /** Fills frame (-1: unknown), frames, seconds, nanoseconds, and a mask of 4 x 32 bits. Returns a place in FAULT_KINDS, 0 when none is left. */
  fault(handle: NativeHandle, into: Float64Array): number;
  /** Opens a PCM and closes it again. Returns the errno, or 0. Takes no claim. */
  probe(name: string, capture: boolean): number;
}

const ADDON = new URL('../../../../build/native/alsa.node', import.meta.url);

let loaded: NativeAlsa | null = null;

/** @throws OutboardError audio.driver */
export function loadNative(): NativeAlsa {
  if (loaded !== null) return loaded;
  const file = fileURLToPath(ADDON);
  if (!existsSync(file)) {
    throw new OutboardError(
      'audio.driver',
      'The ALSA driver was left out: install gcc (a C compiler) and libasound2-dev, then run `npm rebuild`.',
    );
  }
  try {
    loaded = createRequire(import.meta.url)(file) as NativeAlsa;
  } catch (cause) {
    throw new OutboardError(
      'audio.driver',
      `The ALSA driver does not load (${cause instanceof Error ? cause.message : cause}): install libasound2, gcc and libasound2-dev, then run \`npm rebuild\`.`,
      { cause },
    );
  }
  return loaded;
}
