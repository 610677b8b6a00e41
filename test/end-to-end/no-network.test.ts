/** The side with the plaintext has no network: it opens no socket but AF_UNIX, and lacks nothing in a namespace without interfaces. */
import assert from 'node:assert/strict';
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { VOICE } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { NO_NETWORK, Stack, until } from '../peers/stack.js';

describe('the rig and the network', { timeout: 120_000 }, () => {
  it('opens no socket but AF_UNIX, over a whole bounce', async (t) => {
    const trace = join(await scratch(t), 'trace');
    const prefix = ['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=socket,socketpair', '-o', trace];
    const stack = await Stack.make(t, { rigPrefix: prefix });
    await stack.startRig();
    await stack.startCourier();
    const dispatcher = await stack.dispatcher();
    const source = await storedSource(t, stack, VOICE);
    const job = await offerJob(stack, dispatcher, source, { chain: [link('gain-m', { gain: -3 })] });
    assert.equal((await settle(stack, dispatcher, job)).payload.type, 'closed', stack.logs());
    await stack.rig!.end();
    const sockets = (await readFile(trace, 'utf8')).split('\n').filter((line) => /\bsocket(pair)?\(/.test(line));
    assert.ok(sockets.length > 0, 'strace saw the unix sockets');
    assert.deepEqual(
      sockets.filter((line) => !/\((AF_UNIX|AF_LOCAL),/.test(line)),
      [],
    );
  });

  it('runs in a network namespace that has no interface', {
    skip: NO_NETWORK.length === 0 && 'network namespaces need root',
  }, async (t) => {
    const stack = await Stack.make(t);
    await stack.startRig();
    const { pid } = stack.rig!;
    assert.notEqual(await readlink(`/proc/${pid}/ns/net`), await readlink('/proc/self/ns/net'));
    const interfaces = (await readFile(`/proc/${pid}/net/dev`, 'utf8'))
      .split('\n')
      .filter((line) => line.includes(':'));
    assert.deepEqual(
      interfaces.map((line) => line.split(':')[0]!.trim()),
      ['lo'],
      'only its own loopback, which is down',
    );
    await until(async () => (await stack.status()).state.mode === 'ready');
  });
});
