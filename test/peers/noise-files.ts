/**
 * Long sound files of noise that never repeats, and their comparison with what was recorded: every byte of them comes from a cipher's
 * keystream and so from the seed alone. A frame that is lost, repeated or changed anywhere shows.
 */
import { type Cipher, createCipheriv } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

const CHUNK_BYTES = 1 << 20;
/** How far into a recording its beginning is looked for, where it is not known. */
const SEARCH_BYTES = 64 << 20;
const PROBE_FRAME = 1000;
const PROBE_FRAMES = 32;

/** A file's samples: where they begin, and how many bytes one frame has. */
export interface SampleFile {
  file: string;
  from: number;
  frameBytes: number;
}

export interface Comparison {
  /** Frames of the source that the recording covers and that were compared. */
  frames: number;
  differing: number;
  /** The first frame of the source that was recorded as something else; null where all are right. */
  firstDiffering: number | null;
  /** At which frame of the recording the source begins; null where it was not found. */
  shift: number | null;
}

/** A stereo WAV file of 24-bit noise. */
export async function writeNoisePair(file: string, o: { rate: number; frames: number; seed: number }): Promise<void> {
  const dataBytes = o.frames * 6;
  const handle = await open(file, 'w');
  try {
    await handle.write(plainHeader(o.rate, dataBytes));
    const noise = keystream(o.seed);
    for (let left = dataBytes; left > 0; left -= CHUNK_BYTES)
      await handle.write(noise.update(Buffer.alloc(Math.min(left, CHUNK_BYTES))));
  } finally {
    await handle.close();
  }
}

/** Interleaves stereo WAV files of 24 bits, all of one length, into the raw file that `aplay` takes: 32-bit words, left-justified. */
export async function interleave(pairs: readonly string[], into: string): Promise<void> {
  const width = pairs.length * 8;
  const frames = 1 << 14;
  const sources = await Promise.all(pairs.map(samplesOf));
  const handles = await Promise.all(sources.map(({ file }) => open(file, 'r')));
  const output = await open(into, 'w');
  try {
    const part = Buffer.alloc(frames * 6);
    for (let at = 0; ; at += frames) {
      const block = Buffer.alloc(frames * width);
      let read = 0;
      for (const [pair, handle] of handles.entries()) {
        read = (await fill(handle, part, sources[pair]!.from + at * 6)) / 6;
        for (let frame = 0; frame < read; frame++) {
          const to = frame * width + pair * 8;
          for (let i = 0; i < 3; i++) {
            block[to + 1 + i] = part[frame * 6 + i]!;
            block[to + 5 + i] = part[frame * 6 + 3 + i]!;
          }
        }
      }
      if (read === 0) return;
      await output.write(block, 0, read * width);
    }
  } finally {
    for (const handle of [...handles, output]) await handle.close();
  }
}

/** The samples of a stereo WAV file of 24 bits, whichever program wrote it. */
export async function samplesOf(file: string): Promise<SampleFile> {
  const handle = await open(file, 'r');
  try {
    const head = Buffer.alloc(4096);
    await fill(handle, head, 0);
    const data = head.indexOf('data', 12, 'latin1');
    if (data < 0) throw new Error(`${file}: no data chunk at the beginning`);
    return { file, from: data + 8, frameBytes: 6 };
  } finally {
    await handle.close();
  }
}

/**
 * Compares a recording with what was played.
 * @param shift at which frame of the recording the source must begin; null where the recording began at some other time than the playback
 */
export async function compare(source: SampleFile, result: SampleFile, shift: number | null): Promise<Comparison> {
  const { frameBytes } = source;
  const played = await open(source.file, 'r');
  const recorded = await open(result.file, 'r');
  try {
    const at = shift ?? (await findShift(played, source, recorded, result));
    if (at === null) return { frames: 0, differing: 0, firstDiffering: null, shift: null };
    const a = Buffer.alloc(frameBytes * 65_536);
    const b = Buffer.alloc(a.length);
    let frame = Math.max(0, -at);
    const first = frame;
    let differing = 0;
    let firstDiffering: number | null = null;
    for (;;) {
      const x = await fill(played, a, source.from + frame * frameBytes);
      const y = await fill(recorded, b, result.from + (frame + at) * frameBytes);
      const frames = Math.floor(Math.min(x, y) / frameBytes);
      if (frames === 0) break;
      const bytes = frames * frameBytes;
      if (a.compare(b, 0, bytes, 0, bytes) !== 0)
        for (let i = 0; i < frames; i++)
          if (a.compare(b, i * frameBytes, (i + 1) * frameBytes, i * frameBytes, (i + 1) * frameBytes) !== 0) {
            differing++;
            firstDiffering ??= frame + i;
          }
      frame += frames;
    }
    return { frames: frame - first, differing, firstDiffering, shift: at };
  } finally {
    await played.close();
    await recorded.close();
  }
}

async function findShift(
  played: FileHandle,
  source: SampleFile,
  recorded: FileHandle,
  result: SampleFile,
): Promise<number | null> {
  const probe = Buffer.alloc(PROBE_FRAMES * source.frameBytes);
  await fill(played, probe, source.from + PROBE_FRAME * source.frameBytes);
  const begin = Buffer.alloc(SEARCH_BYTES);
  const bytes = await fill(recorded, begin, result.from);
  const found = begin.subarray(0, bytes).indexOf(probe);
  return found < 0 || found % result.frameBytes !== 0 ? null : found / result.frameBytes - PROBE_FRAME;
}

async function fill(handle: FileHandle, into: Buffer, position: number): Promise<number> {
  let at = 0;
  while (at < into.length) {
    const { bytesRead } = await handle.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}

function keystream(seed: number): Cipher {
  const counter = Buffer.alloc(16);
  counter.writeUInt32LE(seed, 0);
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 'noise'), counter);
}

/** The 44 bytes that every program reads. */
function plainHeader(rate: number, dataBytes: number): Buffer {
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
