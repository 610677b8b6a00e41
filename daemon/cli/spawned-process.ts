/** One of our processes as a child: its log goes to a file, its end is noticed, and it is ended with us. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { within } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';

const STOP_MS = 5000;
const TAIL_LINES = 5;

export interface SpawnedProcessOptions {
  /** How it is called in errors. */
  name: string;
  /** The script, a file URL. */
  script: URL;
  args: string[];
  logFile: string;
}

export class SpawnedProcess {
  readonly #options: SpawnedProcessOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<string> = Promise.resolve('was not started');

  constructor(options: SpawnedProcessOptions) {
    this.#options = options;
  }

  /** Resolves when the process has been made; whether it works shows elsewhere. */
  async start(): Promise<void> {
    if (this.#child) return;
    const { script, args, logFile } = this.#options;
    const log = openSync(logFile, 'a', 0o600);
    try {
      const child = spawn(process.execPath, [fileURLToPath(script), ...args], { stdio: ['ignore', log, log] });
      this.#child = child;
      this.#exit = new Promise((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(signal === null ? `exit status ${code}` : `signal ${signal}`));
      });
    } finally {
      closeSync(log);
    }
  }

  /** Rejects with demo.process when it ends; never resolves. Stopping it on purpose is an end, too. */
  async ended(): Promise<never> {
    const how = await this.#exit;
    throw new OutboardError('demo.process', `${this.#options.name} ended (${how}): ${this.#tail()}`, {
      details: { process: this.#options.name },
    });
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  async stop(): Promise<void> {
    if (!this.#running()) return;
    this.#child!.kill('SIGTERM');
    const late = () => new Error('late');
    await within(STOP_MS, this.#exit, late).catch(async () => {
      this.kill();
      await this.#exit;
    });
  }

  /** At once, without waiting. */
  kill(): void {
    if (this.#running()) this.#child!.kill('SIGKILL');
  }

  #running(): boolean {
    const child = this.#child;
    return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  #tail(): string {
    try {
      return readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join(' | ');
    } catch {
      return 'no log';
    }
  }
}
