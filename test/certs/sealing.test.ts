import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadableStream } from 'node:stream/web';
import { after, test } from 'node:test';
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { bech32Decode, bech32Encode } from '../../certs/bech32.js';
import {
  checkRecipient,
  checkRecipients,
  generateIdentity,
  generateSourceIdentity,
  identityFromRaw,
  importIdentity,
  openStream,
  rawFromIdentity,
  sealedSize,
  sealStream,
} from '../../certs/sealing.js';
import { isOutboardError } from '../../core/errors.js';

const folder = await mkdtemp(join(tmpdir(), 'outboard-sealing-'));
after(() => rm(folder, { recursive: true }));
const place = (name: string) => join(folder, name);

function streamOf(chunks: Uint8Array[] = []): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function all(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sealed = async (plain: Uint8Array, ...recipients: string[]) =>
  all(await sealStream(streamOf([plain]), recipients));
const opened = async (file: Uint8Array, identity: Parameters<typeof openStream>[1]) =>
  all(await openStream(streamOf([file]), identity));

/** Cuts at random places, so that a header arrives in pieces. */
const cut = (bytes: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

test('identities are spelled as age spells them', async () => {
  const ours = await generateIdentity();
  assert.match(ours.identity, /^AGE-SECRET-KEY-1[0-9A-Z]{58}$/);
  assert.equal(await identityToRecipient(ours.identity), ours.recipient);
  assert.deepEqual(rawFromIdentity(ours.identity), ours.raw);
  const theirs = await generateX25519Identity();
  assert.equal(identityFromRaw(rawFromIdentity(theirs)), theirs);
  const printed = execFileSync('age-keygen', { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  const identity = /AGE-SECRET-KEY-1\w+/.exec(printed)![0];
  assert.equal(identityFromRaw(rawFromIdentity(identity)), identity);
  assert.equal(/public key: (\w+)/.exec(printed)![1], await identityToRecipient(identity));
  for (const bad of ['', 'AGE-SECRET-KEY-1', `${identity}Q`, identity.toLowerCase().replace('1', '2'), ours.recipient])
    assert.throws(() => rawFromIdentity(bad), { code: 'seal.open' });
  assert.throws(() => identityFromRaw(new Uint8Array(31)), { code: 'seal.open' });
});

test('Bech32 as in BIP 173', () => {
  for (const good of ['A12UEL5L', 'a12uel5l', 'abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw', '?1ezyfcl'])
    assert.ok(bech32Decode(good), good);
  for (const bad of ['A1G7SGD8', '10a06t8', '1qzzfhee', 'A12uEL5L', 'split1cheo2y9e2w', 'li1dgmt3', 'de1lg7wt\xff'])
    assert.equal(bech32Decode(bad), null, bad);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = bech32Encode('age', bytes);
      assert.deepEqual(bech32Decode(text), { prefix: 'age', bytes: new Uint8Array(bytes) });
      assert.deepEqual(bech32Decode(text.toUpperCase())?.bytes, new Uint8Array(bytes));
    }),
  );
});

test('round trips at the sizes where chunks end, and the size is known before', async () => {
  const a = await generateSourceIdentity();
  const b = await generateIdentity();
  const pq = await identityToRecipient(await generateHybridIdentity());
  const key = await importIdentity(a.raw);
  for (const bytes of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
    const plain = randomBytes(bytes);
    const one = await sealed(plain, a.recipient);
    assert.equal(one.length, await sealedSize(bytes, [a.recipient]));
    assert.deepEqual(await opened(one, key), plain);
    const two = await sealed(plain, a.recipient, b.recipient, pq);
    assert.equal(two.length, await sealedSize(bytes, [a.recipient, b.recipient, pq]));
    assert.deepEqual(await opened(two, b.identity), plain);
  }
});

test('the age program opens what we seal, and we open what it seals', async () => {
  const ours = await generateIdentity();
  const plain = randomBytes(300_000);
  await writeFile(place('id.txt'), `${ours.identity}\n`, { mode: 0o600 });
  await writeFile(place('a.age'), await sealed(plain, ours.recipient));
  execFileSync('age', ['-d', '-i', place('id.txt'), '-o', place('a'), place('a.age')]);
  assert.deepEqual(await readFile(place('a')), plain);
  await writeFile(place('b'), plain);
  execFileSync('age', ['-r', ours.recipient, '-o', place('b.age'), place('b')]);
  const file = await readFile(place('b.age'));
  const key = await importIdentity(ours.raw);
  assert.deepEqual(await opened(file, key), plain);
  for (const size of [1, 7, 199]) {
    // A header in small pieces, as a slow sender gives it.
    const pieces = [...cut(file.subarray(0, 400), size), file.subarray(400)];
    assert.deepEqual(await all(await openStream(streamOf(pieces), key)), plain);
  }
});

test('recipients that are none, or cannot be sealed for, are refused', async () => {
  const good = (await generateIdentity()).recipient;
  await checkRecipient(good);
  await checkRecipient(await identityToRecipient(await generateHybridIdentity()));
  const smallOrder = bech32Encode('age', new Uint8Array(32));
  checkRecipients([smallOrder]); // well spelled
  await assert.rejects(checkRecipient(smallOrder), { code: 'grant.recipient' });
  const last = good.at(-1) === 'q' ? 'p' : 'q';
  for (const bad of [
    '',
    'age1',
    `${good.slice(0, -1)}${last}`,
    `${good}q`,
    'ssh-ed25519 AAAA',
    bech32Encode('age', new Uint8Array(31)),
    'age1pq1qqqq',
    'age1tag1qqqq',
  ])
    await assert.rejects(checkRecipient(bad), { code: 'grant.recipient' }, bad);
  await assert.rejects(sealStream(streamOf(), []), { code: 'grant.recipient' });
});

test('another identity, another file, a changed or shortened file', async () => {
  const { recipient, identity, raw } = await generateIdentity();
  const other = await generateIdentity();
  const plain = randomBytes(70_000);
  const file = await sealed(plain, recipient);
  await assert.rejects(opened(file, other.identity), { code: 'seal.open' });
  await assert.rejects(opened(Buffer.alloc(0), identity), { code: 'seal.open' });
  await assert.rejects(opened(Buffer.from('RIFF'), identity), { code: 'seal.open' });
  await assert.rejects(opened(file, 'no identity'), { code: 'seal.open' });
  const key = await importIdentity(raw);
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = Buffer.from(file);
      changed[at] = changed[at]! ^ flip;
      await assert.rejects(opened(changed, key), (error) => isOutboardError(error, 'seal.open', 'seal.header'));
      await assert.rejects(opened(file.subarray(0, at), key), { code: 'seal.open' });
    }),
    { numRuns: 40 },
  );
  await assert.rejects(opened(Buffer.concat([file, Buffer.from('x')]), key), { code: 'seal.open' });
});

test('a header is read up to 64 KiB and no further', async () => {
  const { recipient, identity } = await generateIdentity();
  const intro = 'age-encryption.org/v1\n';
  // Stanzas of a kind that nobody knows are passed over (age-encryption.org/v1), as many as there are.
  const stanza = `-> x ${'y'.repeat(60)}\nAAAA\n`;
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(Buffer.from(pulled === 0 ? intro : stanza.repeat(10)));
        pulled++;
      },
    },
    { highWaterMark: 0 },
  );
  await assert.rejects(openStream(endless, identity), { code: 'seal.header' });
  assert.ok(pulled * stanza.length * 10 < 80 * 1024, 'read on for long');
  const long = Buffer.from(`${intro}-> ${'x'.repeat(70_000)}\nAAAA\n--- ${'A'.repeat(43)}\n`);
  await assert.rejects(opened(long, identity), { code: 'seal.header' });
  // What could not be opened here is not made here.
  const many = Array.from({ length: 800 }, () => recipient);
  await assert.rejects(sealStream(streamOf(), many), { code: 'seal.header' });
  const plain = randomBytes(10);
  assert.deepEqual(await opened(await sealed(plain, ...many.slice(0, 100)), identity), plain);
});
