/** `control.sock`: technicians and the command line. Reading is free for whoever may open the socket; acting is signed. */
import type { FastifyInstance } from 'fastify';
import type { SessionAnswer, StatusAnswer } from '../../../core/contract/index.js';
import { type Maintenance, NONCE_SECONDS } from '../maintenance.js';
import type { TrustStore } from '../trust-store.js';
import { applyTrust } from './courier-api.js';

export interface ControlApi {
  rig: string;
  trust: TrustStore;
  maintenance: Maintenance;
  status(): Promise<StatusAnswer>;
}

export function controlRoutes(app: FastifyInstance, api: ControlApi): void {
  app.get('/status', async () => await api.status());
  app.post('/trust', async (request) => await applyTrust(api.trust, request.body as string));
  app.get('/session/nonce', async (request) => ({
    nonce: api.maintenance.nonce(request.raw.socket),
    rig: api.rig,
    seconds: NONCE_SECONDS,
  }));
  app.post(
    '/session',
    async (request): Promise<SessionAnswer> =>
      await api.maintenance.request(request.body as string, request.raw.socket),
  );
}
