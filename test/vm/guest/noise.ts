/** 24-bit noise as a WAV file, and the samples of one: made and compared byte by byte, with nothing of outboard's own in between. */
import { readFile, writeFile } from 'node:fs/promises';

const RATE_HZ = 48_000;
const STEREO = 2;
const BYTES = 3;

/** Every bit of every sample is used; the first frames are the extremes. The generator is xorshift32. */
export async function writeNoise(file: string, seconds: number, seed: number, channels = STEREO): Promise<void> {
  const samples = Math.round(seconds * RATE_HZ) * channels;
  const wav = Buffer.alloc(44 + samples * BYTES);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + samples * BYTES, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(channels, 22);
  wav.writeUInt32LE(RATE_HZ, 24);
  wav.writeUInt32LE(RATE_HZ * channels * BYTES, 28);
  wav.writeUInt16LE(channels * BYTES, 32);
  wav.writeUInt16LE(BYTES * 8, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(samples * BYTES, 40);
  const extremes = [-8_388_608, 8_388_607, 1, -1];
  let state = seed;
  for (let index = 0; index < samples; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    wav.writeIntLE(extremes[index] ?? state >> 8, 44 + index * BYTES, BYTES);
  }
  await writeFile(file, wav);
}

/** The bytes of the data chunk. */
async function dataOf(file: string): Promise<Buffer> {
  const wav = await readFile(file);
  let at = 12;
  while (at + 8 <= wav.length) {
    const bytes = wav.readUInt32LE(at + 4);
    if (wav.toString('latin1', at, at + 4) === 'data') return wav.subarray(at + 8, at + 8 + bytes);
    at += 8 + bytes + (bytes & 1);
  }
  throw new Error(`${file} has no data chunk`);
}

/** @throws with the place of the first difference, in frames of `channels` */
export async function expectSameSamples(source: string, take: string, channels = STEREO): Promise<number> {
  const [sent, came] = await Promise.all([dataOf(source), dataOf(take)]);
  const frameBytes = channels * BYTES;
  if (sent.length !== came.length)
    throw new Error(`${sent.length / frameBytes} frames were sent and ${came.length / frameBytes} came back`);
  const index = sent.findIndex((byte, at) => byte !== came[at]);
  if (index !== -1) throw new Error(`the first difference is in frame ${Math.floor(index / frameBytes)}`);
  return sent.length / BYTES;
}
