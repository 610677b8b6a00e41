/** Who speaks in `outboard bounce`: dispatcher, keeper and tenant in one, read from client.yaml. In production they are three. */
import { loadSigner, readPrivateJwk, type Signer } from '../../certs/keys.js';
import { type TrustBundle, verifyTrust } from '../../certs/trust-bundle.js';
import { StoreClient } from '../../client/store-client.js';
import { type TlsLoader, tlsFiles } from '../../client/tls-files.js';
import { ClientConfig } from '../../core/contract/config.js';
import type { Roots } from '../../core/contract/trust.js';
import { nowSeconds } from '../../core/units.js';
import { loadConfig } from '../config-file.js';
import { readText } from './files.js';
import { readIdentity } from './identity.js';

export interface Parties {
  rig: string;
  broker: { url: string; tls: TlsLoader };
  store: StoreClient;
  dispatcher: Signer;
  keeper: Signer;
  tenant: { id: string; recipients: string[]; identity: string };
  trust: TrustBundle;
  roots: Roots;
}

/** @throws OutboardError config.unreadable | config.invalid | config.key | file.unreadable | seal.open | trust.* */
export async function loadParties(file: string): Promise<Parties> {
  const { config, resolve } = await loadConfig(file, ClientConfig);
  const { broker, store, dispatcher, keeper, tenant, trust } = config;
  const signer = async (who: { name: string; key: string }) =>
    await loadSigner(who.name, await readPrivateJwk(resolve(who.key)));
  return {
    rig: config.rig,
    broker: { url: broker.url, tls: tlsFiles(broker.tls, resolve) },
    store: new StoreClient({ ...store, tls: tlsFiles(store.tls, resolve) }),
    dispatcher: await signer(dispatcher),
    keeper: await signer(keeper),
    tenant: { id: tenant.id, recipients: tenant.recipients, identity: await readIdentity(resolve(tenant.identity)) },
    trust: await verifyTrust(await readText(resolve(trust.bundle)), trust.roots, nowSeconds()),
    roots: trust.roots,
  };
}
