import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { restoreTrust, signTrust, TrustBundle, verifyTrust } from '../../certs/trust-bundle.js';
import { OutboardError } from '../../core/errors.js';
import {
  b64,
  bundle,
  DAY,
  json,
  listed,
  NOW,
  party,
  RIG,
  root,
  roots,
  rootsOf,
  trustDocument,
  trustPayload,
} from './peer.js';

const dispatcher = party('dispatcher.label', 'dispatcher');
const rig = party(RIG, 'rig');
const [r1, r2, r3, r4] = ['a', 'b', 'c', 'd'].map((name) => party(name, 'keeper')) as [
  typeof root,
  ...(typeof root)[],
] & {
  length: 4;
};
const two = rootsOf(2, r1, r2!, r3!);
const keys = [listed(dispatcher), listed(rig)];

test('a threshold of distinct pinned root keys signs one payload', async () => {
  const payload = trustPayload(keys);
  const good = await verifyTrust(trustDocument(payload, [r1, r3!]), two, NOW);
  assert.ok(good instanceof TrustBundle);
  assert.deepEqual(good.payload, payload);
  await verifyTrust(trustDocument(payload, [r1, r2!, r3!]), two, NOW);
  // A root of another time may sign along.
  await verifyTrust(trustDocument(payload, [r4!, r1, r2!]), two, NOW);
  for (const signers of [[r1], [r1, r1], [r1, r4!], [r4!]])
    await assert.rejects(verifyTrust(trustDocument(payload, signers), two, NOW), { code: 'trust.signature' });
});

test('a wrong signature by a root is refused, however many good ones there are', async () => {
  const document = JSON.parse(trustDocument(trustPayload(keys), [r1, r2!, r3!]));
  const other = JSON.parse(trustDocument(trustPayload(keys, { version: 9 }), [r3!]));
  document.signatures[2].signature = other.signatures[0].signature;
  await assert.rejects(verifyTrust(JSON.stringify(document), two, NOW), { code: 'trust.signature' });
});

test('each protected header is exactly {alg, typ, kid} of a trust bundle', async () => {
  const payload = trustPayload(keys);
  for (const header of [{ typ: 'outboard-job+jws' }, { alg: 'none' }, { crit: ['b64'] }, { jwk: {} }, { extra: 1 }])
    await assert.rejects(verifyTrust(trustDocument(payload, [root], header), roots, NOW), { code: 'trust.signature' });
  const document = JSON.parse(trustDocument(payload, [root]));
  document.signatures[0].header = { kid: root.kid };
  await assert.rejects(verifyTrust(JSON.stringify(document), roots, NOW), { code: 'trust.invalid' });
});

test('versions only rise; the same one again is fine when it is the same', async () => {
  const first = await bundle(keys, { version: 5 });
  const verify = (payload: unknown) => verifyTrust(trustDocument(payload, [root]), roots, NOW, first);
  assert.equal(await verify(trustPayload(keys, { version: 5 })), first);
  await assert.rejects(verify(trustPayload(keys, { version: 4 })), { code: 'trust.version' });
  await assert.rejects(verify(trustPayload(keys, { version: 5, revoked: [rig.kid] })), { code: 'trust.version' });
  assert.equal((await verify(trustPayload([], { version: 6 }))).payload.version, 6);
});

test('times: expired, ahead of the clock, 14 days, 31 days', async () => {
  const verify = (o: object, list = keys) => verifyTrust(trustDocument(trustPayload(list, o), [root]), roots, NOW);
  await assert.rejects(verify({ exp: NOW }), { code: 'trust.expired' });
  await assert.rejects(verify({ iat: NOW + 1 }), { code: 'trust.clock' });
  await verify({ iat: NOW, exp: NOW + 14 * DAY });
  await assert.rejects(verify({ iat: NOW, exp: NOW + 14 * DAY + 1 }), { code: 'trust.invalid' });
  await verify({}, [listed(rig, { nbf: NOW, exp: NOW + 31 * DAY })]);
  await assert.rejects(verify({}, [listed(rig, { nbf: NOW, exp: NOW + 31 * DAY + 1 })]), { code: 'trust.invalid' });
});

test('half of the life is when the alarm is due', async () => {
  const made = await bundle(keys, { iat: NOW - 100, exp: NOW + 300 });
  assert.equal(made.halfLife, NOW + 100);
  assert.equal(made.isExpired(NOW + 299), false);
  assert.equal(made.isExpired(NOW + 300), true);
});

test('kids are thumbprints, names fit roles, only rigs have wrapping keys', async () => {
  const wrap = party(RIG, 'rig', 'X25519');
  const refuse = async (path: string, ...list: ReturnType<typeof listed>[]) => {
    await assert.rejects(verifyTrust(trustDocument(trustPayload(list), [root]), roots, NOW), (error: OutboardError) => {
      assert.equal(error.code, 'trust.invalid');
      assert.equal(error.details['path'], path);
      return true;
    });
  };
  await refuse('keys.0.kid', listed(rig, { kid: dispatcher.kid }));
  await refuse('keys.0.name', listed(rig, { name: 'rig.one' }));
  await refuse('keys.0.name', listed(dispatcher, { name: 'label' }));
  await refuse('keys.1.name', listed(rig), listed(dispatcher, { name: 'keeper.label' }));
  await refuse('keys.0.use', listed(wrap, { role: 'keeper', name: 'keeper.vault' }));
  await refuse('keys.0', listed(wrap, { use: 'sig' }));
  await refuse('(top level)', listed(rig), listed(rig));
});

test('the payload is canonical and strict, the document bounded', async () => {
  const payload = trustPayload(keys);
  const bad = (text: string) => assert.rejects(verifyTrust(text, roots, NOW), { code: 'trust.invalid' });
  await bad(trustDocument(JSON.stringify(payload, null, 1), [root]));
  await bad(trustDocument(json(payload).replace('{', '{"exp":1,'), [root]));
  await bad(trustDocument({ ...payload, note: 1 }, [root]));
  await bad(trustDocument('['.repeat(20_000), [root]));
  await bad('');
  await bad('[]');
  await bad('['.repeat(50_000));
  await bad(`{"payload":"${b64('x'.repeat(60_000))}","signatures":[]}`);
});

test('lookup says why not', async () => {
  const old = party('dispatcher.old', 'dispatcher');
  const soon = party('dispatcher.soon', 'dispatcher');
  const gone = party('dispatcher.gone', 'dispatcher');
  const made = await bundle(
    [listed(old, { exp: NOW }), listed(soon, { nbf: NOW + 5 }), listed(gone), listed(dispatcher)],
    { revoked: [gone.kid] },
  );
  assert.equal(made.lookup(dispatcher.kid, NOW).name, 'dispatcher.label');
  assert.throws(() => made.lookup(old.kid, NOW), { code: 'envelope.expired' });
  assert.equal(made.lookup(old.kid, NOW - 1).name, 'dispatcher.old');
  assert.throws(() => made.lookup(soon.kid, NOW), { code: 'envelope.not-yet-valid' });
  assert.throws(() => made.lookup(gone.kid, NOW), { code: 'envelope.revoked' });
  assert.throws(() => made.lookup(rig.kid, NOW), { code: 'envelope.unknown-key' });
  assert.deepEqual(made.keysOf('dispatcher.gone'), []);
  assert.equal(made.keysOf('dispatcher.old').length, 1);
});

test('the wrapping key of a rig is the newest usable one', async () => {
  const [w1, w2, w3, w4] = [1, 2, 3, 4].map(() => party(RIG, 'rig', 'X25519')) as (typeof root)[];
  const made = await bundle(
    [
      listed(rig),
      listed(w1!, { nbf: NOW - 10 }),
      listed(w2!, { nbf: NOW - 5 }),
      listed(w3!, { nbf: NOW + 5 }),
      listed(w4!, { nbf: NOW - 1 }),
    ],
    { revoked: [w4!.kid] },
  );
  assert.equal(made.rigWrappingKey(RIG, NOW).kid, w2!.kid);
  assert.throws(() => made.rigWrappingKey('rig-02', NOW), { code: 'envelope.unknown-key' });
});

test('nextRoots takes over by the current threshold, and the chain survives a restart', async () => {
  const next = rootsOf(1, r3!);
  const handover = trustDocument(trustPayload(keys, { version: 2, nextRoots: next }), [r1, r2!]);
  await assert.rejects(
    verifyTrust(trustDocument(trustPayload(keys, { nextRoots: next }), [r3!]), rootsOf(2, r1, r2!), NOW),
    { code: 'trust.signature' },
  );
  const pinned = rootsOf(2, r1, r2!);
  const current = await verifyTrust(handover, pinned, NOW);
  assert.deepEqual(current.effectiveRoots, next);
  // The bundle in force comes again, signed by the roots before.
  assert.equal(await verifyTrust(handover, pinned, NOW, current), current);
  // Then the old roots count no longer, and the new one does alone.
  const third = (signers: (typeof root)[]) => trustDocument(trustPayload(keys, { version: 3 }), signers);
  await assert.rejects(verifyTrust(third([r1, r2!]), pinned, NOW, current), { code: 'trust.signature' });
  const after = await verifyTrust(third([r3!]), pinned, NOW, current);
  assert.deepEqual(after.effectiveRoots, next);

  const state = JSON.parse(JSON.stringify(after.state));
  const restored = await restoreTrust(state, pinned);
  assert.equal(restored.payload.version, 3);
  const fourth = trustDocument(trustPayload(keys, { version: 4 }), [r3!]);
  assert.equal((await verifyTrust(fourth, pinned, NOW, restored)).payload.version, 4);
  // Without the kept state a new rig with the old pins cannot be led to the new roots.
  await assert.rejects(verifyTrust(fourth, pinned, NOW), { code: 'trust.signature' });
  // Other pins begin a new chain.
  await assert.rejects(restoreTrust(state, rootsOf(1, r4!)), { code: 'trust.signature' });
  assert.equal((await restoreTrust(state, next)).payload.version, 3);
  // A kept bundle that was tampered with is none.
  await assert.rejects(restoreTrust({ ...state, text: third([r4!]) }, pinned), { code: 'trust.signature' });
});

test('a kept bundle is given back when it is expired', async () => {
  const made = await bundle(keys, { exp: NOW + 1 });
  const restored = await restoreTrust(made.state, roots);
  assert.equal(restored.isExpired(NOW + 1), true);
});

test('nextRoots that could never reach their threshold are refused', async () => {
  const text = trustDocument(trustPayload(keys, { nextRoots: rootsOf(2, r1, r1) }), [root]);
  await assert.rejects(verifyTrust(text, roots, NOW), { code: 'trust.invalid' });
});

test('what we sign, we and others verify', async () => {
  const payload = trustPayload(keys);
  const text = await signTrust(payload, [r1.jwk, r2!.jwk]);
  const document = JSON.parse(text);
  assert.equal(document.payload, b64(json(payload)));
  assert.equal(document.signatures.length, 2);
  assert.deepEqual((await verifyTrust(text, two, NOW)).payload, payload);
  await assert.rejects(signTrust({ ...payload, exp: payload.iat + 15 * DAY }, [r1.jwk]), { code: 'trust.invalid' });
  await assert.rejects(signTrust(payload, []), { code: 'trust.invalid' });
});

test('no mutation of a bundle verifies or throws anything but an OutboardError', async () => {
  const good = trustDocument(trustPayload(keys), [root]);
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 3 }), async (at, insert) => {
      const text = good.slice(0, at) + insert + good.slice(at + insert.length);
      try {
        const made = await verifyTrust(text, roots, NOW);
        // White space between the members is the only freedom.
        assert.deepEqual(made.payload, trustPayload(keys));
        assert.deepEqual(JSON.parse(text), JSON.parse(good));
      } catch (error) {
        assert.ok(error instanceof OutboardError, String(error));
        assert.notEqual(error.code, 'internal');
      }
    }),
    { numRuns: 300 },
  );
});
