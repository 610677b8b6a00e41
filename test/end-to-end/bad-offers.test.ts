/** Offers that are wrong: each has a code of its own, an event where the sender is known, a counter where he is not, and no effect. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { generateSigningKey, generateWrappingKey, loadSigner } from '../../certs/keys.js';
import { identityFromRaw } from '../../certs/sealing.js';
import type { SealedSource } from '../../client/source.js';
import { canonicalBytes } from '../../core/canonical.js';
import type { Source, SourceFormat } from '../../core/contract/index.js';
import type { ErrorCode } from '../../core/error-codes.js';
import { nowSeconds } from '../../core/units.js';
import { Forger, type GrantParts, type OfferParts } from '../peers/forgery.js';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { RawDispatcher, waitingDocuments, watchAlerts } from '../peers/raw-client.js';
import { VOICE } from '../peers/recordings.js';
import { Stack, until } from '../peers/stack.js';

describe('offers that are wrong', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => cleanUp.unshift(fn) };
  let stack: Stack;
  let sealed: SealedSource;
  let forger: Forger;
  let client: RawDispatcher;

  before(async () => {
    stack = await Stack.make(suite);
    await stack.startRig();
    await stack.startCourier();
    sealed = await storedSource(suite, stack, VOICE);
    forger = new Forger(stack, sealed);
    client = await RawDispatcher.connect(stack);
    // Nobody here offers twice: until the courier has subscribed, the broker keeps nothing for it.
    await until(async () => (await stack.status()).link?.broker === 'connected');
  });
  after(async () => {
    await client.close();
    for (const fn of cleanUp) await fn();
  });

  const withGrant = async (id: string, parts: GrantParts): Promise<OfferParts> => ({
    job: { grant: await forger.grant(id, parts) },
  });
  const withSource = (change: { format?: Partial<SourceFormat> } & Partial<Omit<Source, 'format'>>): Source => ({
    ...sealed.source,
    ...change,
    format: { ...sealed.source.format, ...change.format },
  });

  /** One event, `refused`, with the code, what to do, and the details. */
  async function refused(id: string, token: string, code: ErrorCode, details: Record<string, unknown>): Promise<void> {
    await client.offer(token);
    const event = await client.verdict(id);
    assert.equal(event.type, 'refused', stack.logs());
    assert.equal(event.problem?.code, code, event.problem?.message);
    assert.ok(event.problem.advice.length > 10);
    const told = event.problem.details ?? {};
    assert.equal('authenticated' in told, false);
    for (const [key, value] of Object.entries(details))
      if (value instanceof RegExp) assert.match(String(told[key]), value);
      else assert.deepEqual(told[key], value, JSON.stringify(told));
    assert.equal(client.of(id).length, 1);
    // The rig's own word about it is the same.
    const known = (await stack.status()).jobs.find((job) => job.job === id);
    assert.equal(known?.state, 'refused');
    assert.equal(known.problem?.code, code);
  }

  /** A counter goes up by one; no event, no entry of the audit log, no job. */
  async function discarded(id: string, token: string, code: ErrorCode): Promise<void> {
    const counter = `discarded.${code}`;
    const beforehand = await stack.status();
    const eventsBefore = client.events.length;
    await client.offer(token);
    const want = (beforehand.counters[counter] ?? 0) + 1;
    await until(async () => (await stack.status()).counters[counter] === want, 15_000, `${counter} to be ${want}`);
    const afterwards = await stack.status();
    assert.equal(afterwards.state.audit.seq, beforehand.state.audit.seq);
    assert.deepEqual(
      afterwards.jobs.filter((job) => job.job === id),
      [],
    );
    assert.equal(await waitingDocuments(stack), 0, 'nothing was put into the outbox');
    assert.equal(client.events.length, eventsBefore);
  }

  type Maker = OfferParts | ((id: string) => OfferParts | Promise<OfferParts>);
  const offerOf = async (id: string, parts: Maker) =>
    await forger.offer(id, typeof parts === 'function' ? await parts(id) : parts);

  const stranger = async () => await loadSigner('dispatcher.main', await generateSigningKey());
  const pad = 'x'.repeat(33 * 1024);
  const twice = (payload: object) => JSON.stringify(payload).replace('"aud":', '"aud":"rig-02","aud":');

  const UNKNOWN_SENDER: [string, ErrorCode, Maker][] = [
    [
      'a signature of another key under the kid',
      'envelope.signature',
      async () => ({ signer: { ...(await stranger()), kid: stack.parties.dispatcher.kid } }),
    ],
    ["a stranger's key", 'envelope.unknown-key', async () => ({ signer: await stranger() })],
    [
      "a keeper's key under a job",
      'envelope.role',
      () => ({ signer: stack.parties.keeper, claims: { iss: stack.parties.keeper.name } }),
    ],
    ['the typ of a cancel', 'envelope.typ', { header: { typ: 'outboard-cancel+jws' } }],
    ['a typ that is none of ours', 'envelope.typ', { header: { typ: 'JWT' } }],
    ['another name of the algorithm', 'envelope.header', { header: { alg: 'Ed25519' } }],
    [
      'a header with a key in it',
      'envelope.header',
      { header: { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } } },
    ],
    ['33 KiB', 'envelope.too-large', { job: { pad } }],
  ];
  for (const [what, code, parts] of UNKNOWN_SENDER)
    it(`${what}: only ${code} is counted`, async () => {
      const id = randomUUID();
      await discarded(id, await offerOf(id, parts), code);
    });

  it('alg none, half a token, no token at all: only counted', async () => {
    const id = randomUUID();
    const [, payload, signature] = (await forger.offer(id)).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'outboard-job+jws', kid: 'A'.repeat(43) }));
    await discarded(id, `${none.toString('base64url')}.${payload}.${signature}`, 'envelope.header');
    await discarded(id, `${none.toString('base64url')}.${payload}.`, 'envelope.malformed');
    await discarded(id, `${payload}.${signature}`, 'envelope.malformed');
    await discarded(id, '{"job": "please"}', 'envelope.malformed');
  });

  const KNOWN_SENDER: [string, ErrorCode, Maker, Record<string, unknown>?][] = [
    ['another audience', 'envelope.audience', { claims: { aud: 'rig-02' } }],
    ["another dispatcher's name", 'envelope.issuer', { claims: { iss: 'dispatcher.other' } }],
    ['expired', 'envelope.expired', () => ({ claims: { iat: nowSeconds() - 100, exp: nowSeconds() - 1 } })],
    ['not yet valid by nbf', 'envelope.not-yet-valid', () => ({ claims: { nbf: nowSeconds() + 300 } })],
    ['signed in the future', 'envelope.not-yet-valid', () => ({ claims: { iat: nowSeconds() + 300 } })],
    ['living for more than a week', 'envelope.lifetime', () => ({ claims: { exp: nowSeconds() + 8 * 86_400 } })],
    ['JSON with spaces', 'envelope.not-canonical', { text: (payload) => JSON.stringify(payload, null, 1) }],
    ['JSON with a key twice', 'envelope.not-canonical', { text: twice }],
    ['an unknown field', 'envelope.schema', { job: { urgent: true } }, { path: 'job.urgent' }],
    ['an unknown kind of job', 'envelope.schema', { job: { kind: 'stem' } }, { path: 'job.kind' }],
    [
      'an unknown verify',
      'envelope.schema',
      () => ({ job: { chain: [{ ...link('gain-m', {}), verify: 'maybe' }] } }),
      { path: 'job.chain.0.verify' },
    ],
    ['no grant', 'grant.missing', () => ({ text: withoutGrant }), { path: 'job.grant' }],
    [
      'a grant for another rig',
      'envelope.audience',
      (id) => withGrant(id, { claims: { aud: 'rig-02' }, binding: { rig: 'rig-02' } }),
      { path: 'grant' },
    ],
    [
      'a grant for another job',
      'grant.mismatch',
      (id) => withGrant(id, { claims: { job: randomUUID() } }),
      { path: 'grant.job' },
    ],
    [
      'a grant for another dispatcher',
      'grant.mismatch',
      (id) => withGrant(id, { claims: { dispatcher: 'dispatcher.other' } }),
      { path: 'grant.dispatcher' },
    ],
    [
      'a grant that a dispatcher signed',
      'envelope.role',
      (id) => withGrant(id, { signer: stack.parties.dispatcher }),
      { path: 'grant' },
    ],
    [
      'a grant that a stranger signed',
      'envelope.unknown-key',
      async (id) => withGrant(id, { signer: await stranger() }),
      { path: 'grant' },
    ],
    [
      'a grant that has expired',
      'envelope.expired',
      (id) => withGrant(id, { claims: { iat: nowSeconds() - 100, exp: nowSeconds() - 1 } }),
      { path: 'grant' },
    ],
    [
      'a key that was wrapped for another source',
      'grant.binding',
      (id) => withGrant(id, { binding: { source: withSource({ bytes: 1 }) } }),
    ],
    ['a key that was wrapped for another rig', 'grant.binding', (id) => withGrant(id, { binding: { rig: 'rig-02' } })],
    [
      'a key that was wrapped for other recipients',
      'grant.binding',
      (id) => withGrant(id, { binding: { recipients: [sealed.recipient] } }),
    ],
    [
      'a key that was wrapped to another rig',
      'grant.key',
      async (id) => withGrant(id, { wrappingKey: await generateWrappingKey() }),
    ],
    [
      'a recipient that is an SSH key',
      'envelope.schema',
      (id) => withGrant(id, { claims: { recipients: ['ssh-ed25519 AAAA'] } }),
      { path: 'grant.recipients.0' },
    ],
    [
      'a recipient with a wrong checksum',
      'grant.recipient',
      (id) =>
        withGrant(id, {
          claims: {
            recipients: [
              `${stack.parties.tenant.recipients[0]!.slice(0, -1)}${stack.parties.tenant.recipients[0]!.endsWith('q') ? 'p' : 'q'}`,
            ],
          },
        }),
    ],
    [
      'a setting out of range',
      'job.setting',
      { job: { chain: [link('gain-m', { gain: 99 })] } },
      { path: 'job.chain[0].settings.gain', value: 99, range: /24/ },
    ],
    [
      'an unknown setting',
      'job.setting',
      { job: { chain: [link('gain-m', { warmth: 11 })] } },
      { path: 'job.chain[0].settings.warmth', value: 11, range: /gain/ },
    ],
    [
      'an unknown processor',
      'job.processor',
      { job: { chain: [link('fairchild', {})] } },
      { path: 'job.chain[0].processor', value: 'fairchild' },
    ],
    [
      'a mono source into a stereo insert',
      'chain.width',
      { job: { chain: [link('gain-1', {})] } },
      { insertChannels: 2, sourceChannels: 1 },
    ],
    [
      'an insert twice',
      'chain.insert',
      { job: { chain: [link('gain-m', {}), link('gain-m', {})] } },
      { path: 'job.chain[1].processor' },
    ],
    [
      'a rate that the interface does not run',
      'interface.rate',
      (id) => withGrant(id, { claims: { source: withSource({ format: { rate: 22_050 } }) } }),
      { value: 22_050 },
    ],
    [
      'a region outside the source',
      'job.region',
      () => ({ job: { region: { start: sealed.source.format.frames, frames: 1 } } }),
      { path: 'job.region' },
    ],
    ['a tail over the limit', 'job.limit', { job: { tail: 61 } }, { path: 'job.tail', value: 61, allowed: 60 }],
    [
      'more drive than the contract has',
      'envelope.schema',
      { job: { chain: [link('gain-m', {}, { driveDb: 25 })] } },
      { path: 'job.chain.0.driveDb' },
    ],
  ];
  for (const [what, code, parts, details] of KNOWN_SENDER)
    it(`${what}: refused with ${code}`, async () => {
      const id = randomUUID();
      await refused(id, await offerOf(id, parts), code, details ?? {});
    });

  it('startBy in the past: accepted, and expired at once', async () => {
    const id = randomUUID();
    await client.offer(await forger.offer(id, { job: { startBy: nowSeconds() - 10 } }));
    const event = await client.event(id, 'expired');
    assert.equal(event.problem?.code, 'job.expired');
    assert.deepEqual(
      client
        .of(id)
        .map(({ type }) => type)
        .filter((type) => type !== 'ready'),
      ['accepted', 'expired'],
    );
  });

  it('a jti again: with the same payload the last event comes again, with another one an alert goes out', async () => {
    const { alerts, close } = await watchAlerts(stack);
    // Its source is not in the store yet, so that the job stays where it is.
    const digest = `sha256:${randomUUID().replaceAll('-', '').repeat(2)}`;
    const id = randomUUID();
    const grant = await forger.grant(id, { claims: { source: withSource({ digest }) } });
    const token = await forger.offer(id, { job: { grant } });
    await client.offer(token);
    const accepted = await client.event(id, 'accepted');
    await client.until(async () => (await waitingDocuments(stack)) === 0, 'the acknowledgement to arrive');

    await client.offer(token);
    await client.until(() => client.of(id).length === 2, 'the event again');
    assert.deepEqual(client.of(id)[1], accepted);
    await client.until(async () => (await waitingDocuments(stack)) === 0, 'the acknowledgement to arrive');

    await client.offer(await forger.offer(id, { job: { grant, tail: 1 } }));
    await client.until(() => alerts.length > 0, 'an alert');
    assert.equal(alerts[0]!.alert.severity, 'critical');
    assert.equal(alerts[0]!.alert.problem.code, 'envelope.replayed');
    assert.match(alerts[0]!.alert.problem.message, new RegExp(id));
    // The second payload was not taken: what is said is still about the first, which goes its own way.
    await client.until(() => client.of(id).length === 3, 'the event that stands');
    assert.deepEqual(client.of(id)[2], accepted);
    assert.equal((await stack.status()).jobs.find(({ job }) => job === id)?.state, 'accepted');
    await client.control({ cancel: { job: id } });
    assert.equal((await client.event(id, 'cancelled')).problem?.code, 'job.cancelled');
    await close();
  });

  it('a cancel before its offer: the offer is answered with cancelled', async () => {
    const id = randomUUID();
    const { controls = 0 } = (await stack.status()).counters;
    await client.control({ cancel: { job: id } });
    await client.until(async () => (await stack.status()).counters['controls']! > controls, 'the cancel to arrive');
    await client.offer(await forger.offer(id));
    const event = await client.verdict(id);
    assert.equal(event.type, 'cancelled');
    assert.equal(event.problem?.code, 'job.cancelled');
    assert.deepEqual(client.of(id), [event]);
  });

  it('a cancel after the take was sealed: too-late, and the result is delivered all the same', async () => {
    const id = randomUUID();
    await client.offer(await forger.offer(id));
    const { certificate } = await client.event(id, 'sealed');
    await client.control({ cancel: { job: id } });
    assert.equal((await client.event(id, 'too-late')).problem?.code, 'job.too-late');
    await client.event(id, 'delivered');
    const { digest, bytes } = certificate!.result;
    assert.equal(stack.store.blobs.get(digest)?.length, bytes);
    await client.control({ ack: { events: [], result: { job: id, outcome: 'stored', digest, bytes } } });
    await client.event(id, 'closed');
  });

  it('a retained offer: refused with envelope.retained, and never taken however often it comes again', async () => {
    const id = randomUUID();
    await client.offer(await forger.offer(id), true);
    const event = await client.verdict(id);
    assert.equal(event.type, 'refused');
    assert.equal(event.problem?.code, 'envelope.retained');
    await client.until(async () => (await waitingDocuments(stack)) === 0, 'the acknowledgement to arrive');
    // It still lies there for a courier that connects.
    await stack.courier!.end();
    await stack.startCourier();
    await client.until(() => client.of(id).length === 2, 'the same answer again');
    await client.offer('', true); // takes it away
    assert.deepEqual(client.of(id), [event, event]);
    assert.equal((await stack.status()).jobs.find(({ job }) => job === id)?.state, 'refused');
  });

  it('and a good job goes through afterwards, with no secret in any log', async () => {
    await client.close();
    const dispatcher = await stack.dispatcher();
    const job = await offerJob(stack, dispatcher, sealed);
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', JSON.stringify(final.payload.problem));
    assert.equal(stack.logs().includes(identityFromRaw(sealed.raw)), false);
    assert.equal(stack.rig!.over || stack.courier!.over, false);
  });
});

function withoutGrant(payload: object): string {
  const { grant: _, ...job } = (payload as { job: Record<string, unknown> }).job;
  return new TextDecoder().decode(canonicalBytes({ ...payload, job }));
}
