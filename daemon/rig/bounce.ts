/**
 * One attempt of one job: open, recall, roll, read back, seal. It knows no queue: the scheduler says when, the journal says what counts.
 * `prepare` runs ahead of time, so that the analog gear never waits for keys, files or threads.
 */
import { createHash, type webcrypto } from 'node:crypto';
import { type Verified, verifyEnvelope } from '../../certs/envelope.js';
import { openFile, type SealWriter, sealToFile } from '../../certs/seal-thread.js';
import { unwrapSourceKey } from '../../certs/source-key.js';
import type { Certificate, RecalledProcessor, RecalledSetting, RigConfig } from '../../core/contract/index.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds, ratioToDb } from '../../core/units.js';
import { openWav, type WavReader } from '../../drivers/audio/wav-reader.js';
import { encodeFrames, wavHeader, wavTrailer } from '../../drivers/audio/wav-writer.js';
import type { Profile } from '../../drivers/processors/profile.js';
import { withDefaults } from '../../drivers/processors/settings.js';
import type { Logger } from '../log.js';
import type { Engine } from './engine/engine.js';
import { PrefetchSource } from './engine/prefetch-source.js';
import { BufferedSink } from './engine/sample-sink.js';
import type { Take, TakeReport } from './engine/spec.js';
import { type JobPlan, planJob } from './job-rules.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import type { Rack } from './rack.js';
import type { Spool } from './spool.js';
import type { TrustStore } from './trust-store.js';

/** How long the returns are listened to after a flush. */
const LISTEN_SECONDS = 0.2;
const FLUSH_TRIES = 3;
/** Read ahead before the engine, and what may wait behind it, in seconds of sound at most. */
const BUFFER_SECONDS = 3;
const ENCODING_BITS = { pcm16: 16, pcm24: 24, pcm32: 32, float32: 'float', float64: 'float' } as const;
const LOUDNESS_DEFINITION = 'loudness.bs1770-5/1';

export interface BounceContext {
  config: RigConfig;
  journal: Journal;
  spool: Spool;
  trust: TrustStore;
  profiles: ReadonlyMap<string, Profile>;
  rack: Rack;
  wrappingKey: webcrypto.CryptoKey;
  log: Logger;
  progress(job: JobRow, phase: string, percent: number): void;
}

/** A job whose source is open and whose result file has begun. */
export interface PreparedBounce {
  job: JobRow;
  plan: JobPlan;
  payload: Verified<'job'>;
  grant: Verified<'grant'>;
  source: PrefetchSource;
  /** Reads past the last frame: what the file says of itself behind its data counts too. @throws OutboardError wav.* */
  checkEnd(): Promise<void>;
  dispose(): Promise<void>;
}

interface Recording {
  sink: BufferedSink;
  writer: SealWriter;
  growing: string;
}

export class Bounce {
  readonly #c: BounceContext;

  constructor(context: BounceContext) {
    this.#c = context;
  }

  /**
   * Looks both signers up again, unwraps the key and opens the source far enough that its first samples are in memory.
   *
   * @throws OutboardError envelope.* | grant.* | source.* | wav.*
   */
  async prepare(job: JobRow, signal: AbortSignal): Promise<PreparedBounce> {
    const { config, profiles, wrappingKey, spool } = this.#c;
    const { payload, grant } = await this.#authority(job);
    if (grant.payload.exp <= nowSeconds())
      throw new OutboardError('envelope.expired', 'the grant expired before the source was opened');
    const plan = await planJob(payload.payload.job, grant.payload, config, profiles);
    const { tenant, source, recipients } = grant.payload;
    const identity = await unwrapSourceKey(grant.payload.key, wrappingKey, {
      rig: config.rig,
      tenant,
      source,
      recipients,
    });
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    let reader: WavReader | undefined;
    try {
      reader = await openWav(plaintext(spool.sourcePath(source.digest), identity, both), { expect: source.format });
      const prefetch = new PrefetchSource({
        reader,
        channels: plan.channels,
        encodingBits: ENCODING_BITS[source.format.encoding],
        region: plan.region,
        lookAheadFrames: plan.rate * BUFFER_SECONDS,
      });
      await prefetch.ready(Math.min(plan.region.frames, plan.rate));
      const opened = reader;
      return {
        job,
        plan,
        payload,
        grant,
        source: prefetch,
        dispose: async () => {
          prefetch.stop();
          ending.abort();
          await opened.close();
        },
        checkEnd: async () => {
          if (plan.region.start + plan.region.frames === source.format.frames) await opened.read(1);
        },
      };
    } catch (error) {
      await reader?.close().catch(() => undefined);
      ending.abort();
      throw error;
    }
  }

  /** Both signers, as the trust bundle has them now: a revoked one stops the job here. */
  async #authority(job: JobRow): Promise<{ payload: Verified<'job'>; grant: Verified<'grant'> }> {
    const trust = this.#c.trust.current();
    const options = { trust, now: nowSeconds(), aud: this.#c.config.rig, expiry: false };
    const payload = await verifyEnvelope(this.#c.journal.jobs.token(job.id), ['job'], options);
    const grant = await verifyEnvelope(payload.payload.job.grant, ['grant'], options);
    return { payload, grant };
  }

  /**
   * Rolls one take and seals it. `release` is called as soon as the inserts are free, while the file is still being finished.
   *
   * @throws OutboardError take.* | processor.* | source.* | insert.noisy | rig.disk-full …; nothing of the attempt remains on the disk.
   */
  async run(prepared: PreparedBounce, engine: Engine, signal: AbortSignal, release: () => void): Promise<void> {
    const { job, plan } = prepared;
    const { journal, rack, spool, config } = this.#c;
    const chain = plan.hops.map((hop) => ({
      processor: hop.processor,
      settings: this.#complete(hop.processor, hop.settings),
    }));
    // Before the recall: the settings that this tenant wishes could mute what the last one left.
    await this.#flushForTenant(prepared, engine, signal);
    this.#c.progress(job, 'recalling', 0);
    const recalled = await rack.recall(chain);
    this.#verifyRecall(plan, recalled);
    signal.throwIfAborted();
    await this.#authority(job);
    signal.throwIfAborted();
    const attempt = job.attempt + 1;
    const recording = this.#record(prepared, attempt);
    let adopted: string | undefined;
    let report: TakeReport;
    let readBack: RecalledSetting[][];
    const startedAt = nowSeconds();
    try {
      journal.db.commit(`rolling(${attempt})`, () => {
        for (const hop of plan.hops) if (hop.memorySeconds > 0) journal.setInsertTenant(hop.insert, plan.tenant);
        journal.jobs.transition(job.id, 'rolling', { attempt });
      });
      report = await this.#roll(prepared, engine, recording, signal).done;
      readBack = await rack.readBack(chain);
      this.#verifyAfterTake(plan, recalled, readBack);
      release();
      await prepared.checkEnd();
      this.#c.progress(job, 'sealing', 100);
      await recording.sink.drained();
      const trailer = wavTrailer(resultShape(prepared));
      if (trailer.length > 0) await recording.writer.write(trailer);
      const sealed = await recording.writer.finish();
      await spool.adopt(recording.growing, sealed.digest);
      adopted = sealed.digest;
      // A rig that stops finishes the file; only a cancel still counts here.
      if (isOutboardError(signal.reason, 'job.cancelled')) throw signal.reason;
      const certificate = this.#certificate(prepared, attempt, report, recalled, readBack, sealed, startedAt, config);
      journal.jobs.transition(job.id, 'sealed', { certificate, result: sealed });
    } catch (error) {
      await recording.writer.abort().catch(() => undefined);
      if (adopted) await spool.removeResult(adopted);
      throw error;
    }
  }

  #complete(processor: string, settings: JobPlan['hops'][number]['settings']): JobPlan['hops'][number]['settings'] {
    return withDefaults(this.#c.profiles.get(this.#c.config.processors[processor]!.profile)!, settings);
  }

  #roll(prepared: PreparedBounce, engine: Engine, recording: Recording, signal: AbortSignal): Take {
    const { job, plan } = prepared;
    return engine.roll({
      channels: plan.channels,
      hops: plan.hops.map(({ insert, sends, returns, latencyFrames, driveDb }) => ({
        insert,
        sends,
        returns,
        latencyFrames,
        driveDb,
      })),
      source: prepared.source,
      sink: recording.sink,
      regionFrames: plan.region.frames,
      tailFrames: plan.tailFrames,
      sourceStartFrame: plan.region.start,
      signal,
      onProgress: (frames) => this.#c.progress(job, 'rolling', (100 * frames) / plan.resultFrames),
    });
  }

  #record(prepared: PreparedBounce, attempt: number): Recording {
    const { encoding } = prepared.payload.payload.job.output;
    const growing = this.#c.spool.growingPath(prepared.job.id, attempt);
    const writer = sealToFile(growing, prepared.grant.payload.recipients);
    let headed = false;
    const sink = new BufferedSink({
      channels: prepared.plan.channels,
      maxFrames: prepared.plan.rate * BUFFER_SECONDS,
      consume: async (samples) => {
        if (!headed) {
          headed = true;
          await writer.write(wavHeader(resultShape(prepared)));
        }
        await writer.write(encodeFrames(samples, encoding));
      },
    });
    return { sink, writer, growing };
  }

  #verifyRecall(plan: JobPlan, recalled: RecalledSetting[][]): void {
    for (const [index, hop] of plan.hops.entries())
      for (const setting of recalled[index]!)
        if (hop.verify === 'required' && setting.state !== 'verified')
          throw new OutboardError(
            'processor.unverified',
            `${hop.processor} does not report ${setting.name} as it was set`,
            {
              details: { processor: hop.processor, setting: setting.name },
            },
          );
  }

  #verifyAfterTake(plan: JobPlan, before: RecalledSetting[][], after: RecalledSetting[][]): void {
    for (const [index, hop] of plan.hops.entries())
      for (const [position, setting] of after[index]!.entries()) {
        const drifted = before[index]![position]!.state === 'verified' && setting.state !== 'verified';
        if (drifted)
          throw new OutboardError('take.drift', `${hop.processor} no longer had ${setting.name} after the take`, {
            details: { processor: hop.processor, setting: setting.name, readBack: setting.readBack ?? null },
          });
      }
  }

  /** What an insert remembers of another tenant is played out and heard to be gone before this tenant's first sample. */
  async #flushForTenant({ job, plan }: PreparedBounce, engine: Engine, signal: AbortSignal): Promise<void> {
    const { journal } = this.#c;
    for (const hop of plan.hops) {
      if (hop.memorySeconds === 0 || journal.insertTenant(hop.insert) === plan.tenant) continue;
      this.#c.progress(job, 'flushing', 0);
      await this.flush(hop.insert, engine, signal);
    }
  }

  /**
   * Plays silence for as long as the insert remembers, then listens, and notes the insert as quiet. Its processors are in their safe
   * state meanwhile, so that no mute and no low level hides what is still there.
   *
   * @throws OutboardError insert.noisy
   */
  async flush(insert: string, engine: Engine, signal: AbortSignal): Promise<void> {
    const { config, journal, log } = this.#c;
    const { sends, returns, memorySeconds } = config.inserts[insert]!;
    await this.#makeSafe(insert);
    signal.throwIfAborted();
    let heard: number[] = [];
    for (let attempt = 0; attempt < FLUSH_TRIES; attempt++) {
      const report = await engine.flush({
        sends,
        returns,
        seconds: memorySeconds,
        listenSeconds: LISTEN_SECONDS,
        signal,
      });
      heard = report.rmsDbfs;
      if (heard.every((level) => level <= config.isolation.quietDbfs)) {
        journal.db.commit('flushed', () => {
          journal.setInsertTenant(insert, '');
          journal.audit.append('insert.flushed', {
            insert,
            rmsDbfs: heard.map((level) => (Number.isFinite(level) ? level : null)),
          });
        });
        return;
      }
      log.warn({ insert, heard }, 'the insert is not quiet after a flush');
    }
    throw new OutboardError('insert.noisy', `the return of ${insert} stays at ${Math.max(...heard).toFixed(1)} dBFS`, {
      details: { insert, rmsDbfs: heard, limitDbfs: config.isolation.quietDbfs },
    });
  }

  /** A unit that does not answer must not keep technicians out; a job fails at its recall. */
  async #makeSafe(insert: string): Promise<void> {
    const { config, rack, log } = this.#c;
    for (const [name, processor] of Object.entries(config.processors)) {
      if (processor.insert !== insert) continue;
      try {
        await rack.unit(name).safe();
      } catch (cause) {
        log.warn(
          { processor: name, err: cause },
          'an insert is flushed although its processor is not in its safe state',
        );
      }
    }
  }

  #certificate(
    prepared: PreparedBounce,
    attempt: number,
    report: TakeReport,
    recalled: RecalledSetting[][],
    readBack: RecalledSetting[][],
    sealed: { digest: string; bytes: number },
    startedAt: number,
    config: RigConfig,
  ): Certificate {
    const { plan, grant, payload, job } = prepared;
    const processors: RecalledProcessor[] = plan.hops.map((hop, index) => {
      const profile = this.#c.profiles.get(config.processors[hop.processor]!.profile)!;
      return {
        processor: hop.processor,
        insert: hop.insert,
        profile: { id: profile.id, version: profile.version, hash: profile.hash },
        driveDb: hop.driveDb,
        settings: recalled[index]!.map((setting, position) => {
          const after = readBack[index]![position]!.readBack;
          return after === undefined ? setting : { ...setting, readBackAfter: after };
        }),
      };
    });
    return {
      job: job.jti,
      jobDigest: job.digest,
      grantDigest: `sha256:${createHash('sha256').update(payload.payload.job.grant).digest('hex')}`,
      source: grant.payload.source.digest,
      region: plan.region,
      tailFrames: plan.tailFrames,
      attempt,
      processors,
      latency: report.latency,
      continuity: {
        streamFrames: { from: report.streamFrom, to: report.streamTo },
        framesPlayed: report.framesPlayed,
        framesRecorded: report.framesRecorded,
        xruns: report.xruns,
        starvedFrames: report.starvedFrames,
        droppedFrames: report.droppedFrames,
        clock: config.interface.clock,
      },
      dither: report.dither,
      peakDbfs: report.peak.map((peak) => (peak > 0 ? ratioToDb(peak) : null)),
      clippedSamples: report.clippedSamples,
      loudness: { definition: LOUDNESS_DEFINITION, integratedLufs: report.integratedLufs },
      calibration: null,
      result: { ...resultShape(prepared), ...sealed },
      startedAt,
      endedAt: nowSeconds(),
    };
  }
}

/** The opened source. That the ciphertext is the granted one was shown by its digest; what fails now is how the tenant sealed it. */
async function* plaintext(
  path: string,
  identity: webcrypto.CryptoKey,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* openFile(path, identity, { signal });
  } catch (cause) {
    if (isOutboardError(cause, 'seal.open', 'seal.header'))
      throw new OutboardError('source.seal', cause.message, { cause });
    throw cause;
  }
}

function resultShape(prepared: PreparedBounce) {
  return {
    rate: prepared.plan.rate,
    channels: prepared.plan.channels,
    encoding: prepared.payload.payload.job.output.encoding,
    frames: prepared.plan.resultFrames,
  };
}

/** What can be helped by another take; everything else fails the job at once. */
const ANOTHER_TAKE_MAY_HELP = new Set([
  'take.spoiled',
  'take.drift',
  'audio.late',
  'audio.gone',
  'audio.busy',
  'audio.closed',
  'processor.lost',
  'processor.timeout',
  'processor.reply',
  'processor.unverified',
  'insert.noisy',
  'rig.disk-full',
]);

export function anotherTakeMayHelp(error: unknown): boolean {
  return ANOTHER_TAKE_MAY_HELP.has(asOutboardError(error).code);
}
