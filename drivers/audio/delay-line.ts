/** A delay of whole frames that keeps what is in it. It grows when a longer delay is asked for, and forgets when there is none. */

/** More than a second at 96 kHz: a delay that is made longer finds what went in before, as it would in a real line. */
const SHORTEST_RING_FRAMES = 131_072;

export class DelayLine {
  #ring: Float64Array = new Float64Array(0);
  #mask = 0;
  #next = 0;

  /** Delays a block in place. The delay may differ from call to call: then the tap jumps, like that of a digital delay. */
  process(block: Float64Array, frames: number, delayFrames: number): void {
    if (delayFrames === 0) {
      if (this.#ring.length > 0) this.clear();
      return;
    }
    this.#reserve(delayFrames + 1);
    for (let done = 0; done < frames; ) {
      const write = this.#next;
      const read = (write - delayFrames) & this.#mask;
      const run = Math.min(frames - done, this.#ring.length - Math.max(write, read));
      move(this.#ring, write, read, block, done, run);
      this.#next = (write + run) & this.#mask;
      done += run;
    }
  }

  /**
   * Feeds what comes out of the line back into it, times `feedback`: the block becomes itself plus its echoes. What has fallen under
   * `floor` becomes zero, so that an echo ends and never crawls through denormals.
   */
  recirculate(block: Float64Array, frames: number, delayFrames: number, feedback: number, floor: number): void {
    this.#reserve(delayFrames + 1);
    const ring = this.#ring;
    const mask = this.#mask;
    let write = this.#next;
    let read = (write - delayFrames) & mask;
    for (let i = 0; i < frames; i++) {
      let echo = feedback * ring[read]!;
      if (echo < floor && echo > -floor) echo = 0;
      const sum = block[i]! + echo;
      ring[write] = sum;
      block[i] = sum;
      write = (write + 1) & mask;
      read = (read + 1) & mask;
    }
    this.#next = write;
  }

  clear(): void {
    this.#ring = new Float64Array(0);
    this.#mask = 0;
    this.#next = 0;
  }

  /** Keeps the sound and changes the rate: `ratio` is new over old. Between the frames it is interpolated. */
  resample(ratio: number): void {
    const old = this.#ring;
    if (old.length === 0) return;
    const oldNext = this.#next;
    const oldMask = this.#mask;
    this.clear();
    this.#reserve(Math.ceil(old.length * ratio) + 1);
    for (let age = 1; age < this.#ring.length; age++) {
      const oldAge = age / ratio;
      const whole = Math.floor(oldAge);
      const rest = oldAge - whole;
      if (whole + 1 > old.length) break;
      const newer = whole === 0 ? 0 : old[(oldNext - whole) & oldMask]!;
      const older = whole + 1 > old.length ? 0 : old[(oldNext - whole - 1) & oldMask]!;
      this.#ring[(this.#next - age) & this.#mask] = newer + (older - newer) * rest;
    }
  }

  /** Makes the ring at least so long, with its content where it was: `age` frames behind the next one to be written. */
  #reserve(length: number): void {
    if (length <= this.#ring.length) return;
    let size = SHORTEST_RING_FRAMES;
    while (size < length) size *= 2;
    const ring = new Float64Array(size);
    const old = this.#ring;
    for (let age = 1; age <= old.length; age++) ring[size - age] = old[(this.#next - age) & this.#mask]!;
    this.#ring = ring;
    this.#mask = size - 1;
    this.#next = 0;
  }
}

/** A run that wraps at neither end of the ring: no index needs a mask. */
function move(ring: Float64Array, write: number, read: number, block: Float64Array, at: number, run: number): void {
  for (let i = 0; i < run; i++) {
    ring[write + i] = block[at + i]!;
    block[at + i] = ring[read + i]!;
  }
}
