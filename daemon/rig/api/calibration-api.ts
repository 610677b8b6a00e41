/** The history of calibration at `control.sock`: for reports, and for whoever wants to look again. Reading only. */
import type { FastifyInstance } from 'fastify';
import {
  type InsertHistoryAnswer,
  InsertHistoryQuery,
  LocalName,
  type RunAnswer,
  type RunsAnswer,
  RunsQuery,
  Uuid,
} from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import type { HistoryArchive } from '../calibration/history-archive.js';
import { parse } from './server.js';

export interface CalibrationApi {
  rig: string;
  archive: Pick<HistoryArchive, 'runs' | 'newest' | 'run' | 'insert'>;
  /** Version of the trims in force. */
  calibration(): string | null;
}

export function calibrationRoutes(app: FastifyInstance, { rig, archive, calibration }: CalibrationApi): void {
  app.get('/calibration/runs', (request): RunsAnswer => {
    const { newest, ...query } = parse(RunsQuery, request.query);
    if (!newest) return { rig, runs: archive.runs(query) };
    const { insert } = query;
    if (insert === undefined) throw new OutboardError('envelope.schema', 'insert: newest needs one');
    return { rig, runs: archive.newest(insert) };
  });
  app.get('/calibration/runs/:run', (request): RunAnswer => {
    return archive.run(parse(Uuid, (request.params as { run: string }).run));
  });
  app.get('/calibration/inserts/:insert', async (request): Promise<InsertHistoryAnswer> => {
    const insert = parse(LocalName, (request.params as { insert: string }).insert);
    const query = parse(InsertHistoryQuery, request.query);
    return { rig, calibration: calibration(), ...(await archive.insert(insert, query)) };
  });
}
