/** What has to be looked at every now and then: trust past half of its life, events nobody acknowledges, old entries, the ballast. */
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import type { Spool } from './spool.js';
import type { TrustStore } from './trust-store.js';

const EVERY_MS = 10 * 60_000;
const EVENT_LIFE_SECONDS = 30 * 86_400;
/** Long after every token that could name them has expired. */
const MEMORY_SECONDS = 90 * 86_400;

export class Upkeep {
  readonly #o: { journal: Journal; spool: Spool; trust: TrustStore; stateDir: string; log: Logger };
  #timer: NodeJS.Timeout | undefined;
  /** Version and severity of the last alarm: the one at half of a bundle's life does not stand for the one at its end. */
  #alarmed = '';

  constructor(options: { journal: Journal; spool: Spool; trust: TrustStore; stateDir: string; log: Logger }) {
    this.#o = options;
  }

  async start(): Promise<void> {
    if (this.#timer) return;
    this.#timer = setInterval(() => void this.run(), EVERY_MS);
    await this.run();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async run(): Promise<void> {
    const { journal, spool, log } = this.#o;
    try {
      this.#alarmTrust();
      await this.#closeOldEvents();
      await spool.restoreBallast();
      journal.prune(MEMORY_SECONDS);
    } catch (cause) {
      log.error({ err: cause, code: asOutboardError(cause).code }, 'the upkeep did not work; it is tried again');
    }
  }

  #alarmTrust(): void {
    const { journal, trust } = this.#o;
    const bundle = trust.inForce;
    if (!bundle || nowSeconds() < bundle.halfLife) return;
    const expired = nowSeconds() >= bundle.payload.exp;
    const alarm = `${bundle.payload.version} ${expired}`;
    if (this.#alarmed === alarm) return;
    this.#alarmed = alarm;
    const error = new OutboardError(
      'trust.expired',
      expired ? 'the trust bundle has expired' : "more than half of the trust bundle's life is over",
    );
    journal.db.commit('alert', () => journal.outbox.putAlert(expired ? 'critical' : 'warning', error.toJSON()));
  }

  /** Events nobody acknowledged for 30 days are exported to a file, alarmed and closed. */
  async #closeOldEvents(): Promise<void> {
    const { journal, stateDir } = this.#o;
    const old = journal.outbox.olderThan(nowSeconds() - EVENT_LIFE_SECONDS);
    if (old.length === 0) return;
    const dir = join(stateDir, 'exported-events');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, `${nowSeconds()}.jsonl`);
    const file = await open(`${path}.tmp`, 'w', 0o600);
    try {
      await file.writeFile(old.map((row) => `${row.payload}\n`).join(''));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, path);
    const error = new OutboardError(
      'rig.unacknowledged',
      `${old.length} events were not acknowledged for 30 days and were exported`,
    );
    journal.db.commit('outbox.closed', () => {
      for (const row of old) journal.outbox.close(row.jti);
      journal.outbox.putAlert('warning', error.toJSON());
      journal.audit.append('outbox.closed', { events: old.length });
    });
  }
}
