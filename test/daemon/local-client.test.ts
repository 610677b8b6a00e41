import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { LocalClient } from '../../daemon/local-client.js';

const Answer = z.strictObject({ ok: z.boolean() });
const DIGEST = `sha256:${'0'.repeat(64)}`;

describe('the client of a unix socket', () => {
  let dir: string;
  let server: Server;
  let serve: (request: IncomingMessage, response: ServerResponse) => void;
  let connections = 0;
  let client: LocalClient;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-local-'));
    server = createServer((request, response) => serve(request, response));
    server.on('connection', () => {
      connections += 1;
    });
    server.listen(join(dir, 's.sock'));
    await once(server, 'listening');
    client = new LocalClient({ socketPath: join(dir, 's.sock'), timeoutMs: 300 });
  });
  after(async () => {
    client.close();
    server.closeAllConnections();
    server.close();
    await rm(dir, { recursive: true });
  });
  const json = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

  it('asks with a query and checks the answer', async () => {
    serve = (request, response) => json(response, 200, { ok: request.url === '/status?wait=3&after=7' });
    assert.deepEqual(await client.get('/status', Answer, { query: { wait: 3, after: 7 } }), { ok: true });
    serve = (_, response) => json(response, 200, { ok: 'yes' });
    await assert.rejects(client.get('/status', Answer), { code: 'rig.answer' });
    serve = (_, response) => response.end('<html>');
    await assert.rejects(client.get('/status', Answer), { code: 'rig.answer' });
  });

  it('keeps the code of a refusal', async () => {
    const problem = { code: 'session.nonce', message: 'used', advice: 'ask again', details: { a: 1 } };
    serve = (_, response) => json(response, 403, problem);
    await assert.rejects(client.post('/session', { type: 'application/jose', content: 'x' }, Answer), {
      code: 'session.nonce',
      message: 'used',
      details: { a: 1, status: 403 },
    });
    serve = (_, response) => json(response, 404, { ...problem, code: 'code.of.the.future' });
    await assert.rejects(client.get('/status', Answer), { code: 'rig.answer', details: { status: 404 } });
    serve = (_, response) => json(response, 500, 'no problem document');
    await assert.rejects(client.get('/status', Answer), { code: 'rig.answer', details: { status: 500 } });
  });

  it('says rig.unreachable when nobody listens, answers, or ends an answer', async () => {
    const nobody = new LocalClient({ socketPath: join(dir, 'none.sock') });
    await assert.rejects(nobody.get('/status', Answer), { code: 'rig.unreachable' });
    serve = () => undefined;
    await assert.rejects(client.get('/status', Answer), { code: 'rig.unreachable' });
    serve = (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"ok":');
      setImmediate(() => response.destroy());
    };
    await assert.rejects(client.get('/status', Answer), { code: 'rig.unreachable' });
  });

  it('ends with its signal', async () => {
    serve = () => stop.abort(new Error('enough'));
    const stop = new AbortController();
    await assert.rejects(client.get('/status', Answer, { signal: stop.signal }), /enough/);
  });

  it('keeps to one connection when asked to', async () => {
    serve = (_, response) => json(response, 200, { ok: true });
    const single = new LocalClient({ socketPath: join(dir, 's.sock'), maxSockets: 1 });
    const before = connections;
    for (let n = 0; n < 5; n += 1) await single.get('/status', Answer);
    assert.equal(connections - before, 1);
    single.close();
  });

  it('stops sending a blob that is refused, with the reason', async () => {
    serve = (_, response) => json(response, 409, { code: 'blob.offset', message: 'elsewhere', advice: 'HEAD' });
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 1;
        yield new Uint8Array(64 * 1024);
      }
    }
    await assert.rejects(client.putBlob(DIGEST, 0, endless()), (error: { code: string }) =>
      ['blob.offset', 'rig.unreachable'].includes(error.code),
    );
    assert.ok(sent < 10_000);
  });

  it('lets the error of a source through, and breaks the upload off', async () => {
    let begun: () => void;
    const arriving = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const closed = new Promise<void>((resolve) => {
      serve = (request) => {
        request.once('data', () => begun()).once('close', resolve);
      };
    });
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      await arriving;
      throw new Error('the store broke off');
    }
    await assert.rejects(client.putBlob(DIGEST, 0, failing()), /the store broke off/);
    await closed;
  });

  it('refuses a whole blob where the rest was asked', async () => {
    serve = (_, response) => response.writeHead(200).end('all of it');
    const reading = async () => {
      for await (const _ of client.getBlob(DIGEST, 3)) assert.fail('nothing is given out');
    };
    await assert.rejects(reading(), { code: 'rig.answer' });
  });
});
