import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceFormat } from '../../../core/contract/grant.js';
import { isOutboardError, OutboardError } from '../../../core/errors.js';
import { openWav } from '../../../drivers/audio/wav-reader.js';
import { ascii, chunk, concat, fmt, inChunks, le, rf64, riff } from './wav-files.js';

const PCM24 = { tag: 1, channels: 2, rate: 48_000, bits: 24 };
/** Two frames: full scale down, one step up, the largest, one step down. */
const DATA24 = Uint8Array.of(0, 0, 0x80, 1, 0, 0, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff);
const VALUES24 = [-1, 2 ** -23, 1 - 2 ** -23, -(2 ** -23)];
const FORMAT24: SourceFormat = { rate: 48_000, channels: 2, encoding: 'pcm24', frames: 2 };

async function readAll(file: Uint8Array, o: { expect?: SourceFormat; sizes?: number[]; block?: number } = {}) {
  const wav = await openWav(inChunks(file, ...(o.sizes ?? [])), o.expect === undefined ? {} : { expect: o.expect });
  const samples: number[] = [];
  for (let block = await wav.read(o.block ?? 100); block !== null; block = await wav.read(o.block ?? 100)) {
    for (const sample of block) samples.push(sample);
  }
  await wav.close();
  await wav.close();
  return { format: wav.format, samples };
}

function refuses(file: Uint8Array, code: string, text: RegExp, expect?: SourceFormat): Promise<void> {
  return assert.rejects(
    readAll(file, expect === undefined ? {} : { expect }),
    (error) => error instanceof OutboardError && error.code === code && text.test(error.message),
    `${code} ${text}`,
  );
}

function bytesOf(values: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

describe('what is taken', () => {
  test('16, 24 and 32-bit integers, exactly', async () => {
    const data16 = Uint8Array.of(0, 0x80, 1, 0, 0xff, 0x7f);
    const wav16 = await readAll(riff([fmt({ tag: 1, channels: 1, rate: 44_100, bits: 16 }), chunk('data', data16)]));
    assert.deepEqual(wav16.samples, [-1, 2 ** -15, 1 - 2 ** -15]);
    assert.deepEqual(wav16.format, { rate: 44_100, channels: 1, encoding: 'pcm16', frames: 3 });

    const wav24 = await readAll(riff([fmt(PCM24), chunk('data', DATA24)]));
    assert.deepEqual(wav24.samples, VALUES24);
    assert.deepEqual(wav24.format, FORMAT24);

    const data32 = concat(le(0x8000_0000, 4), le(1, 4), le(0x7fff_ffff, 4), le(0xffff_ffff, 4));
    const wav32 = await readAll(riff([fmt({ tag: 1, channels: 4, rate: 96_000, bits: 32 }), chunk('data', data32)]));
    assert.deepEqual(wav32.samples, [-1, 2 ** -31, 1 - 2 ** -31, -(2 ** -31)]);
  });

  test('32 and 64-bit floats, exactly, over full scale too', async () => {
    const values = Float64Array.of(0, 1, -1.5, Math.PI, 5e-324, -1e-40);
    const f64 = await readAll(
      riff([fmt({ tag: 3, channels: 2, rate: 48_000, bits: 64 }), chunk('data', bytesOf(values))]),
    );
    assert.deepEqual(f64.samples, [...values]);
    const floats = Float32Array.from(values);
    const f32 = await readAll(
      riff([fmt({ tag: 3, channels: 1, rate: 48_000, bits: 32 }), chunk('data', bytesOf(floats))]),
    );
    assert.deepEqual(f32.samples, [...floats]);
    assert.equal(f32.format.encoding, 'float32');
  });

  test('extensible, with fewer valid bits than the container', async () => {
    const wav = await readAll(riff([fmt({ ...PCM24, validBits: 20 }), chunk('data', DATA24)]));
    assert.deepEqual(wav.samples, VALUES24);
    const f = fmt({ tag: 3, channels: 1, rate: 48_000, bits: 32, validBits: 32 });
    const float = await readAll(riff([f, chunk('data', bytesOf(Float32Array.of(0.5)))]));
    assert.equal(float.format.encoding, 'float32');
    assert.deepEqual(float.samples, [0.5]);
  });

  test('chunks in any order, of odd sizes', async () => {
    const file = riff([
      chunk('JUNK', new Uint8Array(28)),
      chunk('bext', new Uint8Array(603)),
      chunk('LIST', ascii('INFOIART\x03\0\0\0abc\0')),
      fmt(PCM24),
      chunk('fact', le(2, 4)),
      chunk('data', DATA24),
      chunk('id3 ', new Uint8Array(7)),
      chunk('LIST', ascii('odd')),
    ]);
    for (const sizes of [[], [1], [3, 1, 7]]) assert.deepEqual((await readAll(file, { sizes })).samples, VALUES24);
  });

  test('an odd data chunk, padded, unpadded at the end, and with the pad byte not counted', async () => {
    const mono = fmt({ ...PCM24, channels: 1 });
    const odd = DATA24.subarray(0, 9);
    const padded = riff([mono, chunk('data', odd)]);
    for (const file of [
      padded,
      padded.subarray(0, -1).with(4, padded[4]! - 1),
      padded.with(4, padded[4]! - 1),
      riff([mono, chunk('data', odd), chunk('LIST', ascii('more'))]),
    ]) {
      assert.deepEqual((await readAll(file)).samples, VALUES24.slice(0, 3));
    }
  });

  test('RF64 and BW64, with sizes for data and for other chunks in ds64', async () => {
    const list = concat(ascii('LIST'), le(0xffff_ffff, 4), ascii('some'));
    const data = concat(ascii('data'), le(0xffff_ffff, 4), DATA24);
    for (const magic of ['RF64', 'BW64']) {
      const file = rf64([list, fmt(PCM24), data, chunk('axml', ascii('<x/>'))], {
        dataBytes: DATA24.length,
        magic,
        table: [['LIST', 4]],
      });
      assert.deepEqual((await readAll(file, { sizes: [5] })).samples, VALUES24);
    }
    const plainSizes = rf64([fmt(PCM24), chunk('data', DATA24)], { dataBytes: 0 });
    assert.deepEqual((await readAll(plainSizes)).samples, VALUES24);
  });

  test('zeros after the last chunk', async () => {
    const file = riff([fmt(PCM24), chunk('data', DATA24)]);
    assert.deepEqual((await readAll(concat(file, new Uint8Array(511)))).samples, VALUES24);
    const inside = riff([fmt(PCM24), chunk('data', DATA24), new Uint8Array(20)]);
    assert.deepEqual((await readAll(inside)).samples, VALUES24);
    const inside5 = riff([fmt(PCM24), chunk('data', DATA24), new Uint8Array(5)]);
    assert.deepEqual((await readAll(inside5)).samples, VALUES24);
  });

  test('data before fmt, when it is known what to expect', async () => {
    const file = riff([chunk('data', DATA24), fmt(PCM24)]);
    assert.deepEqual((await readAll(file, { expect: FORMAT24 })).samples, VALUES24);
    await refuses(file, 'wav.malformed', /before the fmt/);
    await refuses(
      riff([chunk('data', DATA24), fmt({ ...PCM24, rate: 44_100 })]),
      'source.format',
      /rate is 44100/,
      FORMAT24,
    );
    await refuses(riff([chunk('data', DATA24)]), 'wav.malformed', /no fmt/, FORMAT24);
  });

  test('skip passes over frames; read gives the rest', async () => {
    const wav = await openWav(inChunks(riff([fmt(PCM24), chunk('data', DATA24)]), 5));
    await assert.rejects(wav.skip(3), RangeError);
    await wav.skip(1);
    assert.deepEqual([...(await wav.read(10))!], VALUES24.slice(2));
    assert.equal(await wav.read(10), null);
    assert.equal(await wav.read(10), null);
  });

  test('4 GiB of LIST before the sound stream past in bounded memory', async () => {
    const bytes = 4 * 2 ** 30 + 6;
    const tail = concat(fmt(PCM24), chunk('data', DATA24));
    const head = rf64([concat(ascii('LIST'), le(0xffff_ffff, 4))], {
      dataBytes: 12,
      riffBytes: 4 + 8 + 40 + 8 + bytes + tail.length,
      table: [['LIST', bytes]],
    });
    async function* file() {
      yield head;
      const block = new Uint8Array(2 ** 24).fill(0x55);
      for (let left = bytes; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
      yield tail;
    }
    const before = process.memoryUsage().arrayBuffers;
    const wav = await openWav(file());
    assert.deepEqual([...(await wav.read(2))!], VALUES24);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 26);
  });
});

describe('what is refused', () => {
  const file = riff([fmt(PCM24), chunk('data', DATA24)]);

  test('what is not a WAV', async () => {
    await refuses(new Uint8Array(0), 'wav.malformed', /empty/);
    await refuses(ascii('fLaC'), 'wav.malformed', /Not a WAV/);
    await refuses(ascii('RIFX\0\0\0\x04WAVE'), 'wav.unsupported', /RIFX/);
    await refuses(concat(ascii('RIFF'), le(4, 4), ascii('AVI ')), 'wav.malformed', /not a WAVE/);
    await refuses(riff([]), 'wav.malformed', /no fmt/);
    await refuses(riff([fmt(PCM24)]), 'wav.malformed', /no data/);
  });

  test('every truncation, at any byte', async () => {
    const whole = riff([fmt(PCM24), chunk('data', DATA24), chunk('LIST', ascii('tail'))]);
    for (let length = 4; length < whole.length; length++) {
      await refuses(whole.subarray(0, length), 'wav.truncated', /ends/);
    }
  });

  test('sizes that lie', async () => {
    await refuses(riff([fmt(PCM24), chunk('data', DATA24, 600)]), 'wav.malformed', /says 600 bytes.*only 12/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24)], 1000), 'wav.truncated', /before its RIFF size/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24)], 30), 'wav.malformed', /belong to no chunk/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24)], 0xffff_ffff), 'wav.malformed', /0xFFFFFFFF/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24)], 0), 'wav.malformed', /RIFF size of 0/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24, 0xffff_ffff)]), 'wav.malformed', /0xFFFFFFFF/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24.subarray(0, 10))]), 'wav.malformed', /no multiple/);
    await refuses(riff([fmt({ ...PCM24, blockAlign: 8 }), chunk('data', DATA24)]), 'wav.malformed', /blockAlign 8/);
    await refuses(riff([fmt({ ...PCM24, byteRate: 1 }), chunk('data', DATA24)]), 'wav.malformed', /1 bytes per second/);
    await refuses(concat(file, ascii('RIFF')), 'wav.malformed', /belong to no chunk/);
    await refuses(concat(file, new Uint8Array(2 ** 17)), 'wav.malformed', /padding/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24), Uint8Array.of(1, 2, 3)]), 'wav.malformed', /no chunk/);
  });

  test('an RF64 whose ds64 is missing or lies', async () => {
    const data = concat(ascii('data'), le(0xffff_ffff, 4), DATA24);
    await refuses(concat(ascii('RF64'), file.subarray(4)), 'wav.malformed', /not ds64/);
    await refuses(rf64([fmt(PCM24), data], { dataBytes: 13 }), 'wav.malformed', /says 13 bytes/);
    await refuses(rf64([fmt(PCM24), data], { dataBytes: 12, riffBytes: 2 ** 54 }), 'wav.malformed', /no file can have/);
    await refuses(rf64([fmt(PCM24), data], { dataBytes: 12, riffBytes: 20 }), 'wav.malformed', /after the RIFF size/);
    await refuses(rf64([fmt(PCM24), data], { dataBytes: 12, riffBytes: 4000 }), 'wav.truncated', /RIFF size/);
    const two = rf64([fmt(PCM24), data, chunk('ds64', new Uint8Array(28))], { dataBytes: 12 });
    await refuses(two, 'wav.malformed', /second ds64/);
    const list = concat(ascii('LIST'), le(0xffff_ffff, 4), ascii('some'));
    await refuses(rf64([list, fmt(PCM24), data], { dataBytes: 12 }), 'wav.malformed', /no ds64 gives its size/);
  });

  test('no frames, second chunks, absurd chunks', async () => {
    await refuses(riff([fmt(PCM24), chunk('data', new Uint8Array(0))]), 'wav.empty', /no frames/);
    await refuses(riff([fmt(PCM24), fmt(PCM24), chunk('data', DATA24)]), 'wav.malformed', /second fmt/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24), fmt(PCM24)]), 'wav.malformed', /second fmt/);
    await refuses(riff([fmt(PCM24), chunk('data', DATA24), chunk('data', DATA24)]), 'wav.malformed', /second data/);
    const many = Array.from({ length: 5000 }, () => chunk('JUNK', new Uint8Array(0)));
    await refuses(riff([...many, fmt(PCM24), chunk('data', DATA24)]), 'wav.malformed', /More than/);
    await refuses(riff([chunk('fmt ', new Uint8Array(5000))]), 'wav.malformed', /5000 bytes/);
    await refuses(riff([chunk('fmt ', new Uint8Array(8))]), 'wav.malformed', /16 are the least/);
    await refuses(riff([chunk('\x01abc', new Uint8Array(8))]), 'wav.malformed', /No chunk begins/);
  });

  test('encodings that are not taken', async () => {
    const other = (f: object) => riff([fmt({ ...PCM24, ...f }), chunk('data', DATA24)]);
    await refuses(other({ bits: 8 }), 'wav.unsupported', /8 bits/);
    await refuses(other({ tag: 6, bits: 8 }), 'wav.unsupported', /A-law/);
    await refuses(other({ tag: 3, bits: 24 }), 'wav.unsupported', /Float samples of 24/);
    await refuses(other({ tag: 0x1234 }), 'wav.unsupported', /0x1234/);
    await refuses(other({ validBits: 24, subFormat: new Uint8Array(16).fill(1) }), 'wav.unsupported', /subformat/);
    await refuses(other({ validBits: 25 }), 'wav.malformed', /25 valid bits/);
    await refuses(other({ validBits: 0 }), 'wav.malformed', /0 valid bits/);
    await refuses(other({ tag: 3, bits: 32, validBits: 24 }), 'wav.malformed', /24 valid bits/);
    await refuses(other({ channels: 0 }), 'wav.malformed', /0 channels/);
    await refuses(other({ channels: 65 }), 'wav.unsupported', /65 channels/);
    await refuses(other({ rate: 0 }), 'wav.malformed', /0 Hz/);
    await refuses(other({ rate: 4000 }), 'wav.unsupported', /4000 Hz/);
  });

  test('samples that are no numbers, by frame and channel', async () => {
    for (const [bits, Floats] of [
      [32, Float32Array],
      [64, Float64Array],
    ] as const) {
      for (const bad of [Number.NaN, Infinity, -Infinity]) {
        const values = new Floats(2 * 20_000).fill(0.25);
        values[2 * 15_000 + 1] = bad;
        const wav = riff([fmt({ tag: 3, channels: 2, rate: 48_000, bits }), chunk('data', bytesOf(values))]);
        await assert.rejects(readAll(wav, { block: 4096, sizes: [10_001] }), (error) => {
          assert.ok(isOutboardError(error, 'wav.malformed'));
          assert.deepEqual(error.details, { frame: 15_000, channel: 2 });
          return true;
        });
      }
    }
  });

  test('another format than the one that was signed, naming what differs', async () => {
    assert.deepEqual((await readAll(file, { expect: FORMAT24 })).format, FORMAT24);
    await refuses(file, 'source.format', /rate is 48000, signed was 96000/, { ...FORMAT24, rate: 96_000 });
    await refuses(file, 'source.format', /frames is 2, signed was 3/, { ...FORMAT24, frames: 3 });
    await refuses(file, 'source.format', /encoding is pcm24/, { ...FORMAT24, encoding: 'float32' });
    await refuses(file, 'source.format', /channels is 2.*; frames/, { ...FORMAT24, channels: 1, frames: 4 });
  });

  test('an error ends the source, and stays', async () => {
    let closed = 0;
    async function* source() {
      try {
        yield file.subarray(0, -2);
        yield new Uint8Array(0);
      } finally {
        closed++;
      }
    }
    const wav = await openWav(source());
    await assert.rejects(wav.read(2), /ends before its data chunk/);
    await assert.rejects(wav.read(2), /ends before its data chunk/);
    assert.equal(closed, 1);
    const early = await openWav(inChunks(file));
    await early.close();
    await assert.rejects(early.read(1), /closed/);
  });

  test('what the source throws passes unchanged', async () => {
    const failure = new OutboardError('seal.open', 'no');
    async function* source() {
      yield file.subarray(0, 50);
      throw failure;
    }
    const wav = await openWav(source());
    await assert.rejects(wav.read(2), (error) => error === failure);
  });
});

describe('properties', () => {
  test('any chunking gives the same samples', async () => {
    const encodings = fc.constantFrom(
      { tag: 1, bits: 16 },
      { tag: 1, bits: 24 },
      { tag: 1, bits: 32 },
      { tag: 3, bits: 32 },
      { tag: 3, bits: 64 },
    );
    const sizes = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        encodings,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 50 }),
        sizes.filter((s) => s.some((n) => n > 0)),
        fc.integer({ min: 1, max: 60 }),
        async (encoding, channels, frames, chunking, block) => {
          const values = Float64Array.from({ length: channels * frames }, (_, i) => Math.sin(i * i));
          let data = bytesOf(values);
          if (encoding.tag === 1)
            data = Uint8Array.from({ length: (channels * frames * encoding.bits) / 8 }, (_, i) => i * 37);
          else if (encoding.bits === 32) data = bytesOf(Float32Array.from(values));
          const wav = riff([
            fmt({ ...encoding, channels, rate: 48_000 }),
            chunk('data', data),
            chunk('id3 ', ascii('x')),
          ]);
          const plain = await readAll(wav);
          assert.equal(plain.samples.length, channels * frames);
          assert.deepEqual(await readAll(wav, { sizes: chunking, block }), plain);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('random bytes, and a good file with some bytes changed, never do more than refuse', async () => {
    const good = riff([chunk('JUNK', new Uint8Array(3)), fmt({ ...PCM24, validBits: 24 }), chunk('data', DATA24)]);
    const big = rf64([fmt(PCM24), concat(ascii('data'), le(0xffff_ffff, 4), DATA24)], { dataBytes: 12 });
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    const files = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 100 }).map((tail) => concat(good.subarray(0, 12), tail)),
      fc.tuple(fc.constantFrom(good, big), changes).map(([file, list]) => {
        const changed = file.slice();
        for (const [at, value] of list) changed[at % file.length] = value;
        return changed;
      }),
    );
    await fc.assert(
      fc.asyncProperty(files, fc.boolean(), async (bytes, expecting) => {
        try {
          await readAll(bytes, expecting ? { expect: FORMAT24 } : {});
        } catch (error) {
          assert.ok(isOutboardError(error), String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
