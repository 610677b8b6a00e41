/**
 * The blob store as a client sees it: an origin that keeps ciphertext under its digest, create-only.
 *
 * HTTPS with mutual TLS 1.3; the certificates are read again at every connect and no session is resumed, so that a renewed or
 * revoked one counts at once. Redirects are refused, the size is known beforehand, and a transfer that stays below the minimum rate
 * is given up. Only time spent waiting for the network counts against that rate: a slow reader is not a slow store.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { OutboardError } from '../core/errors.js';
import { RateFloor } from './rate-floor.js';
import type { TlsLoader } from './tls-files.js';

export interface StoreClientOptions {
  /** An origin such as `https://store.example:8443`. */
  url: string;
  tls: TlsLoader;
  minBytesPerSecond?: number;
  /** The window over which the minimum rate is measured, and how long a silence may last. */
  stallSeconds?: number;
  connectTimeoutMs?: number;
}

export interface GetOptions {
  /** Size of the whole blob. */
  bytes: number;
  /** First byte wanted; 0 when absent. */
  offset?: number;
  signal?: AbortSignal | undefined;
}

/** How much longer than a stall the store may take to say that a body is safe on its disk. */
const COMMIT_STALLS = 4;

export class StoreClient {
  readonly #origin: URL;
  readonly #tls: TlsLoader;
  readonly #minBytesPerSecond: number;
  readonly #stallMs: number;
  readonly #connectTimeoutMs: number;
  // No keep-alive and no resumption: each connection shows the certificate that is in force.
  readonly #agent = new Agent({ keepAlive: false, maxCachedSessions: 0 });

  constructor(options: StoreClientOptions) {
    this.#origin = new URL(options.url);
    this.#tls = options.tls;
    this.#minBytesPerSecond = options.minBytesPerSecond ?? 64 * 1024;
    this.#stallMs = (options.stallSeconds ?? 30) * 1000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 15_000;
  }

  /**
   * The size of a stored blob, or null when the store does not hold it.
   *
   * @throws OutboardError store.status | store.redirect | store.unreachable | store.slow
   */
  async head(digest: string, signal?: AbortSignal): Promise<{ bytes: number } | null> {
    const response = await this.#exchange('HEAD', digest, {}, signal);
    response.resume();
    if (response.statusCode === 404) return null;
    if (response.statusCode !== 200) throw refused('HEAD', digest, response);
    const bytes = contentLength(response);
    if (bytes === null)
      throw new OutboardError('store.status', 'the store answers HEAD without a length', { details: { digest } });
    return { bytes };
  }

  /**
   * The ciphertext from `offset` on. A store that ignores Range is read from the beginning and the known part skipped.
   *
   * @throws OutboardError store.status (details.status, 404 when it is not there) | store.redirect | store.size | store.slow | store.unreachable
   */
  async *get(digest: string, options: GetOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { bytes, offset = 0, signal } = options;
    if (offset >= bytes) return;
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const response = await this.#exchange('GET', digest, headers, signal);
    try {
      if (response.statusCode !== 200 && response.statusCode !== 206) throw refused('GET', digest, response);
      const partial = response.statusCode === 206;
      if (partial) checkRange(response, offset, bytes);
      const expected = partial ? bytes - offset : bytes;
      const announced = contentLength(response);
      if (announced !== null && announced !== expected) throw wrongSize(digest, expected, announced);
      let skip = partial ? 0 : offset;
      let seen = 0;
      for await (const chunk of this.#received(response, digest, signal)) {
        seen += chunk.length;
        if (seen > expected) throw wrongSize(digest, expected, seen);
        const dropped = Math.min(skip, chunk.length);
        skip -= dropped;
        if (chunk.length > dropped) yield chunk.subarray(dropped);
      }
      if (seen !== expected) throw wrongSize(digest, expected, seen);
    } finally {
      response.destroy();
    }
  }

  /**
   * Stores a blob under its digest. What is there already is compared by size and left alone.
   *
   * @param body gives the ciphertext from an offset on; its own errors come through unchanged
   * @throws OutboardError store.digest (another blob is there) | store.status | store.redirect | store.slow | store.unreachable | store.size
   */
  async put(
    digest: string,
    bytes: number,
    body: (offset: number) => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ existed: boolean }> {
    if (await this.#holds(digest, bytes, signal)) return { existed: true };
    const response = await this.#send(digest, bytes, body(0), signal);
    response.resume();
    const status = response.statusCode ?? 0;
    if (status === 200 || status === 201 || status === 204) return { existed: false };
    // Another delivery of the same blob was faster.
    if ((status === 409 || status === 412) && (await this.#holds(digest, bytes, signal))) return { existed: true };
    throw refused('PUT', digest, response);
  }

  async #holds(digest: string, bytes: number, signal?: AbortSignal): Promise<boolean> {
    const there = await this.head(digest, signal);
    if (there === null) return false;
    if (there.bytes !== bytes)
      throw new OutboardError('store.digest', `the store holds ${there.bytes} bytes under ${digest}, not ${bytes}`, {
        details: { digest, bytes, stored: there.bytes },
      });
    return true;
  }

  /** One PUT. The store may answer before it has read everything: that answer counts, not the broken pipe that follows. */
  async #send(
    digest: string,
    bytes: number,
    body: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const req = await this.#request('PUT', digest, {
      'content-type': 'application/octet-stream',
      'content-length': String(bytes),
      'if-none-match': '*',
    });
    const floor = new RateFloor(this.#minBytesPerSecond, this.#stallMs);
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      req.once('response', resolve);
      req.once('error', (cause) => reject(unreachable(cause)));
    });
    answer.catch(() => undefined);
    let answered = false;
    answer.then(
      () => (answered = true),
      () => (answered = true),
    );
    const abort = () => req.destroy(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      let sent = 0;
      for await (const chunk of body) {
        if (answered) break;
        sent += chunk.length;
        if (sent > bytes) throw wrongSize(digest, bytes, sent);
        if (!req.write(chunk)) {
          const drained = new Promise<void>((resolve) => req.once('drain', resolve));
          await floor.waitFor(Promise.race([drained, answer.catch(() => undefined)]), late);
        }
        floor.add(chunk.length);
      }
      if (!answered && sent !== bytes) throw wrongSize(digest, bytes, sent);
      req.end();
      const idle = new RateFloor(1, this.#stallMs * COMMIT_STALLS);
      return checkRedirect(await idle.waitFor(answer, late));
    } catch (error) {
      req.destroy();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** A request without a body, and the head of its answer. */
  async #exchange(
    method: string,
    digest: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    signal?.throwIfAborted();
    const req = await this.#request(method, digest, { ...headers, 'accept-encoding': 'identity' });
    const abort = () => req.destroy(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const answer = new Promise<IncomingMessage>((resolve, reject) => {
        req.once('response', resolve);
        req.on('error', (cause) => reject(unreachable(cause)));
      });
      req.end();
      const response = await new RateFloor(1, this.#stallMs).waitFor(answer, late);
      return checkRedirect(response);
    } catch (error) {
      req.destroy();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async *#received(response: IncomingMessage, digest: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const floor = new RateFloor(this.#minBytesPerSecond, this.#stallMs);
    const abort = () => response.destroy(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      for (;;) {
        let next: IteratorResult<Buffer>;
        try {
          signal?.throwIfAborted();
          next = await floor.waitFor(chunks.next(), late);
        } catch (cause) {
          response.destroy();
          signal?.throwIfAborted();
          if (cause instanceof OutboardError) throw cause;
          throw new OutboardError('store.unreachable', `the store broke off while sending ${digest}`, { cause });
        }
        if (next.done) return;
        floor.add(next.value.length);
        yield next.value;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async #request(method: string, digest: string, headers: Record<string, string>) {
    const { ca, cert, key } = await this.#tls();
    const options: RequestOptions = {
      agent: this.#agent,
      method,
      host: this.#origin.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: this.#origin.port === '' ? 443 : Number(this.#origin.port),
      path: `/${digest}`,
      headers,
      ca,
      cert,
      key,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
    };
    const req = request(options);
    // Until TLS stands; the answer and the body have their own limits.
    req.once('socket', (socket) => {
      const timer = setTimeout(
        () => req.destroy(new Error(`no connection within ${this.#connectTimeoutMs} ms`)),
        this.#connectTimeoutMs,
      );
      const clear = () => clearTimeout(timer);
      socket.once('secureConnect', clear);
      socket.once('close', clear);
    });
    req.on('error', () => undefined); // each caller has its own listener; an error after it must not end the process
    return req;
  }
}

function late(): OutboardError {
  return new OutboardError('store.slow', 'the store stayed below the minimum rate');
}

function unreachable(cause: unknown): OutboardError {
  // A refused dual-stack connect is an AggregateError without a message, but with a code.
  const reason = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : String(cause);
  return new OutboardError('store.unreachable', `the store cannot be reached: ${reason}`, { cause });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason ?? 'aborted'));
}

function checkRedirect(response: IncomingMessage): IncomingMessage {
  const status = response.statusCode ?? 0;
  if (status < 300 || status > 399 || status === 304) return response;
  response.destroy();
  throw new OutboardError('store.redirect', `the store answers ${status}; redirects are not followed`, {
    details: { status },
  });
}

function refused(method: string, digest: string, response: IncomingMessage): OutboardError {
  const status = response.statusCode ?? 0;
  response.destroy();
  return new OutboardError('store.status', `the store answers ${status} to ${method} ${digest}`, {
    details: { status, digest },
  });
}

function wrongSize(digest: string, expected: number, seen: number): OutboardError {
  const message = `${digest} is ${expected} bytes, but ${seen} came`;
  return new OutboardError('store.size', message, { details: { digest, expected, seen } });
}

function contentLength(response: IncomingMessage): number | null {
  const header = response.headers['content-length'];
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : null;
}

function checkRange(response: IncomingMessage, offset: number, bytes: number): void {
  const header = response.headers['content-range'] ?? '';
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header) ?? [];
  if (Number(first) !== offset || Number(last) !== bytes - 1 || Number(total) !== bytes)
    throw new OutboardError('store.size', `the store sends "${header}" where bytes ${offset}-${bytes - 1} were asked`, {
      details: { offset, bytes },
    });
}
