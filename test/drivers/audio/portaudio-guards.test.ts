/** The parts of the portaudio driver that need no device: what is said between the processes, and what watches over the stream. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { NativeStream } from '../../../drivers/audio/portaudio/binding.js';
import { ClockWatch } from '../../../drivers/audio/portaudio/clock-watch.js';
import { ChunkFrame, FrameReader, jsonFrame } from '../../../drivers/audio/portaudio/protocol.js';
import { Pump } from '../../../drivers/audio/portaudio/pump.js';
import { StatusWatch } from '../../../drivers/audio/portaudio/status-watch.js';

const RATE = 48_000;
const CHUNK = 4096;
const CHUNK_NS = (CHUNK / RATE) * 1e9;

test('frames arrive whole, however the bytes are cut', () => {
  const sample = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const message = fc.oneof(fc.tuple(fc.nat(), fc.array(sample, { maxLength: 50 })), fc.string());
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
      const bytes = messages.map((message) => {
        if (typeof message === 'string')
          return jsonFrame({ say: 'fault', kind: 'lost', frames: null, detail: message });
        const [index, samples] = message;
        const frame = new ChunkFrame(samples.length);
        frame.stamp(index, -7n);
        frame.samples.set(samples);
        return frame.bytes;
      });
      const all = Buffer.concat(bytes);
      const got: unknown[] = [];
      const reader = new FrameReader({
        json: (said) => got.push((said as { detail: string }).detail),
        chunk: (index, timeNs, samples) => {
          assert.equal(timeNs, -7n);
          got.push([index, [...samples]]);
        },
      });
      for (let at = 0, i = 0; at < all.length; i++) {
        const now = cuts.length === 0 ? all.length : cuts[i % cuts.length]!;
        reader.push(all.subarray(at, at + now));
        at += now;
      }
      assert.deepEqual(got, messages);
    }),
    { numRuns: 500 },
  );
});

test('bytes that are no frame are refused', () => {
  const reader = new FrameReader({ json: () => {}, chunk: () => {} });
  assert.throws(() => reader.push(Buffer.alloc(8, 0xff)), RangeError);
});

describe('the monotonic clock', () => {
  /** Chunks that come when they should, each late by what `lateNs` says. @returns what was found missing */
  function watch(chunks: number, lateNs: (chunk: number) => number): number[] {
    const clock = new ClockWatch({ chunkFrames: CHUNK, rate: RATE, startedNs: 0n });
    const found: number[] = [];
    for (let i = 0; i < chunks; i++) found.push(clock.chunk(BigInt(Math.round((i + 1) * CHUNK_NS + lateNs(i)))));
    return found.filter((frames) => frames > 0);
  }

  test('finds a period that was thrown away, and about how long it was', () => {
    assert.deepEqual(
      watch(200, (i) => (i < 77 ? 0 : CHUNK_NS)),
      [CHUNK],
    );
  });

  test('is not misled by a busy host, nor by a sample clock that is off by 200 ppm', () => {
    const busy = (i: number) => (i % 5 === 0 ? 0 : 0.9 * CHUNK_NS);
    for (const ppm of [-200, 200]) {
      assert.deepEqual(
        watch(20_000, (i) => busy(i) + i * CHUNK_NS * ppm * 1e-6),
        [],
      );
    }
  });

  test('calls silence a stall', () => {
    const clock = new ClockWatch({ chunkFrames: CHUNK, rate: RATE, startedNs: 0n });
    clock.chunk(BigInt(Math.round(CHUNK_NS)));
    assert.equal(clock.stalled(BigInt(Math.round(3 * CHUNK_NS))), false);
    assert.equal(clock.stalled(BigInt(Math.round(6 * CHUNK_NS))), true);
  });
});

test('what the kernel tells of a stream', () => {
  const root = mkdtempSync(join(tmpdir(), 'outboard-status-'));
  try {
    const folders = { playback: join(root, 'p'), capture: join(root, 'c') };
    const tell = (side: 'playback' | 'capture', text: string) => writeFileSync(join(folders[side], 'status'), text);
    for (const side of ['playback', 'capture'] as const) {
      mkdirSync(folders[side]);
      tell(side, 'state: RUNNING\nowner_pid   : 7\ntrigger_time: 5.000000001\n');
    }
    const watch = new StatusWatch(folders);
    assert.equal(watch.check(), null);
    watch.begin();
    assert.equal(watch.check(), null);
    tell('playback', 'state: RUNNING\nowner_pid   : 7\ntrigger_time: 6.000000001\n');
    assert.equal(watch.check()?.kind, 'xrun-out');
    watch.begin();
    assert.equal(watch.check(), null);
    tell('capture', 'state: XRUN\nowner_pid   : 7\ntrigger_time: 5.000000001\n');
    assert.equal(watch.check()?.kind, 'xrun-in');
    tell('capture', 'closed\n');
    assert.equal(watch.check()?.kind, 'xrun-in');
    assert.equal(watch.gone(), false);
    rmSync(folders.capture, { recursive: true });
    assert.equal(watch.check()?.kind, 'lost');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

describe('the pump', () => {
  /** A device that goes on by one chunk when it is told to. Played chunks are known by their first byte. */
  class Device implements NativeStream {
    readonly played: number[] = [];
    quits = 0;
    readonly #queue: Buffer[] = [];
    readonly #reads: ((answer: { err?: string; buf?: Buffer }) => void)[] = [];
    #status: string | undefined;

    start(): void {}

    async write(bytes: Buffer): Promise<undefined> {
      this.#queue.push(Buffer.from(bytes));
      return undefined;
    }

    read(): Promise<{ err?: string; buf?: Buffer }> {
      return new Promise((resolve) => this.#reads.push(resolve));
    }

    async quit(): Promise<void> {
      this.quits++;
    }

    fail(status: string): void {
      this.#status = status;
    }

    /** One callback: it takes a chunk and gives one, numbered. */
    async tick(): Promise<void> {
      for (let i = 0; i < 10; i++) await turn();
      this.played.push(this.#queue.shift()?.[0] ?? -1);
      const buf = Buffer.alloc(CHUNK * 3, this.played.length);
      const err = this.#status;
      this.#status = undefined;
      this.#reads.shift()!(err === undefined ? { buf } : { err });
      for (let i = 0; i < 10; i++) await turn();
    }
  }

  function start(folder = '/nowhere') {
    const device = new Device();
    const said: string[] = [];
    const pump = new Pump({
      stream: device,
      opened: { rate: RATE, inChannels: 1, outChannels: 1 },
      chunkFrames: CHUNK,
      watch: new StatusWatch({ playback: folder, capture: folder }),
      onChunk: (index) => said.push(`chunk ${index}`),
      onMissed: (index) => said.push(`missed ${index}`),
      onFault: (kind) => said.push(kind),
    });
    pump.start();
    return { device, said, pump };
  }

  const chunk = (value: number) => Buffer.alloc(CHUNK * 3, value);

  test('plays silence, then the chunks of a run in order, and returns exactly theirs', async () => {
    const { device, said, pump } = start();
    for (let i = 0; i < 3; i++) await device.tick();
    pump.run();
    for (let i = 0; i < 4; i++) pump.put(i, chunk(10 + i));
    while (!said.includes('chunk 3')) await device.tick();
    const first = device.played.indexOf(10);
    assert.ok(first >= 3);
    assert.deepEqual(device.played.slice(first, first + 4), [10, 11, 12, 13]);
    assert.deepEqual(
      device.played.slice(0, first).filter((value) => value !== 0),
      [],
    );
    assert.deepEqual(
      said.filter((word) => word.startsWith('chunk')),
      ['chunk 0', 'chunk 1', 'chunk 2', 'chunk 3'],
    );
  });

  test('plays silence for a chunk that does not come, says so, and never plays it late', async () => {
    const { device, said, pump } = start();
    pump.run();
    pump.put(0, chunk(10));
    pump.put(2, chunk(12));
    while (!said.includes('missed 1')) await device.tick();
    pump.put(1, chunk(11));
    while (!said.includes('chunk 2')) await device.tick();
    const first = device.played.indexOf(10);
    assert.deepEqual(device.played.slice(first, first + 3), [10, 0, 12]);
    assert.ok(!device.played.includes(11));
  });

  for (const [status, kind] of [
    ['portAudio status - input overflow ', 'xrun-in'],
    ['portAudio status - output underflow ', 'xrun-out'],
  ] as const) {
    test(`what PortAudio reports (${kind}) is told before any frame behind it, and ends the run`, async () => {
      const { device, said, pump } = start();
      pump.run();
      for (let i = 0; i < 20; i++) pump.put(i, chunk(10));
      while (!said.includes('chunk 1')) await device.tick();
      const before = said.length;
      device.fail(status);
      for (let i = 0; i < 20; i++) await device.tick();
      assert.deepEqual(said.slice(before), [kind]);
      assert.equal(pump.dirty, true);
      assert.equal(device.played.at(-1), 0);
    });
  }

  test('a stream that was started again is told of before any frame behind it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'outboard-pump-'));
    try {
      const trigger = (time: string) =>
        writeFileSync(join(folder, 'status'), `state: RUNNING\ntrigger_time: ${time}\n`);
      trigger('1.0');
      const { device, said, pump } = start(folder);
      pump.run();
      for (let i = 0; i < 20; i++) pump.put(i, chunk(10));
      while (!said.includes('chunk 1')) await device.tick();
      const before = said.length;
      trigger('2.0');
      for (let i = 0; i < 5; i++) await device.tick();
      assert.deepEqual(said.slice(before), ['xrun-in']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('ends only when all returns are read', async () => {
    const { device, pump } = start();
    await device.tick();
    const ended = pump.end();
    for (let i = 0; i < 3; i++) {
      assert.equal(device.quits, 0);
      await device.tick();
    }
    for (let i = 0; i < 10 && device.quits === 0; i++) await device.tick();
    await ended;
    assert.equal(device.quits, 1);
    assert.ok(!device.played.includes(-1));
  });
});
