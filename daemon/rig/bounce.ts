/**
 * One attempt of one job: open, recall, roll, read back, seal. It knows no queue: the scheduler says when, the journal says what counts.
 * `prepare` runs ahead of time, so that the analog gear never waits for keys, files or threads.
 */
import type { webcrypto } from 'node:crypto';
import { type Verified, verifyEnvelope } from '../../certs/envelope.js';
import { openFile, type SealWriter, sealToFile } from '../../certs/seal-thread.js';
import { unwrapSourceKey, wrappingKeyFor } from '../../certs/source-key.js';
import type { CalibrationFile, RecalledSetting, RigConfig } from '../../core/contract/index.js';
import { allOrNone } from '../../core/duration.js';
import { asOutboardError, isOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { openWav, type WavReader } from '../../drivers/audio/wav-reader.js';
import { encodeFrames, wavHeader, wavTrailer } from '../../drivers/audio/wav-writer.js';
import type { Profile } from '../../drivers/processors/profile.js';
import { withDefaults } from '../../drivers/processors/settings.js';
import type { Logger } from '../log.js';
import type { Engine } from './engine/engine.js';
import { READ_AHEAD_SECONDS, WRITE_BEHIND_SECONDS } from './engine/file-buffers.js';
import { framesOf, PrefetchSource } from './engine/prefetch-source.js';
import { BufferedSink } from './engine/sample-sink.js';
import type { Take, TakeReport } from './engine/spec.js';
import { GearWatch } from './gear-watch.js';
import type { InsertMemory } from './insert-memory.js';
import { type JobPlan, planJob } from './job-rules.js';
import type { JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import type { Patching } from './patching.js';
import type { Rack } from './rack.js';
import type { Spool } from './spool.js';
import { certificateOf, resultShape } from './take-certificate.js';
import { lasting, verifyAfterTake, verifyRecall } from './take-verification.js';
import type { TrustStore } from './trust-store.js';

const ENCODING_BITS = { pcm16: 16, pcm24: 24, pcm32: 32, float32: 'float', float64: 'float' } as const;

export interface BounceContext {
  config: RigConfig;
  /** In force now. */
  trims(): CalibrationFile | null;
  journal: Journal;
  spool: Spool;
  trust: TrustStore;
  profiles: ReadonlyMap<string, Profile>;
  rack: Rack;
  memory: InsertMemory;
  patching: Patching;
  wrappingKeys: ReadonlyMap<string, webcrypto.CryptoKey>;
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

/** What the scheduler decides about an attempt. */
export interface Attempt {
  signal: AbortSignal;
  /** The engine, running at the take's rate. @throws OutboardError audio.* */
  engine(): Promise<Engine>;
  /** Called right before the take is committed. @throws OutboardError rig.mode when the rig takes no more jobs. */
  begins(): void;
  /** Inserts that must forget first; they are held like the take's own. */
  flush: readonly string[];
  release(): void;
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
    const { config, trims, profiles, wrappingKeys, spool } = this.#c;
    const { payload, grant } = await this.#authority(job);
    if (grant.payload.exp <= nowSeconds())
      throw new OutboardError('envelope.expired', 'the grant expired before the source was opened');
    const plan = await planJob(payload.payload.job, grant.payload, config, profiles, trims());
    const { tenant, source, recipients } = grant.payload;
    const identity = await unwrapSourceKey(grant.payload.key, wrappingKeyFor(grant.payload.key, wrappingKeys), {
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
        reader: framesOf(reader),
        channels: plan.channels,
        encodingBits: ENCODING_BITS[source.format.encoding],
        region: plan.region,
        lookAheadFrames: plan.rate * READ_AHEAD_SECONDS,
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
   * Plays out what must be forgotten, rolls one take and seals it. `release` is called as soon as the inserts are free, while the file is
   * still being finished.
   *
   * @throws OutboardError take.* | processor.* | source.* | insert.noisy | rig.disk-full …; nothing of the attempt remains on the disk.
   */
  async run(prepared: PreparedBounce, take: Attempt): Promise<void> {
    const { job, plan } = prepared;
    const { rack, memory, patching } = this.#c;
    // Before the recall: the settings that this tenant wishes could mute what the last one left.
    for (const insert of take.flush) {
      this.#c.progress(job, 'flushing', 0);
      await memory.flush(insert, await take.engine(), take.signal);
    }
    const units = [...plan.hops.map((hop) => hop.processor), ...plan.patchbays];
    const watch = new GearWatch(units.map((name) => rack.unit(name)));
    watch.begin();
    try {
      await this.#attempt(prepared, { ...take, signal: AbortSignal.any([take.signal, watch.signal]) }, watch);
    } catch (error) {
      // Whatever broke first because of it, this is why.
      throw watch.signal.aborted && !take.signal.aborted ? watch.signal.reason : error;
    } finally {
      // A unit that does not answer keeps nobody connected.
      await Promise.all([watch.end(), patching.disconnect(plan.hops.map((hop) => hop.insert))]);
    }
  }

  async #attempt(prepared: PreparedBounce, take: Attempt, watch: GearWatch): Promise<void> {
    const { job, plan } = prepared;
    const { signal } = take;
    const { journal, rack, spool, config, profiles, memory, patching } = this.#c;
    const inserts = plan.hops.map((hop) => hop.insert);
    const chain = plan.hops.map((hop) => ({
      processor: hop.processor,
      settings: this.#complete(hop.processor, hop.settings),
    }));
    this.#c.progress(job, 'recalling', 0);
    // Whoever cancels does not wait for a tape that is wound.
    const [recalled, patched] = await allOrNone(signal, (until) => [
      rack.recall(chain, until),
      patching.connect(inserts, until),
    ]);
    verifyRecall(plan, recalled);
    signal.throwIfAborted();
    await this.#authority(job);
    signal.throwIfAborted();
    // The stream may have had a fault since it was last looked at: no attempt is spent on a dead one.
    const engine = await take.engine();
    take.begins();
    const attempt = job.attempt + 1;
    const recording = this.#record(prepared, attempt);
    let adopted: string | undefined;
    let report: TakeReport;
    let readBack: RecalledSetting[][];
    let patchedAfter: RecalledSetting[][];
    const startedAt = nowSeconds();
    try {
      signal.throwIfAborted();
      journal.db.commit(`rolling(${attempt})`, () => {
        for (const hop of plan.hops) memory.own(hop.insert, plan.tenant);
        journal.jobs.transition(job.id, 'rolling', { attempt });
      });
      const kept = [...chain, ...patched].map(({ processor }, index) =>
        lasting(rack.unit(processor).profile, recalled[index] ?? patched[index - recalled.length]!.settings),
      );
      watch.ask(kept);
      report = await this.#roll(prepared, engine, recording, signal).done;
      [readBack, patchedAfter] = await Promise.all([rack.readBack(chain), rack.readBack(patching.settingsOf(inserts))]);
      verifyAfterTake([...chain, ...patched], kept, [...readBack, ...patchedAfter]);
      await watch.end();
      watch.signal.throwIfAborted();
      await Promise.all([patching.disconnect(inserts), rack.stopErasing(chain)]);
      take.release();
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
      const certificate = certificateOf(
        {
          prepared,
          attempt,
          report,
          recalled,
          readBack,
          patched,
          patchedAfter,
          sealed,
          startedAt,
          endedAt: nowSeconds(),
        },
        config,
        profiles,
      );
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
      hops: plan.hops.map(({ insert, sends, returns, latencyFrames, driveDb, sendTrimDb, returnTrimDb }) => ({
        insert,
        sends,
        returns,
        latencyFrames,
        driveDb,
        sendTrimDb,
        returnTrimDb,
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
      maxFrames: prepared.plan.rate * WRITE_BEHIND_SECONDS,
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

/** What can be helped by another take; everything else fails the job at once. */
const ANOTHER_TAKE_MAY_HELP = new Set([
  'take.spoiled',
  'take.drift',
  'audio.late',
  'audio.gone',
  'audio.busy',
  'audio.closed',
  'audio.format',
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
