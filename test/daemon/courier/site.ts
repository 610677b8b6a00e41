/** Everything around a courier: a real mosquitto, a store, a rig's socket, and somebody at the broker. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Courier, type CourierOptions } from '../../../daemon/courier/courier.js';
import { createLogger } from '../../../daemon/log.js';
import { type Mosquitto, startMosquitto } from '../../peers/mosquitto.js';
import { Outside } from '../../peers/outside.js';
import { makePki, type Pki } from '../../peers/pki.js';
import { RigSocketPeer } from '../../peers/rig-socket.js';
import { type StorePeer, startStore } from '../../peers/store.js';

export const RIG = 'rig-01';
export const DISPATCHER = 'dispatcher.main';

export interface Site {
  dir: string;
  pki: Pki;
  broker: Mosquitto;
  store: StorePeer;
  rig: RigSocketPeer;
  outside: Outside;
  newCourier(options?: Partial<CourierOptions>): Courier;
  close(): Promise<void>;
}

export async function makeSite(): Promise<Site> {
  const dir = await mkdtemp(join(tmpdir(), 'outboard-courier-'));
  const pki = await makePki(join(dir, 'tls'), [RIG, 'rig-02', DISPATCHER]);
  const broker = await startMosquitto({ dir: pki.dir });
  const store = await startStore(pki.dir);
  const rig = new RigSocketPeer(join(dir, 'courier.sock'));
  await rig.start();
  const outside = await Outside.connect(broker.url, DISPATCHER, await pki.loader(DISPATCHER)());
  const newCourier = (options: Partial<CourierOptions> = {}) =>
    new Courier({
      rig: RIG,
      socket: rig.path,
      broker: { url: broker.url, tls: pki.loader(RIG) },
      store: { url: store.url, tls: pki.loader(RIG), minBytesPerSecond: 64 * 1024, stallSeconds: 0.5 },
      logger: createLogger('courier', process.env['OUTBOARD_TEST_LOG'] ?? 'silent'),
      brokerPause: { baseMs: 50, maxMs: 300 },
      transferPause: { baseMs: 50, maxMs: 300 },
      ...options,
    });
  return {
    dir,
    pki,
    broker,
    store,
    rig,
    outside,
    newCourier,
    async close() {
      await outside.close();
      await rig.kill();
      await store.close();
      await broker.kill();
      await rm(dir, { recursive: true });
    },
  };
}

/** For what nobody announces. */
export async function eventually(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > until) throw new Error('not in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
