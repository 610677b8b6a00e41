/** The demo's store, asked by node's own HTTPS client with certificates that openssl made. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DemoStore, parseRange } from '../../../daemon/cli/demo-store.js';
import { type Identity, OpensslCa, pem } from '../../peers/openssl-ca.js';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

describe('demo store', () => {
  let scratch: string;
  let store: DemoStore;
  let dispatcher: Identity;
  let courier: Identity;
  let keeper: Identity;
  let ca: OpensslCa;

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'outboard-store-'));
    ca = new OpensslCa(scratch);
    dispatcher = ca.client('dispatcher.demo');
    courier = ca.client('rig-01');
    keeper = ca.client('keeper.demo');
    store = new DemoStore({ tls: pem(ca.server()), folder: join(scratch, 'blobs') });
    await store.start();
    await store.start();
  });

  after(async () => {
    await store.stop();
    await store.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  /** \`cut\` ends the connection after the body, whatever length was announced. */
  function ask(
    who: Partial<Identity> & { ca: string },
    method: string,
    path: string,
    o: { body?: Buffer; headers?: Record<string, string>; cut?: boolean } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const tls = who.cert && who.key ? pem(who as Identity) : { ca: pem(dispatcher).ca };
      const req = request(
        `${store.url}${path}`,
        { method, agent: false, ...tls, headers: o.headers ?? {} },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () =>
            resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
          );
        },
      );
      req.once('error', reject);
      if (o.cut) req.write(o.body ?? Buffer.alloc(0), () => req.destroy());
      else req.end(o.body);
    });
  }

  const put = (who: Identity, digest: string, body: Buffer) =>
    ask(who, 'PUT', `/${digest}`, { body, headers: { 'content-length': String(body.length) } });
  const blobs = async () => (await readdir(join(scratch, 'blobs'))).sort();

  test('what was put is there, whole and from any byte on', async () => {
    const body = randomBytes(300_000);
    const digest = digestOf(body);
    assert.equal((await ask(dispatcher, 'HEAD', `/${digest}`)).status, 404);
    assert.equal((await put(dispatcher, digest, body)).status, 201);
    const head = await ask(courier, 'HEAD', `/${digest}`);
    assert.deepEqual([head.status, head.headers['content-length']], [200, '300000']);
    const whole = await ask(courier, 'GET', `/${digest}`);
    assert.deepEqual([whole.status, whole.body.equals(body)], [200, true]);
    const rest = await ask(courier, 'GET', `/${digest}`, { headers: { range: 'bytes=299000-' } });
    assert.deepEqual([rest.status, rest.headers['content-range']], [206, 'bytes 299000-299999/300000']);
    assert.ok(rest.body.equals(body.subarray(299_000)));
    const beyond = await ask(courier, 'GET', `/${digest}`, { headers: { range: 'bytes=300000-' } });
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */300000']);
  });

  test('a blob is created once: a second upload is refused and changes nothing', async () => {
    const body = randomBytes(1000);
    const digest = digestOf(body);
    assert.equal((await put(dispatcher, digest, body)).status, 201);
    assert.equal((await put(courier, digest, randomBytes(1000))).status, 409);
    assert.ok((await readFile(join(scratch, 'blobs', digest.replace(':', '-')))).equals(body));
  });

  test('two uploads of one blob at once: one creates it', async () => {
    const body = randomBytes(200_000);
    const digest = digestOf(body);
    const answers = await Promise.all([put(dispatcher, digest, body), put(courier, digest, body)]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409]);
  });

  test('bytes of another digest and a broken upload leave nothing behind', async () => {
    const before = await blobs();
    const wrong = await put(dispatcher, digestOf(Buffer.from('other')), Buffer.from('these'));
    assert.equal(wrong.status, 422);
    const body = randomBytes(1000);
    const headers = { 'content-length': '2000' };
    await assert.rejects(ask(dispatcher, 'PUT', `/${digestOf(body)}`, { body, headers, cut: true }));
    // The server notices on its own time; stopping it waits for that.
    await store.stop();
    await store.start();
    const left = async (): Promise<string[]> => (await blobs()).filter((name) => !before.includes(name));
    for (let tries = 0; (await left()).length > 0 && tries < 1000; tries++) await new Promise(setImmediate);
    assert.deepEqual(await left(), []);
    assert.equal((await ask(dispatcher, 'HEAD', `/${digestOf(body)}`)).status, 404);
  });

  test('other names and methods are refused', async () => {
    for (const path of ['/', '/sha256:12', '/../ca.key', `/sha256:${'A'.repeat(64)}`, '/sha256:..%2f'])
      assert.equal((await ask(dispatcher, 'GET', path)).status, 404, path);
    const path = `/sha256:${'0'.repeat(64)}`;
    for (const method of ['DELETE', 'POST', 'PATCH']) {
      const answer = await ask(dispatcher, method, path, { headers: { 'content-length': '0' } });
      assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD, PUT']);
    }
    const unsized = { headers: { 'transfer-encoding': 'chunked' }, body: Buffer.from('x') };
    assert.equal((await ask(dispatcher, 'PUT', path, unsized)).status, 411);
  });

  test('a keeper reaches the store with no method, nobody without a certificate gets in', async () => {
    const body = Buffer.from('secret');
    assert.equal((await put(keeper, digestOf(body), body)).status, 403);
    assert.equal((await ask(keeper, 'GET', `/${digestOf(body)}`)).status, 403);
    await assert.rejects(ask({ ca: ca.ca }, 'GET', `/${digestOf(body)}`));
  });

  test('TLS 1.2 is refused', async () => {
    await assert.rejects(
      new Promise((resolve, reject) => {
        const options = { ...pem(dispatcher), agent: false, maxVersion: 'TLSv1.2' as const };
        request(`${store.url}/`, options, resolve).once('error', reject).end();
      }),
      /protocol version|EPROTO/i,
    );
  });
});

test('ranges are read as RFC 9110 says', () => {
  assert.equal(parseRange(undefined, 10), null);
  assert.equal(parseRange('bytes=', 10), null);
  assert.equal(parseRange('bytes=-', 10), null);
  assert.equal(parseRange('items=0-1', 10), null);
  assert.equal(parseRange('bytes=5-2', 10), null);
  assert.equal(parseRange('bytes=0-1,3-4', 10), null);
  assert.deepEqual(parseRange('bytes=0-', 10), { first: 0, last: 9 });
  assert.deepEqual(parseRange('bytes=3-5', 10), { first: 3, last: 5 });
  assert.deepEqual(parseRange('bytes=3-99', 10), { first: 3, last: 9 });
  assert.deepEqual(parseRange('bytes=-4', 10), { first: 6, last: 9 });
  assert.deepEqual(parseRange('bytes=-40', 10), { first: 0, last: 9 });
  assert.equal(parseRange('bytes=10-', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable');
});

function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}
