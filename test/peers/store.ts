/** A blob store as a client meets it: HTTPS with mutual TLS, create-only PUT by digest, GET and HEAD with Range, and faults on demand. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';

export type Fault =
  | { kind: 'status'; status: number }
  /** Sends so many bytes of the body and then nothing. */
  | { kind: 'stall'; afterBytes: number }
  | { kind: 'redirect'; to: string }
  /** Sends a body of another length than the blob has, and says so. */
  | { kind: 'size'; bytes: number }
  /** Ends the connection after so many bytes. */
  | { kind: 'cut'; afterBytes: number }
  | { kind: 'slow'; bytesPerSecond: number }
  /** Answers Range with the whole body. */
  | { kind: 'no-range' }
  /** Flips a bit of the first byte. */
  | { kind: 'corrupt' };

export interface StorePeer {
  url: string;
  blobs: Map<string, Buffer>;
  /** Method and path of each request, Range added. */
  requests: string[];
  /** Applied to matching requests, the first match counts; `times` runs out. */
  faults: { method?: string; fault: Fault; times: number }[];
  /** The largest number of requests that were open together. */
  mostAtOnce: number;
  close(): Promise<void>;
}

const DIGEST_PATH = /^\/(sha256:[0-9a-f]{64})$/;

/** @param dir holds ca.pem, cert.pem, key.pem (see pki.ts); `port` 0 takes any */
export async function startStore(dir: string, port = 0): Promise<StorePeer> {
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(dir, name))));
  const sockets = new Set<Socket>();
  const blobs = new Map<string, Buffer>();
  const requests: string[] = [];
  const faults: StorePeer['faults'] = [];
  let open = 0;
  const peer: StorePeer = {
    url: '',
    blobs,
    requests,
    faults,
    mostAtOnce: 0,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  const server: Server = createServer(
    { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    (request, response) => {
      open += 1;
      peer.mostAtOnce = Math.max(peer.mostAtOnce, open);
      response.once('close', () => {
        open -= 1;
      });
      serve(request, response).catch(() => response.destroy());
    },
  );
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const range = request.headers.range;
    requests.push(`${method} ${url}${range ? ` ${range}` : ''}`);
    const fault = takeFault(method);
    const digest = DIGEST_PATH.exec(url)?.[1];
    if (fault?.kind === 'status') return void response.writeHead(fault.status).end();
    if (fault?.kind === 'redirect') return void response.writeHead(307, { location: fault.to }).end();
    if (!digest) return void response.writeHead(400).end();
    const blob = blobs.get(digest);
    if (method === 'HEAD') {
      const length = fault?.kind === 'size' ? fault.bytes : blob?.length;
      return void response.writeHead(blob ? 200 : 404, blob ? { 'content-length': String(length) } : {}).end();
    }
    if (method === 'GET') return blob ? send(blob, range, response, fault) : void response.writeHead(404).end();
    if (method === 'PUT') return await receive(digest, request, response, fault);
    response.writeHead(405).end();
  }

  async function receive(digest: string, request: IncomingMessage, response: ServerResponse, fault: Fault | null) {
    if (request.headers['if-none-match'] !== '*') return void response.writeHead(428).end();
    if (blobs.has(digest)) return void response.writeHead(412).end();
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (fault?.kind === 'stall' && bytes >= fault.afterBytes) return void request.pause();
      if (fault?.kind === 'cut' && bytes >= fault.afterBytes) return void request.socket.destroy();
    }
    // Create-only also when two came at once.
    if (blobs.has(digest)) return void response.writeHead(412).end();
    blobs.set(digest, Buffer.concat(chunks));
    response.writeHead(201).end();
  }

  function takeFault(method: string): Fault | null {
    const found = faults.find((entry) => entry.times > 0 && (entry.method ?? method) === method);
    if (!found) return null;
    found.times -= 1;
    return found.fault;
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  peer.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return peer;
}

function send(blob: Buffer, range: string | undefined, response: ServerResponse, fault: Fault | null): void {
  const from = fault?.kind === 'no-range' ? undefined : /^bytes=(\d+)-$/.exec(range ?? '')?.[1];
  let body = blob.subarray(Number(from ?? 0));
  if (fault?.kind === 'size') body = Buffer.alloc(fault.bytes);
  if (fault?.kind === 'corrupt') {
    body = Buffer.from(body);
    body[0]! ^= 1;
  }
  const headers: Record<string, string> = { 'content-length': String(body.length) };
  if (from !== undefined) headers['content-range'] = `bytes ${from}-${blob.length - 1}/${blob.length}`;
  response.writeHead(from === undefined ? 200 : 206, headers);
  if (fault?.kind === 'stall') return void response.write(body.subarray(0, fault.afterBytes));
  if (fault?.kind === 'cut')
    return void response.write(body.subarray(0, fault.afterBytes), () => response.socket?.destroy());
  if (fault?.kind === 'slow') return trickle(body, fault.bytesPerSecond, response);
  response.end(body);
}

function trickle(body: Buffer, bytesPerSecond: number, response: ServerResponse): void {
  const step = Math.max(1, Math.round(bytesPerSecond / 20));
  let at = 0;
  const timer = setInterval(() => {
    response.write(body.subarray(at, at + step));
    at += step;
    if (at >= body.length) response.end();
  }, 50);
  response.once('close', () => clearInterval(timer));
}
