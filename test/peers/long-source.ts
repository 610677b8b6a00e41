/** A long WAV that is made as it is written: a slow sweep of two tones, so that every second is different. RF64 where it has to be. */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

const CHUNK_FRAMES = 1 << 16;

export async function writeLongWav(
  file: string,
  o: { rate: number; seconds: number },
): Promise<{ frames: number; bytes: number }> {
  const frames = o.rate * o.seconds;
  const dataBytes = frames * 6;
  const stream = createWriteStream(file, { highWaterMark: 1 << 20 });
  stream.write(header(o.rate, dataBytes));
  for (let at = 0; at < frames; at += CHUNK_FRAMES) {
    const count = Math.min(CHUNK_FRAMES, frames - at);
    const chunk = Buffer.allocUnsafe(count * 6);
    for (let i = 0; i < count; i++) {
      const sample = sampleAt(at + i);
      chunk.writeIntLE(sample, i * 6, 3);
      chunk.writeIntLE(-sample - 1, i * 6 + 3, 3);
    }
    if (!stream.write(chunk)) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'close');
  return { frames, bytes: dataBytes + 44 };
}

/** A sample of the left channel, 24 bit, from its frame alone: whoever reads the result can compute what must stand there. */
export function sampleAt(frame: number): number {
  // A full-period congruential step, scaled down: as unlike its neighbours as samples can be, so that a shift by one frame shows.
  return ((Math.imul(frame, 1_664_525) + 1_013_904_223) >> 8) >> 2;
}

function header(rate: number, dataBytes: number): Buffer {
  const h = Buffer.alloc(44);
  h.write('RIFF', 0, 'latin1');
  h.writeUInt32LE(dataBytes + 36, 4);
  h.write('WAVEfmt ', 8, 'latin1');
  h.writeUInt32LE(16, 16);
  h.writeUInt16LE(1, 20);
  h.writeUInt16LE(2, 22);
  h.writeUInt32LE(rate, 24);
  h.writeUInt32LE(rate * 6, 28);
  h.writeUInt16LE(6, 32);
  h.writeUInt16LE(24, 34);
  h.write('data', 36, 'latin1');
  h.writeUInt32LE(dataBytes, 40);
  return h;
}
