/** The rig as the courier sees it: `courier.sock`, with the answers typed by the contract's schemas. */
import { JOSE, JOSE_JSON } from '../../core/contract/envelope.js';
import {
  BroadcastAnswer,
  DeliveriesAnswer,
  type DeliveryItem,
  FetchesAnswer,
  type FetchItem,
  type LinkReport,
  OutboxAnswer,
  type OutboxItem,
  type TransferReport,
} from '../../core/contract/local-api.js';
import { type Answer, LocalClient } from '../local-client.js';

export type Inlet = 'offers' | 'control' | 'trust';

const JSON_TYPE = 'application/json';
/** How much later than agreed a long poll may be answered before the rig counts as gone. */
const MARGIN_MS = 5000;
/** A commit of the journal may wait for the disk. */
const SUBMIT_MS = 30_000;
const SUBMIT_SOCKETS = 16;

export class RigApi {
  readonly #calls: LocalClient;
  readonly #submissions: LocalClient;

  constructor(socketPath: string) {
    this.#calls = new LocalClient({ socketPath });
    this.#submissions = new LocalClient({ socketPath, timeoutMs: SUBMIT_MS, maxSockets: SUBMIT_SOCKETS });
  }

  /** Hands over a token as it came in; a retained offer is said to be one. @throws OutboardError rig.unreachable */
  submit(inlet: Inlet, token: Uint8Array, retained: boolean, signal: AbortSignal): Promise<Answer> {
    const type = inlet === 'trust' ? JOSE_JSON : JOSE;
    const query = inlet === 'offers' && retained ? { retained: 'true' } : undefined;
    return this.#submissions.exchange('POST', `/${inlet}`, { type, content: token }, { query, signal });
  }

  async outbox(waitSeconds: number, signal: AbortSignal): Promise<OutboxItem[]> {
    return (await this.#calls.get('/outbox', OutboxAnswer, poll(waitSeconds, signal))).items;
  }

  async published(ids: string[], signal: AbortSignal): Promise<void> {
    await this.#calls.post('/outbox/published', { type: JSON_TYPE, content: { ids } }, null, { signal });
  }

  async fetches(waitSeconds: number, signal: AbortSignal): Promise<FetchItem[]> {
    return (await this.#calls.get('/fetches', FetchesAnswer, poll(waitSeconds, signal))).items;
  }

  async deliveries(waitSeconds: number, signal: AbortSignal): Promise<DeliveryItem[]> {
    return (await this.#calls.get('/deliveries', DeliveriesAnswer, poll(waitSeconds, signal))).items;
  }

  async report(
    kind: 'fetches' | 'deliveries',
    digest: string,
    report: TransferReport,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#calls.post(`/${kind}/${digest}`, { type: JSON_TYPE, content: report }, null, { signal });
  }

  broadcast(after: number, waitSeconds: number, signal: AbortSignal): Promise<BroadcastAnswer> {
    const options = poll(waitSeconds, signal);
    return this.#calls.get('/broadcast', BroadcastAnswer, { ...options, query: { ...options.query, after } });
  }

  async link(report: LinkReport, signal: AbortSignal): Promise<void> {
    await this.#calls.post('/link', { type: JSON_TYPE, content: report }, null, { signal });
  }

  uploadOffset(digest: string, signal: AbortSignal): Promise<number | null> {
    return this.#calls.uploadOffset(digest, signal);
  }

  putBlob(digest: string, offset: number, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<boolean> {
    return this.#calls.putBlob(digest, offset, chunks, { signal });
  }

  getBlob(digest: string, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#calls.getBlob(digest, offset, { signal });
  }

  close(): void {
    this.#calls.close();
    this.#submissions.close();
  }
}

function poll(waitSeconds: number, signal: AbortSignal) {
  return { query: { wait: waitSeconds }, signal, timeoutMs: waitSeconds * 1000 + MARGIN_MS };
}
