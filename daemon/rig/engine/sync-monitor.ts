/**
 * Listens to what comes back of the sync sequence. First it finds out how late that is and what the wire does to it; from then on every
 * captured sample is held against the one that must have come, so that a lost, repeated or changed sample is found at its frame,
 * whatever the driver says.
 *
 * On a digital wire a sample must be equal. On an analog one it must be as near to the prediction (a linear model of the wire, fitted to
 * what came at first) as samples were while the model was fitted.
 */
import { measureDelay } from '../../../calibration/dsp/delay.js';
import { FULL_SCALE_INT32 } from '../../../core/units.js';
import type { SyncSequence } from './sync-sequence.js';
import { fitWire, WIRE_REACH, type WireModel } from './sync-wire.js';

export interface SyncLock {
  /** L: capture frame n belongs to playback frame n - L. */
  frames: number;
  /** By how much the delay is really longer, in frames. */
  fraction: number;
  wire: 'exact' | 'analog';
  /** Of the wire, dB; what the fit left over, dB re what came. */
  gainDb: number;
  residualDb: number;
}

export interface Slip {
  /** The first captured frame that is not what belongs there. */
  atFrame: number;
  /** Lost before it when positive, repeated when negative; 0: changed only. Null when the sequence is not heard any more. */
  frames: number | null;
}

/** What the delay is measured over. */
const MEASURE_FRAMES = 16_384;
/** The delay may be negative where the capture of a stream begins after its playback. */
const MOST_NEGATIVE_FRAMES = 4096;
/** A slip is judged when this much has come after it, and may lie this far before where it was noticed. */
const JUDGE_FRAMES = 2048;
const BEFORE_FRAMES = 64;
const MOST_TRIES = 2;
/** A peak of the correlation that noise does not make. */
const LEAST_PROMINENCE = 12;
/** Of an analog wire: what the model may leave over, for a slip to stand out of it. */
const MOST_RESIDUAL_DB = -26;

export class SyncMonitor {
  readonly #sequence: SyncSequence;
  readonly #mostDelayFrames: number;
  #lock: SyncLock | null = null;
  #wire: WireModel | null = null;
  #slip: Slip | null = null;
  /** While measuring, and while a slip is judged: consecutive samples. */
  #kept: Float64Array;
  #keptFrom = 0;
  #keptCount = 0;
  #suspect = -1;
  #tries = 0;
  /** Frames before this one carry no sequence at the sending end. */
  #from = 0;
  #provenTo = 0;

  /** @param o.knownFrames L, where the driver knows it and the wire is digital */
  constructor(o: { sequence: SyncSequence; mostDelayFrames: number; from: number; knownFrames?: number }) {
    this.#sequence = o.sequence;
    this.#mostDelayFrames = o.mostDelayFrames;
    this.#from = o.from;
    this.#kept = new Float64Array(MEASURE_FRAMES + MOST_NEGATIVE_FRAMES + o.mostDelayFrames);
    if (o.knownFrames !== undefined)
      this.#lock = {
        frames: o.knownFrames,
        fraction: 0,
        wire: 'exact',
        gainDb: 0,
        residualDb: Number.NEGATIVE_INFINITY,
      };
  }

  get lock(): SyncLock | null {
    return this.#lock;
  }

  get slip(): Slip | null {
    return this.#slip;
  }

  /** Every captured frame before this one is the one that belongs there. */
  get provenTo(): number {
    return this.#provenTo;
  }

  /**
   * Takes the next captured samples of the return.
   * @param at the frame of the stream that the first one is; it may lie behind the last one's where the driver told of a gap
   * @returns false when the measurement failed: nothing like the sequence was heard
   */
  add(samples: Int32Array, at: number): boolean {
    if (this.#slip) return true;
    if (!this.#lock) return this.#measure(samples, at);
    if (this.#suspect >= 0) this.#judge(samples, at);
    else this.#compare(samples, at);
    return true;
  }

  /** Not all of the sequence before frame `to` was played: nothing is expected of it, and what was being measured begins anew. */
  skip(to: number): void {
    if (to <= this.#from) return;
    this.#from = to;
    if (!this.#lock) this.#keptCount = 0;
  }

  #measure(samples: Int32Array, at: number): boolean {
    const start = Math.max(0, this.#from - at);
    if (start >= samples.length) return true;
    if (this.#keptCount > 0 && at + start !== this.#keptFrom + this.#keptCount) this.#keptCount = 0;
    if (this.#keptCount === 0) this.#keptFrom = at + start;
    this.#keep(samples, start);
    if (this.#keptCount < this.#kept.length) return true;
    const played = new Float64Array(MEASURE_FRAMES);
    this.#sequence.fill(this.#keptFrom + MOST_NEGATIVE_FRAMES, played);
    for (let i = 0; i < played.length; i++) played[i] = played[i]! / FULL_SCALE_INT32;
    const found = measureDelay(played, this.#kept, this.#kept.length - MEASURE_FRAMES);
    if (found.prominence < LEAST_PROMINENCE) return this.#tryAgain();
    const { fraction } = found;
    const frames = found.frames - MOST_NEGATIVE_FRAMES;
    const wire = fitWire(this.#sequence, this.#kept, this.#keptFrom, frames, MEASURE_FRAMES);
    if (wire.residualDb > MOST_RESIDUAL_DB) return this.#tryAgain();
    this.#wire = wire.exact ? null : wire;
    this.#lock = {
      frames,
      fraction,
      wire: wire.exact ? 'exact' : 'analog',
      gainDb: wire.gainDb,
      residualDb: wire.residualDb,
    };
    this.#provenTo = this.#keptFrom + this.#keptCount;
    return true;
  }

  /** @returns false when it was tried often enough */
  #tryAgain(): boolean {
    this.#keptCount = 0;
    return ++this.#tries < MOST_TRIES;
  }

  #keep(samples: Int32Array, start: number): void {
    const count = Math.min(samples.length - start, this.#kept.length - this.#keptCount);
    for (let i = 0; i < count; i++) this.#kept[this.#keptCount + i] = samples[start + i]! / FULL_SCALE_INT32;
    this.#keptCount += count;
  }

  #compare(samples: Int32Array, at: number): void {
    // Where nothing is expected nothing is proven, until what comes behind it is found in its place.
    const expectedFrom = this.#from + this.#lock!.frames + (this.#wire ? WIRE_REACH : 0);
    if (expectedFrom >= at + samples.length) return;
    const bad = this.#wire ? this.#firstFar(samples, at, this.#wire) : this.#firstUnequal(samples, at);
    if (bad < 0) {
      this.#provenTo = at + samples.length - (this.#wire ? WIRE_REACH : 0);
      this.#remember(samples, at);
      return;
    }
    this.#suspect = at + bad;
    this.#provenTo = Math.max(this.#provenTo, this.#suspect - (this.#wire ? BEFORE_FRAMES : 0));
    this.#judge(samples, at);
  }

  #firstUnequal(samples: Int32Array, at: number): number {
    const delay = this.#lock!.frames;
    for (let i = Math.max(0, this.#from + delay - at); i < samples.length; i++)
      if (samples[i] !== this.#sequence.word(at + i - delay)) return i;
    return -1;
  }

  #firstFar(samples: Int32Array, at: number, wire: WireModel): number {
    const start = Math.max(0, this.#from + this.#lock!.frames + WIRE_REACH - at);
    if (start >= samples.length) return -1;
    const predicted = wire.predict(at + start, samples.length - start);
    for (let i = start; i < samples.length; i++)
      if (Math.abs(samples[i]! / FULL_SCALE_INT32 - predicted[i - start]!) > wire.tolerance) return i;
    return -1;
  }

  /** Keeps the end of what was heard, so that a slip that was noticed late can be placed. */
  #remember(samples: Int32Array, at: number): void {
    const count = Math.min(samples.length, BEFORE_FRAMES);
    for (let i = 0; i < count; i++) this.#kept[i] = samples[samples.length - count + i]! / FULL_SCALE_INT32;
    this.#keptFrom = at + samples.length - count;
    this.#keptCount = count;
  }

  #judge(samples: Int32Array, at: number): void {
    // Behind a gap that the driver told of, nothing before it is of use.
    if (this.#keptFrom + this.#keptCount !== at) {
      this.#keptFrom = at;
      this.#keptCount = 0;
    }
    this.#keep(samples, 0);
    if (this.#keptFrom + this.#keptCount - this.#suspect >= JUDGE_FRAMES) this.judgeNow();
  }

  /** Judges a suspicion with what there is: for a clock that stands still until it is told what happened. */
  judgeNow(): void {
    if (this.#suspect < 0 || this.#slip) return;
    const from = Math.max(this.#keptFrom, this.#suspect + BEFORE_FRAMES);
    const count = Math.max(0, this.#keptFrom + this.#keptCount - from);
    const delay = this.#lock!.frames;
    const wire = this.#wire ?? fitExact(this.#sequence, delay);
    const heard = this.#kept.subarray(from - this.#keptFrom, from - this.#keptFrom + count);
    const slipped = this.#newDelay(heard, from);
    if (slipped === null || !resembles(heard, wire.predict(from + delay - slipped, heard.length))) {
      this.#slip = { atFrame: this.#suspect, frames: null };
      return;
    }
    const frames = delay - slipped;
    if (frames === 0) {
      this.#slip = { atFrame: this.#suspect, frames: 0 };
      return;
    }
    const first = Math.max(this.#keptFrom, this.#suspect - BEFORE_FRAMES);
    const span = Math.min(2 * BEFORE_FRAMES, this.#keptFrom + this.#keptCount - first);
    const place = this.#split(first, span, wire.predict(first, span), wire.predict(first + frames, span));
    this.#slip = { atFrame: first + place, frames };
    this.#provenTo = Math.max(this.#provenTo, first + place - (this.#wire ? WIRE_REACH : 0));
  }

  /** The delay of what is heard now, whichever stretch of the sequence it is; null when it is none. */
  #newDelay(heard: Float64Array, at: number): number | null {
    const half = Math.floor(this.#mostDelayFrames / 2);
    const length = Math.min(JUDGE_FRAMES - BEFORE_FRAMES, heard.length);
    if (length < BEFORE_FRAMES) return null;
    const around = new Float64Array(length + 2 * half);
    const delay = this.#lock!.frames;
    this.#sequence.fill(at - delay - half, around);
    // The roles are changed: the short stretch that was heard is looked for in the long one that was played.
    const found = measureDelay(heard.subarray(0, length), around, 2 * half);
    if (found.prominence < LEAST_PROMINENCE) return null;
    return delay + half - found.frames;
  }

  /** How many of `span` samples, from frame `first` on, belong to the old delay, so that the rest fits the new one best. */
  #split(first: number, span: number, old: Float64Array, fresh: Float64Array): number {
    let worse = 0;
    for (let i = 0; i < span; i++) worse += (this.#kept[first - this.#keptFrom + i]! - fresh[i]!) ** 2;
    let best = worse;
    let place = 0;
    for (let i = 0; i < span; i++) {
      const heard = this.#kept[first - this.#keptFrom + i]!;
      worse += (heard - old[i]!) ** 2 - (heard - fresh[i]!) ** 2;
      // Of two places that fit alike the later one: the samples up to there cannot be told apart.
      if (worse <= best) {
        best = worse;
        place = i + 1;
      }
    }
    return place;
  }
}

/** More of what was heard is what was predicted than is not. */
function resembles(heard: Float64Array, predicted: Float64Array): boolean {
  let off = 0;
  let energy = 0;
  for (let i = 0; i < heard.length; i++) {
    off += (heard[i]! - predicted[i]!) ** 2;
    energy += predicted[i]! ** 2;
  }
  return off < energy / 2;
}

function fitExact(sequence: SyncSequence, delayFrames: number): Pick<WireModel, 'predict'> {
  return {
    predict: (from, count) => {
      const words = new Float64Array(count);
      sequence.fill(from - delayFrames, words);
      return words.map((word) => word / FULL_SCALE_INT32);
    },
  };
}
