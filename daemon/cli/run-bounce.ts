/**
 * One bounce from a WAV file to a WAV file, as dispatcher, keeper and tenant: seal, upload, grant, offer, follow, fetch, acknowledge,
 * open. No printing here: the command, the demo and the tests call this.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { downloadFile, uploadFile } from '../../client/blobs.js';
import type { MqttProtocol } from '../../client/broker-session.js';
import { Dispatcher } from '../../client/dispatcher.js';
import { makeGrant } from '../../client/keeper.js';
import type { Logger } from '../../client/logger.js';
import type { JobEvent, OfferedJob } from '../../client/offered-job.js';
import { type SealedSource, sealSource } from '../../client/source.js';
import { openResult } from '../../client/tenant.js';
import type { Certificate, EventType } from '../../core/contract/event.js';
import type { Source, SourceFormat } from '../../core/contract/grant.js';
import type { BounceJob, ChainLink, OutputEncoding } from '../../core/contract/job.js';
import { within } from '../../core/duration.js';
import { isOutboardError, OutboardError } from '../../core/errors.js';
import { openWav } from '../../drivers/audio/wav-reader.js';
import type { Parties } from './parties.js';

export interface BounceOrder {
  /** The WAV to send. */
  wav: string;
  chain: ChainLink[];
  region?: { start: number; frames: number };
  tailSeconds: number;
  encoding: OutputEncoding;
  maxAttempts: number;
  /** Where the opened result goes; a new file. */
  out: string;
  /** An existing folder for `source.age` and `result.age`: ciphertext only. */
  workDir: string;
  /** How long the offer is good for while no verdict comes. */
  verdictSeconds: number;
}

export type BounceStep =
  | { step: 'sealing' | 'uploading' | 'fetching'; done: number; total: number }
  | { step: 'offered'; job: string }
  | { step: 'event'; type: EventType; attempt: number | undefined }
  | { step: 'progress'; phase: string; percent: number };

export interface BounceOptions {
  signal?: AbortSignal;
  onStep?: (step: BounceStep) => void;
  logger?: Logger;
  /** First pause before the offer is published again. */
  repeatMs?: number;
  /** False where an aborted job needs no cancel, because its rig goes away too. */
  withdraw?: boolean;
}

export interface BounceOutcome {
  job: string;
  source: Source;
  certificate: Certificate;
  /** The rig's last word, with the certificate in it, as it was signed. */
  event: JobEvent;
  /** The trust bundle that the event was verified with. */
  trustText: string;
  /** What this side of the broker spoke. */
  protocol: MqttProtocol | null;
  files: { source: string; result: string; opened: string };
}

const CONNECT_MS = 15_000;
const WITHDRAW_MS = 3000;
/** A store that loses a result gets it again this often. */
const DELIVERIES = 3;

/**
 * @throws OutboardError wav.* | file.* | store.* | broker.* | bounce.refused | bounce.failed (details.problem: the rig's own words) |
 *   bounce.timeout | seal.open; the signal's reason, after the job was withdrawn
 */
export async function runBounce(
  parties: Parties,
  order: BounceOrder,
  options: BounceOptions = {},
): Promise<BounceOutcome> {
  const { signal } = options;
  const dispatcher = new Dispatcher({
    rig: parties.rig,
    signer: parties.dispatcher,
    broker: parties.broker,
    trust: parties.trust,
    roots: parties.roots,
    ...(options.logger ? { logger: options.logger } : {}),
    ...(options.repeatMs === undefined ? {} : { repeatMs: options.repeatMs }),
  });
  const bounce = new Bounce(parties, order, options, dispatcher);
  try {
    // A broker that is away shows before an hour of sealing.
    await dispatcher.start();
    await connected(dispatcher, signal);
    return await abortable(bounce.run(), signal);
  } catch (error) {
    if (!signal?.aborted) throw error;
    if (options.withdraw !== false) await bounce.withdraw();
    throw signal.reason;
  } finally {
    await dispatcher.stop();
  }
}

class Bounce {
  readonly #parties: Parties;
  readonly #order: BounceOrder;
  readonly #options: BounceOptions;
  readonly #dispatcher: Dispatcher;
  /** The job that a cancel would end. */
  #open: string | null = null;
  #fetched = false;

  constructor(parties: Parties, order: BounceOrder, options: BounceOptions, dispatcher: Dispatcher) {
    this.#parties = parties;
    this.#order = order;
    this.#options = options;
    this.#dispatcher = dispatcher;
  }

  async run(): Promise<BounceOutcome> {
    const sealed = await this.#seal();
    try {
      await this.#upload(sealed);
      const job = await this.#offer(sealed);
      return await this.#follow(job, sealed);
    } finally {
      sealed.raw.fill(0);
    }
  }

  /** Cancels what is not finished, without waiting long for the answer. */
  async withdraw(): Promise<void> {
    const id = this.#open;
    if (id === null) return;
    const late = () => new OutboardError('bounce.timeout', 'the rig did not confirm the cancel');
    await within(WITHDRAW_MS, this.#dispatcher.cancel(id), late).catch(() => undefined);
  }

  async #seal(): Promise<SealedSource> {
    const { wav, workDir } = this.#order;
    const format = await wavFormat(wav);
    const total = format.frames * format.channels * BYTES[format.encoding];
    const sealed = await sealSource(wav, join(workDir, 'source.age'), format, {
      ...this.#signal(),
      onProgress: (done) => this.#step({ step: 'sealing', done, total }),
    });
    return sealed;
  }

  async #upload(sealed: SealedSource): Promise<void> {
    const { digest, bytes } = sealed.source;
    const blob = { digest, bytes, file: sealed.file };
    await uploadFile(this.#parties.store, blob, this.#options.signal, (done) =>
      this.#step({ step: 'uploading', done, total: bytes }),
    );
  }

  async #offer(sealed: SealedSource): Promise<OfferedJob> {
    const { rig, keeper, dispatcher, tenant } = this.#parties;
    const id = this.#dispatcher.newJobId();
    const grant = await makeGrant({
      keeper,
      trust: this.#dispatcher.trust,
      rig,
      dispatcher: dispatcher.name,
      job: id,
      tenant: tenant.id,
      source: sealed.source,
      recipients: tenant.recipients,
      identity: sealed.raw,
    });
    const { chain, region, tailSeconds, encoding, maxAttempts, verdictSeconds } = this.#order;
    const job: BounceJob = {
      kind: 'bounce',
      grant,
      chain,
      ...(region ? { region } : {}),
      tail: tailSeconds,
      output: { encoding },
      maxAttempts,
    };
    const offered = await this.#dispatcher.offer({ id, job, lifetimeSeconds: verdictSeconds });
    this.#open = id;
    this.#step({ step: 'offered', job: id });
    return offered;
  }

  async #follow(job: OfferedJob, sealed: SealedSource): Promise<BounceOutcome> {
    const result = join(this.#order.workDir, 'result.age');
    let deliveries = 0;
    for await (const event of job.events()) {
      const { type, attempt, progress } = event.payload;
      if (progress) this.#step({ step: 'progress', ...progress });
      else this.#step({ step: 'event', type, attempt });
      if (type === 'refused' || type === 'failed' || type === 'cancelled' || type === 'expired') {
        this.#open = null;
        throw unsuccessful(event);
      }
      if (type === 'delivered') await this.#collect(job, certificateOf(event), result, ++deliveries);
      if (type !== 'closed') continue;
      this.#open = null;
      const certificate = certificateOf(event);
      const opened = this.#order.out;
      await openResult({ ...certificate.result, file: result }, this.#parties.tenant.identity, opened, this.#signal());
      return {
        job: job.id,
        source: sealed.source,
        certificate,
        event,
        trustText: this.#dispatcher.trust.state.text,
        protocol: this.#dispatcher.protocol,
        files: { source: sealed.file, result, opened },
      };
    }
    throw new OutboardError('internal', 'the events of a job ended without a final one');
  }

  /** Reads the result back from the store and tells the rig; it keeps its copy until then. */
  async #collect(job: OfferedJob, certificate: Certificate, file: string, delivery: number): Promise<void> {
    const { digest, bytes } = certificate.result;
    // Said again, for instance after a restart of the rig: it is here already.
    if (this.#fetched) {
      await this.#dispatcher.ackResult(job.id, { digest, bytes, outcome: 'stored' });
      return;
    }
    const onProgress = (done: number) => this.#step({ step: 'fetching', done, total: bytes });
    try {
      await downloadFile(this.#parties.store, { digest, bytes }, file, { ...this.#signal(), onProgress });
    } catch (error) {
      const missing = isOutboardError(error, 'store.status') && error.details['status'] === 404;
      if (!missing || delivery >= DELIVERIES) throw error;
      await this.#dispatcher.ackResult(job.id, { digest, bytes, outcome: 'missing' });
      return;
    }
    this.#fetched = true;
    await this.#dispatcher.ackResult(job.id, { digest, bytes, outcome: 'stored' });
  }

  #step(step: BounceStep): void {
    this.#options.onStep?.(step);
  }

  #signal(): { signal?: AbortSignal } {
    return this.#options.signal ? { signal: this.#options.signal } : {};
  }
}

const BYTES = { pcm16: 2, pcm24: 3, pcm32: 4, float32: 4, float64: 8 } as const;

/** What the file says of itself; the keeper signs it and the rig compares. @throws OutboardError wav.* | file.unreadable */
export async function wavFormat(file: string): Promise<SourceFormat> {
  const stream = createReadStream(file, { highWaterMark: 64 * 1024 });
  try {
    const reader = await openWav(stream);
    await reader.close();
    return reader.format;
  } catch (cause) {
    if (isOutboardError(cause)) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${file}: cannot be read (${reason})`, { cause });
  } finally {
    stream.destroy();
  }
}

async function connected(dispatcher: Dispatcher, signal: AbortSignal | undefined): Promise<void> {
  const limit = AbortSignal.timeout(CONNECT_MS);
  try {
    await dispatcher.ready(signal ? AbortSignal.any([signal, limit]) : limit);
  } catch (error) {
    if (!limit.aborted) throw error;
    throw dispatcher.link.problem ?? new OutboardError('broker.unreachable', `no connection within ${CONNECT_MS} ms`);
  }
}

function certificateOf(event: JobEvent): Certificate {
  const { certificate, type } = event.payload;
  if (!certificate) throw new OutboardError('internal', `the event ${type} has no certificate`);
  return certificate;
}

function unsuccessful(event: JobEvent): OutboardError {
  const { type, problem } = event.payload;
  const reason = problem ? `${problem.code}: ${problem.message}. ${problem.advice}` : type;
  const details = { job: event.payload.job, type, ...(problem ? { problem } : {}) };
  if (type === 'refused') return new OutboardError('bounce.refused', `the rig refused the job: ${reason}`, { details });
  return new OutboardError('bounce.failed', `the job ended as ${type}: ${reason}`, { details });
}

/** The promise, or the signal's reason as soon as it is aborted; what the promise does later is nobody's business. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  promise.catch(() => undefined);
  let abort: (() => void) | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        abort = () => reject(signal.reason);
        if (signal.aborted) abort();
        signal.addEventListener('abort', abort, { once: true });
      }),
    ]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}
