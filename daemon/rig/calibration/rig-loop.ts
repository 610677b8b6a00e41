/** The loop of a measurement on the real rig: one insert, played and recorded by the engine in the stream that takes roll in. */
import type { Capture, Loop, LoopInsert, PlayOptions } from '../../../calibration/loop.js';
import { peakOf } from '../../../calibration/signals/signals.js';
import type { InsertConfig, RigConfig } from '../../../core/contract/index.js';
import { isOutboardError, OutboardError } from '../../../core/errors.js';
import { dbToRatio, ratioToDb, secondsToFrames } from '../../../core/units.js';
import type { Engine } from '../engine/engine.js';
import type { TakeSpec } from '../engine/spec.js';
import { haveInCommon } from '../isolation.js';
import type { Patching } from '../patching.js';
import { CaptureSink, WatchingSink } from './capture-sink.js';
import type { LiveView } from './live-view.js';
import { type Sends, StimulusSource, stimulusFrames } from './stimulus-source.js';

/** A stream that loses samples so often in a row is not measured with. */
const TRIES = 3;
/** What follows from a fault of the stream, and is over when it has been begun again. */
const WORTH_ANOTHER_TRY = ['take.spoiled', 'audio.closed'] as const;
const FALL_SECONDS = 0.01;
/** A tone that begins at its level is a click. */
const RISE_SECONDS = 0.05;
/** How far ahead of a simulated clock that does not wait a tone for a person is played. */
const AHEAD_SECONDS = 0.25;
/** Rounding, not loudness. */
const CEILING_SLACK_DB = 1e-6;

export interface RigLoopOptions {
  insert: string;
  rate: number;
  config: Pick<RigConfig, 'inserts'>;
  /** The engine, running at a rate. @throws OutboardError audio.* */
  engineAt(rate: number): Promise<Engine>;
  patching: Pick<Patching, 'connect' | 'disconnect'>;
  /** Inserts that may be listened to: nobody's sound is left in them. */
  quiet(insert: string): boolean;
  view: Pick<LiveView, 'watch'>;
}

export class RigLoop implements Loop {
  readonly insert: LoopInsert;
  readonly others: readonly LoopInsert[];
  readonly rate: number;
  readonly ceilingDbfs: number;
  /** How long signals were played. */
  analogSeconds = 0;
  readonly #o: RigLoopOptions;
  readonly #config: InsertConfig;

  constructor(options: RigLoopOptions) {
    const { insert, rate, config, quiet } = options;
    this.#o = options;
    this.#config = config.inserts[insert]!;
    this.insert = loopInsert(insert, this.#config);
    this.rate = rate;
    this.ceilingDbfs = this.#config.ceilingDbfs;
    const connected = [this.#config];
    this.others = Object.entries(config.inserts).flatMap(([name, other]) => {
      // They are listened to at the same time: of two that lead through one crosspoint, the first.
      if (name === insert || !quiet(name) || connected.some((held) => haveInCommon(held, other))) return [];
      connected.push(other);
      return [loopInsert(name, other)];
    });
  }

  async play(sends: Sends, o: PlayOptions): Promise<Capture> {
    this.#check(sends);
    const listened = (o.listen ?? []).map((name) => this.#other(name));
    const names = listened.map(({ name }) => name);
    try {
      if (names.length > 0) await this.#o.patching.connect(names);
      for (let tries = 1; ; tries++)
        try {
          return await this.#take(sends, o, listened);
        } catch (error) {
          o.signal.throwIfAborted();
          if (tries === TRIES || !WORTH_ANOTHER_TRY.some((code) => isOutboardError(error, code))) throw error;
        }
    } finally {
      if (names.length > 0) await this.#o.patching.disconnect(names);
    }
  }

  /**
   * Plays the sends again and again until `signal` ends it, then ramps down. A fault of the stream begins it anew.
   * @throws OutboardError calibration.ceiling before anything is played; audio.* when no stream can be had
   */
  async hold(sends: Sends, signal: AbortSignal): Promise<void> {
    this.#check(sends);
    for (let tries = 1; !signal.aborted; tries++)
      try {
        await this.#holdOnce(sends, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (tries === TRIES || !WORTH_ANOTHER_TRY.some((code) => isOutboardError(error, code))) throw error;
      }
  }

  async #holdOnce(sends: Sends, signal: AbortSignal): Promise<void> {
    const { view } = this.#o;
    const engine = await this.#o.engineAt(this.rate);
    const { sends: channels, returns } = this.#config;
    const beganMs = performance.now();
    const passed = () => secondsToFrames((performance.now() - beganMs) / 1000 + AHEAD_SECONDS, this.rate);
    const paced = engine.granted?.clock === 'fast' ? { allowedFrames: passed } : {};
    const take = engine.roll({
      ...this.#spec(channels, returns, signal),
      source: new StimulusSource(sends, {
        repeat: true,
        riseFrames: secondsToFrames(RISE_SECONDS, this.rate),
        ...paced,
      }),
      sink: new WatchingSink(returns.length, (block, width) => view.watch(block, width)),
      // Longer than any session.
      regionFrames: 86_400 * this.rate,
      tailFrames: 0,
    });
    try {
      await take.done;
    } finally {
      this.analogSeconds += (performance.now() - beganMs) / 1000;
    }
  }

  async #take(
    sends: Sends,
    { tailFrames, signal }: PlayOptions,
    listened: readonly { name: string; returns: number[] }[],
  ): Promise<Capture> {
    signal.throwIfAborted();
    const engine = await this.#o.engineAt(this.rate);
    const { sends: channels, returns } = this.#config;
    const frames = stimulusFrames(sends);
    const resultFrames = frames + tailFrames;
    const fallFrames = Math.min(tailFrames, secondsToFrames(FALL_SECONDS, this.rate));
    // Where all are silent there is still something to roll.
    const regionFrames = Math.max(1, frames + fallFrames);
    const all = [...returns, ...listened.flatMap((other) => other.returns)];
    const sink = new CaptureSink(all.length, resultFrames, (block, width) => this.#o.view.watch(block, width));
    const take = engine.roll({
      ...this.#spec(channels, all, signal),
      source: new StimulusSource(sends, { fallFrames: regionFrames - frames }),
      sink,
      regionFrames,
      tailFrames: resultFrames - regionFrames,
    });
    const report = await take.done;
    this.analogSeconds += report.framesRecorded / this.rate;
    let from = returns.length;
    const others = new Map<string, readonly Float64Array[]>();
    for (const other of listened) {
      others.set(other.name, sink.channels.slice(from, from + other.returns.length));
      from += other.returns.length;
    }
    return { returns: sink.channels.slice(0, returns.length), others };
  }

  #spec(
    sends: number[],
    returns: number[],
    signal: AbortSignal,
  ): Pick<TakeSpec, 'channels' | 'hops' | 'sourceStartFrame' | 'signal'> {
    return {
      channels: sends.length,
      hops: [{ insert: this.insert.name, sends, returns, latencyFrames: 0, driveDb: 0 }],
      // As if it were cut out of something longer: the sends are led up to the first sample.
      sourceStartFrame: 1,
      signal,
    };
  }

  #check(sends: Sends): void {
    const { name, channels } = this.insert;
    if (sends.length !== channels) throw new RangeError(`${sends.length} stimuli for ${channels} sends of ${name}`);
    const highest = dbToRatio(this.ceilingDbfs + CEILING_SLACK_DB);
    sends.forEach((samples, channel) => {
      const peak = samples ? peakOf(samples) : 0;
      if (peak <= highest) return;
      const peakDbfs = ratioToDb(peak);
      throw new OutboardError(
        'calibration.ceiling',
        `channel ${channel + 1} of ${name} would get peaks of ${peakDbfs.toFixed(2)} dBFS; its ceiling is ${this.ceilingDbfs} dBFS`,
        { details: { insert: name, channel: channel + 1, peakDbfs, ceilingDbfs: this.ceilingDbfs } },
      );
    });
  }

  #other(name: string): { name: string; returns: number[] } {
    if (!this.others.some((other) => other.name === name)) throw new RangeError(`${name} cannot be listened to`);
    return { name, returns: this.#o.config.inserts[name]!.returns };
  }
}

function loopInsert(name: string, { sends, latencyFrames }: InsertConfig): LoopInsert {
  return { name, channels: sends.length, latencyFrames };
}
