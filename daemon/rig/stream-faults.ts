/** What went wrong in the streams since the process began: counted by kind, the last one with its place, and how many came in a row. */
import { nowSeconds } from '../../core/units.js';
import type { Fault, FaultKind } from '../../drivers/audio/port.js';

export interface LastFault {
  kind: FaultKind;
  /** Frame of its stream, and how many; null where the driver cannot know. */
  atFrame: number | null;
  frames: number | null;
  /** Wall clock, seconds. */
  at: number;
}

/** Faults further apart than this are not in a row. */
const ROW_MS = 30_000;

export class StreamFaults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  #last: LastFault | null = null;
  /** The same fault comes from the claim and from the engine. */
  readonly #known = new WeakSet<Fault>();
  #ends: number[] = [];

  note(fault: Fault): void {
    if (this.#known.has(fault)) return;
    this.#known.add(fault);
    const { kind, atFrame, frames } = fault;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#last = { kind, atFrame, frames, at: nowSeconds() };
  }

  get last(): LastFault | null {
    return this.#last;
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** A fault after which the stream stood. */
  noteEnd(): void {
    this.#ends.push(performance.now());
  }

  /** A stream has lasted. */
  endRow(): void {
    this.#ends = [];
  }

  /** How many streams in a row were ended by a fault. */
  get inARow(): number {
    const since = performance.now() - ROW_MS;
    this.#ends = this.#ends.filter((at) => at >= since);
    return this.#ends.length;
  }
}

/** `xrun-in at frame 4096, 256 frames`. */
export function faultText({ kind, atFrame, frames }: Pick<LastFault, 'kind' | 'atFrame' | 'frames'>): string {
  const where = atFrame === null ? '' : ` at frame ${atFrame}`;
  return `${kind}${where}${frames === null ? '' : `, ${frames} frames`}`;
}
