/** Maintenance by itself: real tokens and a real journal; what the rig does around it is played. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadSigner, readPrivateJwk } from '../../../certs/keys.js';
import { OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import { initRig } from '../../../daemon/cli/init-rig.js';
import { loadParties } from '../../../daemon/cli/parties.js';
import { createLogger } from '../../../daemon/log.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { type GearActions, Maintenance, type MaintenanceOptions } from '../../../daemon/rig/maintenance.js';
import { ModeKeeper } from '../../../daemon/rig/mode.js';
import type { TrustStore } from '../../../daemon/rig/trust-store.js';
import { scratch } from '../../peers/scratch.js';

/** No test here touches a processor. */
const noGear: GearActions = {
  check: () => assert.fail('nobody asked for a processor'),
  set: () => assert.fail('nobody asked for a processor'),
  safe: () => assert.fail('nobody asked for a processor'),
  identify: () => assert.fail('nobody asked for a processor'),
};

async function bench(t: TestContext, around: Partial<MaintenanceOptions> = {}) {
  const dir = join(await scratch(t), 'tree');
  const init = await initRig({ dir, rig: 'rig-01', passphrase: 'correct horse battery staple', scryptWorkFactor: 4 });
  const { trust } = await loadParties(init.files.client);
  const technician = await loadSigner(
    'technician.main',
    await readPrivateJwk(join(dir, 'technician/key.jwk'), 'Ed25519'),
  );
  const journal = new Journal({
    path: join(dir, 'journal.db'),
    rig: 'rig-01',
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(Buffer.alloc(32, 7));
  t.after(() => journal.close());
  const again = (begins: 'ready' | 'faulted' = 'ready') => {
    const mode = new ModeKeeper();
    mode.set(begins);
    const maintenance = new Maintenance({
      rig: 'rig-01',
      journal,
      trust: { current: () => trust } as unknown as TrustStore,
      mode,
      log: createLogger('test', 'silent'),
      drain: async () => undefined,
      makeSafe: async () => [],
      gear: noGear,
      modeAfter: () => 'ready',
      ...around,
    });
    t.after(() => maintenance.stop());
    return { maintenance, mode };
  };
  const { maintenance, mode } = again();
  const connection = new Socket();
  const ask = async (action: 'maintenance.enter' | 'maintenance.exit', nonce = maintenance.nonce(connection)) => {
    const now = nowSeconds();
    const token = await technician.sign('session', {
      iss: 'technician.main',
      aud: 'rig-01',
      jti: randomUUID(),
      iat: now,
      exp: now + 60,
      session: { nonce, action, reason: 'a test', seconds: 600 },
    });
    return await maintenance.request(token, connection);
  };
  const becomes = (wanted: string) =>
    new Promise<void>((resolve) => {
      if (mode.mode === wanted) return resolve();
      mode.onChange((now) => now === wanted && resolve());
    });
  return { maintenance, mode, ask, becomes, connection, again, journal };
}

describe('maintenance', () => {
  it('takes a nonce for a minute', async (t) => {
    const { maintenance, ask, connection } = await bench(t);
    const real = performance.now.bind(performance);
    let laterMs = 0;
    t.mock.method(performance, 'now', () => real() + laterMs);
    const stale = maintenance.nonce(connection);
    laterMs = 60_001;
    await assert.rejects(ask('maintenance.enter', stale), { code: 'session.nonce' });
    const fresh = maintenance.nonce(connection);
    laterMs += 50_000;
    assert.equal((await ask('maintenance.enter', fresh)).mode, 'draining');
  });

  it('makes the processors safe when it is over, but not under a take that still rolls', async (t) => {
    let safe = 0;
    let drained = (): void => undefined;
    const { ask, becomes } = await bench(t, {
      drain: () => new Promise<void>((resolve) => (drained = resolve)),
      makeSafe: async () => {
        safe++;
        return [];
      },
    });
    await ask('maintenance.enter');
    assert.equal((await ask('maintenance.exit')).mode, 'ready');
    assert.equal(safe, 0);
    await ask('maintenance.enter');
    drained();
    await becomes('maintenance');
    await ask('maintenance.exit');
    assert.equal(safe, 1);
  });

  it('does not say ready of a rig that lost its interface meanwhile, and names the gear that is not safe', async (t) => {
    const lost = await bench(t, { modeAfter: () => 'faulted' });
    await lost.ask('maintenance.enter');
    await lost.becomes('maintenance');
    assert.equal((await lost.ask('maintenance.exit')).mode, 'faulted');

    const error = new OutboardError('processor.lost', 'gone');
    const unsafe = await bench(t, { makeSafe: async () => [{ processor: 'deck', error }] });
    await unsafe.ask('maintenance.enter');
    await unsafe.becomes('maintenance');
    // The unit owes its safe state and takes no job; that does not keep the others from working.
    assert.equal((await unsafe.ask('maintenance.exit')).mode, 'ready');
    assert.equal(unsafe.mode.lastFault?.error, error);
  });

  it('goes on after a restart until its time is over: somebody may have his hands in the gear', async (t) => {
    const { ask, becomes, again, journal } = await bench(t);
    await ask('maintenance.enter');
    await becomes('maintenance');
    const restarted = again();
    restarted.maintenance.resume();
    assert.equal(restarted.mode.mode, 'draining');
    const without = again('faulted');
    without.maintenance.resume();
    assert.equal(without.maintenance.mode, 'draining', 'also while the interface is away');
    assert.equal(restarted.maintenance.session?.reason, 'a test');
    journal.db.commit('later', () => journal.setMeta('maintenance', JSON.stringify({ until: 1, reason: 'long over' })));
    const late = again();
    late.maintenance.resume();
    assert.equal(late.mode.mode, 'ready');
  });

  it('begins also when not everything is in order, and says what is not: that is when a rig needs somebody', async (t) => {
    const error = new OutboardError('insert.noisy', 'the return of tape stays at -40.0 dBFS');
    const { ask, becomes, mode } = await bench(t, { drain: () => Promise.reject(error) });
    mode.set('faulted');
    await ask('maintenance.enter');
    await becomes('maintenance');
    assert.equal(mode.lastFault?.error.code, 'insert.noisy');
  });
});
