/** Waits, as a monitor does, until a rig says over the broker that it is ready; only its own signature counts. */
import { verifyEnvelope } from '../../certs/envelope.js';
import type { TrustBundle } from '../../certs/trust-bundle.js';
import { BrokerClient } from '../../client/broker-client.js';
import type { TlsLoader } from '../../client/tls-files.js';
import type { Mode, StatePayload } from '../../core/contract/health.js';
import { topics } from '../../core/contract/topics.js';
import { isOutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';

export interface ReadyWatch {
  rig: string;
  /** `monitor.…`, as in the certificate. */
  name: string;
  broker: { url: string; tls: TlsLoader };
  trust: TrustBundle;
  onMode?: (mode: Mode) => void;
}

/** The state that says ready. Rejects with the signal's reason. */
export async function waitForReady(watch: ReadyWatch, signal: AbortSignal): Promise<StatePayload> {
  signal.throwIfAborted();
  let take: (state: StatePayload) => void = () => undefined;
  const client = new BrokerClient({
    url: watch.broker.url,
    name: watch.name,
    tls: watch.broker.tls,
    subscriptions: [topics(watch.rig).state],
    handler: async (message) => {
      const state = await signedState(message.payload, watch);
      if (state) take(state);
    },
  });
  let abort: () => void = () => undefined;
  try {
    return await new Promise<StatePayload>((resolve, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      take = (state) => {
        watch.onMode?.(state.state.mode);
        if (state.state.mode === 'ready') resolve(state);
      };
      client.start().catch(reject);
    });
  } finally {
    signal.removeEventListener('abort', abort);
    await client.stop();
  }
}

/** Null for what the rig has not signed: the courier's word that it is unreachable, for instance. */
async function signedState(token: Buffer, watch: ReadyWatch): Promise<StatePayload | null> {
  try {
    const { payload } = await verifyEnvelope(token, ['state'], { trust: watch.trust, now: nowSeconds() });
    return 'state' in payload && payload.iss === watch.rig ? payload : null;
  } catch (error) {
    if (isOutboardError(error)) return null;
    throw error;
  }
}
