/**
 * Which sample rate has its turn. One stream has one rate, and to change it every take must be over and the stream begun anew; so jobs of the
 * rate that runs go before others, in their tenants' order, until a job of another rate has waited too long behind them.
 */

export interface Contender {
  /** Hz. */
  rate: number;
  /** Since when only other takes keep it from starting; null while something of its own does. */
  blockedSince: number | null;
}

export class RateTurn {
  readonly #patienceMs: number;
  #rate: number | null = null;
  #since = 0;

  /** @param patienceMs how long a job waits for its rate at most before the takes of the present one are the last ones */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /**
   * The order in which jobs are looked at: one rate after the other, the one whose turn it is first; within a rate as they came.
   *
   * @param running the rate of the stream, Hz; null when none runs
   * @param now monotonic milliseconds, as in `blockedSince`
   */
  order<J>(jobs: readonly J[], contenderOf: (job: J) => Contender, running: number | null, now: number): J[] {
    if (running !== this.#rate) {
      this.#rate = running;
      this.#since = now;
    }
    const first = this.#overdue(jobs.map(contenderOf), now) ?? running;
    const rates = [...new Set(jobs.map((job) => contenderOf(job).rate))];
    if (first !== null && rates.includes(first)) rates.unshift(first);
    return [...new Set(rates)].flatMap((rate) => jobs.filter((job) => contenderOf(job).rate === rate));
  }

  /**
   * The rate that may wait no longer. A turn counts from when the rate began to run: with a long queue of each everybody has waited for
   * long, and the rate must not change with every job.
   */
  #overdue(contenders: readonly Contender[], now: number): number | null {
    let longest: { rate: number; waitedMs: number } | null = null;
    for (const { rate, blockedSince } of contenders) {
      if (rate === this.#rate || blockedSince === null) continue;
      const waitedMs = now - blockedSince;
      const turnMs = Math.min(waitedMs, now - this.#since);
      if (turnMs > this.#patienceMs && waitedMs > (longest?.waitedMs ?? 0)) longest = { rate, waitedMs };
    }
    return longest?.rate ?? null;
  }
}
