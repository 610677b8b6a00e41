/**
 * Compares captured frames with the monotonic clock: PortAudio can throw away a period without a word, and can fall silent.
 *
 * A late chunk alone says nothing, a busy host makes many. But a lost one makes every later chunk late, so what is compared is the most
 * punctual chunk of one window with that of the window before. A window is short: a sample clock that is off by 200 ppm moves by a
 * thousandth of a chunk in it.
 */

const WINDOW_CHUNKS = 16;
/** A lost period is a whole chunk; half of one is the threshold. */
const LOST_SHARE = 0.5;
/** Silence for this long is a stall. */
const STALL_CHUNKS = 3;
const STALL_SLACK_NS = 150e6;

export class ClockWatch {
  readonly #chunkNs: number;
  readonly #rate: number;
  #chunks = 0;
  #first = 0n;
  #last: bigint;
  /** Lateness of the most punctual chunk, in ns after the first one's place: of the window before, and of the present one. */
  #before: number | null = null;
  #present = Number.POSITIVE_INFINITY;

  constructor(o: { chunkFrames: number; rate: number; startedNs: bigint }) {
    this.#rate = o.rate;
    this.#chunkNs = (o.chunkFrames / o.rate) * 1e9;
    this.#last = o.startedNs;
  }

  /** A chunk has come. @returns how many frames are missing since the window before, about; 0 when none */
  chunk(nowNs: bigint): number {
    if (this.#chunks === 0) this.#first = nowNs;
    this.#last = nowNs;
    const late = Number(nowNs - this.#first) - this.#chunks * this.#chunkNs;
    this.#chunks++;
    this.#present = Math.min(this.#present, late);
    if (this.#chunks % WINDOW_CHUNKS !== 0) return 0;
    const lost = this.#before === null ? 0 : this.#present - this.#before;
    this.#before = this.#present;
    this.#present = Number.POSITIVE_INFINITY;
    return lost > LOST_SHARE * this.#chunkNs ? Math.round((lost / 1e9) * this.#rate) : 0;
  }

  stalled(nowNs: bigint): boolean {
    return Number(nowNs - this.#last) > STALL_CHUNKS * this.#chunkNs + STALL_SLACK_NS;
  }
}
