/** Real recordings from Debian's packages, made into WAV files by sox where they are not. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const run = promisify(execFile);

/** Mono, 48 kHz, 16 bit: a voice (alsa-utils). */
export const VOICE = '/usr/share/sounds/alsa/Front_Center.wav';
const DRUMS = '/usr/share/sonic-pi/samples/loop_amen.flac';

/** A drum loop (sonic-pi-samples), stereo, 44.1 kHz, at a word length of 16, 24 or 32 bits. */
export async function drumLoop(dir: string, bits = 16): Promise<string> {
  const file = join(dir, `drums-${bits}.wav`);
  await run('sox', ['-D', DRUMS, '-b', String(bits), file]);
  return file;
}

/** Samples as sox reads them: interleaved float64, full scale 1. */
export async function samplesOf(file: string): Promise<Float64Array> {
  const { stdout } = await promisify(execFile)(
    'sox',
    ['-D', file, '-t', 'raw', '-e', 'floating-point', '-b', '64', '-'],
    {
      encoding: 'buffer',
      maxBuffer: 2 ** 30,
    },
  );
  return new Float64Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length));
}
