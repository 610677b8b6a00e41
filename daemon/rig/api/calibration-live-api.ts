/** What happens in a run of calibration, line by line, for whoever may open the socket. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type CalibrationNews, NDJSON, Uuid } from '../../../core/contract/index.js';
import type { CalibrationRuns } from '../calibration/runs.js';
import { goneSignal, parse } from './server.js';

export function calibrationLiveRoutes(app: FastifyInstance, runs: Pick<CalibrationRuns, 'news'>): void {
  app.get('/calibration/runs/:run/live', async (request, reply) => {
    const news = runs.news(parse(Uuid, (request.params as { run: string }).run), goneSignal(reply));
    return await reply.type(NDJSON).send(Readable.from(lines(news)));
  });
}

async function* lines(news: AsyncIterable<CalibrationNews>): AsyncGenerator<string, void, undefined> {
  for await (const one of news) yield `${JSON.stringify(one)}\n`;
}
