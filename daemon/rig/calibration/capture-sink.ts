/** Keeps what a measurement records, one array a channel, and shows it to whoever watches meanwhile. */
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import type { SampleSink } from '../engine/spec.js';

export class CaptureSink implements SampleSink {
  readonly room = true;
  /** Linear, full scale 1. */
  readonly channels: readonly Float64Array[];
  readonly #watch: (interleaved: Int32Array, channels: number) => void;
  #at = 0;

  /** @param frames that will come */
  constructor(channels: number, frames: number, watch: (interleaved: Int32Array, channels: number) => void) {
    this.channels = Array.from({ length: channels }, () => new Float64Array(frames));
    this.#watch = watch;
  }

  write(samples: Int32Array): void {
    const width = this.channels.length;
    const frames = samples.length / width;
    this.channels.forEach((into, channel) => {
      for (let n = 0; n < frames; n++) into[this.#at + n] = samples[n * width + channel]! / FULL_SCALE_INT32;
    });
    this.#at += frames;
    this.#watch(samples, width);
  }

  async drained(): Promise<void> {}
}

/** Keeps nothing: a tone that is played until somebody has read a meter is only looked at. */
export class WatchingSink implements SampleSink {
  readonly room = true;
  readonly #channels: number;
  readonly #watch: (interleaved: Int32Array, channels: number) => void;

  constructor(channels: number, watch: (interleaved: Int32Array, channels: number) => void) {
    this.#channels = channels;
    this.#watch = watch;
  }

  write(samples: Int32Array): void {
    this.#watch(samples, this.#channels);
  }

  async drained(): Promise<void> {}
}
