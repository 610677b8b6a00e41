/** Collects the ids of events that were taken in, and acknowledges them to each rig in batches: one signature for many. */
import { delay } from '../core/duration.js';

/** 200 ids of 39 bytes stay well below the 32 KiB of a token. */
const BATCH = 200;
const COLLECT_MS = 100;
const AGAIN_MS = 1000;

export class Acknowledgements {
  readonly #waiting = new Map<string, Set<string>>();
  readonly #send: (rig: string, events: string[]) => Promise<void>;
  #flushing: Promise<void> | null = null;
  #signal: AbortSignal | null = null;

  /** @param send signs and publishes one acknowledgement; when it throws, the ids are kept for the next time */
  constructor(send: (rig: string, events: string[]) => Promise<void>) {
    this.#send = send;
  }

  start(signal: AbortSignal): void {
    this.#signal = signal;
  }

  add(rig: string, event: string): void {
    const ids = this.#waiting.get(rig) ?? new Set();
    ids.add(event);
    this.#waiting.set(rig, ids);
    this.#flushing ??= this.#flushSoon().finally(() => {
      this.#flushing = null;
    });
  }

  /** Sends what waits, once; what cannot be sent comes again with its event. */
  async flush(): Promise<void> {
    for (const [rig, ids] of [...this.#waiting]) {
      while (ids.size > 0) {
        const batch = [...ids].slice(0, BATCH);
        await this.#send(rig, batch);
        for (const id of batch) ids.delete(id);
      }
      if (ids.size === 0) this.#waiting.delete(rig);
    }
  }

  async #flushSoon(): Promise<void> {
    let pauseMs = COLLECT_MS;
    while (this.#waiting.size > 0 && !this.#signal?.aborted) {
      await delay(pauseMs, this.#signal ?? undefined).catch(() => undefined);
      if (this.#signal?.aborted) return;
      pauseMs = await this.flush().then(
        () => COLLECT_MS,
        () => AGAIN_MS,
      );
    }
  }
}
