/** The analyst's thread: asked for one analysis after the other. */
import { parentPort } from 'node:worker_threads';
import { inThisThread } from './analyst.js';
import type { FromAnalyst, ToAnalyst } from './analyst-protocol.js';

const port = parentPort!;
port.on('message', ({ id, kind, input }: ToAnalyst) => {
  inThisThread.analyze(kind, input).then(
    (findings) => port.postMessage({ id, findings } satisfies FromAnalyst),
    (error: unknown) =>
      port.postMessage({
        id,
        failed: error instanceof Error ? (error.stack ?? error.message) : String(error),
      } satisfies FromAnalyst),
  );
});
