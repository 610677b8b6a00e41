/** A set that forgets the oldest: what was seen lately, in bounded memory. */
export class RecentSet {
  readonly #size: number;
  readonly #values = new Set<string>();

  constructor(size: number) {
    this.#size = size;
  }

  has(value: string): boolean {
    return this.#values.has(value);
  }

  add(value: string): void {
    this.#values.delete(value);
    this.#values.add(value);
    if (this.#values.size > this.#size) this.#values.delete(this.#values.values().next().value!);
  }
}
