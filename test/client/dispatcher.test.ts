import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { loadSigner } from '../../certs/keys.js';
import { verifyTrust } from '../../certs/trust-bundle.js';
import { Dispatcher, type DispatcherOptions } from '../../client/dispatcher.js';
import type { JobEvent } from '../../client/offered-job.js';
import type { BounceJob } from '../../core/contract/job.js';
import * as peer from '../certs/peer.js';
import { type Mosquitto, startMosquitto } from '../peers/mosquitto.js';
import { Outside } from '../peers/outside.js';
import { makePki, type Pki } from '../peers/pki.js';

const RIG = 'rig-01';
const NAME = 'dispatcher.main';
const OFFER = `outboard/v1/${RIG}/offer`;
const CONTROL = `outboard/v1/${RIG}/control`;
const EVENT = `outboard/v1/${RIG}/event/${NAME}`;
const now = () => Math.floor(Date.now() / 1000);
const JOB = peer.jobBody().job as unknown as BounceJob;

const us = peer.party(NAME, 'dispatcher');
const rigKey = peer.party(RIG, 'rig');
const rigNextKey = peer.party(RIG, 'rig');
const otherRig = peer.party('rig-02', 'rig');
const times = { nbf: now() - 3600, exp: now() + 3600 };
const bundleText = (version: number, keys: peer.Party[]) =>
  peer.trustDocument(
    { version, iat: now() - 60, exp: now() + 3600, keys: keys.map((key) => peer.listed(key, times)), revoked: [] },
    [peer.root],
  );

/** What the rig says, signed by node:crypto. */
function event(job: string, type: string, o: { by?: peer.Party; jti?: string; aud?: string; iss?: string } = {}) {
  const by = o.by ?? rigKey;
  const jti = o.jti ?? randomUUID();
  const payload = { iss: o.iss ?? by.name, aud: o.aud ?? NAME, jti, iat: now(), job, type };
  return { jti, token: peer.token(by, 'event', payload) };
}

const payloadOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());

describe('the dispatcher', () => {
  let dir: string;
  let pki: Pki;
  let broker: Mosquitto;
  let rig: Outside;
  let dispatcher: Dispatcher;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-dispatcher-'));
    pki = await makePki(join(dir, 'tls'), [RIG, NAME]);
    broker = await startMosquitto({ dir: pki.dir });
    rig = await Outside.connect(broker.url, RIG, await pki.loader(RIG)());
    await rig.subscribe(OFFER);
    await rig.subscribe(CONTROL);
  });
  after(async () => {
    await rig.close();
    await broker.kill();
    await rm(dir, { recursive: true });
  });
  beforeEach(async () => {
    rig.received.length = 0;
    dispatcher = await started();
  });
  afterEach(() => dispatcher.stop());

  async function started(options: Partial<DispatcherOptions> = {}): Promise<Dispatcher> {
    const made = new Dispatcher({
      rig: RIG,
      signer: await loadSigner(NAME, us.jwk),
      broker: { url: broker.url, tls: pki.loader(NAME) },
      trust: await verifyTrust(bundleText(1, [us, rigKey]), peer.roots, now()),
      roots: peer.roots,
      repeatMs: 50,
      ...options,
    });
    await made.start();
    await made.ready();
    return made;
  }
  const say = (token: string, topic = EVENT) => rig.publish(topic, token);
  /** The events that were acknowledged. */
  const acknowledged = (): string[] => rig.on(CONTROL).flatMap((token) => payloadOf(token).ack?.events ?? []);

  it('offers again under the same jti until there is a verdict, and then no more', async () => {
    const id = dispatcher.newJobId();
    const job = await dispatcher.offer({ id, job: JOB });
    await rig.until(() => rig.on(OFFER).length >= 3);
    assert.deepEqual(new Set(rig.on(OFFER)), new Set([job.token]));
    const { jti, iss, aud, exp, iat } = payloadOf(job.token!);
    assert.deepEqual({ jti, iss, aud, lives: exp - iat }, { jti: id, iss: NAME, aud: RIG, lives: 3600 });
    await say(event(id, 'accepted').token);
    assert.equal((await job.verdict).payload.type, 'accepted');
    // A message behind the last offer: what comes after it would be an offer too many.
    const offers = rig.on(OFFER).length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(rig.on(OFFER).length <= offers + 1, 'one may have been under way');
  });

  it('gives the events in order, each once, and acknowledges them', async () => {
    const seen: JobEvent[] = [];
    await dispatcher.stop();
    dispatcher = await started({ onEvent: (one) => void seen.push(one) });
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    const accepted = event(job.id, 'accepted');
    const sealed = event(job.id, 'sealed');
    const progress = event(job.id, 'progress');
    for (const { token } of [accepted, accepted, progress, sealed, accepted]) await say(token);
    const closed = event(job.id, 'closed');
    await say(closed.token);
    const types: string[] = [];
    for await (const one of job.events()) types.push(one.payload.type);
    assert.deepEqual(types, ['accepted', 'progress', 'sealed', 'closed']);
    assert.equal((await job.until('sealed')).token, sealed.token, 'the token is the one that the rig signed');
    assert.deepEqual(
      seen.map((one) => one.payload.type),
      ['accepted', 'progress', 'sealed', 'closed'],
    );
    await rig.until(() => acknowledged().includes(closed.jti));
    assert.deepEqual(new Set(acknowledged()), new Set([accepted.jti, sealed.jti, closed.jti]));
    // One batch where the events come together; on a slow host each alone, and never one for what was said again.
    assert.ok(rig.on(CONTROL).length <= 3, `${rig.on(CONTROL).length} messages for three events`);
    // The acknowledgement was lost: the rig says it again, after the end too.
    await say(closed.token);
    await rig.until(() => acknowledged().filter((jti) => jti === closed.jti).length === 2);
    assert.equal(seen.length, 4);
  });

  it('believes only the rig, and only what is addressed to it', async () => {
    const id = dispatcher.newJobId();
    const job = await dispatcher.offer({ id, job: JOB });
    const stranger = peer.party(RIG, 'rig');
    const lies = [
      event(id, 'accepted', { by: stranger }),
      event(id, 'accepted', { by: us, iss: RIG }),
      event(id, 'accepted', { aud: 'dispatcher.other' }),
      event(id, 'accepted', { by: otherRig }),
    ];
    for (const lie of lies) await say(lie.token);
    await say('no token at all');
    const truth = event(id, 'refused');
    await say(truth.token);
    assert.equal((await job.verdict).token, truth.token);
    await rig.until(() => acknowledged().includes(truth.jti));
    assert.deepEqual(acknowledged(), [truth.jti]);
  });

  it('does not take one rig for another, though both are trusted', async () => {
    await dispatcher.stop();
    const trust = await verifyTrust(bundleText(1, [us, rigKey, otherRig]), peer.roots, now());
    dispatcher = await started({ trust });
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    const lie = event(job.id, 'refused', { by: otherRig });
    await say(lie.token); // on the topic of the first
    await say(lie.token, `outboard/v1/rig-02/event/${NAME}`); // on its own, about a job of the first
    const truth = event(job.id, 'accepted');
    await say(truth.token);
    assert.equal((await job.verdict).token, truth.token);
  });

  it('takes a newer trust bundle from the broker, and then believes a new key', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    const first = event(job.id, 'accepted', { by: rigNextKey });
    await say(first.token);
    await rig.publish('outboard/v1/trust', bundleText(2, [us, rigKey, rigNextKey]));
    await say(first.token);
    assert.equal((await job.verdict).token, first.token);
    assert.equal(dispatcher.trust.payload.version, 2);
    await rig.publish('outboard/v1/trust', bundleText(1, [us]));
    const second = event(job.id, 'closed', { by: rigNextKey });
    await say(second.token);
    await job.final; // the older bundle was refused
  });

  it('does not acknowledge an event that could not be kept', async () => {
    await dispatcher.stop();
    let full = true;
    let refusals = 0;
    let twice: () => void;
    const refusedTwice = new Promise<void>((resolve) => {
      twice = resolve;
    });
    dispatcher = await started({
      onEvent: () => {
        if (!full) return;
        refusals += 1;
        if (refusals === 2) twice();
        throw new Error('no space left');
      },
    });
    const job = dispatcher.follow(randomUUID());
    const kept = event(job.id, 'failed');
    await say(kept.token);
    await say(event(randomUUID(), 'accepted').token);
    await refusedTwice;
    full = false;
    const final = job.final;
    await say(kept.token);
    await final;
    await rig.until(() => acknowledged().length > 0);
    assert.deepEqual(acknowledged(), [kept.jti]);
  });

  it('cancels until the rig has answered', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    await say(event(job.id, 'accepted').token);
    const cancelling = dispatcher.cancel(job.id);
    const cancels = () => rig.on(CONTROL).filter((token) => payloadOf(token).cancel?.job === job.id);
    await rig.until(() => cancels().length >= 2);
    assert.equal(new Set(cancels()).size, 1, 'the same jti');
    await say(event(job.id, 'too-late').token);
    assert.equal((await cancelling).payload.type, 'too-late');
  });

  it('acknowledges a result until the job is closed, and a missing one until it was delivered again', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    await say(event(job.id, 'delivered').token);
    await job.until('delivered');
    const receipt = { digest: peer.SOURCE.digest, bytes: 77 };
    const results = (outcome: string) =>
      rig.on(CONTROL).filter((token) => payloadOf(token).ack?.result?.outcome === outcome);
    const missing = dispatcher.ackResult(job.id, { ...receipt, outcome: 'missing' });
    await rig.until(() => results('missing').length >= 2);
    await say(event(job.id, 'delivered').token);
    assert.equal((await missing).payload.type, 'delivered');
    const stored = dispatcher.ackResult(job.id, { ...receipt, outcome: 'stored' });
    await rig.until(() => results('stored').length >= 2);
    assert.deepEqual(payloadOf(results('stored')[0]!).ack, {
      events: [],
      result: { job: job.id, ...receipt, outcome: 'stored' },
    });
    await say(event(job.id, 'closed').token);
    assert.equal((await stored).payload.type, 'closed');
  });

  it('hears what was said while it was away', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    await rig.until(() => rig.on(OFFER).length > 0);
    await dispatcher.stop();
    await assert.rejects(job.verdict, { code: 'bounce.timeout' });
    await say(event(job.id, 'accepted').token);
    dispatcher = await started(); // a new process
    const followed = dispatcher.follow(job.id);
    await say(event(job.id, 'closed').token);
    assert.equal((await followed.final).payload.type, 'closed');
  });

  it('goes on after the broker was away', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB });
    await broker.stop();
    await broker.start();
    rig.received.length = 0;
    await rig.until(() => rig.on(OFFER).length > 0); // offered again
    await say(event(job.id, 'accepted').token);
    assert.equal((await job.verdict).payload.type, 'accepted');
  });

  it('gives up when the token has expired', async () => {
    const job = await dispatcher.offer({ id: dispatcher.newJobId(), job: JOB, lifetimeSeconds: 1 });
    await assert.rejects(job.verdict, { code: 'bounce.timeout' });
    await assert.rejects(job.final, { code: 'bounce.timeout' });
  });
});
