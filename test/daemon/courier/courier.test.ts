import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { OutboxItem } from '../../../core/contract/local-api.js';
import type { Courier } from '../../../daemon/courier/courier.js';
import { startAedes } from '../../peers/aedes.js';
import { Outside } from '../../peers/outside.js';
import type { Fault } from '../../peers/store.js';
import { DISPATCHER, eventually, makeSite, RIG, type Site } from './site.js';

const OFFER = `outboard/v1/${RIG}/offer`;
const CONTROL = `outboard/v1/${RIG}/control`;
const TRUST = 'outboard/v1/trust';
const STATE = `outboard/v1/${RIG}/state`;
const EVENT = `outboard/v1/${RIG}/event/${DISPATCHER}`;
const ALERT = `outboard/v1/${RIG}/alert`;
const UNREACHABLE = JSON.stringify({ unreachable: RIG });

/** A thing that looks like a token; the courier looks no closer. */
const token = (text: string) => `e30.${Buffer.from(text).toString('base64url')}.x`;
const event = (id: string, durable = true): OutboxItem => ({
  id,
  channel: { kind: 'event', dispatcher: DISPATCHER },
  durable,
  token: token(id),
});

describe('the courier', () => {
  let site: Site;
  let courier: Courier;

  before(async () => {
    site = await makeSite();
    for (const topic of [STATE, `outboard/v1/${RIG}/health/#`, EVENT, ALERT]) await site.outside.subscribe(topic);
  });
  after(() => site.close());
  beforeEach(async () => {
    site.rig.reset();
    site.outside.received.length = 0;
    site.store.blobs.clear();
    site.store.faults.length = 0;
    site.store.requests.length = 0;
    courier = site.newCourier();
    await courier.start();
    await site.rig.until(() => site.rig.links.some((link) => link.broker === 'connected'));
  });
  afterEach(() => courier.stop());

  it('tells the rig how its connections are', () => {
    const link = site.rig.links.at(-1)!;
    assert.equal(link.protocol, 'MQTT 5');
    assert.ok(link.certificateExpires! > Date.now() / 1000);
  });

  describe('inwards', () => {
    it('hands offers, controls and trust to the rig as they came', async () => {
      await site.outside.publish(OFFER, token('an offer'));
      await site.outside.publish(CONTROL, token('a cancel'));
      await site.outside.publish(TRUST, '{"payload":"","signatures":[]}', { retain: true });
      await site.rig.until(() => site.rig.submissions.length === 3);
      assert.deepEqual(site.rig.submissions.map(({ inlet, type }) => [inlet, type]).sort(), [
        ['control', 'application/jose'],
        ['offers', 'application/jose'],
        ['trust', 'application/jose+json'],
      ]);
      assert.ok(site.rig.submissions.some(({ token: text }) => text === token('an offer')));
      await site.outside.publish(TRUST, '', { retain: true });
    });

    it('keeps an offer with the broker until the rig has answered it', async () => {
      await site.rig.kill();
      await site.outside.publish(OFFER, token('while the rig is down'));
      await courier.stop(); // and while the courier is restarted
      courier = site.newCourier();
      await courier.start();
      await site.rig.start();
      await eventually(() => courier.counters.forwarded === 1);
      assert.deepEqual(
        site.rig.submissions.map(({ token: text }) => text),
        [token('while the rig is down')],
      );
    });

    it('tries again while the rig answers 5xx, and not after 4xx', async () => {
      let failures = 3;
      site.rig.answer = ({ token: text }) => {
        if (text === token('never')) return { status: 400 };
        return failures-- > 0 ? { status: 503 } : { status: 200, body: { verdict: 'accepted' } };
      };
      await site.outside.publish(OFFER, token('never'));
      await site.outside.publish(OFFER, token('later'));
      await site.rig.until(() => site.rig.submissions.length === 5);
      const tokens = site.rig.submissions.map(({ token: text }) => text);
      assert.equal(tokens.filter((text) => text === token('never')).length, 1);
      await eventually(() => courier.counters.refused === 1 && courier.counters.forwarded === 1);
    });

    it('says of a retained offer that it is one, live and from the past', async () => {
      await site.outside.publish(OFFER, token('retained'), { retain: true });
      await eventually(() => courier.counters.forwarded === 1);
      await courier.stop();
      courier = site.newCourier();
      await courier.start();
      await eventually(() => courier.counters.forwarded === 1);
      await site.outside.publish(OFFER, token('a good one'));
      await eventually(() => courier.counters.forwarded === 2);
      assert.deepEqual(
        site.rig.submissions.map(({ token: text, retained }) => [text, retained]),
        [
          [token('retained'), true],
          [token('retained'), true],
          [token('a good one'), false],
        ],
      );
      assert.equal(courier.counters.retained, 1);
      await site.outside.publish(OFFER, '', { retain: true });
    });

    it('discards a retained cancel, which would come again with each connect', async () => {
      await site.outside.publish(CONTROL, token('cancel for ever'), { retain: true });
      await site.outside.publish(OFFER, token('a good one'));
      await eventually(() => courier.counters.forwarded === 1 && courier.counters.retained === 1);
      assert.deepEqual(
        site.rig.submissions.map(({ token: text }) => text),
        [token('a good one')],
      );
      await site.outside.publish(CONTROL, '', { retain: true });
    });

    it('loses none of a burst that comes faster than the rig answers, and keeps its connection', async () => {
      const count = 2000;
      site.rig.answer = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return { status: 200, body: { verdict: 'accepted' } };
      };
      await Promise.all(Array.from({ length: count }, (_, n) => site.outside.publish(OFFER, token(`${n}`))));
      await site.rig.until(() => site.rig.submissions.length >= count, 60_000);
      assert.equal(new Set(site.rig.submissions.map(({ token: text }) => text)).size, count);
      assert.equal(site.rig.submissions.length, count, 'none twice: the connection was never lost');
    });
  });

  it('loses no offer while rig, courier and broker are restarted in turn', async () => {
    const tokens = Array.from({ length: 600 }, (_, n) => token(`restart ${n}`));
    const publishing = (async () => {
      for (let n = 0; n < tokens.length; n += 20)
        await Promise.all(tokens.slice(n, n + 20).map((text) => site.outside.publish(OFFER, text)));
    })();
    for (let round = 0; round < 3; round += 1) {
      await site.rig.until(() => site.rig.submissions.length >= 100 * round);
      await site.rig.kill();
      await courier.stop();
      courier = site.newCourier();
      await courier.start();
      await site.rig.start();
      await site.broker.stop();
      await site.broker.start();
    }
    await publishing;
    const arrived = () => new Set(site.rig.submissions.map(({ token: text }) => text));
    await site.rig.until(() => arrived().size >= tokens.length, 60_000);
    assert.deepEqual(arrived(), new Set(tokens));
  });

  describe('outwards', () => {
    it('publishes events to their dispatcher, in order, and reports them', async () => {
      const ids = Array.from({ length: 200 }, () => randomUUID());
      for (const id of ids) site.rig.emit(event(id));
      await site.rig.until(() => site.rig.published.length === 200);
      assert.deepEqual(
        site.outside.on(EVENT),
        ids.map((id) => token(id)),
      );
    });

    it('publishes progress once and alerts to everybody', async () => {
      site.rig.emit(event('progress', false));
      site.rig.emit({ id: 'alarm', channel: { kind: 'alert' }, durable: true, token: token('alarm') });
      await site.rig.until(() => site.rig.published.includes('alarm'));
      await site.outside.until(() => site.outside.on(EVENT).length === 1 && site.outside.on(ALERT).length === 1);
      assert.deepEqual(site.rig.published, ['alarm']);
    });

    it('brings every event once after the broker was away', async () => {
      await site.broker.stop();
      const ids = Array.from({ length: 50 }, () => randomUUID());
      for (const id of ids) site.rig.emit(event(id));
      await site.rig.until(() => site.rig.links.at(-1)!.broker === 'connecting');
      await site.broker.start();
      await site.rig.until(() => site.rig.published.length === 50, 20_000);
      await site.outside.until(() => site.outside.on(EVENT).length >= 50);
      assert.deepEqual(
        site.outside.on(EVENT),
        ids.map((id) => token(id)),
      );
      await site.rig.until(() => site.rig.links.at(-1)!.broker === 'connected');
    });

    it('does not publish again what the rig could not be told of', async () => {
      site.rig.failNextPublished = true;
      site.rig.emit(event('once'));
      await site.rig.until(() => site.rig.published.length === 1);
      assert.deepEqual(site.outside.on(EVENT), [token('once')]);
    });
  });

  describe('the retained documents', () => {
    const stateIs = (text: string) => site.outside.until(() => site.outside.on(STATE).at(-1) === text);

    it('are those of the rig', async () => {
      site.rig.say(token('ready'), [{ subsystem: 'host', token: token('host ok') }]);
      await stateIs(token('ready'));
      await site.outside.until(() => site.outside.on(`outboard/v1/${RIG}/health/host`).at(-1) === token('host ok'));
      site.rig.say(token('draining'));
      await stateIs(token('draining'));
    });

    it('hold the calibration of each insert', async () => {
      const topic = `outboard/v1/${RIG}/calibration/a`;
      await site.outside.subscribe(topic);
      site.rig.say(token('ready'), [], [{ insert: 'a', token: token('in order') }]);
      await site.outside.until(() => site.outside.on(topic).at(-1) === token('in order'));
    });

    it('say unreachable at once when the rig dies, and what the rig says when it is back', async () => {
      site.rig.say(token('before'));
      await stateIs(token('before'));
      await site.rig.kill();
      await stateIs(UNREACHABLE);
      const links = site.rig.links.length;
      await site.rig.start();
      await stateIs(token('before'));
      await site.rig.until(() => site.rig.links.length > links); // told again
    });

    it('are said again after the broker was away', async () => {
      site.rig.say(token('steady'));
      await stateIs(token('steady'));
      await site.broker.kill(); // without its database: nothing is retained any more
      site.outside.received.length = 0;
      await site.broker.start();
      await stateIs(token('steady'));
    });

    it('say unreachable when the courier stops', async () => {
      site.rig.say(token('still here'));
      await stateIs(token('still here'));
      await courier.stop();
      await courier.stop();
      await stateIs(UNREACHABLE);
      const late = await Outside.connect(site.broker.url, 'rig-02', await site.pki.loader('rig-02')());
      await late.subscribe(STATE);
      await late.until(() => late.received.some(({ text, retain }) => retain && text === UNREACHABLE));
      await late.close();
    });
  });

  describe('blobs', () => {
    const blob = randomBytes(700_000);
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    const fault = (method: string, what: Fault, times = 1) => site.store.faults.push({ method, fault: what, times });
    const reported = () => site.rig.reports.map(({ report }) => report);

    it('brings a source, and goes on where it was cut', async () => {
      site.store.blobs.set(digest, blob);
      fault('GET', { kind: 'cut', afterBytes: 300_000 });
      site.rig.want(digest, blob.length);
      await site.rig.until(() => site.rig.complete.has(digest));
      assert.deepEqual(site.rig.complete.get(digest), blob);
      assert.match(site.store.requests.at(-1)!, /bytes=[1-9]\d+-$/);
      assert.equal(reported()[0]!.outcome, 'failed');
    });

    it('goes on when the rig was away in the middle', async () => {
      site.store.blobs.set(digest, blob);
      site.rig.cutBlobAfter = 200_000;
      site.rig.want(digest, blob.length);
      await site.rig.until(() => site.rig.complete.has(digest));
      assert.deepEqual(reported(), [], 'the store is not to blame');
    });

    for (const [name, what, code, final] of [
      ['is not there', { kind: 'status', status: 404 }, 'source.unavailable', false],
      ['is answered with 500', { kind: 'status', status: 500 }, 'store.status', false],
      ['stalls', { kind: 'stall', afterBytes: 10 }, 'store.slow', false],
      ['is redirected', { kind: 'redirect', to: 'https://elsewhere.example/' }, 'store.redirect', true],
      ['has another size', { kind: 'size', bytes: 12 }, 'store.size', true],
    ] as const)
      it(`says so when a source ${name}`, async () => {
        site.store.blobs.set(digest, blob);
        fault('GET', what);
        site.rig.want(digest, blob.length);
        await site.rig.until(() => site.rig.reports.length === 1);
        const [report] = reported();
        assert.ok(report?.outcome === 'failed');
        assert.equal(report.problem.code, code);
        assert.equal(report.final, final);
        if (!final)
          await site.rig.until(() => site.rig.complete.has(digest)); // the fault was for once
        else assert.equal(site.store.requests.filter((request) => request.startsWith('GET')).length, 1);
      });

    it('brings a result to the store', async () => {
      site.rig.deliver(digest, blob);
      await site.rig.until(() => site.rig.delivered.includes(digest));
      assert.deepEqual(site.store.blobs.get(digest), blob);
      await site.rig.until(() => site.rig.links.at(-1)!.store === 'reachable');
    });

    it('tries again when the store fails, and when the rig was away', async () => {
      fault('PUT', { kind: 'status', status: 500 });
      site.rig.cutBlobAfter = 100_000;
      site.rig.deliver(digest, blob);
      await site.rig.until(() => site.rig.delivered.includes(digest));
      assert.deepEqual(site.store.blobs.get(digest), blob);
    });

    it('delivers what is there already without sending it, and refuses to overwrite', async () => {
      site.store.blobs.set(digest, blob);
      site.rig.deliver(digest, blob);
      await site.rig.until(() => site.rig.delivered.includes(digest));
      assert.ok(!site.store.requests.some((request) => request.startsWith('PUT')));

      const small = Buffer.from('small');
      const other = `sha256:${createHash('sha256').update(small).digest('hex')}`;
      site.store.blobs.set(other, Buffer.from('something else'));
      site.rig.deliver(other, small);
      await site.rig.until(() => site.rig.reports.some((entry) => entry.digest === other));
      const report = site.rig.reports.find((entry) => entry.digest === other)!.report;
      assert.ok(report.outcome === 'failed' && report.final && report.problem.code === 'store.digest');
      assert.equal(site.store.blobs.get(other)!.toString(), 'something else');
    });

    it('carries at most two at a time in each direction', async () => {
      const sources = Array.from({ length: 5 }, () => randomBytes(200_000)).map((bytes) => ({
        bytes,
        digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
      }));
      for (const source of sources) {
        site.store.blobs.set(source.digest, source.bytes);
        site.rig.want(source.digest, source.bytes.length);
      }
      await site.rig.until(() => site.rig.complete.size === 5);
      assert.ok(site.store.mostAtOnce <= 2, `${site.store.mostAtOnce} at once`);
    });
  });

  it('works with a broker of MQTT 3.1.1, and says so', async () => {
    await courier.stop();
    const aedes = await startAedes(site.pki.dir);
    const other = site.newCourier({ broker: { url: aedes.url, tls: site.pki.loader(RIG) } });
    await other.start();
    await site.rig.until(() => site.rig.links.at(-1)!.protocol === 'MQTT 3.1.1');
    const peer = await Outside.connect(aedes.url, DISPATCHER, await site.pki.loader(DISPATCHER)(), 4);
    await peer.subscribe(EVENT);
    await peer.publish(OFFER, token('in the old way'));
    site.rig.emit(event('out'));
    await site.rig.until(() => site.rig.submissions.length === 1);
    await peer.until(() => peer.on(EVENT).length === 1);
    await peer.close();
    await other.stop();
    await aedes.close();
  });
});
