/** What the host must be for the rig: room on the disk, and no way for plaintext in memory to reach it (core dumps, swap). */
import { readFileSync, statfsSync } from 'node:fs';
import type { HealthCheck } from '../../core/contract/index.js';

/** Below this the disk is reported, long before it is full. */
const LOW_DISK_BYTES = 1024 ** 3;

export function hostChecks(stateDir: string): HealthCheck[] {
  return [diskCheck(stateDir), memoryCheck(), coreDumpCheck(), swapCheck()];
}

function diskCheck(stateDir: string): HealthCheck {
  const fs = statfsSync(stateDir);
  const free = Number(fs.bavail) * Number(fs.bsize);
  return {
    name: 'disk',
    status: free < LOW_DISK_BYTES ? 'degraded' : 'ok',
    detail: `${(free / 1e9).toFixed(1)} GB free for journal and spool`,
    value: free,
    unit: 'B',
  };
}

function memoryCheck(): HealthCheck {
  const rss = process.memoryUsage.rss();
  return { name: 'memory', status: 'ok', detail: `${Math.round(rss / 1e6)} MB resident`, value: rss, unit: 'B' };
}

/** proc(5), /proc/pid/limits. A core file would hold the song. */
function coreDumpCheck(): HealthCheck {
  const soft = /^Max core file size\s+(\S+)/m.exec(read('/proc/self/limits'))?.[1];
  return soft === '0'
    ? { name: 'core-dumps', status: 'ok', detail: 'this process leaves no core file' }
    : {
        name: 'core-dumps',
        status: 'degraded',
        detail: `a crash could write memory to a core file (limit ${soft}): start with LimitCORE=0`,
      };
}

/** proc(5), /proc/swaps; the kernel's cgroup-v2 document, memory.swap.max. */
function swapCheck(): HealthCheck {
  const areas = read('/proc/swaps').trim().split('\n').length - 1;
  if (areas <= 0) return { name: 'swap', status: 'ok', detail: 'the host has no swap' };
  const group = /^0::(.*)$/m.exec(read('/proc/self/cgroup'))?.[1] ?? '/';
  const limited = read(`/sys/fs/cgroup${group}/memory.swap.max`).trim() === '0';
  return limited
    ? { name: 'swap', status: 'ok', detail: 'this process is kept out of the swap' }
    : { name: 'swap', status: 'degraded', detail: 'memory could be written to the swap: start with MemorySwapMax=0' };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
