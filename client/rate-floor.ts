/** The minimum rate of a transfer: sockets have none, 1 byte/s would be read for ever. Only time spent waiting counts. */

const TIME_IS_UP = Symbol('time is up');

export class RateFloor {
  readonly #minBytesPerMs: number;
  readonly #windowMs: number;
  #waitedMs = 0;
  #bytes = 0;

  /** @param windowMs time of waiting over which the rate is measured */
  constructor(minBytesPerSecond: number, windowMs: number) {
    this.#minBytesPerMs = minBytesPerSecond / 1000;
    this.#windowMs = windowMs;
  }

  /** Bytes that have moved. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Waits for the network; throws `late()` when a window ends in which too little has moved. */
  async waitFor<T>(promise: Promise<T>, late: () => Error): Promise<T> {
    promise.catch(() => undefined); // it may fail after we gave up on it
    for (;;) {
      const from = performance.now();
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<typeof TIME_IS_UP>((resolve) => {
        timer = setTimeout(() => resolve(TIME_IS_UP), Math.max(1, this.#windowMs - this.#waitedMs));
      });
      let outcome: T | typeof TIME_IS_UP;
      try {
        outcome = await Promise.race([promise, limit]);
      } finally {
        clearTimeout(timer);
        this.#waitedMs += performance.now() - from;
      }
      if (outcome === TIME_IS_UP || this.#waitedMs >= this.#windowMs) this.#closeWindow(late);
      if (outcome !== TIME_IS_UP) return outcome;
    }
  }

  #closeWindow(late: () => Error): void {
    const enough = this.#bytes >= this.#minBytesPerMs * this.#waitedMs;
    this.#waitedMs = 0;
    this.#bytes = 0;
    if (!enough) throw late();
  }
}
