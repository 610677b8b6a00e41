/** `courier.sock`: everything the courier may ask. It is believed in nothing; digests and signatures are checked behind this. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import {
  BroadcastQuery,
  Digest,
  LinkReport,
  OfferQuery,
  PublishedBody,
  type Receipt,
  TransferReport,
  WaitQuery,
} from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import type { Broadcast } from '../broadcast.js';
import type { Intake } from '../intake.js';
import type { Outgoing } from '../outgoing.js';
import type { Transfers } from '../transfers.js';
import type { TrustStore } from '../trust-store.js';
import { goneSignal, parse } from './server.js';

export interface CourierApi {
  intake: Intake;
  outgoing: Outgoing;
  transfers: Transfers;
  trust: TrustStore;
  broadcast: Broadcast;
  link(report: LinkReport): void;
}

/** Installs a bundle; a refusal is an answer, not a failure, because the same bundle would come again and again. */
export async function applyTrust(trust: TrustStore, text: string): Promise<Receipt> {
  try {
    return { verdict: (await trust.apply(text)) ? 'applied' : 'known' };
  } catch (error) {
    if (error instanceof OutboardError && error.code !== 'internal' && error.code !== 'journal.commit')
      return { verdict: 'refused', problem: error.toJSON() };
    throw error;
  }
}

export function courierRoutes(app: FastifyInstance, api: CourierApi): void {
  const { intake, outgoing, transfers, trust, broadcast } = api;
  const wait = (query: unknown) => parse(WaitQuery, query).wait * 1000;
  const digestOf = (params: unknown) => parse(Digest, (params as { digest: string }).digest);

  app.post(
    '/offers',
    async (request) => await intake.offer(request.body as string, parse(OfferQuery, request.query).retained),
  );
  app.post('/control', async (request) => await intake.control(request.body as string));
  app.post('/trust', async (request) => await applyTrust(trust, request.body as string));

  app.get('/outbox', async (request, reply) => ({
    items: await outgoing.take(wait(request.query), goneSignal(reply)),
  }));
  app.post('/outbox/published', async (request, reply) => {
    outgoing.published(parse(PublishedBody, request.body).ids);
    return await reply.status(204).send();
  });

  app.get('/fetches', async (request, reply) => ({
    items: await transfers.fetches(wait(request.query), goneSignal(reply)),
  }));
  app.post('/fetches/:digest', async (request, reply) => {
    transfers.fetchReport(digestOf(request.params), parse(TransferReport, request.body));
    return await reply.status(204).send();
  });
  app.get('/deliveries', async (request, reply) => ({
    items: await transfers.deliveries(wait(request.query), goneSignal(reply)),
  }));
  app.post('/deliveries/:digest', async (request, reply) => {
    transfers.deliveryReport(digestOf(request.params), parse(TransferReport, request.body));
    return await reply.status(204).send();
  });

  app.head('/blobs/:digest', async (request, reply) => {
    const offset = await transfers.head(digestOf(request.params));
    return await reply.status(204).header('upload-offset', offset).send();
  });
  app.put('/blobs/:digest', async (request, reply) => {
    const offset = Number(request.headers['upload-offset'] ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new OutboardError('blob.offset', 'Upload-Offset is not a number of bytes');
    const whole = await transfers.receive(digestOf(request.params), offset, request.body as Readable);
    return await reply.status(whole ? 201 : 204).send();
  });
  app.get('/blobs/:digest', { exposeHeadRoute: false }, async (request, reply) => {
    const { path, bytes } = transfers.result(digestOf(request.params));
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    if (start >= bytes) throw new OutboardError('blob.offset', `the result has ${bytes} bytes`);
    void reply.header('content-length', bytes - start).type('application/octet-stream');
    if (range) void reply.status(206).header('content-range', `bytes ${start}-${bytes - 1}/${bytes}`);
    return await reply.send(createReadStream(path, { start, highWaterMark: 256 * 1024 }));
  });

  app.get('/broadcast', async (request, reply) => {
    const query = parse(BroadcastQuery, request.query);
    return await broadcast.take(query.after, query.wait * 1000, goneSignal(reply));
  });
  app.post('/link', async (request, reply) => {
    api.link(parse(LinkReport, request.body));
    return await reply.status(204).send();
  });
}
