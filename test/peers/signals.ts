/** Known signals as WAV files, made byte by byte: what a test sends is not made by the writer that it tests. */
import { writeFile } from 'node:fs/promises';
import { chunk, fmt, riff } from '../drivers/audio/wav-files.js';

export interface SignalFile {
  rate: number;
  channels: number;
  bits: 16 | 24 | 32;
  frames: number;
  /** Sample of a frame and a channel (both from 0), full scale 1. */
  sample(frame: number, channel: number): number;
}

/** Integer PCM; every sample is rounded to the nearest step. Returns the file's name. */
export async function writeSignal(file: string, o: SignalFile): Promise<string> {
  const bytes = o.bits / 8;
  const top = 2 ** (o.bits - 1);
  const data = Buffer.alloc(o.frames * o.channels * bytes);
  for (let frame = 0; frame < o.frames; frame++)
    for (let channel = 0; channel < o.channels; channel++) {
      const step = Math.min(top - 1, Math.max(-top, Math.round(o.sample(frame, channel) * top)));
      data.writeIntLE(step, (frame * o.channels + channel) * bytes, bytes);
    }
  const format = fmt({ tag: 1, channels: o.channels, rate: o.rate, bits: o.bits });
  await writeFile(file, riff([format, chunk('data', new Uint8Array(data))]));
  return file;
}

/** A sine that begins at phase 0; `peakDbfs` is its peak re full scale. */
export function sine(hz: number, peakDbfs: number, rate: number): (frame: number) => number {
  const peak = 10 ** (peakDbfs / 20);
  return (frame) => peak * Math.sin((2 * Math.PI * hz * frame) / rate);
}

/** The same numbers at every run, uniform in (-1, 1) times `peak`; another row for every channel. */
export function hash(peak: number): (frame: number, channel: number) => number {
  return (frame, channel) => {
    let word = Math.imul(frame + 1, 0x9e3779b1) ^ Math.imul(channel + 1, 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 16), 0x7feb352d);
    word = Math.imul(word ^ (word >>> 15), 0x846ca68b);
    return (peak * ((word ^ (word >>> 16)) | 0)) / 2 ** 31;
  };
}

export const silence = (): number => 0;

/** Level as AES17 3.12 has it: the RMS of a full-scale sine is 0 dBFS. */
export function rmsDbfs(samples: Float64Array): number {
  return 10 * Math.log10((2 * samples.reduce((sum, x) => sum + x * x, 0)) / samples.length);
}

export function peakOf(samples: Float64Array): number {
  return samples.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
}

/** One channel (from 0) of interleaved samples. */
export function channelOf(samples: Float64Array, channel: number, channels: number): Float64Array {
  return samples.filter((_, index) => index % channels === channel);
}
