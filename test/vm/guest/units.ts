/** What systemd knows of a unit. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { attempt, sh, until } from './shell.js';

export const RIG = 'outboardd.service';
export const COURIER = 'outboard-courier.service';

const START_SECONDS = 180;

export interface UnitState {
  active: string;
  pid: number;
  user: string;
  restarts: number;
  status: string;
}

export async function unitState(unit: string): Promise<UnitState> {
  const names = ['ActiveState', 'MainPID', 'User', 'NRestarts', 'StatusText'];
  const text = await sh('systemctl', 'show', unit, `--property=${names.join(',')}`);
  const of = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  return {
    active: of('ActiveState'),
    pid: Number(of('MainPID')),
    user: of('User'),
    restarts: Number(of('NRestarts')),
    status: of('StatusText'),
  };
}

/** The unit once it has said READY=1 (Type=notify: it is not active before), in another process than `notPid`. */
export async function active(unit: string, notPid = 0): Promise<UnitState> {
  return await until(`${unit} is active`, START_SECONDS, async () => {
    const state = await unitState(unit);
    return state.active === 'active' && state.pid !== 0 && state.pid !== notPid ? state : null;
  });
}

/** What a unit has written to the journal since `ms` (Date.now), as far as it matches. */
export async function journalOf(unit: string, sinceMs: number, pattern: string): Promise<string[]> {
  const since = `--since=@${(sinceMs / 1000).toFixed(3)}`;
  // Its status is 1 when nothing matches.
  const { stdout } = await attempt('journalctl', '-u', unit, since, '--no-pager', '-q', '-o', 'cat', '--grep', pattern);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Name of the user that a process runs as, from the kernel and not from the unit. */
export async function userOf(pid: number): Promise<string> {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.split(':')[2] === uid);
  return line?.split(':')[0] ?? `uid ${uid}`;
}

/** Processor time of a process over some seconds, in percent of one core: its main thread, then all the others. */
export async function loadOf(pid: number, seconds: number): Promise<string> {
  const before = await ticks(pid);
  const startMs = performance.now();
  await delay(seconds * 1000);
  const passed = (performance.now() - startMs) / 1000;
  const after = await ticks(pid);
  const percent = (own: (pid: number) => boolean) => {
    let sum = 0;
    for (const [task, now] of after) if (own(task)) sum += now - (before.get(task) ?? 0);
    return (sum / passed).toFixed(0);
  };
  return `${percent((task) => task === pid)} + ${percent((task) => task !== pid)} % of an emulated core`;
}

/** User and system time of each thread, in hundredths of a second: proc(5), fields 14 and 15 of stat. */
async function ticks(pid: number): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/stat`, 'utf8').catch(() => '');
    const fields = text.replace(/^.*\) /, '').split(' ');
    found.set(Number(task), Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
  }
  return found;
}
