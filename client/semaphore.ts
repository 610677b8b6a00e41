/** A bounded number of things at the same time, first come, first served. */
export class Semaphore {
  #free: number;
  readonly #queue: { grant: () => void; refuse: (error: Error) => void }[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  /** Resolves when there is room; `release` must follow. */
  acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((grant, refuse) => this.#queue.push({ grant, refuse }));
  }

  release(): void {
    const next = this.#queue.shift();
    if (next) next.grant();
    else this.#free += 1;
  }

  /** Refuses everybody who waits. */
  refuseAll(error: Error): void {
    for (const waiting of this.#queue.splice(0)) waiting.refuse(error);
  }
}
