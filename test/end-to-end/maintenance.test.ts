/** Maintenance, from control.sock to the rig and back, while jobs come in over the broker. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generateSigningKey, loadSigner, readPrivateJwk, type Signer } from '../../certs/keys.js';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import { nowSeconds } from '../../core/units.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { rmsDbfs, sine, writeSignal } from '../peers/signals.js';
import { Stack, until } from '../peers/stack.js';
import { finishedTake } from '../peers/takes.js';
import { ControlConnection, maintenance, type SessionWishes, sessionToken, technicianOf } from '../peers/technician.js';

const RATE = 48_000;

describe('maintenance', { timeout: 180_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let source: SealedSource;

  before(async () => {
    stack = await Stack.make(suite, { rigConfig: { interface: { clock: 'realtime' } } });
    const wav = join(await scratch(suite), 'tone.wav');
    await writeSignal(wav, { rate: RATE, channels: 1, bits: 24, frames: 3 * RATE, sample: sine(997, -20, RATE) });
    source = await storedSource(suite, stack, wav);
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  const mode = async () => (await stack.status()).state.mode;
  const offer = (gain = 0) =>
    offerJob(stack, dispatcher, source, { chain: [link('gain-m', { gain })], maxAttempts: 2 });

  it('waits for the take that rolls, keeps the queue, takes offers, and lets it go on after', async () => {
    const rolling = await offer(-6);
    await rolling.until('rolling');
    const queued = await offer();
    await queued.until('ready');

    const entered = await maintenance(stack, 'maintenance.enter', 300);
    assert.equal(entered.mode, 'draining');
    assert.ok(entered.until! > nowSeconds() + 290 && entered.until! <= nowSeconds() + 300);
    assert.equal(await mode(), 'draining');
    const longer = await maintenance(stack, 'maintenance.enter', 400);
    assert.ok(longer.until! > nowSeconds() + 390, 'entered again: it lasts longer');

    await rolling.until('sealed');
    await until(async () => (await mode()) === 'maintenance');
    const finished = await finishedTake(suite, stack, dispatcher, rolling);
    assert.equal(finished.certificate.attempt, 1);
    assert.ok(Math.abs(rmsDbfs(finished.samples) + 26) < 0.01, 'the take that was there kept its settings');

    const during = await offer();
    assert.equal((await during.verdict).payload.type, 'accepted');
    await during.until('ready');
    const { jobs, state } = await stack.status();
    assert.deepEqual(state.jobs, { ready: 2 });
    assert.equal(state.maintenance?.reason, 'a test');
    for (const { id } of [queued, during]) assert.equal(jobs.find((job) => job.job === id)?.state, 'ready');

    const left = await maintenance(stack, 'maintenance.exit');
    assert.deepEqual(left, { mode: 'ready', until: null });
    await finishedTake(suite, stack, dispatcher, queued);
    await finishedTake(suite, stack, dispatcher, during);
    assert.equal(await mode(), 'ready');
    await assert.rejects(maintenance(stack, 'maintenance.exit'), { code: 'rig.mode' });
  });

  it('ends by itself', async () => {
    await maintenance(stack, 'maintenance.enter', 1);
    const job = await offer();
    const { certificate } = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(certificate.attempt, 1);
    assert.equal(await mode(), 'ready');
  });

  it('leaves a take alone that is still rolling when the session ends', async () => {
    const rolling = await offer(-6);
    await rolling.until('rolling');
    await maintenance(stack, 'maintenance.enter');
    assert.equal(await mode(), 'draining');
    assert.equal((await maintenance(stack, 'maintenance.exit')).mode, 'ready');
    const finished = await finishedTake(suite, stack, dispatcher, rolling);
    assert.equal(finished.certificate.attempt, 1, 'not made again');
    assert.ok(Math.abs(rmsDbfs(finished.samples) + 26) < 0.01);
  });

  describe('refuses', () => {
    let technician: Signer;
    const connections: ControlConnection[] = [];
    const connect = () => {
      const connection = new ControlConnection(stack);
      connections.push(connection);
      return connection;
    };

    before(async () => {
      technician = await technicianOf(stack);
    });
    after(async () => {
      for (const connection of connections) connection.close();
      assert.equal(await mode(), 'ready', 'nothing of it had an effect');
    });

    const refusal = async (code: string, signer: Signer, wishes: SessionWishes = {}) => {
      const connection = connect();
      const token = await sessionToken(stack, signer, await connection.nonce(), wishes);
      await assert.rejects(connection.send(token), { code });
    };

    it('a key that the trust bundle does not know', async () => {
      await refusal('envelope.unknown-key', await loadSigner('technician.main', await generateSigningKey()));
    });

    it('a key of another role, also under the name of a technician', async () => {
      const jwk = await readPrivateJwk(join(stack.dir, 'dispatcher/key.jwk'), 'Ed25519');
      await refusal('envelope.role', await loadSigner(stack.parties.dispatcher.name, jwk));
      await refusal('envelope.role', await loadSigner('technician.main', jwk));
    });

    it('a name that is not the one of the key, another rig, and what has expired', async () => {
      const jwk = await readPrivateJwk(join(stack.dir, 'technician/key.jwk'), 'Ed25519');
      await refusal('envelope.issuer', await loadSigner('technician.other', jwk));
      await refusal('envelope.audience', technician, { aud: 'rig-02' });
      await refusal('envelope.expired', technician, { iat: nowSeconds() - 120, exp: nowSeconds() - 1 });
    });

    it('a nonce that was made up, of another connection, or used', async () => {
      await refusal('session.nonce', technician, { session: { nonce: 'A'.repeat(43) } });
      const [one, other] = [connect(), connect()];
      const [nonce, foreign] = [await one.nonce(), await other.nonce()];
      await assert.rejects(one.send(await sessionToken(stack, technician, foreign)), { code: 'session.nonce' });
      // A wrong try has used the nonce up.
      await assert.rejects(one.send(await sessionToken(stack, technician, nonce)), { code: 'session.nonce' });
      await assert.rejects(connect().send(await sessionToken(stack, technician, nonce)), { code: 'session.nonce' });
    });

    it('a request that was made before, on the same connection and with another nonce', async () => {
      const connection = connect();
      const jti = randomUUID();
      const token = await sessionToken(stack, technician, await connection.nonce(), { jti });
      await connection.send(token);
      await assert.rejects(connection.send(token), { code: 'session.nonce' });
      await maintenance(stack, 'maintenance.exit');
      const again = await sessionToken(stack, technician, await connection.nonce(), { jti });
      await assert.rejects(connection.send(again), { code: 'envelope.replayed' });
    });

    it('what is not a session: a reason of two letters, no length, a token of another purpose', async () => {
      await refusal('envelope.schema', technician, { session: { reason: 'ab' } });
      await refusal('envelope.schema', technician, { session: { seconds: 13 * 3600 } });
      const connection = connect();
      await connection.nonce();
      const job = await technician.sign('job', { iss: 'technician.main', aud: 'rig-01' });
      await assert.rejects(connection.send(job), { code: 'envelope.typ' });
      await assert.rejects(connection.send('nonsense'), { code: 'envelope.malformed' });
    });
  });
});
