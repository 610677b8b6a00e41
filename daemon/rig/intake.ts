/**
 * Intake: a token comes in, a verdict goes out. The journal has the verdict before anybody is told. Offers that nobody authenticated change
 * counters, not tables, so that a stranger cannot fill the disk.
 */
import { createHash, type webcrypto } from 'node:crypto';
import { authenticatedSender, type Verified, verifyEnvelope } from '../../certs/envelope.js';
import { checkSourceKey, wrappingKeyFor } from '../../certs/source-key.js';
import type {
  AckPayload,
  CalibrationFile,
  CancelPayload,
  GrantPayload,
  Receipt,
  RigConfig,
} from '../../core/contract/index.js';
import { MAX_LIFETIME_SECONDS } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { ClockSync } from '../clock-sync.js';
import type { InsertMemory } from './insert-memory.js';
import { type JobPlan, planJob } from './job-rules.js';
import { isOpen, type JobRow } from './journal/jobs.js';
import type { Journal } from './journal/journal.js';
import { busy, ofGrant, withoutSender } from './refusal.js';
import { DISK_MARGIN_BYTES, type Spool } from './spool.js';
import type { TrustStore } from './trust-store.js';

export interface IntakeOptions {
  config: RigConfig;
  /** In force now. */
  trims(): CalibrationFile | null;
  journal: Journal;
  spool: Spool;
  trust: TrustStore;
  profiles: ReadonlyMap<string, Profile>;
  clock: ClockSync;
  wrappingKeys: ReadonlyMap<string, webcrypto.CryptoKey>;
  memory: Pick<InsertMemory, 'strange'>;
  /** A cancel of a job that has not been sealed: the bounce ends, then `cancelled` is committed. */
  cancel(job: JobRow): Promise<void>;
}

/** Cancels of one dispatcher that may wait for their offers. */
const MAX_EARLY_CANCELS = 1000;

/** Everything about an offer that could be found out before its turn: what it needs, or why it is refused. */
type Prepared = { plan: JobPlan; grant: GrantPayload } | OutboardError;

interface Waiting {
  verified: Verified<'job'>;
  prepared: Prepared;
  resolve(receipt: Receipt): void;
  reject(error: unknown): void;
}

export class Intake {
  readonly #o: IntakeOptions;
  readonly counters: Record<string, number> = {};
  #waiting: Waiting[] = [];

  constructor(options: IntakeOptions) {
    this.#o = options;
  }

  #count(name: string): void {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }

  /**
   * @param retained true when the broker keeps this offer for every later subscriber: it would come again with each reconnect
   * @throws OutboardError only where the same token may be sent again with hope (trust.missing, rig.disk-full, journal trouble).
   */
  async offer(token: string | Uint8Array, retained = false): Promise<Receipt> {
    this.#count('offers');
    const { journal, trust, config } = this.#o;
    let verified: Verified<'job'>;
    try {
      verified = await verifyEnvelope(token, ['job'], {
        trust: trust.current(),
        now: nowSeconds(),
        aud: config.rig,
        ...this.#epoch(),
      });
    } catch (cause) {
      return this.#unverified(token, asOutboardError(cause));
    }
    const prepared = retained
      ? new OutboardError('envelope.retained', 'the offer was published with the retain flag')
      : await this.#prepareVerdict(verified);
    const receipt = await this.#inTurn(verified, prepared);
    this.#count(`offers.${receipt.verdict}`);
    journal.outbox.notify();
    return receipt;
  }

  /**
   * Offers are judged one after the other, so that limits and replays are exact; those that wait at the same time share one commit, because
   * it is the disk that limits a burst.
   */
  #inTurn(verified: Verified<'job'>, prepared: Prepared): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#judgeAll());
      this.#waiting.push({ verified, prepared, resolve, reject });
    });
  }

  #judgeAll(): void {
    const { db } = this.#o.journal;
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 1) return this.#judgeOne(batch[0]!);
    let receipts: Receipt[];
    try {
      receipts = db.commit('offers', () => batch.map(({ verified, prepared }) => this.#judge(verified, prepared)));
    } catch {
      // One of them cannot be judged: it must not take the others with it.
      for (const one of batch) this.#judgeOne(one);
      return;
    }
    for (const [index, receipt] of receipts.entries()) batch[index]!.resolve(receipt);
  }

  #judgeOne({ verified, prepared, resolve, reject }: Waiting): void {
    try {
      resolve(this.#judge(verified, prepared));
    } catch (error) {
      reject(error);
    }
  }

  #epoch(): { minIat?: number } {
    const floor = this.#o.journal.meta('epoch.floor');
    return floor ? { minIat: Number(floor) } : {};
  }

  /** A token that failed before anything in it could be believed, or whose signer is known and can be told. */
  #unverified(token: string | Uint8Array, error: OutboardError): Receipt {
    if (error.code === 'trust.missing' || error.code === 'trust.clock') throw error;
    const sender = authenticatedSender(error);
    if (!sender?.jti) {
      this.#count(`discarded.${error.code}`);
      return { verdict: 'discarded', problem: withoutSender(error) };
    }
    const offer = {
      dispatcher: sender.iss,
      jti: sender.jti,
      digest: payloadDigest(token),
      exp: nowSeconds() + MAX_LIFETIME_SECONDS,
    };
    this.#count('offers.refused');
    return this.#refuse(offer, error);
  }

  /** Everything about an offer that needs no turn: the grant's signature, the plan, the wrapped key. */
  async #prepareVerdict(verified: Verified<'job'>): Promise<Prepared> {
    const { trust, config, trims, profiles, wrappingKeys, journal } = this.#o;
    const { payload } = verified;
    try {
      if (journal.seen(payload.iss, payload.jti, verified.payloadDigest) !== 'new')
        return new OutboardError('envelope.replayed', 'seen');
      const counts = journal.jobs.openCounts(payload.iss, '');
      if (counts.all >= config.limits.queue)
        return busy('the queue of this rig is full', counts.all, config.limits.queue);
      const granted = await verifyEnvelope(payload.job.grant, ['grant'], {
        trust: trust.current(),
        now: nowSeconds(),
        aud: config.rig,
        ...this.#epoch(),
      }).catch((cause) => {
        throw ofGrant(asOutboardError(cause));
      });
      const grant = granted.payload;
      if (grant.job !== payload.jti || grant.dispatcher !== payload.iss)
        return new OutboardError('grant.mismatch', 'the grant is for another job or another dispatcher', {
          details: { path: grant.job !== payload.jti ? 'grant.job' : 'grant.dispatcher' },
        });
      const plan = await planJob(payload.job, grant, config, profiles, trims());
      const { tenant, source, recipients } = grant;
      await checkSourceKey(grant.key, wrappingKeyFor(grant.key, wrappingKeys), {
        rig: config.rig,
        tenant,
        source,
        recipients,
      });
      return { plan, grant };
    } catch (cause) {
      return asOutboardError(cause);
    }
  }

  #judge(verified: Verified<'job'>, prepared: Prepared): Receipt {
    const { journal, config, clock, spool } = this.#o;
    const { payload } = verified;
    const offer = { dispatcher: payload.iss, jti: payload.jti, digest: verified.payloadDigest, exp: payload.exp };
    const replay = this.#replay(offer);
    if (replay) return replay;
    if (prepared instanceof OutboardError) {
      if (prepared.code === 'journal.commit' || prepared.code === 'internal') throw prepared;
      return this.#refuse(offer, prepared);
    }
    const { plan, grant } = prepared;
    // Before it is fetched: no flush would ever be believed, so that the take would never roll.
    const strange = this.#o.memory.strange(plan.tenant, plan.inserts);
    if (strange) return this.#refuse(offer, strange);
    const { limits } = config;
    if (!clock.trusted())
      return this.#refuse(offer, new OutboardError('rig.clock', 'the clock of this rig is not synchronised'));
    const counts = journal.jobs.openCounts(payload.iss, grant.tenant);
    if (counts.all >= limits.queue)
      return this.#refuse(offer, busy('the queue of this rig is full', counts.all, limits.queue));
    if (counts.dispatcher >= limits.queuePerDispatcher)
      return this.#refuse(
        offer,
        busy('this dispatcher has too many open jobs', counts.dispatcher, limits.queuePerDispatcher),
      );
    if (counts.tenant >= limits.queuePerTenant)
      return this.#refuse(offer, busy('this tenant has too many open jobs', counts.tenant, limits.queuePerTenant));
    const unacknowledged = journal.outbox.unacknowledged(payload.iss);
    if (unacknowledged >= limits.unacknowledgedPerDispatcher)
      return this.#refuse(
        offer,
        new OutboardError('rig.unacknowledged', `${unacknowledged} events of this dispatcher wait to be acknowledged`),
      );
    const needed = grant.source.bytes + plan.resultBytes;
    if (journal.jobs.committedBytes() + needed > limits.spoolBytes)
      return this.#refuse(offer, busy('the spool is reserved by other jobs', needed, limits.spoolBytes));
    if (spool.freeBytes() - journal.jobs.reservedBytes() - DISK_MARGIN_BYTES < needed)
      return this.#refuse(
        offer,
        new OutboardError('rig.disk-full', `the spool's disk has no room for ${needed} bytes`, { details: { needed } }),
      );
    return this.#accept(verified, offer, plan, grant);
  }

  #accept(
    verified: Verified<'job'>,
    offer: { dispatcher: string; jti: string; digest: string; exp: number },
    plan: JobPlan,
    grant: GrantPayload,
  ): Receipt {
    const { journal } = this.#o;
    const { payload } = verified;
    return journal.db.commit('accepted', (): Receipt => {
      journal.remember(offer.dispatcher, offer.jti, offer.digest, offer.exp);
      const cancelled = journal.db.run(
        'DELETE FROM early_cancel WHERE dispatcher = ? AND job = ?',
        offer.dispatcher,
        offer.jti,
      ).changes;
      if (cancelled > 0) {
        const problem = new OutboardError('job.cancelled', 'the cancel came before the offer').toJSON();
        journal.jobs.insertRefused(offer, 'cancelled', problem);
        return { jti: offer.jti, verdict: 'refused', problem };
      }
      journal.jobs.insertAccepted({
        ...offer,
        tenant: grant.tenant,
        token: verified.token,
        startBy: payload.job.startBy ?? null,
        maxAttempts: payload.job.maxAttempts,
        sourceDigest: grant.source.digest,
        sourceBytes: grant.source.bytes,
        resultReserved: plan.resultBytes,
      });
      return { jti: offer.jti, verdict: 'accepted' };
    });
  }

  /** The answer to a jti that was seen before, or null. */
  #replay(offer: { dispatcher: string; jti: string; digest: string }): Receipt | null {
    const { journal } = this.#o;
    const seen = journal.seen(offer.dispatcher, offer.jti, offer.digest);
    if (seen === 'new') return null;
    if (seen === 'same') {
      const job = journal.jobs.find(offer.dispatcher, offer.jti);
      if (job) journal.db.commit('replayed', () => journal.outbox.repeatLast(job.id));
      return { jti: offer.jti, verdict: 'known' };
    }
    return this.#replayedOtherwise(offer);
  }

  #replayedOtherwise(offer: { dispatcher: string; jti: string }): Receipt {
    const { journal } = this.#o;
    const problem = new OutboardError(
      'envelope.replayed',
      `${offer.dispatcher} used the jti ${offer.jti} for two payloads`,
    ).toJSON();
    journal.db.commit('replay-alert', () => {
      journal.outbox.putAlert('critical', problem);
      const job = journal.jobs.find(offer.dispatcher, offer.jti);
      // The first payload keeps its own course: the second one is told only that it is refused, with the event that stands.
      if (job) journal.outbox.repeatLast(job.id);
      journal.audit.append('replay', { iss: offer.dispatcher, jti: offer.jti });
    });
    return { jti: offer.jti, verdict: 'refused', problem };
  }

  #refuse(offer: { dispatcher: string; jti: string; digest: string; exp: number }, error: OutboardError): Receipt {
    const { journal } = this.#o;
    const replay = this.#replay(offer);
    if (replay) return replay;
    const problem = withoutSender(error);
    // A dispatcher who acknowledges nothing cannot fill the journal with refusals: beyond this they are only counted.
    const { unacknowledgedPerDispatcher } = this.#o.config.limits;
    if (journal.outbox.unacknowledged(offer.dispatcher) >= 2 * unacknowledgedPerDispatcher)
      return this.#discard(offer.jti, error);
    return journal.db.commit('refused', (): Receipt => {
      journal.remember(offer.dispatcher, offer.jti, offer.digest, offer.exp);
      journal.db.run('DELETE FROM early_cancel WHERE dispatcher = ? AND job = ?', offer.dispatcher, offer.jti);
      journal.jobs.insertRefused(offer, 'refused', problem);
      return { jti: offer.jti, verdict: 'refused', problem };
    });
  }

  /** A cancel or an acknowledgement. */
  async control(token: string | Uint8Array): Promise<Receipt> {
    this.#count('controls');
    const { trust, config, journal } = this.#o;
    let verified: Verified<'cancel' | 'ack'>;
    try {
      verified = await verifyEnvelope(token, ['cancel', 'ack'], {
        trust: trust.current(),
        now: nowSeconds(),
        aud: config.rig,
        ...this.#epoch(),
      });
    } catch (cause) {
      const error = asOutboardError(cause);
      if (error.code === 'trust.missing' || error.code === 'trust.clock') throw error;
      this.#count(`discarded.${error.code}`);
      return { verdict: 'discarded', problem: withoutSender(error) };
    }
    const { iss, jti, exp } = verified.payload;
    const seen = journal.seen(iss, jti, verified.payloadDigest);
    if (seen === 'other') return this.#replayedOtherwise({ dispatcher: iss, jti });
    if (seen === 'same') return { jti, verdict: 'known' };
    if ('cancel' in verified.payload) return await this.#cancel(verified.payload, verified.payloadDigest);
    return this.#acknowledge(verified.payload, () => journal.remember(iss, jti, verified.payloadDigest, exp));
  }

  async #cancel(payload: CancelPayload, digest: string): Promise<Receipt> {
    const { journal } = this.#o;
    const job = journal.jobs.find(payload.iss, payload.cancel.job);
    const remember = () => journal.remember(payload.iss, payload.jti, digest, payload.exp);
    if (!job) {
      if (journal.earlyCancels(payload.iss) >= MAX_EARLY_CANCELS)
        return this.#discard(
          payload.jti,
          new OutboardError('job.unknown', 'too many cancels wait for offers that never came'),
        );
      journal.db.commit('cancel.early', () => {
        remember();
        journal.db.run(
          'INSERT OR IGNORE INTO early_cancel (dispatcher, job, at) VALUES (?, ?, ?)',
          payload.iss,
          payload.cancel.job,
          nowSeconds(),
        );
      });
      return { jti: payload.jti, verdict: 'applied' };
    }
    if (!isOpen(job) || job.state === 'sealed' || job.state === 'delivered') {
      journal.db.commit('cancel.late', () => {
        remember();
        if (isOpen(job) || job.state === 'closed')
          journal.jobs.say(job, 'too-late', {
            problem: new OutboardError('job.too-late', 'the take was sealed before the cancel came').toJSON(),
          });
        else journal.outbox.repeatLast(job.id);
      });
      return { jti: payload.jti, verdict: 'applied' };
    }
    await this.#o.cancel(job);
    journal.db.commit('cancel', remember);
    return { jti: payload.jti, verdict: 'applied' };
  }

  #acknowledge(payload: AckPayload, remember: () => void): Receipt {
    const { journal } = this.#o;
    const { events, result } = payload.ack;
    const job = result ? journal.jobs.find(payload.iss, result.job) : undefined;
    const waits = job?.state === 'delivered' || job?.state === 'sealed';
    const right = result?.digest === job?.resultDigest && result?.bytes === job?.resultBytes;
    const closes = waits && right && result?.outcome === 'stored';
    // One commit for all of it: the same token will not be looked at twice.
    journal.db.commit(closes ? 'closed' : 'acknowledged', () => {
      remember();
      journal.outbox.acknowledge(payload.iss, events);
      if (closes) journal.jobs.transition(job!.id, 'closed');
      else if (waits && right && job!.state === 'delivered') journal.jobs.transition(job!.id, 'sealed');
    });
    if (result && !job)
      return this.#discard(payload.jti, new OutboardError('job.unknown', `no job ${result.job} of ${payload.iss}`));
    if (waits && !right) {
      const error = new OutboardError(
        'store.digest',
        'the acknowledgement names another digest or size than the result has',
      );
      journal.db.commit('alert', () => journal.outbox.putAlert('critical', error.toJSON()));
      return this.#discard(payload.jti, error);
    }
    return { jti: payload.jti, verdict: 'applied' };
  }

  #discard(jti: string, error: OutboardError): Receipt {
    this.#count(`discarded.${error.code}`);
    return { jti, verdict: 'discarded', problem: error.toJSON() };
  }
}

/** SHA-256 of a token's payload bytes; the token was found to be well-formed before. */
function payloadDigest(token: string | Uint8Array): string {
  const text = typeof token === 'string' ? token : Buffer.from(token).toString('latin1');
  return `sha256:${createHash('sha256')
    .update(Buffer.from(text.split('.')[1] ?? '', 'base64url'))
    .digest('hex')}`;
}
