/** What the service manager hears, over a real datagram socket: socat is the one who listens. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { initRig } from '../../daemon/cli/init-rig.js';
import { createLogger } from '../../daemon/log.js';
import { type Pulse, serviceManager } from '../../daemon/service-manager.js';
import { scratch } from '../peers/scratch.js';

const ROOT = join(import.meta.dirname, '../..');
const log = createLogger('test', 'silent');
const WELL: Pulse = { status: 'ready', well: true };

/** A listener as systemd is one, and every line that it heard. */
class Listener {
  readonly path: string;
  readonly lines: string[] = [];
  #socat: ChildProcess | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async start(): Promise<void> {
    const socat = spawn('socat', ['-u', `UNIX-RECV:${this.path}`, 'STDOUT'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    socat.stdout.on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop()!;
      this.lines.push(...parts);
    });
    this.#socat = socat;
    await until(() => existsSync(this.path), 'socat listens');
  }

  async stop(): Promise<void> {
    const socat = this.#socat;
    if (!socat) return;
    this.#socat = undefined;
    socat.kill('SIGKILL');
    await once(socat, 'exit');
    await rm(this.path, { force: true });
  }

  count(line: string): number {
    return this.lines.filter((heard) => heard === line).length;
  }
}

async function until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `${what}: not within ${timeoutMs} ms`);
    await delay(10);
  }
}

async function listener(t: TestContext): Promise<Listener> {
  const made = new Listener(join(await scratch(t), 'notify'));
  t.after(() => made.stop());
  await made.start();
  return made;
}

test('without a service manager nobody is told anything', async () => {
  const manager = await serviceManager({}, log);
  assert.equal(manager.listening, false);
  manager.ready(() => assert.fail('nobody asked'));
  manager.stopping();
});

test('ready, status and watchdog; each status once; nothing after stopping', async (t) => {
  const heard = await listener(t);
  const env = { NOTIFY_SOCKET: heard.path, WATCHDOG_USEC: '60000', WATCHDOG_PID: String(process.pid) };
  const manager = await serviceManager(env, log);
  let status = 'ready';
  manager.ready(() => ({ status, well: true }));
  await until(() => heard.count('WATCHDOG=1') >= 4, 'four pings');
  assert.equal(heard.lines[0], 'READY=1');
  assert.equal(heard.count('STATUS=ready'), 1);
  status = 'faulted: two\nREADY=1\nlines';
  await until(() => heard.lines.includes('STATUS=faulted: two READY=1 lines'), 'the new status on one line');
  manager.stopping();
  await until(() => heard.lines.includes('STOPPING=1'), 'stopping');
  const pings = heard.count('WATCHDOG=1');
  // Five periods of pings: what a timer that was left behind would send.
  await delay(100);
  assert.equal(heard.count('WATCHDOG=1'), pings);
});

test('a process that is not well is not pinged for, and is again when it is well', async (t) => {
  const heard = await listener(t);
  const manager = await serviceManager({ NOTIFY_SOCKET: heard.path, WATCHDOG_USEC: '30000' }, log);
  let pulse = WELL;
  let asked = 0;
  manager.ready(() => {
    asked += 1;
    return pulse;
  });
  await until(() => heard.count('WATCHDOG=1') >= 2, 'pings');
  pulse = { status: 'the round of health hangs', well: false };
  await until(() => heard.lines.includes('STATUS=the round of health hangs'), 'the reason');
  const pings = heard.count('WATCHDOG=1');
  const before = asked;
  await until(() => asked >= before + 5, 'it is asked on');
  assert.equal(heard.count('WATCHDOG=1'), pings);
  pulse = WELL;
  await until(() => heard.count('WATCHDOG=1') > pings, 'pings again');
  manager.stopping();
});

test('a watchdog of another process, or none, gets no ping', async (t) => {
  const heard = await listener(t);
  for (const env of [{}, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' }]) {
    const manager = await serviceManager({ NOTIFY_SOCKET: heard.path, ...env }, log);
    manager.ready(() => WELL);
    manager.stopping();
  }
  await until(() => heard.count('STOPPING=1') === 3, 'all three');
  assert.equal(heard.count('READY=1'), 3);
  assert.equal(heard.count('WATCHDOG=1'), 0);
});

test('a service manager that went away does not end the process', async (t) => {
  const heard = await listener(t);
  const manager = await serviceManager({ NOTIFY_SOCKET: heard.path, WATCHDOG_USEC: '30000' }, log);
  await heard.stop();
  let asked = 0;
  manager.ready(() => {
    asked += 1;
    return WELL;
  });
  await until(() => asked >= 3, 'it goes on');
  manager.stopping();
});

test('a socket that is no path is refused when it starts, not met with silence', async () => {
  await assert.rejects(serviceManager({ NOTIFY_SOCKET: '@abstract' }, log), /NOTIFY_SOCKET is @abstract/);
});

/** A daemon of ours with this listener for its service manager. */
function spawnDaemon(t: TestContext, main: string, config: string, heard: Listener): ChildProcess {
  const child = spawn(process.execPath, [join(ROOT, main), '--config', config, '--log-level', 'error'], {
    env: { ...process.env, NOTIFY_SOCKET: heard.path, WATCHDOG_USEC: '900000' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr!.resume();
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

test('both daemons say ready, ping, and say that they stop', async (t) => {
  const dir = join(await scratch(t), 'studio');
  const { files } = await initRig({ dir, rig: 'rig-01', passphrase: 'for a test only', scryptWorkFactor: 6 });
  for (const [main, config, status] of [
    ['daemon/rig/main.js', files.rig, /^STATUS=ready$/],
    ['daemon/courier/main.js', files.courier, /^STATUS=broker .*, store .*, rig /],
  ] as const) {
    const heard = await listener(t);
    const child = spawnDaemon(t, main, config, heard);
    await until(() => heard.count('WATCHDOG=1') >= 3, `pings of ${main}`);
    assert.equal(heard.lines[0], 'READY=1');
    assert.match(heard.lines[1]!, status);
    child.kill('SIGTERM');
    await once(child, 'exit');
    await until(() => heard.lines.includes('STOPPING=1'), `${main} says that it stops`);
  }
});

test('a rig whose sound card is missing is ready, faulted and well: a restart would not bring the card', async (t) => {
  const dir = join(await scratch(t), 'studio');
  const { files } = await initRig({ dir, rig: 'rig-01', passphrase: 'for a test only', scryptWorkFactor: 6 });
  const yaml = await readFile(files.rig, 'utf8');
  const alsa = `interface: {driver: alsa, device: "hw:CARD=Missing,DEV=0", rates: [48000], in: 6, out: 6, sync: {send: 6, return: 6}}\n`;
  const changed = yaml.replace(/^interface:\n(?: {2}.*\n)+/m, alsa).replace(/^ {4}path: .*\n/gm, '');
  assert.notEqual(changed, yaml);
  writeFileSync(files.rig, changed);
  const heard = await listener(t);
  const child = spawnDaemon(t, 'daemon/rig/main.js', files.rig, heard);
  await until(() => heard.count('WATCHDOG=1') >= 5, 'pings');
  assert.equal(heard.lines[0], 'READY=1');
  assert.match(heard.lines[1]!, /^STATUS=faulted: /);
  assert.equal(child.exitCode, null);
});
