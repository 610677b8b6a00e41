/**
 * Bounces through gear that does not stand still or does not answer: a tape machine that plays on from where it was cued, and is stopped after the
 * take; a box of which nothing can be read back.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { SealedSource } from '../../client/source.js';
import type { BounceJob, Settings } from '../../core/contract/index.js';
import { Journal } from '../../daemon/rig/journal/journal.js';
import { loadRigConfig } from '../../daemon/rig-config.js';
import type { NinePinDeck } from '../peers/gear/nine-pin.js';
import { ninePinOnLine } from '../peers/gear/nine-pin-on-line.js';
import { link, offerJob, settle, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { sine, writeSignal } from '../peers/signals.js';
import { Child, CLI_MAIN, Stack, until } from '../peers/stack.js';
import { finishedTake, insertsOf } from '../peers/takes.js';
import { maintenance } from '../peers/technician.js';

const RATE = 48_000;
/** Long enough to look at the machine while it plays. */
const SECONDS = 4;
const TENANT = 'tenant-with-the-tape';

/** Nobody knows what is on a tape, and erasing it takes more than an hour: here it is known. */
async function ownTape(stack: Stack, tenant: string): Promise<void> {
  const { config, resolve } = await loadRigConfig(stack.init.files.rig);
  const stateDir = resolve(config.stateDir);
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const journal = new Journal({
    path: join(stateDir, 'journal.db'),
    rig: config.rig,
    onIndeterminate: (error) => assert.fail(error),
  });
  journal.open(await readFile(resolve(config.journal.keyFile!)));
  journal.db.commit('test', () => journal.setInsertTenant('tape', tenant));
  journal.close();
}

describe('gear that moves, or says nothing', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let source: SealedSource;
  let deck: NinePinDeck;

  before(async () => {
    const far = await ninePinOnLine(suite);
    deck = far.deck;
    const { inserts, channels } = insertsOf({ tape: { width: 1 }, heat: { width: 1 } });
    stack = await Stack.make(suite, {
      rigConfig: {
        interface: { clock: 'realtime', rates: [RATE], in: channels, out: channels },
        inserts,
        processors: {
          deck: {
            profile: 'sony.9pin',
            insert: 'tape',
            port: { serial: far.path, anyPath: true },
            confirmed: true,
          },
          heat: { profile: 'elektron.analog-heat-fx', insert: 'heat', port: { virtual: true } },
        },
      },
    });
    await ownTape(stack, TENANT);
    const wav = join(await scratch(suite), 'tone.wav');
    const shape = { rate: RATE, channels: 1, bits: 24, frames: SECONDS * RATE } as const;
    await writeSignal(wav, { ...shape, sample: sine(997, -20, RATE) });
    source = await storedSource(suite, stack, wav);
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
    await until(async () => (await stack.status()).state.processors.every(({ state }) => state === 'ready'));
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });
  const offer = (unit: string, settings: Settings, verify: BounceJob['chain'][number]['verify'] = 'required') =>
    offerJob(stack, dispatcher, source, {
      tenant: TENANT,
      chain: [{ ...link(unit, settings), verify }],
      maxAttempts: 2,
    });

  it('a tape is cued, plays on from there, and is stopped when the take is over', async () => {
    const job = await offer('deck', { cue: 12, transport: 'play' });
    await job.until('rolling');
    assert.equal(deck.motion, 'play');
    // As a tape that runs.
    deck.position = [0, 0, 14, 0];
    const { certificate } = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(certificate.attempt, 1, stack.logs());
    const setting = (name: string) => certificate.processors[0]!.settings.find((one) => one.name === name)!;
    assert.deepEqual(setting('cue'), {
      name: 'cue',
      unit: 's',
      requested: 12,
      sent: 12,
      readBack: 12,
      readBackAfter: 14,
      state: 'verified',
    });
    assert.equal(setting('transport').readBackAfter, 'play');
    assert.equal(deck.motion, 'stop');
  });

  it('a tape that records does not record on when the take is over', async () => {
    const job = await offer('deck', { transport: 'record' });
    await job.until('rolling');
    assert.equal(deck.motion, 'record');
    const { certificate } = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(certificate.attempt, 1);
    assert.equal(deck.motion, 'stop');
  });

  it('a tape that somebody stops voids the take, wherever it was cued', async () => {
    const job = await offer('deck', { cue: 12, transport: 'play' });
    await job.until('rolling');
    deck.motion = 'stop';
    const { certificate } = await finishedTake(suite, stack, dispatcher, job);
    assert.equal(certificate.attempt, 2);
    const problem = job.past.find(({ payload }) => payload.type === 'ready' && payload.problem)!.payload.problem!;
    assert.equal(problem.code, 'take.drift');
    assert.match(problem.message, /deck .*transport/);
  });

  it('what cannot be read back is refused where the job wants it verified', async () => {
    const job = await offer('heat', { drive: 20 }, 'required');
    const { payload } = await settle(stack, dispatcher, job);
    assert.equal(payload.type, 'refused');
    assert.equal(payload.problem?.code, 'job.verify');
    assert.match(payload.problem!.message, /chain\[0\]\.verify.*elektron\.analog-heat-fx cannot read/);
  });

  it('and is called sent, unverified where the job is content with that', async () => {
    const job = await offer('heat', { drive: 20 }, 'sent-ok');
    const { certificate } = await finishedTake(suite, stack, dispatcher, job);
    const { settings } = certificate.processors[0]!;
    assert.deepEqual(
      settings.find(({ name }) => name === 'drive'),
      { name: 'drive', unit: 'raw', requested: 20, sent: 20, state: 'sent, unverified' },
    );
    assert.ok(settings.every(({ state }) => state === 'sent, unverified'));
  });

  it('its safe state too is called sent, and that of the tape verified', async () => {
    const { health } = await stack.status();
    const details = health
      .find(({ subsystem }) => subsystem === 'processors')!
      .checks.map(({ name, detail }) => `${name}: ${detail}`);
    assert.deepEqual(details, [
      'deck: sony.9pin is ready; its safe state was last verified',
      'heat: elektron.analog-heat-fx is ready; its safe state was last sent, unverified',
    ]);
  });

  it('and so says who makes them safe by hand; the keys of the tape are free meanwhile', async () => {
    await stack.rig!.end();
    // Technicians come in when it is erased: nobody's, and heard to be quiet.
    await ownTape(stack, '');
    await stack.startRig();
    await maintenance(stack, 'maintenance.enter');
    await until(async () => (await stack.status()).state.mode === 'maintenance');
    assert.equal(deck.local, true);
    const signed = [
      '--socket',
      stack.controlSocket,
      '--key',
      join(stack.dir, 'technician/key.jwk'),
      '--reason',
      'a test',
    ];
    const safe = async (name: string) => {
      const child = new Child(process.execPath, [CLI_MAIN, 'processors', 'safe', name, ...signed]);
      assert.equal(await child.exit(), 0, child.output);
      return child.stdout;
    };
    assert.match(await safe('deck'), /^deck is in its safe state, verified$/m);
    assert.match(
      await safe('heat'),
      /^heat was sent its safe state, unverified: it does not report volume, drive, level$/m,
    );
    await maintenance(stack, 'maintenance.exit');
    await until(async () => (await stack.status()).state.mode === 'ready');
    assert.equal(deck.local, false);
  });
});
