/** The reader and the writer against sox, which is the peer that people will use. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openWav } from '../../../drivers/audio/wav-reader.js';
import { encodeFrames, wavBytes, wavHeader, wavTrailer } from '../../../drivers/audio/wav-writer.js';
import { concat } from './wav-files.js';

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'outboard-sox-'));
});
after(() => rm(dir, { recursive: true, force: true }));

/** Left-justified int32 with that many bits, the extremes among them. */
function sound(samples: number, bits: number): Int32Array {
  const mask = bits === 32 ? -1 : -(2 ** (32 - bits));
  let seed = 1;
  const out = new Int32Array(samples);
  for (let i = 0; i < samples; i++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
    out[i] = seed & mask;
  }
  out.set([0x7fff_ffff & mask, -(2 ** 31), 0, mask]);
  return out;
}

function rawOf(samples: Int32Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

async function readFrames(path: string): Promise<{ encoding: string; samples: Float64Array }> {
  const wav = await openWav(createReadStream(path, { highWaterMark: 777 }));
  const blocks: number[] = [];
  for (let block = await wav.read(500); block !== null; block = await wav.read(500)) blocks.push(...block);
  return { encoding: wav.format.encoding, samples: Float64Array.from(blocks) };
}

const written = [
  { encoding: 'pcm16', bits: 16, type: 'wav', args: ['-e', 'signed-integer', '-b', '16'] },
  { encoding: 'pcm24', bits: 24, type: 'wav', args: ['-e', 'signed-integer', '-b', '24'] },
  { encoding: 'pcm24', bits: 24, type: 'wavpcm', args: ['-e', 'signed-integer', '-b', '24'] },
  { encoding: 'pcm32', bits: 32, type: 'wav', args: ['-e', 'signed-integer', '-b', '32'] },
  { encoding: 'pcm32', bits: 32, type: 'wavpcm', args: ['-e', 'signed-integer', '-b', '32'] },
  { encoding: 'float32', bits: 24, type: 'wav', args: ['-e', 'floating-point', '-b', '32'] },
  { encoding: 'float64', bits: 32, type: 'wav', args: ['-e', 'floating-point', '-b', '64'] },
];

for (const { encoding, bits, type, args } of written) {
  for (const channels of [1, 2, 3]) {
    test(`what sox writes as ${type} ${args.join(' ')}, ${channels} channels, is read exactly`, async () => {
      const samples = sound(channels * 1001, bits);
      const path = join(dir, `${encoding}-${type}-${channels}.wav`);
      const raw = ['-t', 'raw', '-r', '44100', '-e', 'signed-integer', '-b', '32', '-L', '-c', String(channels), '-'];
      execFileSync('sox', ['-D', ...raw, ...args, '-t', type, path], { input: rawOf(samples) });
      const read = await readFrames(path);
      assert.equal(read.encoding, encoding);
      assert.deepEqual(
        read.samples,
        Float64Array.from(samples, (s) => s / 2 ** 31),
      );
    });
  }
}

for (const encoding of ['pcm24', 'float32'] as const) {
  for (const channels of [1, 2, 6]) {
    test(`sox reads our ${encoding} of ${channels} channels exactly, without a warning`, async () => {
      const samples = sound(channels * 1001, 24);
      const layout = { rate: 96_000, channels, encoding, frames: 1001 };
      const file = concat(wavHeader(layout), encodeFrames(samples, encoding), wavTrailer(layout));
      assert.equal(file.length, wavBytes(layout));
      const path = join(dir, `ours-${encoding}-${channels}.wav`);
      await writeFile(path, file);
      const script = 'sox -V2 -D "$1" -t raw -e signed-integer -b 32 -L "$2" 2>&1';
      const said = execFileSync('sh', ['-c', script, 'sh', path, `${path}.raw`], { encoding: 'utf8' });
      // Behind the extension of an extensible float sox looks for a second one, which no specification knows.
      const quirk = encoding === 'float32' && channels > 2;
      assert.match(said, quirk ? /^(sox WARN wav: wave header missing extended part of fmt chunk\n)?$/ : /^$/);
      const raw = execFileSync('cat', [`${path}.raw`]);
      assert.deepEqual(new Uint8Array(raw), rawOf(samples));
      const info = execFileSync('soxi', [path], { encoding: 'utf8' });
      assert.match(info, /Sample Rate {4}: 96000/);
      assert.match(info, /= 1001 samples/);
    });
  }
}

test('what sox writes into a pipe lies about its size and is refused', async () => {
  const file = execFileSync('sh', ['-c', 'sox -n -b 24 -c 2 -r 48000 -t wav - synth 0.1 sine 1000 2>/dev/null | cat']);
  const path = join(dir, 'pipe.wav');
  await writeFile(path, file);
  await assert.rejects(readFrames(path), { code: 'wav.truncated' });
});
