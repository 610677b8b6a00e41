import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { burst } from '../peers/burst.js';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { VOICE } from '../peers/recordings.js';
import { Stack, until } from '../peers/stack.js';

const OFFERS = 10_000;

describe('the broker', { timeout: 900_000 }, () => {
  it('may be away for a minute in the middle of a take: the take goes on, and every event arrives afterwards, once per id', async (t) => {
    const stack = await Stack.make(t, { rigConfig: { interface: { clock: 'realtime' } } });
    await stack.startRig();
    await stack.startCourier();
    const dispatcher = await stack.dispatcher();
    const source = await storedSource(t, stack, VOICE);
    const job = await offerJob(stack, dispatcher, source, {
      chain: [link('gain-m', { gain: 0 })],
      tail: 60,
      maxAttempts: 1,
    });
    assert.equal((await job.until('rolling')).payload.type, 'rolling');
    await stack.broker!.end('SIGKILL');
    // Away for the rest of the take and longer: what the rig has to say now stays in its outbox.
    await until(
      async () =>
        (await stack.status()).jobs.some((row) => row.job === job.id && ['sealed', 'delivered'].includes(row.state)),
      120_000,
    );
    await until(
      async () => (await stack.status()).jobs.some((row) => row.job === job.id && row.state === 'delivered'),
      120_000,
    );
    assert.notEqual((await stack.status()).link?.broker, 'connected');
    await stack.startBroker();
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', stack.logs());
    const types = job.past.map((event) => event.payload.type).filter((type) => type !== 'progress');
    assert.deepEqual(types, ['accepted', 'ready', 'rolling', 'sealed', 'delivered', 'closed']);
    const ids = job.past.map((event) => event.payload.jti);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('takes a burst of 10,000 valid offers: every one gets its one verdict, none is lost', async (t) => {
    const stack = await Stack.make(t);
    await stack.startRig();
    await stack.startCourier();
    const report = await burst(stack, OFFERS);
    t.diagnostic(JSON.stringify(report));
    assert.equal(report.accepted + Object.values(report.refused).reduce((sum, n) => sum + n, 0), OFFERS);
    assert.deepEqual(Object.keys(report.refused), ['rig.busy']);
    assert.equal(report.doubled, 0);
    assert.ok(report.rigMegabytes.peak < 400 && report.courierMegabytes.peak < 300, JSON.stringify(report));
  });
});
