/**
 * outboardd with a bullet in it: the real rig, put together as its main.ts does, that kills a process with SIGKILL at one commit.
 *
 * KILL_AT is `name:before` or `name:after`; KILL_PID_FILE names whose process id to kill, its own when absent.
 */
import { readFileSync } from 'node:fs';
import { asOutboardError } from '../../core/errors.js';
import { createLogger } from '../../daemon/log.js';
import { rigOptions } from '../../daemon/rig/assemble.js';
import { Rig } from '../../daemon/rig/rig.js';
import { loadRigConfig } from '../../daemon/rig-config.js';

const [name, phase] = (process.env['KILL_AT'] ?? ':').split(':') as [string, string];
const log = createLogger('killable-rig', 'warn');
let armed = true;

function strike(commit: string, when: string): void {
  if (!armed || commit !== name || when !== phase) return;
  armed = false;
  const file = process.env['KILL_PID_FILE'];
  const pid = file ? Number(readFileSync(file, 'utf8')) : process.pid;
  process.stdout.write(`KILLED ${commit}:${when}\n`);
  process.kill(pid, 'SIGKILL');
  // Nothing of this process may run on: the signal is on its way.
  if (!file) for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

try {
  const options = await rigOptions(await loadRigConfig(process.argv[2]!), {
    log,
    version: '0.0.0-test',
    credentialsDirectory: undefined,
    inherited: {},
    onIndeterminate: () => process.exit(74),
  });
  const observer = {
    beforeCommit: (commit: string) => strike(commit, 'before'),
    afterCommit: (commit: string) => strike(commit, 'after'),
  };
  const rig = new Rig({ ...options, observer });
  process.on('SIGTERM', () => void rig.stop().then(() => process.exit(0)));
  await rig.start();
} catch (cause) {
  const error = asOutboardError(cause);
  log.fatal({ err: cause, code: error.code }, error.message);
  process.exit(error.exitCode);
}
