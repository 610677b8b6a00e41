/**
 * Holds the interface for the daemon's whole life, idle included, and gives out the one engine on it. When the interface goes away the daemon
 * stays up, says what it waits for, and claims it again when it is back.
 */
import type { HealthCheck, RigConfig } from '../../core/contract/index.js';
import { backoffMs } from '../../core/duration.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { AudioInterface, Claim, Fault } from '../../drivers/audio/port.js';
import type { Logger } from '../log.js';
import { Engine } from './engine/engine.js';

const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 5000;

export interface InterfaceKeeperOptions {
  config: RigConfig['interface'];
  audio: AudioInterface;
  device: string;
  log: Logger;
  onLost(error: OutboardError): void;
  onBack(): void;
}

export class InterfaceKeeper {
  readonly #o: InterfaceKeeperOptions;
  #claim: Claim | undefined;
  #engine: Engine | undefined;
  #stopped = true;
  #retry: NodeJS.Timeout | undefined;
  #claiming: Promise<void> = Promise.resolve();
  #tries = 0;
  #lastError: OutboardError | undefined;
  readonly faults: Record<string, number> = {};

  constructor(options: InterfaceKeeperOptions) {
    this.#o = options;
  }

  get held(): boolean {
    return this.#claim !== undefined && this.#claim.state !== 'lost' && this.#claim.state !== 'closed';
  }

  /** Claims once; when that fails, `onLost` is called and it goes on trying. */
  async start(): Promise<void> {
    if (!this.#stopped) return;
    this.#stopped = false;
    await this.#claimAgain();
  }

  #claimAgain(): Promise<void> {
    this.#claiming = this.#claimNow();
    return this.#claiming;
  }

  async #claimNow(): Promise<void> {
    const { audio, device, config, log } = this.#o;
    try {
      this.#claim = await audio.claim({ playback: device, capture: device });
      this.#claim.onFault((fault) => this.#hear(fault));
      this.#engine = new Engine({ claim: this.#claim, inChannels: config.in, outChannels: config.out, logger: log });
      // The stream runs from the start, so that the format is proved before a job needs it.
      await this.#engine.start({ rate: config.rates[0]! });
      this.#lastError = undefined;
      if (this.#tries > 0) this.#o.onBack();
      this.#tries = 0;
    } catch (cause) {
      this.#lost(asOutboardError(cause));
    }
  }

  #hear(fault: Fault): void {
    this.faults[fault.kind] = (this.faults[fault.kind] ?? 0) + 1;
    if (fault.kind === 'lost' || fault.kind === 'claim-lost')
      this.#lost(
        new OutboardError('audio.gone', `the interface ${this.#o.device} went away`, {
          details: { fault: fault.kind },
        }),
      );
  }

  #lost(error: OutboardError): void {
    if (this.#stopped || this.#retry) return;
    this.#lastError = error;
    const claim = this.#claim;
    const engine = this.#engine;
    this.#claim = undefined;
    this.#engine = undefined;
    this.#retry = setTimeout(
      async () => {
        await engine?.stop().catch(() => undefined);
        await claim?.close().catch(() => undefined);
        this.#retry = undefined;
        if (!this.#stopped) await this.#claimAgain();
      },
      backoffMs(this.#tries++, RETRY_BASE_MS, RETRY_MAX_MS),
    );
    if (this.#tries === 1) this.#o.onLost(error);
  }

  /** The engine, running at a rate. A stream that had a fault is started anew. @throws OutboardError audio.gone | audio.format */
  async engineAt(rate: number): Promise<Engine> {
    const engine = this.#engine;
    if (!engine) throw new OutboardError('audio.gone', `the interface ${this.#o.device} is not there`);
    await engine.start({ rate });
    return engine;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    await this.#claiming;
    await this.#engine?.stop();
    await this.#claim?.close();
  }

  async checks(): Promise<HealthCheck[]> {
    const checks: HealthCheck[] = [];
    const proof = await this.#claim?.verifyClaim();
    checks.push(
      proof
        ? { name: 'claim', status: proof.exclusive ? 'ok' : 'failed', detail: `${proof.device}: ${proof.detail}` }
        : {
            name: 'claim',
            status: 'failed',
            detail: `waits for ${this.#o.device}: ${this.#lastError?.message ?? 'not claimed'}`,
          },
    );
    const count = Object.values(this.faults).reduce((sum, n) => sum + n, 0);
    checks.push({
      name: 'faults',
      status: 'ok',
      detail: count === 0 ? 'no fault since the start' : JSON.stringify(this.faults),
      value: count,
      unit: '1',
    });
    return checks;
  }
}
