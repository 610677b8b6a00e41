/** Tells the unit at intervals that somebody is there; where it has to answer, silence is the end of the link. */
import { asOutboardError, type OutboardError } from '../../core/errors.js';
import type { Exchange } from './exchange.js';
import type { Profile } from './profile.js';

export class KeepAlive {
  readonly #beat: NonNullable<Profile['session']['keepAlive']>;
  readonly #exchange: Exchange;
  readonly #failed: (error: OutboardError) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    beat: NonNullable<Profile['session']['keepAlive']>,
    exchange: Exchange,
    failed: (error: OutboardError) => void,
  ) {
    this.#beat = beat;
    this.#exchange = exchange;
    this.#failed = failed;
  }

  start(): void {
    // Not an interval: a beat that waits for its turn on the wire is not followed by a burst.
    this.#timer = setTimeout(() => void this.#say(), this.#beat.everyMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #say(): Promise<void> {
    try {
      await this.#exchange.say([this.#beat]);
      if (this.#timer !== undefined) this.start();
    } catch (error) {
      if (this.#timer !== undefined) this.#failed(asOutboardError(error));
    }
  }
}
