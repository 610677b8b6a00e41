import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { InboundMessage } from '../../../client/inbound-window.js';
import { Offers } from '../../../daemon/courier/offers.js';
import { RigApi } from '../../../daemon/courier/rig-api.js';
import { createLogger } from '../../../daemon/log.js';
import { RigSocketPeer } from '../../peers/rig-socket.js';

const offer = (text: string): InboundMessage => ({
  topic: 'outboard/v1/rig-01/offer',
  payload: Buffer.from(text),
  retain: false,
  qos: 1,
  dup: false,
});

describe('offers on their way to the rig', () => {
  let dir: string;
  let peer: RigSocketPeer;
  let api: RigApi;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'outboard-offers-'));
    peer = new RigSocketPeer(join(dir, 'courier.sock'));
    await peer.start();
    api = new RigApi(peer.path);
  });
  after(async () => {
    api.close();
    await peer.kill();
    await rm(dir, { recursive: true });
  });
  const logger = createLogger('offers', 'silent');
  const never = new AbortController().signal;

  it('lets one go on which the rig always fails, but only when it takes others meanwhile', async () => {
    const offers = new Offers('rig-01', api, logger, { tries: 2, ms: 10 });
    peer.answer = ({ token }) => ({ status: token === 'poison' ? 500 : 200, body: { verdict: 'accepted' } });
    let over = false;
    const poison = offers.handle(offer('poison'), never).then(() => {
      over = true;
    });
    await peer.until(() => peer.submissions.length >= 4);
    assert.equal(over, false, 'a rig that fails on everything is no reason to let anything go');
    await offers.handle(offer('good'), never);
    await poison;
    assert.deepEqual(offers.counters, { forwarded: 1, retained: 0, refused: 0, poisoned: 1 });
  });

  it('ends when its connection does', async () => {
    const offers = new Offers('rig-01', api, logger);
    peer.answer = () => ({ status: 503 });
    const connection = new AbortController();
    const before = peer.submissions.length;
    const handling = offers.handle(offer('later'), connection.signal);
    await peer.until(() => peer.submissions.length > before);
    connection.abort(new Error('the connection is gone'));
    await assert.rejects(handling, /connection is gone/);
  });

  it('takes nothing from topics that are not its own', async () => {
    const offers = new Offers('rig-01', api, logger);
    const before = peer.submissions.length;
    await offers.handle({ ...offer('x'), topic: 'outboard/v1/rig-02/offer' }, never);
    assert.equal(peer.submissions.length, before);
  });
});
