import assert from 'node:assert/strict';
import { createHash, webcrypto } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { CompactEncrypt, importJWK } from 'jose';
import { generateSigningKey, generateWrappingKey, publicJwk, thumbprint } from '../../certs/keys.js';
import { generateSourceIdentity } from '../../certs/sealing.js';
import { type KeyBinding, unwrapSourceKey, wrappedToKid, wrapSourceKey } from '../../certs/source-key.js';
import { OutboardError } from '../../core/errors.js';
import { b64, json, RECIPIENT, RIG, SOURCE } from './peer.js';

const wrapping = await generateWrappingKey();
const kid = await thumbprint(wrapping);
const binding: KeyBinding = { rig: RIG, tenant: 'tenant-0001', source: SOURCE, recipients: [RECIPIENT] };
const source = await generateSourceIdentity();
const wrap = (o: object = {}) =>
  wrapSourceKey({ identity: source.raw, wrappingKey: publicJwk(wrapping), kid, ...binding, ...o });

/** A keeper in another language: the plaintext and the header as it likes. */
async function foreign(plaintext: Uint8Array, header: object = {}, to = wrapping): Promise<string> {
  return await new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid, ...header } as never)
    .encrypt(await importJWK({ ...publicJwk(to) }, 'ECDH-ES+A256KW'));
}

const digest = (value: object) => createHash('sha256').update(json(value)).digest();

test('what is wrapped is unwrapped to a key that cannot be exported', async () => {
  const jwe = await wrap();
  assert.equal(wrappedToKid(jwe), kid);
  const key = await unwrapSourceKey(jwe, wrapping, binding);
  assert.equal(key.extractable, false);
  assert.equal(key.type, 'private');
  assert.deepEqual(key.usages, ['deriveBits']);
  // It is the same key: its public half is that of the source.
  const base = new Uint8Array(32);
  base[0] = 9;
  const point = await webcrypto.subtle.importKey('raw', base, { name: 'X25519' }, true, []);
  const derive = (k: webcrypto.CryptoKey) =>
    webcrypto.subtle.deriveBits({ name: 'X25519', public: point } as never, k, 256);
  const { importIdentity } = await import('../../certs/identity.js');
  assert.deepEqual(await derive(key), await derive(await importIdentity(source.raw)));
  // The wrapping key may be one that cannot be exported either.
  const hidden = (await importJWK({ ...wrapping }, 'ECDH-ES+A256KW', { extractable: false })) as webcrypto.CryptoKey;
  await unwrapSourceKey(jwe, hidden, binding);
});

test('the header is what the design says, without zip', async () => {
  const header = JSON.parse(Buffer.from((await wrap()).split('.')[0]!, 'base64url').toString());
  assert.deepEqual(
    { ...header, epk: Object.keys(header.epk).sort() },
    {
      alg: 'ECDH-ES+A256KW',
      enc: 'A256GCM',
      kid,
      epk: ['crv', 'kty', 'x'],
    },
  );
});

test('a keeper that follows the design in other code is understood', async () => {
  const { rig, tenant, source: file, recipients } = binding;
  const plaintext = Buffer.concat([source.raw, digest({ rig, tenant, source: file, recipients })]);
  await unwrapSourceKey(await foreign(plaintext), wrapping, binding);
});

test('a key wrapped for other circumstances is refused', async () => {
  const jwe = await wrap();
  const others: KeyBinding[] = [
    { ...binding, rig: 'rig-02' },
    { ...binding, tenant: 'tenant-0002' },
    { ...binding, recipients: [RECIPIENT, RECIPIENT] },
    { ...binding, recipients: [] },
    { ...binding, source: { ...SOURCE, bytes: SOURCE.bytes + 1 } },
    { ...binding, source: { ...SOURCE, format: { ...SOURCE.format, rate: 44_100 } } },
  ];
  for (const other of others) await assert.rejects(unwrapSourceKey(jwe, wrapping, other), { code: 'grant.binding' });
});

test('a key to somebody else, of another size, or by other algorithms is refused', async () => {
  const other = await generateWrappingKey();
  const refuse = (jwe: string) => assert.rejects(unwrapSourceKey(jwe, wrapping, binding), { code: 'grant.key' });
  await refuse(await foreign(new Uint8Array(64), {}, other));
  for (const size of [0, 32, 63, 65, 128]) await refuse(await foreign(new Uint8Array(size)));
  await refuse(await foreign(new Uint8Array(64), { enc: 'A128GCM' }));
  await refuse(await foreign(new Uint8Array(64), { alg: 'ECDH-ES+A128KW' }));
  await refuse(await foreign(new Uint8Array(64), { alg: 'ECDH-ES' }));
  await refuse(await foreign(new Uint8Array(64), { typ: 'JWT' }));
  await refuse(await foreign(new Uint8Array(64), { zip: 'DEF' }));
  await refuse(await foreign(new Uint8Array(1_000_000), { zip: 'DEF' }));
  await refuse('');
  await refuse('a.b.c.d.e');
  await refuse(`${b64('['.repeat(2900))}.a.b.c.d`);
  const header = b64(
    JSON.stringify({
      alg: 'ECDH-ES+A256KW',
      enc: 'A256GCM',
      kid,
      epk: { kty: 'OKP', crv: 'X25519', x: b64(new Uint8Array(32)) },
    }),
  );
  const [, ...rest] = (await wrap()).split('.');
  await refuse([header, ...rest].join('.'));
});

test('only to an X25519 key, and only 32 bytes', async () => {
  const signing = await generateSigningKey();
  await assert.rejects(wrap({ wrappingKey: publicJwk(signing) }), { code: 'grant.key' });
  await assert.rejects(wrap({ identity: new Uint8Array(31) }), { code: 'grant.key' });
  await assert.rejects(unwrapSourceKey(await wrap(), signing, binding), { code: 'grant.key' });
});

test('no mutation of a wrapped key unwraps or throws anything but an OutboardError', async () => {
  const good = await wrap();
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.base64String({ minLength: 4, maxLength: 4 }), async (at, insert) => {
      const text = good.slice(0, at) + insert.slice(0, 1) + good.slice(at + 1);
      if (text === good) return;
      try {
        await unwrapSourceKey(text, wrapping, binding);
        // Only a last character's unused bits are free.
        const bytes = (jwe: string) => jwe.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
        assert.deepEqual(bytes(text), bytes(good));
      } catch (error) {
        assert.ok(error instanceof OutboardError, String(error));
        assert.ok(['grant.key', 'grant.binding'].includes(error.code), error.code);
      }
    }),
    { numRuns: 300 },
  );
});
