/** The serial line, on a real terminal of the kernel with the test at its other end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { within } from '../../../core/duration.js';
import { OutboardError } from '../../../core/errors.js';
import { openPty, type Pty } from '../../../drivers/processors/pty.js';
import { createSerialTransport, type SerialSettings } from '../../../drivers/processors/serial-transport.js';
import type { Link } from '../../../drivers/processors/transport.js';
import { serialBytesPerSecond, WirePace } from '../../../drivers/processors/wire-pace.js';
import { scratch } from '../../peers/scratch.js';

const WAIT_MS = 30_000;

/** What came, and a promise for the moment at which it is so much. */
class Heard {
  text = '';
  readonly #waiting: (() => void)[] = [];

  push(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
    for (const check of this.#waiting) check();
  }

  async until(text: string): Promise<void> {
    await within(
      WAIT_MS,
      new Promise<void>((resolve) => {
        const check = () => this.text.includes(text) && resolve();
        this.#waiting.push(check);
        check();
      }),
      () => new Error(`"${text}" did not come; there came "${this.text}"`),
    );
  }
}

interface Opened {
  pty: Pty;
  link: Link;
  near: Heard;
  far: Heard;
  lost(): Promise<Error>;
  losses: Error[];
}

async function onPty(t: TestContext, more: Partial<SerialSettings> = {}): Promise<Opened> {
  const [near, far] = [new Heard(), new Heard()];
  const pty = await openPty((bytes) => far.push(bytes));
  t.after(() => pty.close());
  const losses: Error[] = [];
  let tell = (_: Error): void => undefined;
  const lost = new Promise<Error>((resolve) => {
    tell = resolve;
  });
  const settings = { path: pty.path, baud: 115_200, format: '8N1', flow: 'none' as const, ...more };
  const link = await createSerialTransport(settings).open(
    {
      data: (bytes) => near.push(bytes),
      lost: (error) => {
        losses.push(error);
        tell(error);
      },
    },
    AbortSignal.timeout(WAIT_MS),
  );
  t.after(() => link.close());
  return { pty, link, near, far, lost: () => within(WAIT_MS, lost, () => new Error('the loss was not told')), losses };
}

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, i) => i);

test('every byte goes through as it is, in both directions', async (t) => {
  const { pty, link, near, far } = await onPty(t);
  const text = Buffer.from(ALL_BYTES).toString('latin1');
  await link.write(ALL_BYTES);
  await far.until(text);
  pty.write(ALL_BYTES);
  await near.until(text);
});

test('what the kernel does not take at once follows, and nothing overtakes it', async (t) => {
  const { link, far } = await onPty(t, { baud: 4_000_000 });
  const much = Array.from({ length: 60_000 }, (_, i) => `${i},`).join('');
  const writes = [link.write(Buffer.from(much))];
  let behind = '';
  // While the far end makes room.
  for (let i = 0; i < 200; i++) {
    behind += `;${i}`;
    writes.push(link.write(Buffer.from(`;${i}`)));
    await nextTurn();
  }
  await Promise.all(writes);
  await far.until(';199');
  assert.ok(far.text === much + behind, 'another order');
});

test('a write tells when the bytes have left at the pace of the line, not when the kernel has them', async (t) => {
  const { link } = await onPty(t, { baud: 9600 });
  const began = performance.now();
  const [, leftAtMs] = await Promise.all([link.write(new Uint8Array(48)), link.write(new Uint8Array(48))]);
  assert.ok(leftAtMs - began >= 100, '96 bytes of 10 bits at 9600 baud are 100 ms');
});

test('the pace counts start bit, parity and stop bits, and queues', () => {
  assert.equal(serialBytesPerSecond(9600, '8N1'), 960);
  assert.equal(serialBytesPerSecond(38_400, '8O1'), 38_400 / 11);
  assert.equal(serialBytesPerSecond(110, '7E2'), 10);
  const pace = new WirePace(1000);
  assert.equal(pace.push(5, 100), 105);
  assert.equal(pace.push(5, 102), 110);
  assert.equal(pace.push(1, 200), 201);
});

test('a pulled cable is a loss, told once; writing fails from then on', async (t) => {
  const { pty, link, lost, losses } = await onPty(t);
  await pty.close();
  await lost();
  await assert.rejects(link.write(Uint8Array.of(1)));
  await link.close();
  await link.close();
  assert.equal(losses.length, 1);
});

test('a port that is another one by now is a loss, although the driver says nothing', async (t) => {
  const dir = await scratch(t);
  const name = join(dir, 'unit');
  const [first, second] = [await openPty(() => undefined), await openPty(() => undefined)];
  t.after(() => Promise.all([first.close(), second.close()]));
  await symlink(first.path, name);
  const lost = new Promise<Error>((resolve, reject) => {
    const settings = { path: name, baud: 9600, format: '8N1', flow: 'none' as const };
    createSerialTransport(settings)
      .open({ data: () => undefined, lost: resolve }, AbortSignal.timeout(WAIT_MS))
      .then((link) => t.after(() => link.close()))
      .then(() => symlink(second.path, `${name}.new`))
      .then(() => rename(`${name}.new`, name))
      .catch(reject);
  });
  const error = await within(WAIT_MS, lost, () => new Error('the loss was not told'));
  assert.match(error.message, /is gone/);
});

test('nothing is delivered after close, and a write that was on its way fails', async (t) => {
  const { pty, link, near, losses } = await onPty(t);
  const slow = link.write(new Uint8Array(4_000_000));
  const failed = assert.rejects(slow);
  await link.close();
  await failed;
  pty.write(Buffer.from('late'));
  const again = await onPtyAt(t, pty.path);
  pty.write(Buffer.from('.'));
  await again.near.until('.');
  assert.equal(near.text, '');
  assert.deepEqual(losses, []);
});

async function onPtyAt(t: TestContext, path: string): Promise<{ near: Heard; link: Link }> {
  const near = new Heard();
  const settings = { path, baud: 9600, format: '8N1', flow: 'none' as const };
  const link = await createSerialTransport(settings).open(
    { data: (bytes) => near.push(bytes), lost: () => undefined },
    AbortSignal.timeout(WAIT_MS),
  );
  t.after(() => link.close());
  return { near, link };
}

test('what a unit says while it starts up is dropped, and the opening waits for it', async (t) => {
  const near = new Heard();
  const pty = await openPty(() => undefined);
  t.after(() => pty.close());
  const chatter = setInterval(() => pty.write(Buffer.from('boot')), 5);
  const settings = { path: pty.path, baud: 9600, format: '8N1', flow: 'none' as const, bootMs: 300 };
  const began = performance.now();
  const opening = createSerialTransport(settings).open(
    { data: (bytes) => near.push(bytes), lost: () => undefined },
    AbortSignal.timeout(WAIT_MS),
  );
  const link = await opening.finally(() => clearInterval(chatter));
  t.after(() => link.close());
  assert.ok(performance.now() - began >= 299);
  assert.equal(near.text, '');
  pty.write(Buffer.from('here'));
  await near.until('here');
});

test('an opening that is aborted while the unit starts up lets go of the port', async (t) => {
  const pty = await openPty(() => undefined);
  t.after(() => pty.close());
  const settings = { path: pty.path, baud: 9600, format: '8N1', flow: 'none' as const, bootMs: 600_000 };
  const opening = createSerialTransport(settings).open(
    { data: () => undefined, lost: () => undefined },
    AbortSignal.timeout(500),
  );
  await assert.rejects(opening, { name: 'TimeoutError' });
  await onPtyAt(t, pty.path);
});

test('the unit is not restarted by closing: DTR stays up', async (t) => {
  const { pty, link } = await onPty(t);
  const flags = () => execFileSync('stty', ['-F', pty.path, '-a'], { encoding: 'utf8' });
  assert.match(flags(), / -hupcl/);
  await link.close();
  execFileSync('stty', ['-F', pty.path, 'hupcl']);
  assert.match(flags(), / hupcl/);
  await onPtyAt(t, pty.path);
  assert.match(flags(), / -hupcl/);
});

test('a port that is not there names those that are', async (t) => {
  const settings = { path: '/dev/serial/by-id/usb-none', baud: 9600, format: '8N1', flow: 'none' as const };
  await refused(settings, /there is no \/dev\/serial\/by-id\/usb-none/);
  const dir = await scratch(t);
  await writeFile(join(dir, 'file'), '');
  await refused({ ...settings, path: join(dir, 'file') }, /is no serial port/);
  await refused({ ...settings, path: '/dev/null' }, /\/dev\/null/);
});

async function refused(settings: SerialSettings, says: RegExp): Promise<void> {
  const opening = createSerialTransport(settings).open(
    { data: () => assert.fail(), lost: () => assert.fail() },
    AbortSignal.timeout(WAIT_MS),
  );
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof OutboardError, String(error));
    assert.equal(error.code, 'processor.port');
    assert.match(error.message, says);
    return true;
  });
}

test('a port that another program holds is refused, and taken when it is free', async (t) => {
  const { pty, link } = await onPty(t);
  const settings = { path: pty.path, baud: 9600, format: '8N1', flow: 'none' as const };
  await refused(settings, /in use by another program/);
  await link.close();
  await onPtyAt(t, pty.path);
});
