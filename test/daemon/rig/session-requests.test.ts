/** Signed requests by themselves: real tokens and a real journal. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadSigner, readPrivateJwk } from '../../../certs/keys.js';
import type { SessionAction } from '../../../core/contract/index.js';
import { nowSeconds } from '../../../core/units.js';
import { initRig } from '../../../daemon/cli/init-rig.js';
import { loadParties } from '../../../daemon/cli/parties.js';
import { Journal } from '../../../daemon/rig/journal/journal.js';
import { type SessionHandler, SessionRequests } from '../../../daemon/rig/session-requests.js';
import type { TrustStore } from '../../../daemon/rig/trust-store.js';
import { scratch } from '../../peers/scratch.js';

async function bench(t: TestContext) {
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
  const done: string[] = [];
  const handler = (name: string): SessionHandler => ({
    audited: ({ seconds }) => ({ seconds }),
    handle: () => {
      done.push(`${name}, with ${journal.audit.head().seq} audited`);
      return {};
    },
  });
  const actions: SessionAction[] = ['maintenance.enter', 'maintenance.exit'];
  const requests = new SessionRequests({
    rig: 'rig-01',
    journal,
    trust: { current: () => trust } as unknown as TrustStore,
    handlers: Object.fromEntries(actions.map((name) => [name, handler(name)])) as Record<SessionAction, SessionHandler>,
    standing: () => ({ mode: 'ready', until: null }),
  });
  const connection = new Socket();
  const token = async (nonce: string) => {
    const now = nowSeconds();
    return await technician.sign('session', {
      iss: 'technician.main',
      aud: 'rig-01',
      jti: randomUUID(),
      iat: now,
      exp: now + 60,
      session: { nonce, action: 'maintenance.enter', reason: 'a test', seconds: 600 },
    });
  };
  return { requests, connection, token, done, journal };
}

describe('a signed request', () => {
  it('takes a nonce for a minute', async (t) => {
    const { requests, token, connection, done } = await bench(t);
    const real = performance.now.bind(performance);
    let laterMs = 0;
    t.mock.method(performance, 'now', () => real() + laterMs);
    const stale = await token(requests.nonce(connection));
    laterMs = 60_001;
    await assert.rejects(requests.request(stale, connection), { code: 'session.nonce' });
    const fresh = await token(requests.nonce(connection));
    laterMs += 50_000;
    assert.deepEqual(await requests.request(fresh, connection), { mode: 'ready', until: null });
    assert.equal(done.length, 1);
  });

  it('stands in the audit log before anything is done', async (t) => {
    const { requests, token, connection, done, journal } = await bench(t);
    const before = journal.audit.head().seq;
    await requests.request(await token(requests.nonce(connection)), connection);
    assert.deepEqual(done, [`maintenance.enter, with ${before + 1} audited`]);
  });

  it('is good on its own connection only, and once', async (t) => {
    const { requests, token, connection, done } = await bench(t);
    const other = new Socket();
    requests.nonce(other);
    const stolen = await token(requests.nonce(connection));
    await assert.rejects(requests.request(stolen, other), { code: 'session.nonce' });
    await requests.request(stolen, connection);
    await assert.rejects(requests.request(stolen, connection), { code: 'session.nonce' });
    assert.equal(done.length, 1);
  });
});
