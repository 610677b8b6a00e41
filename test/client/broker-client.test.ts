import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { BrokerClient, type BrokerClientOptions, type BrokerLink } from '../../client/broker-client.js';
import type { InboundMessage } from '../../client/inbound-window.js';
import { type AedesPeer, startAedes } from '../peers/aedes.js';
import { freePort, type Mosquitto, startMosquitto } from '../peers/mosquitto.js';
import { Outside } from '../peers/outside.js';
import { makePki, type Pki } from '../peers/pki.js';

const RIG = 'rig-01';
const OTHER = 'dispatcher.main';

describe('the broker client', () => {
  let dir: string;
  let pki: Pki;
  let mosquitto: Mosquitto;
  let outside: Outside;
  const running: BrokerClient[] = [];

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-broker-'));
    pki = await makePki(join(dir, 'tls'), [RIG, OTHER]);
    mosquitto = await startMosquitto({ dir: pki.dir });
    outside = await Outside.connect(mosquitto.url, OTHER, await pki.loader(OTHER)());
  });
  after(async () => {
    await outside.close();
    await mosquitto.kill();
    await rm(dir, { recursive: true });
  });
  afterEach(async () => {
    for (const client of running.splice(0)) await client.stop();
  });

  /** A started client; `held` are the messages whose acknowledgement waits. */
  function client(options: Partial<BrokerClientOptions> = {}) {
    const messages: { message: InboundMessage; done(): void; signal: AbortSignal }[] = [];
    const links: BrokerLink[] = [];
    const made = new BrokerClient({
      url: mosquitto.url,
      name: RIG,
      tls: pki.loader(RIG),
      subscriptions: [],
      backoff: { baseMs: 20, maxMs: 100 },
      handler: (message, signal) =>
        new Promise((resolve, reject) => {
          messages.push({ message, done: resolve, signal });
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
      ...options,
    });
    made.onLink((link) => links.push(link));
    running.push(made);
    return { client: made, messages, links };
  }
  const eventually = async (condition: () => boolean, what: string) => {
    const until = performance.now() + 15_000;
    while (!condition()) {
      if (performance.now() > until) assert.fail(`not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const linked = async (links: BrokerLink[], wanted: BrokerLink['broker']) =>
    await eventually(() => links.some((link) => link.broker === wanted), wanted);

  it('speaks MQTT 5 where the broker does, and publishes', async () => {
    const { client: rig } = client();
    await rig.start();
    await rig.ready();
    assert.equal(rig.link.protocol, 'MQTT 5');
    assert.ok(rig.link.certificateExpires! > Date.now() / 1000);
    await outside.subscribe('hello');
    await rig.publish('hello', 'there', { qos: 1, retain: false });
    await outside.until(() => outside.on('hello').includes('there'));
  });

  it('acknowledges only when the handler is done, and reads on meanwhile', async () => {
    const { client: rig, messages } = client({ subscriptions: ['in/a'] });
    await rig.start();
    await rig.ready();
    await outside.publish('in/a', 'first');
    await eventually(() => messages.length === 1, 'first');
    // The first is open; a second comes in, and our own publish is acknowledged.
    await outside.publish('in/a', 'second');
    await eventually(() => messages.length === 2, 'second');
    await rig.publish('out', 'x', { qos: 1, retain: false });
    messages[1]!.done();
    await rig.stop();
    assert.ok(messages[0]!.signal.aborted, 'the handler hears that its connection is gone');

    // The second was done, but nothing is acknowledged out of order: both come again.
    const again = client({ subscriptions: ['in/a'] });
    await again.client.start();
    await eventually(() => again.messages.length === 2, 'both again');
    assert.deepEqual(
      again.messages.map(({ message }) => message.payload.toString()),
      ['first', 'second'],
    );
    for (const { done } of again.messages) done();
    await again.client.ready();
    await again.client.publish('out', 'y', { qos: 1, retain: false }); // behind the acknowledgements
    await again.client.stop();

    const third = client({ subscriptions: ['in/a'] });
    await third.client.start();
    await third.client.ready();
    await outside.publish('in/a', 'third');
    await eventually(() => third.messages.length === 1, 'third');
    assert.equal(third.messages[0]!.message.payload.toString(), 'third', 'the first two were acknowledged');
    third.messages[0]!.done();
    await third.client.publish('out', 'z', { qos: 1, retain: false });
  });

  it('never has more open than its window, though the broker has more to give', async () => {
    const { client: rig, messages } = client({ subscriptions: ['in/w'], inboundWindow: 5 });
    await rig.start();
    await rig.ready();
    for (let n = 0; n < 30; n += 1) await outside.publish('in/w', `${n}`);
    await rig.publish('out', 'x', { qos: 1, retain: false }); // a round trip
    assert.equal(messages.length, 5);
    for (let n = 0; n < 30; n += 1) {
      await eventually(() => messages.length > n, `${n}`);
      messages[n]!.done();
    }
    assert.deepEqual(
      messages.map(({ message }) => message.payload.toString()),
      Array.from({ length: 30 }, (_, n) => `${n}`),
    );
  });

  it('sees that a message was retained, also when it arrives live', async () => {
    const { client: rig, messages } = client({ subscriptions: ['in/r'] });
    await rig.start();
    await rig.ready();
    await outside.publish('in/r', 'stays', { retain: true });
    await eventually(() => messages.length === 1, 'retained');
    assert.equal(messages[0]!.message.retain, true);
    messages[0]!.done();
    await outside.publish('in/r', '', { retain: true });
  });

  it('leaves no will when it stops in good order or renews', async () => {
    const will = { topic: 'will', payload: 'gone' };
    await outside.subscribe('will');
    const first = client({ will });
    await first.client.start();
    await first.client.ready();
    await first.client.stop();
    await outside.publish('will', 'mark');
    await outside.until(() => outside.on('will').includes('mark'));
    assert.deepEqual(outside.on('will'), ['mark']);

    const second = client({ will, maxConnectionMs: 200 });
    await second.client.start();
    await eventually(
      () => second.links.filter((link) => link.broker === 'connected').length >= 3,
      'two planned renewals',
    );
    assert.deepEqual(outside.on('will'), ['mark'], 'a planned renewal leaves no will');
  });

  it('renews its session with the certificate that is in the file then', async () => {
    const { client: rig, links } = client({ maxConnectionMs: 300 });
    await rig.start();
    await rig.ready();
    const before = rig.link.certificateExpires;
    await pki.renew(RIG, 20);
    await eventually(
      () => links.some((link) => link.broker === 'connected' && link.certificateExpires! < before!),
      'renewed',
    );
  });

  it('comes back after the broker was away, and says so meanwhile', async () => {
    const { client: rig, links } = client();
    await rig.start();
    await rig.ready();
    await mosquitto.kill();
    await eventually(() => !rig.connected, 'away');
    await assert.rejects(rig.publish('out', 'x', { qos: 1, retain: false }), { code: 'broker.unreachable' });
    await linked(links, 'connecting');
    await mosquitto.start();
    await rig.ready();
    await rig.publish('out', 'x', { qos: 1, retain: false });
  });

  it('does not wait for ever for a PUBACK that never comes', async () => {
    const { client: rig } = client({ publishTimeoutMs: 300 });
    await rig.start();
    await rig.ready();
    // Over the broker's packet size: MQTT 5 tells us beforehand.
    await assert.rejects(rig.publish('out', 'x'.repeat(70_000), { qos: 1, retain: false }), { code: 'broker.refused' });
    process.kill(mosquitto.pid(), 'SIGSTOP');
    try {
      await assert.rejects(rig.publish('out', 'x', { qos: 1, retain: false }), { code: 'broker.unreachable' });
    } finally {
      process.kill(mosquitto.pid(), 'SIGCONT');
    }
    await eventually(() => rig.connected, 'a new session');
  });

  it('stops while it is still trying', async () => {
    const deaf = createServer(() => undefined).listen(0, '127.0.0.1'); // takes connections and says nothing
    await once(deaf, 'listening');
    const { client: rig } = client({ url: `mqtts://127.0.0.1:${(deaf.address() as AddressInfo).port}` });
    await rig.start();
    const ready = assert.rejects(rig.ready(), { code: 'broker.unreachable' });
    const begun = performance.now();
    await rig.stop();
    await rig.stop();
    await ready;
    assert.ok(performance.now() - begun < 2000);
    deaf.close();
  });

  it('goes on trying when nobody listens, and when the authority is a stranger', async () => {
    const nobody = client({ url: `mqtts://127.0.0.1:${await freePort()}` });
    await nobody.client.start();
    await eventually(() => nobody.links.length >= 3, 'three tries');
    assert.equal(nobody.links[0]!.problem!.code, 'broker.unreachable');

    const strangers = await makePki(join(dir, 'strangers'), [RIG]);
    const { ca } = await pki.loader(RIG)();
    const refused = client({ tls: async () => ({ ...(await strangers.loader(RIG)()), ca }) });
    await refused.client.start();
    await linked(refused.links, 'refused');
  });

  it('refuses a certificate of another name before it connects', async () => {
    const { client: wrong, links } = client({ tls: pki.loader(OTHER) });
    await wrong.start();
    await eventually(() => links.length > 0, 'a link');
    assert.equal(links[0]!.problem!.code, 'config.key');
  });

  describe('with a broker that has only MQTT 3.1.1', () => {
    let aedes: AedesPeer;
    before(async () => {
      aedes = await startAedes(pki.dir);
    });
    after(() => aedes.close());

    it('falls back and says so, and keeps its session', async () => {
      const { client: rig, messages } = client({ url: aedes.url, subscriptions: ['in/3'] });
      await rig.start();
      await rig.ready();
      assert.equal(rig.link.protocol, 'MQTT 3.1.1');
      const peer = await Outside.connect(aedes.url, OTHER, await pki.loader(OTHER)(), 4);
      await peer.publish('in/3', 'one');
      await eventually(() => messages.length === 1, 'one');
      aedes.drop(); // unacknowledged
      await eventually(() => messages.length === 2, 'one again');
      assert.equal(messages[1]!.message.payload.toString(), 'one');
      messages[1]!.done();
      await peer.close();
    });

    it('loses nothing when more comes than its window takes', async () => {
      const { client: rig, messages } = client({
        url: aedes.url,
        subscriptions: ['in/4'],
        inboundWindow: 3,
        keepaliveSeconds: 1,
      });
      await rig.start();
      await rig.ready();
      const peer = await Outside.connect(aedes.url, OTHER, await pki.loader(OTHER)(), 4);
      for (let n = 0; n < 20; n += 1) await peer.publish('in/4', `${n}`);
      await eventually(() => messages.length >= 3, 'the first');
      await new Promise((resolve) => setTimeout(resolve, 2500)); // longer than a hold and than the keep-alive
      assert.ok(rig.connected, 'the keep-alive goes on while nothing is taken');
      const seen = new Set<string>();
      let at = 0;
      await eventually(() => {
        for (; at < messages.length; at += 1) {
          seen.add(messages[at]!.message.payload.toString());
          messages[at]!.done();
        }
        return seen.size === 20;
      }, 'all twenty');
      await peer.close();
    });
  });
});
