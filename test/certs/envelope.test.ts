import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  authenticatedSender,
  type EnvelopePurpose,
  signEnvelope,
  type VerifyOptions,
  verifyEnvelope,
} from '../../certs/envelope.js';
import { loadSigner } from '../../certs/keys.js';
import type { ErrorCode } from '../../core/error-codes.js';
import { OutboardError } from '../../core/errors.js';
import {
  b64,
  bundle,
  DAY,
  digestOf,
  jobBody,
  json,
  listed,
  NOW,
  party,
  RECIPIENT,
  RIG,
  request,
  SOURCE,
  signature,
  token,
} from './peer.js';

const dispatcher = party('dispatcher.label', 'dispatcher');
const keeper = party('keeper.vault', 'keeper');
const technician = party('technician.ann', 'technician');
const monitor = party('monitor.wall', 'monitor');
const rig = party(RIG, 'rig');
const rigWrap = party(RIG, 'rig', 'X25519');
const stranger = party('dispatcher.label', 'dispatcher');
const all = [dispatcher, keeper, technician, monitor, rig, rigWrap];
const trust = await bundle(all.map((p) => listed(p)));

type Refusal = { code: ErrorCode; error: OutboardError };

async function refusal(
  text: string | Uint8Array,
  purposes: EnvelopePurpose[] = ['job'],
  o: Partial<VerifyOptions> = {},
): Promise<Refusal> {
  try {
    await verifyEnvelope(text, purposes, { trust, now: NOW, aud: RIG, ...o });
  } catch (error) {
    assert.ok(error instanceof OutboardError, `not an OutboardError: ${String(error)}`);
    return { code: error.code, error };
  }
  assert.fail('the token was taken');
}

async function refused(
  code: ErrorCode,
  text: string | Uint8Array,
  ...rest: [EnvelopePurpose[]?, Partial<VerifyOptions>?]
) {
  const { code: actual, error } = await refusal(text, ...rest);
  assert.equal(actual, code, error.message);
  return error;
}

const goodJob = () => request(dispatcher, jobBody());

test('a job by somebody else is taken, with what a replay is compared by', async () => {
  const payload = goodJob();
  const text = token(dispatcher, 'job', payload);
  const verified = await verifyEnvelope(text, ['cancel', 'job'], { trust, now: NOW, aud: RIG });
  assert.equal(verified.purpose, 'job');
  assert.deepEqual(verified.payload, payload);
  assert.equal(verified.signer.name, 'dispatcher.label');
  assert.equal(verified.payloadDigest, digestOf(json(payload)));
  assert.equal(verified.token, text);
  const bytes = await verifyEnvelope(Buffer.from(text), ['job'], { trust, now: NOW, aud: RIG });
  assert.equal(bytes.payload.job.chain[0]!.processor, 'eq-1');
});

test('every purpose is signed by its role and by no other', async () => {
  const grant = {
    dispatcher: 'dispatcher.label',
    job: randomUUID(),
    tenant: 'tenant-0001',
    source: SOURCE,
    recipients: [RECIPIENT],
    key: 'a.b.c.d.e',
  };
  const session = { nonce: 'A'.repeat(43), action: 'maintenance.enter', reason: 'calibration', seconds: 60 };
  const event = (p: typeof rig) => ({
    iss: p.name,
    aud: 'dispatcher.label',
    jti: randomUUID(),
    iat: NOW,
    job: randomUUID(),
    type: 'accepted',
  });
  const alert = (p: typeof rig) => ({
    iss: p.name,
    iat: NOW,
    jti: randomUUID(),
    alert: { severity: 'critical', problem: { code: 'x', message: 'm', advice: 'a' } },
  });
  const cases: [EnvelopePurpose, typeof rig, (p: typeof rig) => unknown][] = [
    ['job', dispatcher, (p) => request(p, jobBody())],
    ['cancel', dispatcher, (p) => request(p, { cancel: { job: randomUUID() } })],
    ['ack', dispatcher, (p) => request(p, { ack: { events: [randomUUID()] } })],
    ['grant', keeper, (p) => request(p, grant)],
    ['session', technician, (p) => request(p, { session })],
    ['event', rig, event],
    ['state', rig, alert],
  ];
  for (const [purpose, right, make] of cases) {
    const aud = purpose === 'event' ? 'dispatcher.label' : RIG;
    const good = await verifyEnvelope(token(right, purpose, make(right)), [purpose], { trust, now: NOW, aud });
    assert.equal(good.purpose, purpose);
    for (const wrong of all.filter((p) => p.role !== right.role && p.crv === 'Ed25519')) {
      const error = await refused('envelope.role', token(wrong, purpose, make(wrong)), [purpose], { aud });
      assert.equal(authenticatedSender(error), null, 'a key of another role is no sender to answer');
    }
  }
});

test('state, health and alert share a purpose and are told apart by what they carry', async () => {
  const health = {
    iss: RIG,
    iat: NOW,
    seq: 1,
    ttl: 90,
    health: { subsystem: 'host', status: 'ok', checks: [] },
  };
  const verified = await verifyEnvelope(token(rig, 'state', health), ['state'], { trust, now: NOW });
  assert.deepEqual(verified.payload, health);
  const error = await refused('envelope.schema', token(rig, 'state', { ...health, seq: 0 }), ['state']);
  assert.equal(error.details['path'], 'seq');
});

test('the protected header is exactly {alg, typ, kid}', async () => {
  const head = { alg: 'EdDSA', typ: 'outboard-job+jws', kid: dispatcher.kid };
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: dispatcher.x };
  for (const extra of [
    { crit: ['b64'] },
    { b64: false, crit: ['b64'] },
    { jku: 'https://attacker.example/keys' },
    { jwk },
    { x5u: 'https://attacker.example/cert' },
    { x5c: ['MII'] },
    { cty: 'json' },
    { exp: 1 },
  ]) {
    const error = await refused(
      'envelope.header',
      token(dispatcher, 'job', goodJob(), { header: { ...head, ...extra } }),
    );
    const name = Object.keys(extra)[0]!;
    if (!['cty', 'exp'].includes(name)) assert.match(error.message, new RegExp(name === 'b64' ? 'b64|crit' : name));
  }
  for (const missing of ['alg', 'typ', 'kid']) {
    const header = Object.fromEntries(Object.entries(head).filter(([key]) => key !== missing));
    await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header }));
  }
  for (const alg of ['none', 'HS256', 'ES256', 'Ed25519', 'eddsa', 7])
    await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header: { ...head, alg } }));
  for (const kid of ['', 'short', `${dispatcher.kid}=`, 4])
    await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header: { ...head, kid } }));
  const twice = `{"alg":"none","alg":"EdDSA","typ":"outboard-job+jws","kid":"${dispatcher.kid}"}`;
  await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header: twice }));
  const escaped = `{"\\u0061lg":"EdDSA","typ":"outboard-job+jws","kid":"${dispatcher.kid}"}`;
  await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header: escaped }));
  await refused('envelope.malformed', token(dispatcher, 'job', goodJob(), { header: '["EdDSA"]' }));
  await refused('envelope.header', token(dispatcher, 'job', goodJob(), { header: '[['.repeat(2000) }));
  // Order and white space are the sender's own.
  const spaced = `{ "kid": "${dispatcher.kid}",\n "typ": "outboard-job+jws", "alg": "EdDSA" }`;
  await verifyEnvelope(token(dispatcher, 'job', goodJob(), { header: spaced }), ['job'], { trust, now: NOW, aud: RIG });
});

test('typ: an unknown one, and one that is not expected here', async () => {
  for (const typ of ['JWT', 'outboard-job', 'outboard-config+jws', 'application/outboard-job+jws', 3])
    await refused(
      'envelope.typ',
      token(dispatcher, 'job', goodJob(), { header: { alg: 'EdDSA', typ, kid: dispatcher.kid } }),
    );
  await refused('envelope.typ', token(dispatcher, 'cancel', request(dispatcher, { cancel: { job: randomUUID() } })));
  await refused('envelope.typ', token(dispatcher, 'trust', goodJob()));
});

test('a token over 32 KiB is refused before anything is decoded', async () => {
  await refused('envelope.too-large', '.'.repeat(32 * 1024 + 1));
  await refused('envelope.too-large', Buffer.alloc(33 * 1024, 0xff));
  const fits = goodJob();
  const big = token(dispatcher, 'job', { ...fits, pad: 'x'.repeat(24_300 - json(fits).length) });
  assert.ok(big.length <= 32 * 1024 && big.length > 32_000);
  await refused('envelope.schema', big);
});

test('what is no compact JWS is malformed', async () => {
  const good = token(dispatcher, 'job', goodJob());
  const [h, p, s] = good.split('.') as [string, string, string];
  for (const text of [
    '',
    '.',
    '..',
    `${h}.${p}`,
    `${h}.${p}.`,
    `${h}..${s}`,
    `${good}.${s}`,
    `${good}\n`,
    ` ${good}`,
    `${h}.${p}.${s}=`,
  ])
    await refused('envelope.malformed', text);
  // The last character of a 64-byte signature has four bits to spare.
  const other = ['A', 'Q', 'g', 'w'].map((c) => s.slice(0, -1) + c).find((c) => c !== s)!;
  await refused('envelope.signature', `${h}.${p}.${other}`);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const spare = alphabet[alphabet.indexOf(s.at(-1)!) + 1]!;
  await refused('envelope.malformed', `${h}.${p}.${s.slice(0, -1)}${spare}`);
});

test('a wrong signature, an unknown key, a stranger under a known name', async () => {
  const good = token(dispatcher, 'job', goodJob());
  const [h, , s] = good.split('.') as [string, string, string];
  const forged = await refused('envelope.signature', `${h}.${b64(json(goodJob()))}.${s}`);
  assert.equal(authenticatedSender(forged), null);
  await refused('envelope.unknown-key', token(stranger, 'job', goodJob()));
  await refused('envelope.signature', token(stranger, 'job', goodJob(), { kid: dispatcher.kid }));
  await refused('envelope.role', token(dispatcher, 'job', goodJob(), { kid: rigWrap.kid }));
});

test('a payload in another spelling than RFC 8785 is refused, and its sender is told', async () => {
  const payload = goodJob();
  const canonical = json(payload);
  const pretty = JSON.stringify(payload, null, 1);
  const reordered = JSON.stringify(Object.fromEntries(Object.entries(payload).reverse()));
  const twice = canonical.replace('{', `{"aud":"rig-99",`);
  const number = canonical.replace('"tail":0.5', '"tail":5e-1');
  const escaped = canonical.replace('"bounce"', '"\\u0062ounce"');
  const bom = `\uFEFF${canonical}`;
  for (const text of [pretty, reordered, twice, number, escaped, `${canonical}\n`]) {
    assert.notEqual(text, canonical);
    const error = await refused('envelope.not-canonical', token(dispatcher, 'job', text));
    assert.deepEqual(authenticatedSender(error), { iss: dispatcher.name, kid: dispatcher.kid, jti: payload['jti'] });
  }
  await refused('envelope.malformed', token(dispatcher, 'job', bom));
  await refused('envelope.not-canonical', token(dispatcher, 'job', canonical.replace('"tail":0.5', '"tail":1e999')));
  await refused('envelope.not-canonical', token(dispatcher, 'job', canonical.replace('"bounce"', '"\\ud800"')));
});

test('JSON that is none, or that is nested to the bottom, is refused and crashes nothing', async () => {
  for (const text of ['', 'null', '"text"', '[]', '{', 'nul', '{"a":1}{']) {
    const { code } = await refusal(token(dispatcher, 'job', text === '' ? ' ' : text));
    assert.ok(['envelope.malformed', 'envelope.schema'].includes(code), code);
  }
  for (const deep of ['['.repeat(24_000), `${'['.repeat(12_000)}${']'.repeat(12_000)}`, '{"a":'.repeat(4800)])
    assert.match((await refused('envelope.malformed', token(dispatcher, 'job', deep))).message, /nested deeper/);
  const input = `${b64(JSON.stringify({ alg: 'EdDSA', typ: 'outboard-job+jws', kid: dispatcher.kid }))}.${b64(Buffer.from([0x22, 0xff, 0x22]))}`;
  await refused('envelope.malformed', `${input}.${signature(input, dispatcher.key)}`);
});

test('a key named __proto__ is not passed over', async () => {
  const payload = goodJob();
  const text = json(payload).replace('"settings":{', '"settings":{"__proto__":1,');
  await refused('envelope.malformed', token(dispatcher, 'job', text));
});

test('the schema is strict, and names the path', async () => {
  const cases: [object, string][] = [
    [{ ...goodJob(), note: 'x' }, 'note'],
    [request(dispatcher, jobBody({ tail: -1 })), 'job.tail'],
    [request(dispatcher, jobBody({ tail: undefined })), 'job.tail'],
    [
      request(dispatcher, jobBody({ chain: [{ processor: 'eq-1', settings: { gain: null }, verify: 'required' }] })),
      'job.chain.0.settings.gain',
    ],
    [
      request(dispatcher, jobBody({ chain: [{ processor: 'eq-1', settings: {}, verify: 'required', route: 3 }] })),
      'job.chain.0.route',
    ],
    [request(dispatcher, jobBody(), { aud: [RIG] }), 'aud'],
    [request(dispatcher, jobBody(), { exp: undefined }), 'exp'],
    [request(dispatcher, jobBody(), { exp: 1e308 }), 'exp'],
    [request(dispatcher, jobBody(), { iat: NOW + 0.5 }), 'iat'],
  ];
  for (const [payload, path] of cases) {
    const error = await refused('envelope.schema', token(dispatcher, 'job', payload));
    assert.equal(error.details['path'], path);
    assert.match(error.message, new RegExp(`^${path.replaceAll('.', '\\.')}: `));
    assert.equal(authenticatedSender(error)?.iss, dispatcher.name);
  }
});

test('a job without a grant has a code of its own', async () => {
  const payload = request(dispatcher, jobBody({ grant: undefined }));
  const error = await refused('grant.missing', token(dispatcher, 'job', payload));
  assert.deepEqual(authenticatedSender(error), { iss: dispatcher.name, kid: dispatcher.kid, jti: payload['jti'] });
});

test('iss is the name that the bundle gives to the key', async () => {
  const error = await refused('envelope.issuer', token(dispatcher, 'job', { ...goodJob(), iss: 'dispatcher.other' }));
  assert.equal(authenticatedSender(error)?.iss, 'dispatcher.label');
});

test('aud is us; without a name of ours a request is refused', async () => {
  await refused('envelope.audience', token(dispatcher, 'job', { ...goodJob(), aud: 'rig-02' }));
  await refused('envelope.audience', token(dispatcher, 'job', goodJob()), ['job'], { aud: undefined } as never);
  const event = { iss: RIG, aud: 'dispatcher.b', jti: randomUUID(), iat: NOW, job: randomUUID(), type: 'ready' };
  await refused('envelope.audience', token(rig, 'event', event), ['event'], { aud: 'dispatcher.label' });
});

test('times: iat ahead, lifetime, exp, nbf, epoch', async () => {
  const at = (o: object) => token(dispatcher, 'job', request(dispatcher, jobBody(), o));
  const taken = (text: string, o: Partial<VerifyOptions> = {}) =>
    verifyEnvelope(text, ['job'], { trust, now: NOW, aud: RIG, ...o });
  await taken(at({ iat: NOW + 60 }));
  await refused('envelope.not-yet-valid', at({ iat: NOW + 61 }));
  await taken(at({ iat: NOW - 1, exp: NOW - 1 + 7 * DAY }));
  await refused('envelope.lifetime', at({ iat: NOW, exp: NOW + 7 * DAY + 1 }));
  await refused('envelope.lifetime', at({ iat: NOW, exp: NOW }));
  await refused('envelope.lifetime', at({ iat: NOW + 10, exp: NOW + 5 }));
  await taken(at({ iat: NOW - 10, exp: NOW + 1 }));
  const expired = await refused('envelope.expired', at({ iat: NOW - 10, exp: NOW }));
  assert.equal(authenticatedSender(expired)?.iss, dispatcher.name);
  await taken(at({ nbf: NOW }));
  await refused('envelope.not-yet-valid', at({ nbf: NOW + 1 }));
  await taken(at({ iat: NOW - 5 }), { minIat: NOW - 5 });
  await refused('rig.epoch', at({ iat: NOW - 6 }), ['job'], { minIat: NOW - 5 });
  // A stored token, looked at again.
  await taken(at({ iat: NOW - 10, exp: NOW - 5 }), { expiry: false });
  await refused('envelope.lifetime', at({ iat: NOW, exp: NOW + 8 * DAY }), ['job'], { expiry: false });
});

test('keys: revoked, not yet valid, expired, also for a stored token', async () => {
  const text = token(dispatcher, 'job', goodJob());
  const revoked = await bundle([listed(dispatcher)], { revoked: [dispatcher.kid] });
  const early = await bundle([listed(dispatcher, { nbf: NOW + 1 })]);
  const late = await bundle([listed(dispatcher, { exp: NOW })]);
  for (const expiry of [true, false]) {
    await refused('envelope.revoked', text, ['job'], { trust: revoked, expiry });
    await refused('envelope.not-yet-valid', text, ['job'], { trust: early, expiry });
    await refused('envelope.expired', text, ['job'], { trust: late, expiry });
  }
});

test('an expired bundle stops new jobs and not the end of old ones', async () => {
  const short = await bundle([listed(dispatcher)], { exp: NOW + 10 });
  const later = { trust: short, now: NOW + 10 };
  await refused('trust.expired', token(dispatcher, 'job', goodJob()), ['job'], later);
  const ack = token(dispatcher, 'ack', request(dispatcher, { ack: { events: [randomUUID()] } }));
  await verifyEnvelope(ack, ['ack'], { ...later, aud: RIG });
  await verifyEnvelope(token(dispatcher, 'job', goodJob()), ['job'], { ...later, aud: RIG, expiry: false });
});

test('a clock that is earlier than the bundle stops new jobs', async () => {
  const now = trust.payload.iat - 1;
  const text = token(dispatcher, 'job', request(dispatcher, jobBody(), { iat: now }));
  await refused('trust.clock', text, ['job'], { now });
});

test('what we sign is taken by us, and its bytes are those that others would sign', async () => {
  const signer = await loadSigner(dispatcher.name, dispatcher.jwk);
  assert.equal(signer.kid, dispatcher.kid);
  assert.equal(signer.privateKey.extractable, false);
  const payload = goodJob();
  const ours = await signer.sign('job', payload);
  assert.equal(ours.split('.')[1], b64(json(payload)));
  // Ed25519 is deterministic: with the same header it is the same token (RFC 8032 section 5.1.6).
  const header = Buffer.from(ours.split('.')[0]!, 'base64url').toString();
  assert.equal(ours, token(dispatcher, 'job', payload, { header }));
  await assert.rejects(signer.sign('job', { ...payload, iss: 'x' }), { code: 'envelope.issuer' });
  await assert.rejects(loadSigner('x', rigWrap.jwk), { code: 'config.key' });
  const key = { kid: signer.kid, privateKey: signer.privateKey };
  await assert.rejects(signEnvelope('job', { a: 'x'.repeat(33_000) }, key), { code: 'envelope.too-large' });
  await assert.rejects(signEnvelope('job', { a: '\ud800' }, key), { code: 'envelope.not-canonical' });
});

test('no mutation of a token verifies or throws anything but an OutboardError', async () => {
  const good = token(dispatcher, 'job', goodJob());
  const options = { trust, now: NOW, aud: RIG };
  const attempt = async (text: string | Uint8Array) => {
    try {
      await verifyEnvelope(text, ['job'], options);
      return 'taken';
    } catch (error) {
      assert.ok(error instanceof OutboardError, String(error));
      assert.notEqual(error.code, 'internal');
      return error.code;
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const bytes = Buffer.from(good);
      bytes[at] = bytes[at]! ^ flip;
      assert.notEqual(await attempt(bytes), 'taken');
    }),
    { numRuns: 400 },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length), fc.nat(40), fc.string(), async (at, remove, insert) => {
      const text = good.slice(0, at) + insert + good.slice(at + remove);
      if (text !== good) assert.notEqual(await attempt(text), 'taken');
    }),
    { numRuns: 200 },
  );
  // Signed by the right key, and still only good when it is a good job.
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 8 }), async (text) => {
      assert.notEqual(await attempt(token(dispatcher, 'job', text)), 'taken');
    }),
    { numRuns: 200 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      assert.notEqual(await attempt(bytes), 'taken');
      assert.notEqual(await attempt(token(dispatcher, 'job', Buffer.from(bytes).toString('latin1'))), 'taken');
    }),
    { numRuns: 100 },
  );
  assert.equal(await attempt(good), 'taken');
});
