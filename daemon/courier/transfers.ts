/** Sources from the store to the rig, and sealed results from the rig to the store; the courier keeps not a byte of either. */
import type { StoreClient } from '../../client/store-client.js';
import type { DeliveryItem, FetchItem, TransferReport } from '../../core/contract/local-api.js';
import { type ErrorCode, OutboardError } from '../../core/errors.js';
import type { Logger } from '../log.js';
import type { Pause } from './keep-going.js';
import type { RigApi } from './rig-api.js';
import { TransferQueue } from './transfer-queue.js';

export interface TransferOptions {
  rig: RigApi;
  store: StoreClient;
  logger: Logger;
  /** Told after each exchange with the store whether it answered. */
  onStore(reachable: boolean): void;
  concurrency: number;
  pause: Pause;
}

/** Trying again cannot help: somebody has to put something right first. */
const FINAL: readonly ErrorCode[] = ['store.redirect', 'store.size', 'store.digest'];
const UNREACHABLE: readonly ErrorCode[] = ['store.unreachable', 'store.slow'];

/** Sources that the rig wants. */
export function fetches(options: TransferOptions): TransferQueue<FetchItem> {
  const { rig, store } = options;
  return new TransferQueue<FetchItem>({
    ...common(options, 'fetches'),
    list: (wait, signal) => rig.fetches(wait, signal),
    async carry({ digest, bytes }, signal, moved) {
      const offset = await rig.uploadOffset(digest, signal);
      if (offset === null) return; // no longer wanted
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for await (const chunk of store.get(digest, { bytes, offset: offset!, signal })) {
          moved();
          yield chunk;
        }
        options.onStore(true);
      }
      if (!(await rig.putBlob(digest, offset, chunks(), signal)))
        throw new OutboardError('rig.answer', `the rig wants more of ${digest} than its ${bytes} bytes`);
    },
  });
}

/** Results that the store shall have. */
export function deliveries(options: TransferOptions): TransferQueue<DeliveryItem> {
  const { rig, store } = options;
  return new TransferQueue<DeliveryItem>({
    ...common(options, 'deliveries'),
    list: (wait, signal) => rig.deliveries(wait, signal),
    async carry({ digest, bytes }, signal, moved) {
      async function* body(offset: number): AsyncGenerator<Uint8Array> {
        let sent = offset;
        for await (const chunk of rig.getBlob(digest, offset, signal)) {
          sent += chunk.length;
          yield chunk;
        }
        // Said here, because the store would be blamed for it otherwise.
        if (sent !== bytes)
          throw new OutboardError('rig.answer', `the rig sent ${sent} of ${bytes} bytes of ${digest}`);
      }
      await store.put(digest, bytes, body, signal);
      moved();
      options.onStore(true);
      await rig.report('deliveries', digest, { outcome: 'done' }, signal);
    },
  });
}

function common(options: TransferOptions, kind: 'fetches' | 'deliveries') {
  return {
    name: kind,
    logger: options.logger,
    concurrency: options.concurrency,
    pause: options.pause,
    report: (digest: string, report: TransferReport, signal: AbortSignal) =>
      options.rig.report(kind, digest, report, signal),
    explain(error: OutboardError): TransferReport | null {
      if (error.code.startsWith('store.')) options.onStore(!UNREACHABLE.includes(error.code));
      else if (error.code !== 'config.key') return null; // the rig said it, or is gone
      const told = missing(error, kind);
      return { outcome: 'failed', final: FINAL.includes(told.code), problem: told.toJSON() };
    },
  };
}

/** A source that is not there is the dispatcher's affair; he may still upload it, so it is not final. */
function missing(error: OutboardError, kind: 'fetches' | 'deliveries'): OutboardError {
  if (kind !== 'fetches' || error.code !== 'store.status' || error.details['status'] !== 404) return error;
  return new OutboardError('source.unavailable', 'the store does not hold the source', {
    cause: error,
    details: { ...error.details },
  });
}
