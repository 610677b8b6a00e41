import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Decrypter, Encrypter } from 'age-encryption';
import { CHUNK_BYTES, OPEN_WINDOW_CHUNKS, SEAL_WINDOW_BYTES } from '../../certs/seal-protocol.js';
import { openFile, type SealWriter, sealToFile } from '../../certs/seal-thread.js';
import { generateIdentity, importIdentity, sealedSize } from '../../certs/sealing.js';

const folder = await mkdtemp(join(tmpdir(), 'outboard-thread-'));
after(() => rm(folder, { recursive: true }));
const place = (name: string) => join(folder, name);
const { identity, recipient, raw } = await generateIdentity();
const key = await importIdentity(raw);

async function seal(path: string, plain: Uint8Array): Promise<void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  await writeFile(path, await encrypter.encrypt(plain));
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return Buffer.concat(list);
}

/** Descriptors of this process that point into the folder. */
async function openDescriptors(): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((target) => target.startsWith(folder));
}

async function nextWorker<T>(start: () => T): Promise<{ worker: Worker; made: T }> {
  const born = new Promise<Worker>((resolve) => process.once('worker', resolve));
  const made = start();
  return { worker: await born, made };
}

test('a file is opened in chunks of 256 KiB, each with memory of its own', async () => {
  const plain = randomBytes(CHUNK_BYTES * 3 + 1000);
  await seal(place('a.age'), plain);
  const chunks: Uint8Array[] = [];
  for await (const chunk of openFile(place('a.age'), key)) chunks.push(chunk);
  assert.deepEqual(
    chunks.map((chunk) => chunk.length),
    [CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES, 1000],
  );
  assert.ok(chunks.every((chunk) => chunk.buffer.byteLength === chunk.length));
  assert.deepEqual(Buffer.concat(chunks), plain);
  assert.deepEqual(await all(openFile(place('a.age'), identity)), plain);
  await seal(place('empty.age'), new Uint8Array(0));
  assert.equal((await all(openFile(place('empty.age'), key))).length, 0);
  assert.deepEqual(await openDescriptors(), []);
});

test('a sealed file is what typage opens; its digest and size are known, its mode is 0600', async () => {
  const plain = randomBytes(CHUNK_BYTES * 2 + 77);
  const writer = sealToFile(place('b.age'), [recipient]);
  const parts = [plain.subarray(0, 10), plain.subarray(10, 300_000), plain.subarray(300_000)];
  for (const part of parts) await writer.write(part);
  assert.deepEqual(
    parts.map((part) => part.length),
    [10, 299_990, plain.length - 300_000],
    'a part of a larger buffer is copied, not taken',
  );
  const { digest, bytes } = await writer.finish();
  const file = await readFile(place('b.age'));
  assert.equal(bytes, file.length);
  assert.equal(bytes, await sealedSize(plain.length, [recipient]));
  assert.equal(digest, `sha256:${createHash('sha256').update(file).digest('hex')}`);
  assert.equal((await stat(place('b.age'))).mode & 0o777, 0o600);
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  assert.deepEqual(Buffer.from(await decrypter.decrypt(file)), plain);
  await writer.abort();
  assert.ok(existsSync(place('b.age')), 'a finished file stays');
  assert.deepEqual(await writer.finish(), { digest, bytes });
  await assert.rejects(writer.write(new Uint8Array(1)), { code: 'internal' });
});

test('a chunk that is the whole of its memory is taken over', async () => {
  const writer = sealToFile(place('c.age'), [recipient]);
  const chunk = new Uint8Array(1000).fill(7);
  await writer.write(chunk);
  assert.equal(chunk.length, 0);
  await writer.finish();
  assert.deepEqual(await all(openFile(place('c.age'), key)), Buffer.alloc(1000, 7));
});

test('writing waits when 2 MiB are on their way', async () => {
  const writer = sealToFile(place('d.age'), [recipient]);
  let passed = 0;
  const writes = Array.from({ length: 32 }, async () => {
    await writer.write(new Uint8Array(CHUNK_BYTES));
    passed++;
  });
  // Nothing from the thread can have come in before the event loop turns.
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assert.equal(passed, SEAL_WINDOW_BYTES / CHUNK_BYTES - 1);
  await Promise.all(writes);
  const { bytes } = await writer.finish();
  assert.equal(bytes, await sealedSize(32 * CHUNK_BYTES, [recipient]));
});

test('opening waits when 2 MiB are not taken', async () => {
  await seal(place('e.age'), new Uint8Array(CHUNK_BYTES * 20));
  const fd = openSync(place('e.age'), 'r');
  const worker = new Worker(new URL('../../certs/seal-worker.js', import.meta.url), {
    workerData: { kind: 'open', fd, identity },
  });
  let chunks = 0;
  let more: () => void = () => undefined;
  worker.on('message', (message: object) => {
    if ('chunk' in message) chunks++;
    more();
  });
  const until = async (count: number) => {
    while (chunks < count)
      await new Promise<void>((resolve) => {
        more = resolve;
      });
  };
  await until(OPEN_WINDOW_CHUNKS);
  worker.postMessage({ take: 1 });
  await until(OPEN_WINDOW_CHUNKS + 1);
  // All that it sent is delivered before its exit is.
  for (let i = 0; i < 1000; i++) await new Promise((resolve) => setImmediate(resolve));
  await worker.terminate();
  assert.equal(chunks, OPEN_WINDOW_CHUNKS + 1);
  closeSync(fd);
});

test('what cannot be opened', async () => {
  const plain = randomBytes(CHUNK_BYTES * 2);
  await seal(place('f.age'), plain);
  const other = await generateIdentity();
  await assert.rejects(all(openFile(place('f.age'), other.identity)), { code: 'seal.open' });
  await assert.rejects(all(openFile(place('none.age'), key)), { code: 'file.unreadable' });
  await assert.rejects(all(openFile(folder, key)), { code: 'file.unreadable' });
  await writeFile(place('g.age'), `age-encryption.org/v1\n${'-> x y\n\n'.repeat(10_000)}`);
  await assert.rejects(all(openFile(place('g.age'), key)), { code: 'seal.header' });
  await truncate(place('f.age'), (await stat(place('f.age'))).size - 5);
  let good = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of openFile(place('f.age'), key)) good += chunk.length;
    },
    { code: 'seal.open' },
  );
  assert.equal(good, CHUNK_BYTES, 'what came before the fault is given out');
  assert.deepEqual(await openDescriptors(), []);
});

test('leaving the loop, and the signal, end the thread and close the file', async () => {
  await seal(place('h.age'), new Uint8Array(CHUNK_BYTES * 20));
  const { worker } = await nextWorker(async () => {
    for await (const _ of openFile(place('h.age'), key)) break;
  });
  await new Promise((resolve) => worker.once('exit', resolve));
  const control = new AbortController();
  const reason = new Error('enough');
  let seen = 0;
  await assert.rejects(
    async () => {
      for await (const _ of openFile(place('h.age'), key, { signal: control.signal }))
        if (++seen === 2) control.abort(reason);
    },
    (error) => error === reason,
  );
  assert.equal(seen, 2);
  await assert.rejects(all(openFile(place('h.age'), key, { signal: control.signal })), (error) => error === reason);
  assert.deepEqual(await openDescriptors(), []);
});

test('create-only, and nothing is left of what was not to be', async () => {
  await writeFile(place('there.age'), 'precious');
  assert.throws(() => sealToFile(place('there.age'), [recipient]), { code: 'file.exists' });
  assert.throws(() => sealToFile(join(folder, 'no', 'folder.age'), [recipient]), { code: 'file.write' });
  assert.throws(() => sealToFile(place('i.age'), ['age1nobody']), { code: 'grant.recipient' });
  assert.throws(() => sealToFile(place('i.age'), []), { code: 'grant.recipient' });
  assert.equal(await readFile(place('there.age'), 'utf8'), 'precious');
  assert.equal(existsSync(place('i.age')), false);

  const writer = sealToFile(place('i.age'), [recipient]);
  await writer.write(new Uint8Array(CHUNK_BYTES));
  await writer.abort();
  await writer.abort();
  assert.equal(existsSync(place('i.age')), false);
  await assert.rejects(writer.write(new Uint8Array(1)), { code: 'take.aborted' });
  await assert.rejects(writer.finish(), { code: 'take.aborted' });

  const control = new AbortController();
  const second = sealToFile(place('i.age'), [recipient], { signal: control.signal });
  const reason = new Error('enough');
  const pending = Promise.allSettled([...Array(20).keys()].map(() => second.write(new Uint8Array(CHUNK_BYTES))));
  control.abort(reason);
  assert.equal((await pending).at(-1)!.status, 'rejected');
  await assert.rejects(second.finish(), (error) => error === reason);
  await second.abort();
  assert.equal(existsSync(place('i.age')), false);
  assert.deepEqual(await openDescriptors(), []);
});

test('a thread that dies is an error, not a wait', async () => {
  const { worker, made } = await nextWorker<SealWriter>(() => sealToFile(place('j.age'), [recipient]));
  const ending = made.finish();
  void worker.terminate();
  await assert.rejects(ending, { code: 'internal' });
  await made.abort();
  assert.equal(existsSync(place('j.age')), false);

  await seal(place('k.age'), new Uint8Array(CHUNK_BYTES * 20));
  const opening = openFile(place('k.age'), key);
  const second = await nextWorker(() => opening.next());
  await second.made;
  await second.worker.terminate();
  await assert.rejects(all(opening), { code: 'internal' });
  assert.deepEqual(await openDescriptors(), []);
});

test('a full disk has its own code, and the file can be removed', (t) => {
  const inner = fileURLToPath(new URL('./full-disk.js', import.meta.url));
  const script = `mount -t tmpfs -o size=1m none '${folder}' && exec '${process.execPath}' '${inner}' '${folder}'`;
  const probe = spawnSync('unshare', ['-rm', 'true']);
  if (probe.status !== 0) return t.skip('this host gives no mount namespace to its users');
  const run = spawnSync('unshare', ['-rm', 'sh', '-c', script], { encoding: 'utf8' });
  assert.equal(run.stderr, '');
  assert.equal(run.stdout, 'rig.disk-full removed\n');
});
