/** Captured frames on their way to the reader, and where among them frames are missing: no read reaches across such a gap. */

export class CaptureRing {
  readonly #channels: number;
  readonly #size: number;
  readonly #samples: Int32Array;
  #written = 0;
  #read = 0;
  /** Counts of written frames at which frames were lost, ascending. */
  readonly #gaps: number[] = [];

  constructor(channels: number, sizeFrames: number) {
    this.#channels = channels;
    this.#size = sizeFrames;
    this.#samples = new Int32Array(channels * sizeFrames);
  }

  get samples(): Int32Array {
    return this.#samples;
  }

  get available(): number {
    return this.#written - this.#read;
  }

  get room(): number {
    return this.#size - this.available;
  }

  /** Frames that can be stored in one piece. */
  get contiguousRoom(): number {
    return Math.min(this.room, this.#size - (this.#written % this.#size));
  }

  /** Index in `samples` of the next frame to store. */
  get writeIndex(): number {
    return (this.#written % this.#size) * this.#channels;
  }

  commit(frames: number): void {
    this.#written += frames;
  }

  /** Frames are missing between the last one stored and the next. */
  markGap(): void {
    if (this.#gaps.at(-1) !== this.#written) this.#gaps.push(this.#written);
  }

  /** Copies at most `maxFrames` frames, up to the next gap. */
  read(into: Int32Array, maxFrames: number): number {
    while (this.#gaps.length > 0 && this.#gaps[0]! <= this.#read) this.#gaps.shift();
    const end = Math.min(this.#gaps[0] ?? this.#written, this.#read + maxFrames);
    const frames = end - this.#read;
    const first = Math.min(frames, this.#size - (this.#read % this.#size));
    const at = (this.#read % this.#size) * this.#channels;
    into.set(this.#samples.subarray(at, at + first * this.#channels), 0);
    if (first < frames) into.set(this.#samples.subarray(0, (frames - first) * this.#channels), first * this.#channels);
    this.#read = end;
    return frames;
  }
}
