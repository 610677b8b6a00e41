/**
 * HTTP over one of the rig's unix sockets: for the courier (`courier.sock`) and the command line (`control.sock`).
 *
 * Answers are validated by the schemas that OpenAPI is made from. A rig that is not there is `rig.unreachable`; a refusal keeps the
 * rig's own code, with the HTTP status in `details.status`.
 */
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { z } from 'zod';
import { Problem } from '../core/contract/primitives.js';
import { ERRORS, type ErrorCode } from '../core/error-codes.js';
import { OutboardError } from '../core/errors.js';

export interface LocalClientOptions {
  socketPath: string;
  /** Until the head of an answer; a long poll names its own. */
  timeoutMs?: number;
  /** 1 keeps everything on one connection, as a session nonce needs it. */
  maxSockets?: number;
}

export interface CallOptions {
  query?: Record<string, string | number> | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

export interface Body {
  type: string;
  /** Text or bytes; anything else becomes JSON. */
  content: string | Uint8Array | object;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

const MAX_ANSWER_BYTES = 64 * 2 ** 20;
const TIMEOUT_MS = 10_000;
/** Between two chunks of a blob. */
const IDLE_MS = 60_000;

export class LocalClient {
  readonly #socketPath: string;
  readonly #timeoutMs: number;
  readonly #agent: Agent;

  constructor(options: LocalClientOptions) {
    this.#socketPath = options.socketPath;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.maxSockets ?? Number.POSITIVE_INFINITY });
  }

  /** @throws OutboardError rig.unreachable | rig.answer | the code of the rig's refusal */
  async get<S extends z.ZodType>(path: string, schema: S, options: CallOptions = {}): Promise<z.output<S>> {
    return parse(path, schema, succeeded(path, await this.exchange('GET', path, undefined, options)).body.toString());
  }

  /** A POST whose answer has no body when `schema` is null. @throws as `get` */
  async post(path: string, body: Body, schema: null, options?: CallOptions): Promise<void>;
  async post<S extends z.ZodType>(path: string, body: Body, schema: S, options?: CallOptions): Promise<z.output<S>>;
  async post(path: string, body: Body, schema: z.ZodType | null, options: CallOptions = {}): Promise<unknown> {
    const answer = succeeded(path, await this.exchange('POST', path, body, options));
    return schema === null ? undefined : parse(path, schema, answer.body.toString());
  }

  /** One request and its whole answer, whatever the status. @throws OutboardError rig.unreachable | rig.answer */
  async exchange(method: string, path: string, body?: Body, options: CallOptions = {}): Promise<Answer> {
    const content = body === undefined ? undefined : encode(body.content);
    const headers = {
      ...options.headers,
      ...(body && content ? { 'content-type': body.type, 'content-length': String(content.length) } : {}),
    };
    const response = await this.#head(method, path, { ...options, headers }, (req) => {
      req.end(content);
      return Promise.resolve();
    });
    return await collect(path, response, options.signal);
  }

  /** Where to resume the upload of a blob. Null when the rig does not want it (any more). @throws as `get` */
  async uploadOffset(digest: string, signal?: AbortSignal): Promise<number | null> {
    const path = `/blobs/${digest}`;
    const answer = await this.exchange('HEAD', path, undefined, { signal });
    if (answer.status === 404 || answer.status === 410) return null;
    succeeded(path, answer);
    const offset = answer.headers['upload-offset'];
    if (typeof offset !== 'string' || !/^\d{1,15}$/.test(offset))
      throw new OutboardError('rig.answer', `HEAD ${path} has no Upload-Offset`);
    return Number(offset);
  }

  /** Bytes of a blob to the rig. True when it is complete there. @throws as `get`; what `chunks` throws comes through unchanged */
  async putBlob(
    digest: string,
    offset: number,
    chunks: AsyncIterable<Uint8Array>,
    options: CallOptions = {},
  ): Promise<boolean> {
    const path = `/blobs/${digest}`;
    const headers = { 'content-type': 'application/octet-stream', 'upload-offset': String(offset) };
    const timeoutMs = options.timeoutMs ?? IDLE_MS;
    const response = await this.#head('PUT', path, { ...options, headers, timeoutMs }, async (req, answered) => {
      for await (const chunk of chunks) {
        if (answered()) break; // refused before the end
        if (!req.write(chunk)) await drained(req, timeoutMs);
      }
      req.end();
    });
    return succeeded(path, await collect(path, response, options.signal)).status === 201;
  }

  /** Bytes of a sealed result, from `offset` on. @throws as `get` */
  async *getBlob(
    digest: string,
    offset: number,
    options: CallOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const path = `/blobs/${digest}`;
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const response = await this.#head('GET', path, { ...options, headers }, (req) => {
      req.end();
      return Promise.resolve();
    });
    const wanted = offset > 0 ? 206 : 200;
    if (response.statusCode !== wanted) {
      const { statusCode = 0 } = response;
      if (statusCode >= 300) succeeded(path, await collect(path, response, options.signal));
      response.destroy();
      throw new OutboardError('rig.answer', `GET ${path} answers ${statusCode} where ${wanted} belongs`);
    }
    yield* receive(response, options.signal);
  }

  /**
   * One JSON object a line, as they come, until the rig ends it.
   * @throws as `get`; `rig.unreachable` when nothing comes for a minute
   */
  async *lines<S extends z.ZodType>(
    path: string,
    schema: S,
    options: CallOptions = {},
  ): AsyncGenerator<z.output<S>, void, undefined> {
    const response = await this.#head('GET', path, options, (req) => {
      req.end();
      return Promise.resolve();
    });
    if (response.statusCode !== 200) succeeded(path, await collect(path, response, options.signal));
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of receive(response, options.signal)) {
      const whole = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = whole.pop()!;
      if (rest.length > MAX_ANSWER_BYTES) throw new OutboardError('rig.answer', `a line of ${path} has no end`);
      for (const line of whole) yield parse(path, schema, line);
    }
    if (rest !== '') throw new OutboardError('rig.answer', `the last line of ${path} is cut off`);
  }

  /** Closes its connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** Sends a request and waits for the head of its answer; the time-out counts from when the body has been sent. */
  async #head(
    method: string,
    path: string,
    options: CallOptions,
    send: (req: ClientRequest, answered: () => boolean) => Promise<void>,
  ): Promise<IncomingMessage> {
    options.signal?.throwIfAborted();
    const req = request({
      socketPath: this.#socketPath,
      agent: this.#agent,
      method,
      path: withQuery(path, options.query),
      headers: { host: 'rig', ...options.headers },
    });
    let answered = false;
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      req.once('response', (response) => {
        answered = true;
        resolve(response);
      });
      req.on('error', (cause) => {
        answered = true;
        reject(unreachable(cause));
      });
    });
    answer.catch(() => undefined);
    const abort = () => req.destroy(new Error('aborted'));
    options.signal?.addEventListener('abort', abort, { once: true });
    let timer: NodeJS.Timeout | undefined;
    try {
      await send(req, () => answered);
      const limitMs = options.timeoutMs ?? this.#timeoutMs;
      timer = setTimeout(() => req.destroy(new Error(`no answer to ${method} ${path} within ${limitMs} ms`)), limitMs);
      return await answer;
    } catch (error) {
      req.destroy();
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    }
  }
}

/** A small body, whole. By events, because this is where a burst of offers passes. */
function collect(path: string, response: IncomingMessage, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const abort = () => response.destroy(new Error('aborted'));
    const timer = setTimeout(() => response.destroy(new Error(`the answer to ${path} does not end`)), IDLE_MS);
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    signal?.addEventListener('abort', abort, { once: true });
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error(`the answer to ${path} has no end`));
    });
    response.once('end', () => {
      settle();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
    });
    response.once('error', (cause) => {
      settle();
      reject(signal?.aborted ? signal.reason : unreachable(cause));
    });
  });
}

async function* receive(response: IncomingMessage, signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const abort = () => response.destroy(new Error('aborted'));
  const idle = () => response.destroy(new Error(`no byte for ${IDLE_MS} ms`));
  signal?.addEventListener('abort', abort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  try {
    timer = setTimeout(idle, IDLE_MS);
    for await (const chunk of response) {
      clearTimeout(timer); // a slow reader of ours is not a silent rig
      yield chunk as Buffer;
      timer = setTimeout(idle, IDLE_MS);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof OutboardError ? cause : unreachable(cause);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    response.destroy();
  }
}

function drained(req: ClientRequest, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    // A rig that takes nothing for so long does not answer: destroying the request makes the answer an error.
    const timer = setTimeout(() => req.destroy(new Error(`the rig took no byte for ${timeoutMs} ms`)), timeoutMs);
    const done = () => {
      clearTimeout(timer);
      for (const event of ['drain', 'close', 'response']) req.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'response']) req.once(event, done);
  });
}

function unreachable(cause: unknown): OutboardError {
  const reason =
    (cause as NodeJS.ErrnoException | undefined)?.code ?? (cause instanceof Error ? cause.message : String(cause));
  return new OutboardError('rig.unreachable', `the rig does not answer (${reason})`, { cause });
}

function encode(content: Body['content']): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  return content instanceof Uint8Array ? Buffer.from(content) : Buffer.from(JSON.stringify(content));
}

function withQuery(path: string, query: CallOptions['query']): string {
  if (!query) return path;
  const text = Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return `${path}?${new URLSearchParams(text)}`;
}

function parse<S extends z.ZodType>(path: string, schema: S, text: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OutboardError('rig.answer', `the answer to ${path} is no JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new OutboardError(
    'rig.answer',
    `the answer to ${path} is not what it should be: ${issue.path.join('.')}: ${issue.message}`,
  );
}

/** The answer, or the rig's refusal as an error. */
function succeeded(path: string, answer: Answer): Answer {
  const { status } = answer;
  if (status >= 200 && status < 300) return answer;
  const problem = problemOf(answer);
  if (problem) throw errorOf(problem, { status });
  throw new OutboardError('rig.answer', `the rig answers ${status} to ${path}`, { details: { status } });
}

/** A problem that the rig tells, as the error that it was there; one with a code that nobody here knows is `rig.answer`. */
export function errorOf({ code, message, details }: Problem, more: Record<string, unknown> = {}): OutboardError {
  if (Object.hasOwn(ERRORS, code))
    return new OutboardError(code as ErrorCode, message, { details: { ...details, ...more } });
  return new OutboardError('rig.answer', `${code}: ${message}`, { details: more });
}

/** The problem document of a refusal, if it has one. */
export function problemOf(answer: Answer): Problem | null {
  try {
    return Problem.parse(JSON.parse(answer.body.toString('utf8')));
  } catch {
    return null;
  }
}
