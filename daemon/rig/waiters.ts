/** Long polls: those who wait until something changes, their time is over, or they go away. */
export class Waiters {
  readonly #waiting = new Set<() => void>();
  #ended = false;

  /** Whoever asks after the end is answered at once with what there is. */
  get ended(): boolean {
    return this.#ended;
  }

  begin(): void {
    this.#ended = false;
  }

  /** The door closes: nobody is kept waiting at it. */
  end(): void {
    this.#ended = true;
    this.wake();
  }

  wake(): void {
    for (const resolve of [...this.#waiting]) resolve();
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }
}
