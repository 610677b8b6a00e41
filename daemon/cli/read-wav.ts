/** A whole WAV in memory, one array a channel: what an analysis looks at more than once. */
import { createReadStream } from 'node:fs';
import { isOutboardError, OutboardError } from '../../core/errors.js';
import { openWav } from '../../drivers/audio/wav-reader.js';

export interface WavSamples {
  rate: number;
  /** Linear, full scale 1. */
  channels: Float64Array[];
}

const READ_BYTES = 256 * 1024;
const BLOCK_FRAMES = 16_384;
/** A gibibyte of float64: an hour of mono at 37 kHz. */
const MOST_SAMPLES = 2 ** 27;

/** @throws OutboardError wav.*, file.unreadable, usage for a file that is too long */
export async function readWav(file: string): Promise<WavSamples> {
  const reader = await openWav(createReadStream(file, { highWaterMark: READ_BYTES })).catch((cause: unknown) => {
    if (isOutboardError(cause)) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('file.unreadable', `${file}: cannot be read (${reason})`, { cause });
  });
  try {
    const { rate, channels: width, frames } = reader.format;
    if (frames * width > MOST_SAMPLES)
      throw new OutboardError(
        'usage',
        `${file} has ${frames * width} samples; ${MOST_SAMPLES} can be analyzed: cut it`,
      );
    const channels = Array.from({ length: width }, () => new Float64Array(frames));
    let at = 0;
    for (let block = await reader.read(BLOCK_FRAMES); block !== null; block = await reader.read(BLOCK_FRAMES)) {
      const count = block.length / width;
      for (let c = 0; c < width; c++) {
        const channel = channels[c]!;
        for (let n = 0; n < count; n++) channel[at + n] = block[n * width + c]!;
      }
      at += count;
    }
    return { rate, channels };
  } finally {
    await reader.close();
  }
}
