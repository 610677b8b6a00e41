/** Programs of the host, run to their end, and waiting for what takes its time. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface Ended {
  code: number | string;
  stdout: string;
  /** Both streams, for a message. */
  said: string;
}

const LIMIT_MS = 240_000;

/** Whatever it ends with. */
export function attempt(command: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: LIMIT_MS, maxBuffer: 16 * 2 ** 20 }, (error, stdout, stderr) => {
      const code = error ? (error.code ?? error.signal ?? 'no status') : 0;
      resolve({ code, stdout, said: `${stdout}${stderr}`.trim() });
    });
  });
}

/** @returns what it wrote. @throws with all that it said when its status is not 0 */
export async function sh(command: string, ...args: string[]): Promise<string> {
  const ended = await attempt(command, ...args);
  if (ended.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${ended.code}\n${ended.said}`);
  return ended.stdout.trim();
}

/** The first answer that is not null. Everything is slow on an emulated processor: the limit says that it hangs, not that it is slow. */
export async function until<T>(what: string, limitSeconds: number, look: () => Promise<T | null>): Promise<T> {
  const end = performance.now() + limitSeconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${limitSeconds} s`);
    await delay(100);
  }
}

export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}
