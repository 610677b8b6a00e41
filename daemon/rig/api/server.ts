/** What both unix-socket servers share: tokens as raw bodies, blobs as streams, and typed errors as answers. */

import { chmod, mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { z } from 'zod';
import { JOSE, JOSE_JSON } from '../../../core/contract/index.js';
import { asOutboardError, type ErrorCode, OutboardError } from '../../../core/errors.js';
import type { Logger } from '../../log.js';

/** Larger than any token may be, so that the size is refused with its own code. */
const BODY_LIMIT_BYTES = 128 * 1024;

/** Where a server listens: a path of its own, or a descriptor that the service manager opened (sd_listen_fds(3)). */
export type Listener = { path: string } | { fd: number };

const STATUS: Partial<Record<ErrorCode, number>> = {
  internal: 500,
  'journal.commit': 503,
  'trust.missing': 503,
  'trust.clock': 503,
  'rig.disk-full': 507,
  'blob.unexpected': 404,
  'blob.offset': 409,
  'job.unknown': 404,
  'history.unknown': 404,
  'rig.mode': 409,
  'source.size': 413,
  'source.digest': 422,
  'session.nonce': 401,
};

export function createServer(log: Logger): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  });
  for (const type of [JOSE, JOSE_JSON])
    app.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.setErrorHandler((cause: Error & { statusCode?: number }, _request, reply) => {
    const ours = cause instanceof OutboardError;
    const error = asOutboardError(cause);
    const status = ours ? (STATUS[error.code] ?? 400) : (cause.statusCode ?? 500);
    if (status >= 500) log.error({ err: cause, code: error.code }, 'a request failed');
    void reply.status(status).send(error.toJSON());
  });
  app.setNotFoundHandler(
    (_request, reply) =>
      void reply
        .status(404)
        .send({ code: 'usage', message: 'no such route', advice: 'See docs/protocol/openapi.yaml.' }),
  );
  return app;
}

/** A validated query or JSON body. @throws OutboardError envelope.schema with the path */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new OutboardError('envelope.schema', `${issue.path.join('.') || '(top level)'}: ${issue.message}`);
}

/** Aborts when the one who asked has gone away, or has been answered. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  reply.raw.once('close', () => abort.abort());
  return abort.signal;
}

/** Listens on a path (0660, made anew: the journal's lock has shown that no other daemon is alive) or on an inherited descriptor. */
export async function listen(app: FastifyInstance, listener: Listener): Promise<void> {
  await app.ready();
  const server: Server = app.server;
  if ('path' in listener) {
    await mkdir(dirname(listener.path), { recursive: true, mode: 0o750 });
    await rm(listener.path, { force: true });
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listener, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  if ('path' in listener) await chmod(listener.path, 0o660);
}
