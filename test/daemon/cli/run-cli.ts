/** Runs the command line as its user does: a process of its own, stdin closed unless said otherwise. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../../daemon/cli/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** @param o.input null keeps stdin open */
export function start(command: string, args: string[], o: { cwd?: string; input?: string | null } = {}): Running {
  const child = spawn(command, args, { cwd: o.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  // A program that does not read its input is not a fault of the test.
  child.stdin.on('error', () => {});
  if (o.input !== null) child.stdin.end(o.input ?? '');
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  const wake = () => {
    for (const watcher of watchers) watcher();
  };
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
    wake();
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
    wake();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
      wake();
    });
  });
  let over = false;
  ended.then(
    () => (over = true),
    () => (over = true),
  );
  return {
    child,
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (`${stdout}${stderr}`.includes(text)) {
            watchers.delete(look);
            resolve();
          } else if (over) reject(new Error(`${command} ended without saying "${text}": ${stdout}${stderr}`));
        };
        watchers.add(look);
        ended.then(look, reject);
        look();
      }),
  };
}

export interface Running {
  child: ChildProcess;
  ended: Promise<Ended>;
  /** Resolves when stdout or stderr holds this text; rejects when the process ended without it. */
  says(text: string): Promise<void>;
}

export function run(command: string, args: string[], o: { cwd?: string; input?: string } = {}): Promise<Ended> {
  return start(command, args, o).ended;
}

export function outboard(...args: string[]): Promise<Ended> {
  return run(process.execPath, [MAIN, ...args]);
}

/** The last JSON object on stdout. */
export function lastObject(ended: Ended): Record<string, unknown> {
  const line = ended.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as Record<string, unknown>;
}
