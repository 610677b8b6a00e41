/** Tells the rig how the courier's own connections are: at each change, and again when the rig comes back. */
import type { BrokerLink } from '../../client/broker-client.js';
import type { LinkReport } from '../../core/contract/local-api.js';
import type { Logger } from '../log.js';
import { keepGoing } from './keep-going.js';
import type { RigApi } from './rig-api.js';

export class LinkReporter {
  readonly #rig: RigApi;
  readonly #logger: Logger;
  #report: LinkReport = { broker: 'connecting', protocol: null, store: 'unknown', certificateExpires: null };
  #told: string | null = null;
  #wake: (() => void) | null = null;

  constructor(rig: RigApi, logger: Logger) {
    this.#rig = rig;
    this.#logger = logger;
  }

  get report(): Readonly<LinkReport> {
    return this.#report;
  }

  broker(link: BrokerLink): void {
    const { problem: _before, ...rest } = this.#report;
    this.#report = {
      ...rest,
      broker: link.broker,
      protocol: link.protocol,
      certificateExpires: link.certificateExpires,
      ...(link.problem ? { problem: link.problem.toJSON() } : {}),
    };
    this.#wake?.();
  }

  store(reachable: boolean): void {
    this.#report = { ...this.#report, store: reachable ? 'reachable' : 'unreachable' };
    this.#wake?.();
  }

  /** A rig that came back knows nothing of what was told before. */
  rig(up: boolean): void {
    this.#told = null;
    if (up) this.#wake?.();
  }

  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    await keepGoing(signal, this.#logger, 'link', { baseMs: 200, maxMs: 5000 }, async () => {
      const report = JSON.stringify(this.#report);
      if (report !== this.#told) {
        await this.#rig.link(this.#report, signal);
        this.#told = report;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    });
  }
}
