/** An analyst in a thread of its own (analyst-worker.ts). */
import { Worker } from 'node:worker_threads';
import { OutboardError } from '../../core/errors.js';
import type { AnalysisKind } from './analyses.js';
import type { Analyst } from './analyst.js';
import type { FromAnalyst, ToAnalyst } from './analyst-protocol.js';
import type { Findings } from './procedure.js';

export interface AnalystThread extends Analyst {
  /** Ends the thread; what it is still asked for is refused. May be called twice. */
  stop(): Promise<void>;
}

interface Asked {
  resolve(findings: Findings): void;
  reject(error: OutboardError): void;
}

/** Starts the thread. What it cannot analyze is `internal`: a capture that gives no number is a finding like any other. */
export function startAnalystThread(): AnalystThread {
  const worker = new Worker(new URL('./analyst-worker.js', import.meta.url), {
    name: 'outboard-analyst',
    argv: [],
    env: {},
    execArgv: [],
  });
  const asked = new Map<number, Asked>();
  let next = 1;
  let dead: OutboardError | null = null;
  const die = (why: string, cause?: unknown): void => {
    dead ??= new OutboardError('internal', `the thread that analyzes ended: ${why}`, { cause });
    for (const { reject } of asked.values()) reject(dead);
    asked.clear();
  };
  worker.on('message', (message: FromAnalyst) => {
    const waiting = asked.get(message.id);
    asked.delete(message.id);
    if ('findings' in message) waiting?.resolve(message.findings);
    else waiting?.reject(new OutboardError('internal', message.failed));
  });
  worker.on('error', (error) => die(error.message, error));
  worker.on('exit', (code) => die(`exit status ${code}`));
  return {
    analyze: async <K extends AnalysisKind>(kind: K, input: ToAnalyst<K>['input']): Promise<Findings> => {
      if (dead) throw dead;
      const id = next++;
      return await new Promise<Findings>((resolve, reject) => {
        asked.set(id, { resolve, reject });
        worker.postMessage({ id, kind, input } satisfies ToAnalyst<K>);
      });
    },
    stop: async () => {
      die('it was stopped');
      await worker.terminate();
    },
  };
}
