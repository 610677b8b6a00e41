/** What the threads of a process that does not go on are doing: the last word of a test that would otherwise only say that it waited. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** One line a thread: its name, state, the kernel function in which it waits and its CPU time in ticks; then the stacks, where gdb is here. */
export function whatItDoes(pid: number): string {
  return `process ${pid}\n${threadLines(pid)}\n${stacks(pid)}`;
}

function threadLines(pid: number): string {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((tid) => {
        const stat = text(`/proc/${pid}/task/${tid}/stat`)
          .replace(/^.*\) /s, '')
          .split(' ');
        const [name, waits] = ['comm', 'wchan'].map((file) => text(`/proc/${pid}/task/${tid}/${file}`).trim());
        return `${tid} ${name} ${stat[0]} ${waits} user ${stat[11]} system ${stat[12]}`;
      })
      .join('\n');
  } catch {
    return 'it is not there';
  }
}

function stacks(pid: number): string {
  const commands = ['-batch', '-p', String(pid), '-ex', 'thread apply all bt 20'];
  try {
    return execFileSync('gdb', commands, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 30_000 });
  } catch {
    return 'no stacks: gdb is not here, or may not look';
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
