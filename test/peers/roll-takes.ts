/** Starts the process of rolling-rig.ts, and looks from outside at what it uses. */
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHUNK_BYTES, OPEN_WINDOW_CHUNKS } from '../../certs/seal-protocol.js';
import { LoopCard } from './loop-card/loop-card.js';
import { type Memory, memoryOf, threadSeconds } from './process-times.js';
import type { FromRolling, RollingOrder, RollingReport, ThreadGroups } from './rolling-rig.js';

/** A card on which so many channels roll, its wires one for one. */
export interface RollingCard {
  device: string;
  procRoot: string;
  env: NodeJS.ProcessEnv;
  delayFrames: number;
}

/** Of the card, from playback to capture. */
const DELAY_FRAMES = 64;
/** As nice(1) counts, of the session of the process. */
const SESSION_PRIORITY = -15;
/** Until then programs start, and the code of takes is compiled. */
const SETTLING_SECONDS = 2;
/** So long before the end, plain sources have been read, whoever reads them ahead. */
const ENDING_SECONDS = 5;
/** What the thread that opens a sealed source holds ready beside it, bytes of stereo with 24 bits. */
const OPENED_BYTES = OPEN_WINDOW_CHUNKS * CHUNK_BYTES;

export type GroupSeconds = Record<keyof ThreadGroups, number>;

export interface Rolled {
  report: RollingReport;
  /** What each group of threads used in the steady part. */
  steady: { seconds: number; cpuSeconds: GroupSeconds };
  memory: Memory;
}

interface Look {
  atMs: number;
  threads: Map<number, number>;
}

/** @param channels in each direction */
export async function rollingCard(channels: number, rate: number): Promise<RollingCard & { close(): Promise<void> }> {
  const card = await LoopCard.open({ in: channels, out: channels, rates: [rate], delayFrames: DELAY_FRAMES });
  const { device, procRoot, env } = card;
  return { device, procRoot, env, delayFrames: DELAY_FRAMES, close: () => card.close() };
}

/** @param o.nodeOptions for instance `--cpu-prof` */
export async function rollTakes(
  card: RollingCard,
  takes: Omit<RollingOrder, 'card'>,
  o: { nodeOptions?: string[]; onRolling?: () => void } = {},
): Promise<Rolled> {
  const { env, ...rest } = card;
  const order: RollingOrder = { card: rest, ...takes };
  const program = fileURLToPath(new URL('rolling-rig.js', import.meta.url));
  const child = fork(program, [], { env: { ...process.env, ...env }, execArgv: o.nodeOptions ?? [], detached: true });
  const pid = child.pid!;
  favour(pid);
  const timers: NodeJS.Timeout[] = [];
  const looks: Look[] = [];
  let memory: Memory | null = null;
  let groups: ThreadGroups | null = null;
  const look = (): void => {
    looks.push({ atMs: performance.now(), threads: threadSeconds(pid) });
    memory = memoryOf(pid);
  };
  try {
    const report = await new Promise<RollingReport>((resolve, reject) => {
      child.on('message', (message: FromRolling) => {
        if ('done' in message) resolve(message.done);
        else if ('failed' in message) reject(new Error(message.failed));
        else {
          groups = message.rolling;
          o.onRolling?.();
          const { from, to } = steadyPart(order.frames / order.rate, order.keys ? order.rate : null);
          timers.push(setTimeout(look, from * 1000), setTimeout(look, (to - message.sinceSeconds) * 1000));
        }
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the rolling rig ended with ${signal ?? code}`)));
      child.send(order);
    });
    await new Promise<void>((resolve) => {
      if (child.exitCode !== null) return resolve();
      child.once('exit', () => resolve());
    });
    const [first, last] = looks as [Look, Look];
    return { report, steady: usedBetween(first, last, groups!), memory: memory! };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}

/**
 * Linux shares processors among sessions (autogroups) before it looks at priorities. What else runs on this machine shall not decide whether
 * a take succeeds; it changes nothing in what a thread uses.
 */
function favour(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, `${SESSION_PRIORITY}`);
  } catch {
    // The kernel has no such groups, or we may not.
  }
}

function usedBetween(first: Look, last: Look, groups: ThreadGroups): Rolled['steady'] {
  const secondsOf = (tids: readonly number[]): number =>
    tids.reduce((sum, tid) => {
      const [before, after] = [first.threads.get(tid), last.threads.get(tid)];
      if (before === undefined || after === undefined) throw new Error(`thread ${tid} ended within the steady part`);
      return sum + after - before;
    }, 0);
  const { main, helpers, driver, sealing } = groups;
  return {
    seconds: (last.atMs - first.atMs) / 1000,
    cpuSeconds: {
      main: secondsOf(main),
      helpers: secondsOf(helpers),
      driver: secondsOf(driver),
      sealing: secondsOf(sealing),
    },
  };
}

/**
 * From when to when a playback of `seconds` is in its steady part, in seconds after its beginning.
 * @param sealedRate of sealed sources, Hz
 */
export function steadyPart(seconds: number, sealedRate: number | null = null): { from: number; to: number } {
  const ending = ENDING_SECONDS + (sealedRate === null ? 0 : OPENED_BYTES / (6 * sealedRate));
  const from = Math.min(SETTLING_SECONDS, seconds / 4);
  return { from, to: Math.max(seconds - ending, seconds / 3) };
}

export function sumOf(groups: GroupSeconds): number {
  return Object.values(groups).reduce((sum, seconds) => sum + seconds, 0);
}
