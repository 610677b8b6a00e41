/**
 * Reads a WAV as it streams past: one pass, no seeking, bounded memory, whatever the size of the chunks that it arrives in.
 *
 * Taken are RIFF, RF64 and BW64 with 16/24/32-bit integers and 32/64-bit floats, plain or extensible. The data chunk's size is what
 * counts; every other statement about it must agree, or the file is refused. Only `fact` is not held against it: for these formats
 * it says nothing that the data chunk does not, and programs fill it in differently.
 */
import type { SourceFormat } from '../../core/contract/grant.js';
import { OutboardError } from '../../core/errors.js';
import { ByteStream } from './byte-stream.js';
import { type Chunk, RiffWalker, truncated } from './riff-walker.js';
import { SampleDecoder } from './wav-decode.js';
import { bytesPerSample, checkExpected, malformed, parseFormat, type SampleLayout } from './wav-format.js';

const MAX_FORMAT_BYTES = 4096;

/**
 * Reads up to the first sample.
 *
 * @param chunks the file's bytes in order; a chunk must stay as it is until the next one is asked for
 * @param o.expect what the file must be. With it, a data chunk may come before `fmt `: it is decoded as expected, and `fmt ` is held
 *   against it when it comes
 * @throws OutboardError wav.malformed | wav.truncated | wav.unsupported | wav.empty | source.format, and what `chunks` throws
 */
export async function openWav(
  chunks: AsyncIterable<Uint8Array>,
  o: { expect?: SourceFormat } = {},
): Promise<WavReader> {
  const stream = new ByteStream(chunks);
  try {
    const walker = new RiffWalker(stream);
    await walker.begin();
    let layout: SampleLayout | null = null;
    for (;;) {
      const chunk = await walker.next();
      if (chunk === null) throw malformed(`The file has no ${layout === null ? 'fmt' : 'data'} chunk.`);
      if (chunk.id === 'fmt ') {
        if (layout !== null) throw malformed('A second fmt chunk.');
        layout = parseFormat(await walker.body(chunk, MAX_FORMAT_BYTES));
      } else if (chunk.id === 'data') {
        if (layout === null && o.expect === undefined) {
          throw malformed('The data chunk comes before the fmt chunk; nothing says what it holds.');
        }
        const format = formatOf(layout ?? o.expect!, chunk);
        if (o.expect !== undefined) checkExpected(format, o.expect);
        return new WavReader(stream, walker, format, layout !== null);
      } else {
        await walker.skip(chunk);
      }
    }
  } catch (error) {
    await stream.close().catch(() => {}); // the first error is the one that says what is wrong
    throw error;
  }
}

function formatOf(layout: SampleLayout, data: Chunk): SourceFormat {
  const frameBytes = layout.channels * bytesPerSample(layout.encoding);
  if (data.bytes === 0) throw new OutboardError('wav.empty', 'The data chunk has no frames.');
  if (data.bytes % frameBytes !== 0) {
    throw malformed(`The data chunk has ${data.bytes} bytes, which is no multiple of a frame's ${frameBytes}.`);
  }
  const { rate, channels, encoding } = layout;
  return { rate, channels, encoding, frames: data.bytes / frameBytes };
}

/** An open WAV. One call at a time; after an error every further call rejects with the same error. */
export class WavReader {
  readonly format: SourceFormat;
  readonly #stream: ByteStream;
  readonly #walker: RiffWalker;
  readonly #decoder: SampleDecoder;
  readonly #sample = new Uint8Array(8);
  #formatSeen: boolean;
  #framesLeft: number;
  #finished = false;
  #failure: unknown = null;

  constructor(stream: ByteStream, walker: RiffWalker, format: SourceFormat, formatSeen: boolean) {
    this.format = format;
    this.#stream = stream;
    this.#walker = walker;
    this.#decoder = new SampleDecoder(format.encoding);
    this.#formatSeen = formatSeen;
    this.#framesLeft = format.frames;
  }

  /**
   * The next frames, interleaved, full scale 1.0, exact: `maxFrames` of them, fewer only at the end, then null. The rest of the file
   * is checked before the last frames are handed out.
   * @throws OutboardError wav.truncated | wav.malformed (also for a sample that is not a number) | source.format
   */
  async read(maxFrames: number): Promise<Float64Array | null> {
    return this.#next(maxFrames, (samples) => new Float64Array(samples));
  }

  /** True where samples are integers of at most 24 bits. */
  get hasWords(): boolean {
    return this.#decoder.hasWords;
  }

  /**
   * As `read`, in the interface's own words: left-justified int32 of which the top 24 bits are exact.
   * @throws RangeError where `hasWords` is false
   */
  async readWords(maxFrames: number): Promise<Int32Array | null> {
    if (!this.hasWords) throw new RangeError(`${this.format.encoding} does not fit into 24-bit words`);
    return this.#next(maxFrames, (samples) => new Int32Array(samples));
  }

  async #next<T extends Float64Array | Int32Array>(maxFrames: number, make: (samples: number) => T): Promise<T | null> {
    checkFrames(maxFrames, 1);
    return this.#guard(async () => {
      const frames = Math.min(maxFrames, this.#framesLeft);
      if (frames === 0) {
        await this.#finish();
        return null;
      }
      const out = make(frames * this.format.channels);
      await this.#decode(out);
      this.#framesLeft -= frames;
      if (this.#framesLeft === 0) await this.#finish();
      return out;
    });
  }

  /**
   * Passes over frames without decoding them.
   * @throws RangeError beyond the last frame; OutboardError as `read`
   */
  async skip(frames: number): Promise<void> {
    checkFrames(frames, 0);
    if (frames > this.#framesLeft) throw new RangeError(`skip ${frames} of ${this.#framesLeft} frames`);
    await this.#guard(async () => {
      const bytes = frames * this.format.channels * this.#decoder.sampleBytes;
      if ((await this.#stream.skip(bytes)) < bytes) throw this.#truncated();
      this.#framesLeft -= frames;
      if (this.#framesLeft === 0) await this.#finish();
    });
  }

  /** Tells the source that no more is wanted. May be called twice, and before the end. */
  async close(): Promise<void> {
    this.#failure ??= new OutboardError('internal', 'The WAV was read after it was closed.');
    await this.#stream.close();
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure;
    try {
      return await work();
    } catch (error) {
      this.#failure = error;
      await this.#stream.close().catch(() => {}); // the first error is the one that says what is wrong
      throw error;
    }
  }

  async #decode(out: Float64Array | Int32Array): Promise<void> {
    const stream = this.#stream;
    const { sampleBytes } = this.#decoder;
    let at = 0;
    while (at < out.length) {
      const whole = Math.min(out.length - at, Math.floor(stream.available / sampleBytes));
      if (whole > 0) {
        this.#decodeSome(stream.chunk, stream.offset, whole, out, at);
        stream.advance(whole * sampleBytes);
        at += whole;
      } else {
        // A sample that lies across two chunks.
        if ((await stream.take(this.#sample, 0, sampleBytes)) < sampleBytes) throw this.#truncated();
        this.#decodeSome(this.#sample, 0, 1, out, at);
        at++;
      }
    }
  }

  #decodeSome(bytes: Uint8Array, from: number, count: number, out: Float64Array | Int32Array, at: number): void {
    if (out instanceof Int32Array) this.#decoder.decodeWords(bytes, from, count, out, at);
    else this.#refuse(at, this.#decoder.decode(bytes, from, count, out, at));
  }

  #refuse(at: number, bad: number): void {
    if (bad < 0) return;
    const { channels, frames } = this.format;
    const sample = at + bad;
    const frame = frames - this.#framesLeft + Math.floor(sample / channels);
    const channel = (sample % channels) + 1;
    throw malformed(`The sample at frame ${frame}, channel ${channel}, is not a finite number.`, { frame, channel });
  }

  #truncated(): OutboardError {
    return truncated(`The file ends before its data chunk does, which says ${this.format.frames} frames.`);
  }

  /** What stands after the samples: chunks to pass over, the `fmt ` that is still owed, the end. */
  async #finish(): Promise<void> {
    if (this.#finished) return;
    for (let chunk = await this.#walker.next(); chunk !== null; chunk = await this.#walker.next()) {
      if (chunk.id === 'data') throw malformed('A second data chunk.');
      if (chunk.id === 'fmt ') {
        if (this.#formatSeen) throw malformed('A second fmt chunk.');
        this.#formatSeen = true;
        const layout = parseFormat(await this.#walker.body(chunk, MAX_FORMAT_BYTES));
        checkExpected({ ...layout, frames: this.format.frames }, this.format);
      } else {
        await this.#walker.skip(chunk);
      }
    }
    if (!this.#formatSeen) throw malformed('The file has no fmt chunk.');
    this.#finished = true;
  }
}

function checkFrames(frames: number, least: number): void {
  if (!Number.isSafeInteger(frames) || frames < least) throw new RangeError(`frames: ${frames}`);
}
