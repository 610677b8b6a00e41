import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { downloadFile, uploadFile } from '../../client/blobs.js';
import { StoreClient } from '../../client/store-client.js';
import { freePort } from '../peers/mosquitto.js';
import { makePki, type Pki } from '../peers/pki.js';
import { type Fault, type StorePeer, startStore } from '../peers/store.js';

const blob = randomBytes(300_000);
const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
const bytes = blob.length;

describe('the store client', () => {
  let dir: string;
  let pki: Pki;
  let store: StorePeer;
  let client: StoreClient;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-store-'));
    pki = await makePki(join(dir, 'tls'), ['rig-01']);
    store = await startStore(pki.dir);
    client = new StoreClient({ url: store.url, tls: pki.loader('rig-01'), stallSeconds: 0.4 });
  });
  after(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });
  afterEach(() => {
    store.blobs.clear();
    store.faults.length = 0;
    store.requests.length = 0;
  });

  const fault = (method: string, what: Fault) => store.faults.push({ method, fault: what, times: 1 });
  const get = async (offset = 0, from = client) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of from.get(digest, { bytes, offset })) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  async function* body(offset: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < bytes; at += 10_000) yield blob.subarray(at, at + 10_000);
  }

  it('stores and reads back', async () => {
    assert.equal(await client.head(digest), null);
    assert.deepEqual(await client.put(digest, bytes, body), { existed: false });
    assert.deepEqual(await client.head(digest), { bytes });
    assert.deepEqual(await get(), blob);
  });

  it('goes on where a broken transfer ended', async () => {
    store.blobs.set(digest, blob);
    assert.deepEqual(await get(123_456), blob.subarray(123_456));
    assert.deepEqual(store.requests, [`GET /${digest} bytes=123456-`]);
  });

  it('skips what it has when the store ignores Range', async () => {
    store.blobs.set(digest, blob);
    fault('GET', { kind: 'no-range' });
    assert.deepEqual(await get(123_456), blob.subarray(123_456));
  });

  it('leaves a blob alone that is there already', async () => {
    store.blobs.set(digest, blob);
    assert.deepEqual(await client.put(digest, bytes, body), { existed: true });
    assert.deepEqual(store.requests, [`HEAD /${digest}`]);
  });

  it('takes a precondition failure for stored when the size is right', async () => {
    store.faults.push({ method: 'HEAD', fault: { kind: 'status', status: 404 }, times: 1 });
    store.blobs.set(digest, blob);
    assert.deepEqual(await client.put(digest, bytes, body), { existed: true });
  });

  it('says store.digest when another blob has the name', async () => {
    store.blobs.set(digest, Buffer.alloc(5));
    await assert.rejects(client.put(digest, bytes, body), { code: 'store.digest' });
  });

  it('says store.status with the status', async () => {
    await assert.rejects(get(), (e: { code: string; details: { status: number } }) => {
      assert.equal(e.code, 'store.status');
      return e.details.status === 404;
    });
    fault('GET', { kind: 'status', status: 500 });
    await assert.rejects(get(), { code: 'store.status' });
    fault('PUT', { kind: 'status', status: 500 });
    await assert.rejects(client.put(digest, bytes, body), { code: 'store.status' });
  });

  it('never follows a redirect', async () => {
    for (const method of ['GET', 'HEAD', 'PUT']) {
      fault(method, { kind: 'redirect', to: `${store.url}/elsewhere` });
      const call = method === 'GET' ? get() : method === 'HEAD' ? client.head(digest) : client.put(digest, bytes, body);
      await assert.rejects(call, { code: 'store.redirect' });
    }
    assert.ok(!store.requests.some((request) => request.includes('elsewhere')));
  });

  it('gives up on a stall, reading and writing', async () => {
    store.blobs.set(digest, blob);
    fault('GET', { kind: 'stall', afterBytes: 1000 });
    await assert.rejects(get(), { code: 'store.slow' });
    store.blobs.clear();
    fault('PUT', { kind: 'stall', afterBytes: 1000 });
    await assert.rejects(client.put(digest, bytes, body), { code: 'store.slow' });
  });

  it('gives up below the minimum rate, though bytes keep coming', async () => {
    store.blobs.set(digest, blob);
    fault('GET', { kind: 'slow', bytesPerSecond: 30_000 });
    await assert.rejects(get(), { code: 'store.slow' });
  });

  it('does not blame the store for a slow reader', async () => {
    store.blobs.set(digest, blob);
    let pauses = 0;
    let seen = 0;
    for await (const chunk of client.get(digest, { bytes })) {
      seen += chunk.length;
      // Longer than the window of the rate in sum.
      if (pauses++ < 4) await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.equal(seen, bytes);
  });

  it('refuses another size before and after the fact', async () => {
    store.blobs.set(digest, blob);
    for (const size of [bytes + 1, bytes - 1]) {
      fault('GET', { kind: 'size', bytes: size });
      await assert.rejects(get(), { code: 'store.size' });
    }
  });

  it('says store.unreachable when nobody listens, and when the connection breaks', async () => {
    const nobody = new StoreClient({ url: `https://127.0.0.1:${await freePort()}`, tls: pki.loader('rig-01') });
    await assert.rejects(get(0, nobody), { code: 'store.unreachable' });
    store.blobs.set(digest, blob);
    fault('GET', { kind: 'cut', afterBytes: 1000 });
    await assert.rejects(get(), { code: 'store.unreachable' });
    store.blobs.clear();
    fault('PUT', { kind: 'cut', afterBytes: 1000 });
    await assert.rejects(client.put(digest, bytes, body), { code: 'store.unreachable' });
  });

  it('ends with its signal', async () => {
    store.blobs.set(digest, blob);
    fault('GET', { kind: 'stall', afterBytes: 1000 });
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of client.get(digest, { bytes, signal: stop.signal })) stop.abort(new Error('enough'));
    })();
    await assert.rejects(reading, /enough/);
  });

  it('reads the certificates at each connect', async () => {
    store.blobs.set(digest, blob);
    const other = await makePki(join(dir, 'other'), ['rig-01']);
    let material = other.loader('rig-01');
    const renewed = new StoreClient({ url: store.url, tls: () => material() });
    await assert.rejects(renewed.head(digest), { code: 'store.unreachable' });
    material = pki.loader('rig-01');
    assert.deepEqual(await renewed.head(digest), { bytes });
  });

  it('moves files, and names no file that is not what it should be', async () => {
    const file = join(dir, 'blob.age');
    await writeFile(file, blob);
    await uploadFile(client, { digest, bytes, file });
    assert.deepEqual(store.blobs.get(digest), blob);
    await downloadFile(client, { digest, bytes }, join(dir, 'back.age'));
    assert.deepEqual(await readFile(join(dir, 'back.age')), blob);
    await assert.rejects(downloadFile(client, { digest, bytes }, join(dir, 'back.age')), { code: 'file.exists' });

    fault('GET', { kind: 'corrupt' });
    await assert.rejects(downloadFile(client, { digest, bytes }, join(dir, 'wrong.age')), { code: 'store.digest' });
    assert.ok(!(await readdir(dir)).some((name) => name.startsWith('wrong')));

    store.blobs.clear();
    await writeFile(file, Buffer.concat([Buffer.from([blob[0]! ^ 1]), blob.subarray(1)]));
    await assert.rejects(uploadFile(client, { digest, bytes, file }), { code: 'source.digest' });
    assert.ok(!store.blobs.has(digest), 'a changed file is never complete at the store');
  });
});
