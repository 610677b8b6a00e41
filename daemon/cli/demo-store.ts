/**
 * The store of `outboard demo` and `outboard store`: HTTPS with mutual TLS 1.3 over a folder. It is what any real store has to be for outboard: a blob's only
 * name is the SHA-256 of its bytes, it is created once and never changed, and reading goes on from any byte.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, mkdir, open, stat, unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import { Digest } from '../../core/contract/primitives.js';
import type { ServerTls } from './server-tls.js';

const LOOPBACK = '127.0.0.1';

export interface DemoStoreOptions {
  tls: ServerTls;
  /** Where the blobs lie, one file each; made when it is not there. */
  folder: string;
  /** 0 or absent for one that is free. */
  port?: number;
  /** The address to listen on; the loopback when absent. */
  host?: string;
}

export class DemoStore {
  readonly #options: DemoStoreOptions;
  #server: Server | undefined;
  #port = 0;

  constructor(options: DemoStoreOptions) {
    this.#options = options;
  }

  /** `https://localhost:PORT`, known after `start`. */
  get url(): string {
    return `https://localhost:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    if (this.#server) return;
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    const server = createServer(
      { ...this.#options.tls, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true },
      (request, response) => void this.#answer(request, response),
    );
    // Hours of audio take longer than Node's five minutes for one request.
    server.requestTimeout = 0;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.port ?? 0, this.#options.host ?? LOOPBACK, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const digest = (request.url ?? '').slice(1);
      if (!mayUse(request)) return refuse(request, response, 403, 'this certificate has no business here');
      if (!Digest.safeParse(digest).success) return refuse(request, response, 404, 'no such blob');
      if (request.method === 'PUT') return await this.#put(digest, request, response);
      if (request.method === 'GET' || request.method === 'HEAD') return await this.#get(digest, request, response);
      response.setHeader('allow', 'GET, HEAD, PUT');
      refuse(request, response, 405, 'only GET, HEAD and PUT');
    } catch (error) {
      // The client broke off, or the disk is full: either way this request is over and nothing half-written has a name.
      if (response.headersSent || response.destroyed) response.destroy();
      else refuse(request, response, 500, error instanceof Error ? error.message : String(error));
    }
  }

  async #put(digest: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = this.#file(digest);
    if (await exists(target)) return refuse(request, response, 409, 'stored already');
    const length = request.headers['content-length'];
    if (length === undefined) return refuse(request, response, 411, 'a length is needed');
    const temporary = join(this.#options.folder, `.${randomUUID()}.part`);
    const file = await open(temporary, 'wx', 0o600);
    try {
      const seen = await receive(request, file);
      if (seen !== digest) return refuse(request, response, 422, `these bytes are ${seen}`);
      // A link fails where the name exists: of two uploads at once, one is first and nothing is replaced.
      await link(temporary, target);
      await syncFolder(this.#options.folder);
      response.writeHead(201, { 'content-length': 0 }).end();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      refuse(request, response, 409, 'stored already');
    } finally {
      await file.close();
      await unlink(temporary);
    }
  }

  async #get(digest: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = this.#file(digest);
    const size = await sizeOf(file);
    if (size === null) return refuse(request, response, 404, 'no such blob');
    const range = parseRange(request.headers.range, size);
    if (range === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${size}`);
      return refuse(request, response, 416, `the blob has ${size} bytes`);
    }
    const { first, last } = range ?? { first: 0, last: size - 1 };
    response.writeHead(range ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': last - first + 1,
      'accept-ranges': 'bytes',
      ...(range ? { 'content-range': `bytes ${first}-${last}/${size}` } : {}),
    });
    if (request.method === 'HEAD' || last < first) {
      response.end();
      return;
    }
    await pipeline(createReadStream(file, { start: first, end: last }), response);
  }

  #file(digest: string): string {
    return join(this.#options.folder, digest.replace(':', '-'));
  }
}

/** Couriers (their name is a rig's id, without a dot) and dispatchers; a keeper, a technician and a monitor have no business here. */
function mayUse(request: IncomingMessage): boolean {
  if (!(request.socket instanceof TLSSocket)) return false;
  const name: unknown = request.socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' && (!name.includes('.') || name.startsWith('dispatcher.'));
}

/** Writes the body and gives its digest; the file is on the disk then. */
async function receive(request: IncomingMessage, file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  if (!request.complete) throw new Error('the upload ended early');
  await file.sync();
  return `sha256:${hash.digest('hex')}`;
}

/** RFC 9110 section 14: one range of bytes; null when none is asked for or the header has to be ignored. */
export function parseRange(
  header: string | undefined,
  size: number,
): { first: number; last: number } | 'unsatisfiable' | null {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return null;
  if (from === '') return to === '0' ? 'unsatisfiable' : { first: Math.max(0, size - Number(to)), last: size - 1 };
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= size ? 'unsatisfiable' : { first, last };
}

/** Answers and ends the connection; what still comes is read away, so that the client sees the answer and no broken pipe. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, reason: string): void {
  const body = `${reason}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  request.resume();
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  return (await sizeOf(file)) !== null;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
