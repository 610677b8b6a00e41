/** What a process has used so far, as the kernel counts it: processor time of each of its threads, and memory. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Seconds that each thread has run, user and system together, by thread id. The kernel counts them in nanoseconds; threads that have
 * ended are no longer told.
 */
export function threadSeconds(pid: number): Map<number, number> {
  const seconds = new Map<number, number>();
  for (const tid of threadsOf(pid)) {
    try {
      const [ns] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ');
      seconds.set(tid, Number(ns) / 1e9);
    } catch {
      // It has ended between the two looks.
    }
  }
  return seconds;
}

export function threadsOf(pid: number | 'self'): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Seconds that the children of this process have used that have ended and were waited for. In steps of 10 ms. */
export function endedChildrenSeconds(): number {
  // The command's name, in parentheses, may hold anything.
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

export interface Memory {
  /** Highest resident size so far, MB of 2^20 bytes: `VmHWM`. */
  peakMegabytes: number;
  /** Of what is resident now: memory that is shared with others, such as a simulated card's, or that files are mapped to. */
  sharedMegabytes: number;
  fileMegabytes: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string): number =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 102.4) / 10;
  return {
    peakMegabytes: megabytes('VmHWM'),
    sharedMegabytes: megabytes('RssShmem'),
    fileMegabytes: megabytes('RssFile'),
  };
}
