/** White Gaussian noise that is the same on every run: xoshiro128** (Blackman, Vigna 2018) and Marsaglia's polar method. */

export class NoiseSource {
  readonly #s = new Uint32Array(4);
  #spare = 0;
  #hasSpare = false;

  /** @param seed any text; the same text makes the same noise */
  constructor(seed: string) {
    // FNV-1a spreads the text, SplitMix32 fills the state: no state is ever all zero.
    let hash = 0x811c9dc5;
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
    for (let i = 0; i < 4; i++) {
      hash = (hash + 0x9e3779b9) | 0;
      let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.#s[i] = mixed ^ (mixed >>> 15);
    }
    this.#s[0] = this.#s[0]! | 1;
  }

  /** Adds noise of this standard deviation to the block. */
  addTo(block: Float64Array, frames: number, sigma: number): void {
    for (let i = 0; i < frames; i++) block[i] = block[i]! + sigma * this.#gaussian();
  }

  /** 32 random bits as a fraction in [-1, 1). */
  #uniform(): number {
    const s = this.#s;
    const s1 = s[1]!;
    let result = Math.imul(s1, 5);
    result = Math.imul((result << 7) | (result >>> 25), 9);
    const t = s1 << 9;
    s[2] = s[2]! ^ s[0]!;
    s[3] = s[3]! ^ s1;
    s[1] = s1 ^ s[2]!;
    s[0] = s[0]! ^ s[3]!;
    s[2] = s[2]! ^ t;
    const s3 = s[3]!;
    s[3] = (s3 << 11) | (s3 >>> 21);
    return (result | 0) / 2 ** 31;
  }

  #gaussian(): number {
    if (this.#hasSpare) {
      this.#hasSpare = false;
      return this.#spare;
    }
    for (;;) {
      const u = this.#uniform();
      const v = this.#uniform();
      const square = u * u + v * v;
      if (square >= 1 || square === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spare = v * scale;
      this.#hasSpare = true;
      return u * scale;
    }
  }
}
