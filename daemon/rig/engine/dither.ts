/**
 * Dither with a triangular probability density over +-1 LSB: the difference of two uniform numbers. It makes the error of a reduction
 * in word length independent of the signal in its mean and its variance (Lipshitz, Wannamaker, Vanderkooy 1992).
 *
 * The generator is xoshiro128** (Blackman and Vigna), period 2^128 - 1, seeded from the system's random source for every take.
 */
import { randomFillSync } from 'node:crypto';

const UNIT = 2 ** -32;

export class TriangularDither {
  readonly #state: Int32Array;

  /** @param seed four words that are not all zero; random when absent. */
  constructor(seed: Int32Array = randomFillSync(new Int32Array(4))) {
    this.#state = Int32Array.from(seed);
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** A number in (-1, 1), in steps of the word length that is reduced to. */
  next(): number {
    return (this.#word() - this.#word()) * UNIT;
  }

  #word(): number {
    const s = this.#state;
    const s1 = s[1]!;
    const scrambled = Math.imul(s1, 5);
    const word = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return word;
  }
}
