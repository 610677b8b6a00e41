import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openWav } from '../../../drivers/audio/wav-reader.js';
import { encodeFrames, wavBytes, wavHeader, wavTrailer } from '../../../drivers/audio/wav-writer.js';
import { ascii, concat, inChunks, le } from './wav-files.js';

const STEREO = { rate: 48_000, channels: 2, encoding: 'pcm24', frames: 3 } as const;
const GUID_PCM = Uint8Array.of(1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71);

describe('the header', () => {
  test('of 24-bit stereo, byte for byte', () => {
    const expected = concat(
      ascii('RIFF'),
      le(60 + 18, 4),
      ascii('WAVEfmt '),
      le(40, 4),
      le(0xfffe, 2),
      le(2, 2),
      le(48_000, 4),
      le(288_000, 4),
      le(6, 2),
      le(24, 2),
      le(22, 2),
      le(24, 2),
      le(3, 4),
      GUID_PCM,
      ascii('data'),
      le(18, 4),
    );
    assert.deepEqual(wavHeader(STEREO), expected);
    assert.equal(wavBytes(STEREO), expected.length + 18);
  });

  test('of 32-bit float stereo has a fact chunk and is not extensible', () => {
    const expected = concat(
      ascii('RIFF'),
      le(4 + 26 + 12 + 8 + 24, 4),
      ascii('WAVEfmt '),
      le(18, 4),
      le(3, 2),
      le(2, 2),
      le(48_000, 4),
      le(384_000, 4),
      le(8, 2),
      le(32, 2),
      le(0, 2),
      ascii('fact'),
      le(4, 4),
      le(3, 4),
      ascii('data'),
      le(24, 4),
    );
    assert.deepEqual(wavHeader({ ...STEREO, encoding: 'float32' }), expected);
  });

  test('becomes RF64 exactly where the RIFF size does not fit', () => {
    const most = Math.floor((0xffff_ffff - 1 - 60) / 6);
    const riff = wavHeader({ ...STEREO, frames: most });
    assert.deepEqual(riff.subarray(0, 4), ascii('RIFF'));
    const rf64 = wavHeader({ ...STEREO, frames: most + 1 });
    const dataBytes = (most + 1) * 6;
    assert.deepEqual(
      rf64.subarray(0, 48),
      concat(
        ascii('RF64'),
        le(0xffff_ffff, 4),
        ascii('WAVEds64'),
        le(28, 4),
        le(rf64.length - 8 + dataBytes, 8),
        le(dataBytes, 8),
        le(most + 1, 8),
        le(0, 4),
      ),
    );
    assert.deepEqual(rf64.subarray(-8), concat(ascii('data'), le(0xffff_ffff, 4)));
    assert.equal(wavBytes({ ...STEREO, frames: most + 1 }), rf64.length + dataBytes);
  });

  test('of eight hours is what the reader takes it for', async () => {
    const layout = { rate: 96_000, channels: 2, encoding: 'float32', frames: 96_000 * 3600 * 8 } as const;
    const wav = await openWav(inChunks(concat(wavHeader(layout), new Uint8Array(64))));
    assert.deepEqual(wav.format, layout);
    await wav.close();
  });

  test('refuses what no WAV can be', () => {
    for (const bad of [{ frames: -1 }, { frames: 0.5 }, { channels: 0 }, { rate: 0 }, { frames: 2 ** 52 }]) {
      assert.throws(() => wavHeader({ ...STEREO, ...bad }), RangeError);
    }
  });
});

test('an odd data chunk gets its pad byte', () => {
  const mono = { ...STEREO, channels: 1 };
  assert.deepEqual(wavTrailer(mono), Uint8Array.of(0));
  assert.equal(wavBytes(mono), wavHeader(mono).length + 9 + 1);
  assert.equal(wavTrailer(STEREO).length, 0);
});

test('24 bits come back exactly from both encodings, at any length', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('pcm24' as const, 'float32' as const),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: -(2 ** 23), max: 2 ** 23 - 1 }), { minLength: 4, maxLength: 120 }),
      async (encoding, channels, values) => {
        const frames = Math.floor(values.length / channels);
        const samples = Int32Array.from(values.slice(0, frames * channels), (v) => v << 8);
        const layout = { rate: 44_100, channels, encoding, frames };
        const file = concat(wavHeader(layout), encodeFrames(samples, encoding), wavTrailer(layout));
        const wav = await openWav(inChunks(file, 11), { expect: layout });
        const read = await wav.read(frames);
        assert.deepEqual(
          read,
          Float64Array.from(samples, (s) => s / 2 ** 31),
        );
        assert.equal(await wav.read(1), null);
      },
    ),
  );
});
