/** The process itself: configuration, exit codes, signals, and what stands at the broker when it is killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeSite, RIG, type Site } from './site.js';

const MAIN = fileURLToPath(new URL('../../../daemon/courier/main.js', import.meta.url));
const STATE = `outboard/v1/${RIG}/state`;
const UNREACHABLE = JSON.stringify({ unreachable: RIG });

describe('outboard-courier', () => {
  let site: Site;
  let child: (ChildProcess & { text: string }) | null = null;

  before(async () => {
    site = await makeSite();
    await site.outside.subscribe(STATE);
  });
  after(() => site.close());
  afterEach(async () => {
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    child = null;
  });

  function run(...args: string[]): ChildProcess & { text: string } {
    const started = Object.assign(spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }), {
      text: '',
    });
    for (const stream of [started.stdout, started.stderr])
      stream!.on('data', (chunk) => {
        started.text += chunk;
      });
    child = started;
    return started;
  }
  async function config(change: (text: string) => string = (text) => text): Promise<string> {
    const { ca, cert, key } = site.pki.files(RIG);
    const tls = `{ca: ${ca}, cert: ${cert}, key: ${key}}`;
    const file = join(site.dir, 'courier.yaml');
    const text = `rig: ${RIG}
socket: courier.sock
broker: {url: "${site.broker.url}", tls: ${tls}}
store:
  url: "${site.store.url}"
  tls: ${tls}
`;
    await writeFile(file, change(text));
    return file;
  }
  async function ends(...args: string[]): Promise<{ code: number | null; text: string }> {
    const started = run(...args);
    await once(started, 'close');
    return { code: started.exitCode, text: started.text };
  }
  async function connected(): Promise<ChildProcess & { text: string }> {
    site.rig.reset();
    site.outside.received.length = 0;
    const started = run('--config', await config());
    await site.rig.until(() => site.rig.links.some((link) => link.broker === 'connected'));
    await site.outside.until(() => site.outside.on(STATE).length > 0);
    return started;
  }

  it('ends with 78 for a wrong configuration, and says where', async () => {
    const cases: [RegExp, (text: string) => string][] = [
      [/courier\.yaml:5: store\.url/, (text) => text.replace('url: "https:', 'url: "http:')],
      [/courier\.yaml:1: .*colour/, (text) => `${text}colour: red\n`],
      [/courier\.yaml:\d: /, (text) => `${text}  - [\n`],
      [/nowhere\.pem: cannot be read \(ENOENT\)/, (text) => text.replaceAll(/key: [^}]+/g, 'key: nowhere.pem')],
      [/certificate is for rig-01/, (text) => text.replace('rig: rig-01', 'rig: rig-09')],
    ];
    for (const [says, change] of cases) {
      const { code, text } = await ends('--config', await config(change));
      assert.equal(code, 78, text);
      assert.match(text, says);
    }
    const missing = await ends('--config', join(site.dir, 'no-such.yaml'));
    assert.equal(missing.code, 78);
    assert.match(missing.text, /no-such\.yaml/);
  });

  it('refuses a private key that others may read', async () => {
    const { key } = site.pki.files(RIG);
    await chmod(key, 0o644);
    try {
      const { code, text } = await ends('--config', await config());
      assert.equal(code, 78);
      assert.match(text, /mode 644/);
    } finally {
      await chmod(key, 0o600);
    }
  });

  it('ends with 64 for wrong arguments', async () => {
    assert.equal((await ends()).code, 64);
    assert.equal((await ends('--konfig', 'x')).code, 64);
  });

  it('ends with 0 after SIGTERM, having said unreachable, and prints nothing to stdout', async () => {
    const started = await connected();
    started.kill('SIGTERM');
    await once(started, 'exit');
    assert.equal(started.exitCode, 0, started.text);
    await site.outside.until(() => site.outside.on(STATE).at(-1) === UNREACHABLE);
  });

  it('leaves its will when it is killed', async () => {
    const started = await connected();
    assert.notEqual(site.outside.on(STATE).at(-1), UNREACHABLE);
    started.kill('SIGKILL');
    await site.outside.until(() => site.outside.on(STATE).at(-1) === UNREACHABLE);
  });

  it('does not open the inspector on SIGUSR1', async () => {
    const started = await connected();
    started.kill('SIGUSR1');
    site.rig.say('e30.e30.after-the-signal');
    await site.outside.until(() => site.outside.on(STATE).at(-1) === 'e30.e30.after-the-signal');
    assert.doesNotMatch(started.text, /Debugger listening/);
  });

  it('ends at once at the second signal', async () => {
    const started = await connected();
    process.kill(site.broker.pid(), 'SIGSTOP'); // nobody takes the good-bye
    try {
      started.kill('SIGTERM');
      await site.rig.until(() => site.rig.openPolls === 0);
      started.kill('SIGTERM');
      await once(started, 'exit');
      assert.equal(started.exitCode, 1);
    } finally {
      process.kill(site.broker.pid(), 'SIGCONT');
    }
  });

  it('starts without rig, broker and store, and finds them later', async () => {
    await site.broker.stop();
    await site.rig.kill();
    site.rig.reset();
    const started = run('--config', await config());
    while (!started.text.includes('broker.unreachable') || !started.text.includes('rig.unreachable'))
      await once(started.stderr!, 'data');
    await site.broker.start();
    await site.rig.start();
    await site.rig.until(() => site.rig.links.some((link) => link.broker === 'connected'), 20_000);
  });
});
