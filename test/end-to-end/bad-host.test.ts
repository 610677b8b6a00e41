/** A host that is wrong: configurations, keys, a second daemon, a full disk, a store with a foreign certificate. Each is named, nothing is lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, type FileHandle, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dispatcher } from '../../client/dispatcher.js';
import type { OfferedJob } from '../../client/offered-job.js';
import type { SealedSource } from '../../client/source.js';
import { offerJob, settle, storedSource } from '../peers/jobs.js';
import { makePki } from '../peers/pki.js';
import { VOICE } from '../peers/recordings.js';
import { scratch } from '../peers/scratch.js';
import { floatWav, monoFloat, sealedBytes, stored } from '../peers/sources.js';
import { Child, COURIER_MAIN, RIG_MAIN, Stack, until } from '../peers/stack.js';
import { startStore } from '../peers/store.js';

const MIB = 2 ** 20;
const DISK_MIB = 40;
/** 5 MB of ciphertext: it takes a while. */
const FRAMES = 48_000 * 27;

describe('a host that is wrong', { timeout: 300_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => cleanUp.unshift(fn) };
  let stack: Stack;
  let stateDir: string;
  /** Why there is no small disk, or null. */
  let noDisk: string | null = null;

  before(async () => {
    stack = await Stack.make(suite, { rigConfig: { limits: { ballastBytes: MIB } } });
    stateDir = join(stack.dir, 'rig/state');
    noDisk = mountSmallDisk(stateDir);
    if (noDisk === null) suite.after(() => execFileSync('umount', ['-l', stateDir]));
  });
  after(async () => {
    await stack?.close();
    for (const fn of cleanUp) await fn();
  });

  /** A process that is to end by itself, and what it said. */
  async function ends(main: string, config: string): Promise<{ code: number | string; output: string }> {
    const child = new Child(process.execPath, [main, '--config', config]);
    const tooLong = setTimeout(() => void child.end('SIGKILL'), 30_000);
    const code = await child.exit();
    clearTimeout(tooLong);
    return { code, output: child.output };
  }

  /** A copy of a configuration beside it, with something changed. */
  async function altered(file: string, name: string, change: (text: string) => string): Promise<string> {
    const text = await readFile(file, 'utf8');
    const changed = change(text);
    assert.notEqual(changed, text);
    const copy = join(dirname(file), name);
    await writeFile(copy, changed);
    return copy;
  }

  const lineOf = async (file: string, text: string) =>
    (await readFile(file, 'utf8')).split('\n').findIndex((line) => line.includes(text)) + 1;

  it('a configuration that cannot be read: 78, with the file, the line and the path', async () => {
    const { rig, courier } = stack.init.files;
    for (const [main, file, value] of [
      [RIG_MAIN, rig, 'stateDir: state'],
      [COURIER_MAIN, courier, 'stallSeconds: 30'],
    ] as const) {
      const field = value.split(':')[0]!;
      const broken = await altered(file, 'broken.yaml', (text) => text.replace(value, `${value}: [`));
      const unreadable = await ends(main, broken);
      assert.equal(unreadable.code, 78, unreadable.output);
      assert.match(unreadable.output, /config\.unreadable/);
      assert.ok(unreadable.output.includes(`${broken}:${await lineOf(broken, value)}:`), unreadable.output);

      const wrong = await altered(file, 'wrong.yaml', (text) => text.replace(value, `${field}: -1`));
      const invalid = await ends(main, wrong);
      assert.equal(invalid.code, 78, invalid.output);
      assert.match(invalid.output, /config\.invalid/);
      assert.ok(invalid.output.includes(`${wrong}:${await lineOf(wrong, `${field}: -1`)}:`), invalid.output);
      assert.match(invalid.output, new RegExp(`(store\\.)?${field}: `));

      const twice = await altered(file, 'twice.yaml', (text) => `${text}\nrig: rig-02\n`);
      assert.equal((await ends(main, twice)).code, 78);
      const absent = await ends(main, join(dirname(file), 'absent.yaml'));
      assert.equal(absent.code, 78);
      assert.match(absent.output, /absent\.yaml: cannot be read \(ENOENT\)/);
    }
  });

  it('a key file that others may read: 78, naming file and mode', async () => {
    const { rig, courier } = stack.init.files;
    const signing = join(dirname(rig), 'keys/signing.jwk');
    await chmod(signing, 0o644);
    const said = await ends(RIG_MAIN, rig);
    await chmod(signing, 0o600);
    assert.equal(said.code, 78);
    assert.match(said.output, /config\.key/);
    assert.match(said.output, /signing\.jwk: mode is 0644/);

    const gone = await altered(courier, 'gone.yaml', (text) => text.replaceAll('tls/key.pem', 'tls/other.pem'));
    const absent = await ends(COURIER_MAIN, gone);
    assert.equal(absent.code, 78, absent.output);
    assert.match(absent.output, /other\.pem/);
  });

  it('a second daemon on the same state: 75, and the first one works on', async () => {
    await started();
    const { rig } = stack.init.files;
    const second = await ends(RIG_MAIN, rig);
    assert.equal(second.code, 75, second.output);
    assert.match(second.output, /instance\.second/);
    const elsewhere = await altered(rig, 'elsewhere.yaml', (text) =>
      text.replace('run/courier.sock', 'run2/courier.sock').replace('run/control.sock', 'run2/control.sock'),
    );
    assert.equal((await ends(RIG_MAIN, elsewhere)).code, 75);
    await goesThrough(await storedSource(suite, stack, VOICE));
  });

  it('a journal with another key: 78, and it is as it was', async () => {
    await stopped();
    const { rig } = stack.init.files;
    await writeFile(join(dirname(rig), 'keys/other.key'), randomBytes(32), { mode: 0o600 });
    const other = await altered(rig, 'other.yaml', (text) => text.replace('keys/journal.key', 'keys/other.key'));
    const said = await ends(RIG_MAIN, other);
    assert.equal(said.code, 78, said.output);
    assert.match(said.output, /journal\.open/);
    await writeFile(join(dirname(rig), 'keys/other.key'), randomBytes(31));
    const short = await ends(RIG_MAIN, other);
    assert.equal(short.code, 78);
    assert.match(short.output, /config\.key.*|31 bytes, not 32/);
    await started();
    assert.ok(
      (await stack.status()).jobs.some(({ state }) => state === 'closed'),
      'the journal was read again',
    );
  });

  it('a store with a certificate of a stranger: said in link and health; the job waits for the right one', async () => {
    await started();
    const source = await storedSource(suite, stack, VOICE);
    const { blobs } = stack.store;
    const port = Number(new URL(stack.init.urls.store).port);
    await stack.store.close();
    const pki = await makePki(join(await scratch(suite), 'strangers'), []);
    const stranger = await startStore(pki.dir, port);
    for (const [digest, blob] of blobs) stranger.blobs.set(digest, blob);

    const dispatcher = await stack.dispatcher();
    const job = await offerJob(stack, dispatcher, source);
    const said = async () => {
      const { link, health } = await stack.status();
      const check = health.flatMap(({ checks }) => checks).find(({ name }) => name === 'store');
      return link?.store === 'unreachable' && check?.status === 'degraded' && /store\.unreachable/.test(check.detail);
    };
    await until(said, 15_000, 'store.unreachable');
    assert.deepEqual(stranger.requests, [], 'nothing was said to the stranger');
    assert.equal(await stateOf(job), 'accepted');
    await stranger.close();

    stack.store = await startStore(join(stack.dir, 'store/tls'), port);
    for (const [digest, blob] of blobs) stack.store.blobs.set(digest, blob);
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', stack.logs());
    await until(async () => (await stack.status()).link?.store === 'reachable', 5000, 'the store to be reachable');
    await dispatcher.stop();
  });

  it('an offer that does not fit on the disk: refused with rig.disk-full, one that fits is taken', async (t) => {
    if (noDisk !== null) return t.skip(noDisk);
    await started();
    const dispatcher = await stack.dispatcher();
    const source = await storedSource(suite, stack, VOICE);
    const huge = { ...source.source, bytes: 64 * MIB };
    const { payload } = await (await offerJob(stack, dispatcher, source, { source: huge })).final;
    assert.equal(payload.type, 'refused');
    assert.equal(payload.problem?.code, 'rig.disk-full');
    assert.ok((payload.problem.details?.['needed'] as number) > huge.bytes);
    const final = await settle(stack, dispatcher, await offerJob(stack, dispatcher, source));
    assert.equal(final.payload.type, 'closed');
    await dispatcher.stop();
  });

  it('a disk that somebody else fills while a source comes: the job waits for space and goes through', async (t) => {
    if (noDisk !== null) return t.skip(noDisk);
    await started();
    const dispatcher = await stack.dispatcher();
    const samples = Float32Array.from({ length: FRAMES }, (_, n) => 0.5 * Math.sin(n * 0.13));
    const source = await stored(stack, await sealedBytes(suite, floatWav({ samples }), monoFloat(FRAMES)));
    stack.store.faults.push({ method: 'GET', fault: { kind: 'slow', bytesPerSecond: MIB }, times: 1 });
    const job = await offerJob(stack, dispatcher, source, { region: { start: 0, frames: 48_000 } });
    await job.until('accepted');
    const part = join(stateDir, 'spool', `${source.source.digest.slice('sha256:'.length)}.part`);
    await until(async () => ((await stat(part).catch(() => null))?.size ?? 0) > MIB, 15_000, 'the first MiB');
    const filler = join(stateDir, 'somebody-else');
    let late: OfferedJob | undefined;
    await fill(filler);
    try {
      const full = async () => {
        await fill(filler); // also what the rig gives up
        if (stack.rig!.over) return true;
        const { health } = await stack.status();
        return health.some(({ checks }) => checks.some(({ detail }) => /disk is (almost )?full/.test(detail)));
      };
      await until(full, 30_000, 'the full disk in the health');
      // An offer that comes now is refused or waits, as far as the journal can still be written; it is not lost.
      const offers = async () => (await stack.status().catch(() => null))?.counters['offers'] ?? 0;
      const before = await offers();
      late = await offerJob(stack, dispatcher, source);
      await until(async () => stack.rig!.over || (await offers()) > before, 15_000, 'the offer to arrive');
    } finally {
      await rm(filler);
    }
    // A commit that fails ends the process on purpose, now or later; the service manager starts it again.
    const settled = new AbortController();
    const serviceManager = restartAfter74(settled.signal);
    const final = await settle(stack, dispatcher, job);
    assert.equal(final.payload.type, 'closed', `${JSON.stringify(final.payload.problem)} ${stack.logs()}`);
    const lateFinal = await settle(stack, dispatcher, late!);
    if (lateFinal.payload.type === 'refused') assert.equal(lateFinal.payload.problem?.code, 'rig.disk-full');
    else assert.equal(lateFinal.payload.type, 'closed', JSON.stringify(lateFinal.payload.problem));
    settled.abort();
    await serviceManager;
    await dispatcher.stop();
    assert.deepEqual(
      (await readdir(join(stateDir, 'spool'))).filter((name) => name !== 'ballast'),
      [],
    );
  });

  it('and a good job goes through afterwards', async () => {
    await started();
    await goesThrough(await storedSource(suite, stack, VOICE));
  });

  async function started(): Promise<void> {
    if (!stack.rig || stack.rig.over) await stack.startRig();
    if (!stack.courier || stack.courier.over) await stack.startCourier();
    assert.equal(stack.rig!.over, false, stack.logs());
  }

  async function restartAfter74(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (stack.rig!.over) {
        assert.equal(await stack.rig!.exit(), 74, stack.logs());
        await stack.startRig();
      }
      await delay(20);
    }
  }

  async function stopped(): Promise<void> {
    await stack.courier?.end();
    await stack.rig?.end();
  }

  async function stateOf(job: OfferedJob): Promise<string | undefined> {
    return (await stack.status()).jobs.find(({ job: id }) => id === job.id)?.state;
  }

  async function goesThrough(source: SealedSource): Promise<void> {
    const dispatcher: Dispatcher = await stack.dispatcher();
    const final = await settle(stack, dispatcher, await offerJob(stack, dispatcher, source));
    assert.equal(final.payload.type, 'closed', `${JSON.stringify(final.payload.problem)} ${stack.logs()}`);
    await dispatcher.stop();
  }
});

/** A disk of a few MiB over the folder; otherwise, why there is none. */
function mountSmallDisk(dir: string): string | null {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=0700`, 'tmpfs', dir], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return `no small disk can be mounted here: ${(error as Error).message.trim()}`;
  }
}

/** Appends until the disk takes nothing any more. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'a');
  try {
    for (const size of [MIB, 4096]) await appendUntilFull(file, Buffer.alloc(size));
  } finally {
    await file.close();
  }
}

async function appendUntilFull(file: FileHandle, block: Buffer): Promise<void> {
  try {
    for (;;) await file.appendFile(block);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
}
