/** Plays the rig's side of `courier.sock` as core/contract/local-api.ts says it, in memory, with answers that a test decides. */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { LinkReport, OutboxItem, TransferReport } from '../../core/contract/local-api.js';

export interface Submission {
  inlet: 'offers' | 'control' | 'trust';
  type: string;
  token: string;
  /** What the courier says of the offer. */
  retained: boolean;
}

export class RigSocketPeer {
  readonly path: string;
  /** Every token that was POSTed, in order of arrival. */
  readonly submissions: Submission[] = [];
  /** Decides the answer to a token: a status, and what is sent. */
  answer: (submission: Submission) => Promise<{ status: number; body?: object }> | { status: number; body?: object } =
    () => ({
      status: 200,
      body: { verdict: 'accepted' },
    });
  /** Given out until reported as published. */
  readonly outbox = new Map<string, OutboxItem>();
  readonly published: string[] = [];
  readonly wanted = new Map<string, { bytes: number; received: Buffer }>();
  readonly complete = new Map<string, Buffer>();
  readonly results = new Map<string, Buffer>();
  readonly delivered: string[] = [];
  readonly reports: { kind: string; digest: string; report: TransferReport }[] = [];
  readonly links: LinkReport[] = [];
  /** Set to end GET /blobs and PUT /blobs connections after so many bytes, once. */
  cutBlobAfter: number | null = null;
  /** The next report of what was published is lost, as when the rig dies then. */
  failNextPublished = false;
  /** Long polls that wait now. */
  openPolls = 0;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #broadcast = {
    seq: 1,
    state: 'e30.e30.first',
    health: [] as { subsystem: string; token: string }[],
    calibration: [] as { insert: string; token: string }[],
  };

  constructor(path: string) {
    this.path = path;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await rm(this.path, { force: true });
    server.listen(this.path);
    await once(server, 'listening');
    this.#server = server;
  }

  /** As when the process dies: every connection ends, nobody listens. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Forgets all that was, for the next test. */
  reset(): void {
    for (const list of [this.submissions, this.published, this.delivered, this.reports, this.links]) list.length = 0;
    for (const map of [this.outbox, this.wanted, this.complete, this.results]) map.clear();
    this.answer = () => ({ status: 200, body: { verdict: 'accepted' } });
    this.cutBlobAfter = null;
    this.failNextPublished = false;
  }

  /** New retained documents. */
  say(
    state: string,
    health: { subsystem: string; token: string }[] = [],
    calibration: { insert: string; token: string }[] = [],
  ): void {
    this.#broadcast = { seq: this.#broadcast.seq + 1, state, health, calibration };
    this.#changed();
  }

  emit(item: OutboxItem): void {
    this.outbox.set(item.id, item);
    this.#changed();
  }

  want(digest: string, bytes: number): void {
    this.wanted.set(digest, { bytes, received: Buffer.alloc(0) });
    this.#changed();
  }

  deliver(digest: string, blob: Buffer): void {
    this.results.set(digest, blob);
    this.#changed();
  }

  /** Resolves when the condition holds; it is looked at after everything that happens here. */
  async until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const limit = AbortSignal.timeout(timeoutMs);
    while (!condition()) await once(this.#changes, 'change', { signal: limit });
  }

  #changed(): void {
    this.#changes.emit('change');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://rig');
    const [, first = '', second] = url.pathname.split('/');
    const wait = Number(url.searchParams.get('wait') ?? 0);
    const method = request.method ?? '';
    if (first === 'blobs') return await this.#blob(method, second ?? '', request, response);
    if (method === 'POST') {
      const body = Buffer.concat(await request.toArray());
      const retained = url.searchParams.get('retained') === 'true';
      return await this.#posted(first, second, body, request.headers['content-type'] ?? '', retained, response);
    }
    if (first === 'outbox') {
      await this.#poll(() => this.outbox.size > 0, wait, response);
      const items = [...this.outbox.values()].slice(0, 500);
      for (const item of items) if (!item.durable) this.outbox.delete(item.id);
      return reply(response, 200, { items });
    }
    if (first === 'fetches') {
      await this.#poll(() => this.wanted.size > 0, wait, response);
      const items = [...this.wanted].map(([digest, w]) => ({ digest, bytes: w.bytes, offset: w.received.length }));
      return reply(response, 200, { items });
    }
    if (first === 'deliveries') {
      const open = () => [...this.results].filter(([digest]) => !this.delivered.includes(digest));
      await this.#poll(() => open().length > 0, wait, response);
      return reply(response, 200, { items: open().map(([digest, blob]) => ({ digest, bytes: blob.length })) });
    }
    if (first === 'broadcast') {
      const after = Number(url.searchParams.get('after') ?? 0);
      await this.#poll(() => this.#broadcast.seq > after, wait, response);
      return reply(response, 200, this.#broadcast);
    }
    reply(response, 404, problem('blob.unexpected'));
  }

  async #posted(
    first: string,
    second: string | undefined,
    body: Buffer,
    type: string,
    retained: boolean,
    response: ServerResponse,
  ) {
    if (first === 'outbox' && second === 'published') {
      if (this.failNextPublished) {
        this.failNextPublished = false;
        return void response.destroy();
      }
      for (const id of (JSON.parse(body.toString()) as { ids: string[] }).ids) {
        this.published.push(id);
        this.outbox.delete(id);
      }
      response.writeHead(204).end();
    } else if ((first === 'fetches' || first === 'deliveries') && second) {
      const report = JSON.parse(body.toString()) as TransferReport;
      this.reports.push({ kind: first, digest: second, report });
      if (first === 'deliveries' && report.outcome === 'done') this.delivered.push(second);
      if (report.outcome === 'failed' && report.final) this.wanted.delete(second);
      response.writeHead(204).end();
    } else if (first === 'link') {
      this.links.push(JSON.parse(body.toString()) as LinkReport);
      response.writeHead(204).end();
    } else if (first === 'offers' || first === 'control' || first === 'trust') {
      const submission: Submission = { inlet: first, type, token: body.toString(), retained };
      const { status, body: answer } = await this.answer(submission);
      this.submissions.push(submission);
      reply(response, status, answer ?? problem('envelope.malformed'));
    } else reply(response, 404, problem('blob.unexpected'));
    this.#changed();
  }

  async #blob(method: string, digest: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = this.wanted.get(digest);
    if (method === 'HEAD') {
      if (!wanted) return void response.writeHead(404).end();
      return void response.writeHead(200, { 'upload-offset': String(wanted.received.length) }).end();
    }
    if (method === 'GET') {
      const blob = this.results.get(digest);
      if (!blob) return reply(response, 404, problem('blob.unexpected'));
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': blob.length - from });
      const cut = this.#takeCut();
      if (cut !== null) return void response.write(blob.subarray(from, from + cut), () => response.socket?.destroy());
      return void response.end(blob.subarray(from));
    }
    if (!wanted) return reply(response, 404, problem('blob.unexpected'));
    if (Number(request.headers['upload-offset']) !== wanted.received.length)
      return reply(response, 409, problem('blob.offset'));
    const cut = this.#takeCut();
    let taken = 0;
    try {
      for await (const chunk of request) {
        wanted.received = Buffer.concat([wanted.received, chunk as Buffer]);
        taken += (chunk as Buffer).length;
        if (cut !== null && taken >= cut) return void request.socket.destroy();
      }
    } catch {
      return; // the courier broke off; what came is kept
    } finally {
      this.#changed();
    }
    if (wanted.received.length < wanted.bytes) return void response.writeHead(204).end();
    this.wanted.delete(digest);
    const actual = `sha256:${createHash('sha256').update(wanted.received).digest('hex')}`;
    if (actual !== digest) return reply(response, 422, problem('source.digest'));
    this.complete.set(digest, wanted.received);
    response.writeHead(201).end();
    this.#changed();
  }

  #takeCut(): number | null {
    const cut = this.cutBlobAfter;
    this.cutBlobAfter = null;
    return cut;
  }

  async #poll(ready: () => boolean, waitSeconds: number, response: ServerResponse): Promise<void> {
    if (ready() || waitSeconds === 0) return;
    this.openPolls += 1;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (ready()) done();
      };
      const done = () => {
        clearTimeout(timer);
        this.#changes.off('change', look);
        response.off('close', done);
        this.openPolls -= 1;
        resolve();
        this.#changed();
      };
      const timer = setTimeout(done, waitSeconds * 1000);
      this.#changes.on('change', look);
      response.once('close', done);
    });
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}

function problem(code: string) {
  return { code, message: `the test says ${code}`, advice: 'none' };
}
