/**
 * outboard/client: what a dispatcher, a keeper or a tenant written in TypeScript imports; nothing else is needed.
 *
 * ```ts
 * const sealed = await sealSource('song.wav', 'song.age', format);           // the tenant, or the keeper for him
 * await uploadFile(store, { ...sealed.source, file: sealed.file });
 * const dispatcher = new Dispatcher({ rig, signer, broker, trust, roots });
 * await dispatcher.start();
 * const id = dispatcher.newJobId();
 * const grant = await makeGrant({ keeper, trust, rig, dispatcher: signer.name, job: id, tenant, source: sealed.source, recipients,
 *                                 identity: sealed.raw });                   // the keeper: for whom
 * const job = await dispatcher.offer({ id, job: { kind: 'bounce', grant, chain, tail: 1, output: { encoding: 'pcm24' }, maxAttempts: 3 } });
 * const delivered = await job.until('delivered');
 * ```
 *
 * Documents and limits are in `outboard/contract`. Keys and trust bundles are made by `outboard init`.
 */

export { signEnvelope, verifyEnvelope } from '../certs/envelope.js';
export { loadSigner, readPrivateJwk, type Signer } from '../certs/keys.js';
export { TrustBundle, verifyTrust } from '../certs/trust-bundle.js';
export { type ErrorCode, isOutboardError, OutboardError } from '../core/errors.js';
export { type Blob, type DownloadOptions, digestOf, downloadFile, uploadFile } from './blobs.js';
export { BrokerClient, type BrokerClientOptions, type BrokerLink } from './broker-client.js';
export type { MqttProtocol, PublishOptions } from './broker-session.js';
export { Dispatcher, type DispatcherOptions, type Offer, type ResultReceipt } from './dispatcher.js';
export type { InboundHandler, InboundMessage } from './inbound-window.js';
export { type GrantRequest, makeGrant } from './keeper.js';
export { type Logger, silentLogger } from './logger.js';
export { type JobEvent, OfferedJob } from './offered-job.js';
export { type SealedSource, sealSource } from './source.js';
export { StoreClient, type StoreClientOptions } from './store-client.js';
export { openResult } from './tenant.js';
export { certificateExpires, commonName, type TlsLoader, type TlsMaterial, tlsFiles } from './tls-files.js';
