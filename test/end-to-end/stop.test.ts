/** A rig that is told to stop does so in its order, and nobody at its doors keeps it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { tlsFiles } from '../../client/tls-files.js';
import { type StatePayload, topics } from '../../core/contract/index.js';
import { gear, startFaultyRig } from '../peers/gear-hands.js';
import { Outside } from '../peers/outside.js';
import { Stack, until } from '../peers/stack.js';
import { insertsOf } from '../peers/takes.js';

/** A long poll of the courier lasts this long; a rig that waited for it would too. */
const POLL_MS = 30_000;

describe('stopping', { timeout: 120_000 }, () => {
  it('takes no longer because a courier waits at the door, and a last signed state still goes out', async (t) => {
    const stack = await Stack.make(t);
    await stack.startRig();
    await stack.startCourier();
    const { url } = stack.parties.broker;
    const tls = tlsFiles(
      { ca: 'monitor/tls/ca.pem', cert: 'monitor/tls/cert.pem', key: 'monitor/tls/key.pem' },
      (path) => join(stack.dir, path),
    );
    const monitor = await Outside.connect(url, 'monitor.main', await tls());
    t.after(() => monitor.close());
    const topic = topics('rig-01').state;
    await monitor.subscribe(topic);
    const modes = () =>
      monitor
        .on(topic)
        .filter((text) => text.split('.').length === 3)
        .map((text) => decodeJwt<StatePayload>(text).state.mode);
    await monitor.until(() => modes().includes('ready'));
    await until(async () => (await stack.status()).link?.broker === 'connected');

    const began = performance.now();
    await stack.rig!.end('SIGTERM');
    const tookMs = performance.now() - began;
    assert.equal(stack.rig!.process.exitCode, 0, stack.logs());
    assert.ok(tookMs < POLL_MS / 2, `it took ${tookMs} ms`);
    await monitor.until(() => modes().includes('stopping'));
  });

  it('does not wait for ever for a unit that does not come to its safe state', async (t) => {
    const { inserts, channels } = insertsOf({ a: { width: 1 } });
    const stack = await Stack.make(t, {
      rigConfig: {
        interface: { in: channels, out: channels },
        inserts,
        processors: { slow: { profile: 'virtual.gain', insert: 'a', port: { virtual: true } } },
      },
    });
    await startFaultyRig(stack);
    await gear(stack, { unit: 'slow', do: 'settle', seconds: 3600 });
    await stack.rig!.end('SIGTERM');
    assert.match(stack.logs(), /"processors":\["slow"\].*left without a safe state/);
  });
});
