/** `control.sock`: technicians and the command line. Reading is free for whoever may open the socket; acting is signed. */
import type { FastifyInstance } from 'fastify';
import {
  type InterfaceAnswer,
  InterfaceQuery,
  type SessionAnswer,
  type StatusAnswer,
} from '../../../core/contract/index.js';
import type { GearDesk } from '../gear-desk.js';
import { NONCE_SECONDS, type SessionRequests } from '../session-requests.js';
import type { TrustStore } from '../trust-store.js';
import { type CalibrationApi, calibrationRoutes } from './calibration-api.js';
import { applyTrust } from './courier-api.js';
import { parse } from './server.js';

export interface ControlApi extends CalibrationApi {
  trust: TrustStore;
  sessions: SessionRequests;
  gear: GearDesk;
  status(): Promise<StatusAnswer>;
  /** @param probe has another process try to open the device */
  audio(probe: boolean): Promise<InterfaceAnswer>;
}

export function controlRoutes(app: FastifyInstance, api: ControlApi): void {
  app.get('/status', async () => await api.status());
  app.get('/interface', async (request) => await api.audio(parse(InterfaceQuery, request.query).probe));
  app.get('/processors', async () => api.gear.list());
  app.get('/processors/:name', async (request) => await api.gear.show((request.params as { name: string }).name));
  calibrationRoutes(app, api);
  app.post('/trust', async (request) => await applyTrust(api.trust, request.body as string));
  app.get('/session/nonce', async (request) => ({
    nonce: api.sessions.nonce(request.raw.socket),
    rig: api.rig,
    seconds: NONCE_SECONDS,
  }));
  app.post(
    '/session',
    async (request): Promise<SessionAnswer> => await api.sessions.request(request.body as string, request.raw.socket),
  );
}
