/**
 * What the sync channel carries: a word for every frame of the stream, computed from the frame's number alone. No two stretches of it are
 * alike, so that a stretch of it says where in the stream it belongs; and it takes many values, so that the very frame shows at which
 * another stretch begins.
 *
 * The numbers are uniform over +-A (white noise to every filter), from the mixing function of MurmurHash3 (Appleby, public domain).
 */
const STEPS = 2 ** 23;

export class SyncSequence {
  /** A, in steps of 24 bits. */
  readonly #scale: number;

  /** @param levelDbfs RMS as AES17 3.12 has it: a full-scale sine is 0 dBFS, so A = sqrt(3 / 2) of the level's ratio */
  constructor(levelDbfs: number) {
    this.#scale = Math.floor(Math.sqrt(1.5) * 10 ** (levelDbfs / 20) * STEPS);
  }

  /** The word of one frame: left-justified, 24 bits in use. */
  word(frame: number): number {
    const low = frame | 0;
    const high = Math.floor(frame / 2 ** 32) | 0;
    let h = low ^ Math.imul(high + 0x7f4a7c15, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    return Math.floor((h / 2 ** 31) * this.#scale) << 8;
  }

  /** The words of the frames from `from` on. */
  fill(from: number, into: Int32Array | Float64Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.word(from + i);
  }
}
