/** How old the last word of state and health is: by this the service manager learns that something in the rig hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { generateSigningKey, loadSigner } from '../../../certs/keys.js';
import type { HealthPayload, StatePayload } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { Broadcast } from '../../../daemon/rig/broadcast.js';
import type { Journal } from '../../../daemon/rig/journal/journal.js';

/** All that is used of a journal. */
function memoryJournal(commit: () => void): Journal {
  const meta = new Map<string, string>();
  const db = {
    commit<T>(_name: string, work: () => T): T {
      commit();
      return work();
    },
  };
  return {
    db,
    meta: (key: string) => meta.get(key),
    setMeta: (key: string, value: string) => meta.set(key, value),
  } as unknown as Journal;
}

async function broadcast(
  health: () => Promise<HealthPayload['health'][]>,
  commit: () => void = () => undefined,
): Promise<Broadcast> {
  return new Broadcast({
    rig: 'rig-01',
    log: createLogger('test', 'silent'),
    journal: memoryJournal(commit),
    signer: await loadSigner('rig-01', await generateSigningKey()),
    state: () => ({}) as StatePayload['state'],
    health,
    calibration: () => [],
  });
}

test('a round that came to its end is young, and grows old', async () => {
  const well = await broadcast(async () => []);
  assert.equal(well.sinceRoundMs, Number.POSITIVE_INFINITY);
  await well.start();
  const young = well.sinceRoundMs;
  assert.ok(young < 5000, `${young} ms`);
  while (well.sinceRoundMs <= young) await turn();
  await well.stop();
});

test('a health that hangs, and a journal that fails, are no round', async () => {
  let release: () => void = () => undefined;
  let asked: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const hanging = new Promise<[]>((resolve) => {
    release = () => resolve([]);
  });
  const hangs = await broadcast(() => {
    asked();
    return hanging;
  });
  const starting = hangs.start();
  await begun;
  await turn();
  assert.equal(hangs.sinceRoundMs, Number.POSITIVE_INFINITY);
  release();
  await starting;
  assert.ok(hangs.sinceRoundMs < 5000);
  await hangs.stop();

  const broken = await broadcast(
    async () => [],
    () => {
      throw new OutboardError('journal.commit', 'the disk is gone');
    },
  );
  await broken.start();
  assert.equal(broken.sinceRoundMs, Number.POSITIVE_INFINITY);
  await broken.stop();
});

test('a full disk is a round: a new process would find it just as full', async () => {
  const full = await broadcast(
    async () => [],
    () => {
      throw new OutboardError('rig.disk-full', 'the disk of the journal is full');
    },
  );
  await full.start();
  assert.ok(full.sinceRoundMs < 5000);
  await full.stop();
});
