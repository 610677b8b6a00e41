/**
 * Looks again and again whether the claim still holds, because nobody tells the one who lost it. Reading what the kernel says of the owner is
 * cheap and done several times a second; that another process is refused is tried now and then, and when somebody asks.
 */
import type { Claim, ClaimCheck, ClaimProof } from '../../drivers/audio/port.js';
import type { Logger } from '../log.js';

/** A lost claim is an alert within a second. */
const LOOK_MS = 400;
const PROBE_MS = 10 * 60_000;

export interface ClaimWatchOptions {
  claim: Claim;
  log: Logger;
  /** Called once. */
  onLost(check: ClaimCheck): void;
}

export class ClaimWatch {
  readonly #o: ClaimWatchOptions;
  #proof: ClaimProof;
  #timers: NodeJS.Timeout[] = [];
  #looking = false;
  #probing: Promise<ClaimProof> | undefined;
  #over = false;
  #failed = false;

  constructor(options: ClaimWatchOptions) {
    this.#o = options;
    this.#proof = options.claim.proof;
  }

  /** As it was found last. */
  get proof(): ClaimProof {
    return this.#proof;
  }

  start(): void {
    this.#timers = [setInterval(() => void this.#look(), LOOK_MS), setInterval(() => void this.#tryProbe(), PROBE_MS)];
    // A driver may have tried it already when the claim was made.
    if (!this.#proof.checks.some(({ name, holds }) => name === 'busy-probe' && holds !== null)) void this.#tryProbe();
  }

  stop(): void {
    this.#over = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Has another process try to open the device; several who ask at once share one try. */
  probe(): Promise<ClaimProof> {
    this.#probing ??= this.#o.claim
      .verifyClaim({ probe: true })
      .then((proof) => this.#judge(proof))
      .finally(() => {
        this.#probing = undefined;
      });
    return this.#probing;
  }

  async #tryProbe(): Promise<void> {
    await this.probe().catch((error) => this.#complain(error));
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#judge(await this.#o.claim.verifyClaim());
      this.#failed = false;
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#looking = false;
    }
  }

  #judge(proof: ClaimProof): ClaimProof {
    if (this.#over) return proof;
    this.#proof = proof;
    // Another format than was asked for is a fault of the stream; everything else means that somebody else could play into it.
    const broken = proof.checks.find((check) => check.holds === false && check.name !== 'hw-params');
    if (broken) {
      this.#over = true;
      this.#o.onLost(broken);
    }
    return proof;
  }

  #complain(error: unknown): void {
    if (this.#over || this.#failed) return;
    this.#failed = true;
    this.#o.log.warn({ err: error }, 'the claim could not be verified; it is tried again');
  }
}
