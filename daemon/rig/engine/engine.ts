/**
 * The engine: one running stream on a claimed interface, and the takes that roll in it. It knows only the port.
 *
 * A service loop writes every take's samples into the playback ring as far ahead as the ring allows and hands each take its slice of
 * what was captured. With a fast clock time moves only over samples that are there, so takes wait for their sinks; with a real clock
 * nothing waits, and what comes too late spoils the take. A fault of the stream spoils the takes that it touched and no others. The
 * engine never restarts a stream by itself.
 */
import type { SyncWire } from '../../../core/contract/config.js';
import { OutboardError } from '../../../core/errors.js';
import type { Claim, Fault, Granted, Position } from '../../../drivers/audio/port.js';
import type { Logger } from '../../log.js';
import { Aftermath } from './aftermath.js';
import { CaptureReader } from './capture-reader.js';
import { checkTake } from './check-take.js';
import { type Exposure, endsStream, isCaptureFault, spoiled, touchedBy } from './faults.js';
import { flushTake } from './flush.js';
import { Pacemaker } from './pacemaker.js';
import type { FlushReport, FlushSpec, Take, TakeSpec } from './spec.js';
import { played, requestAt, type Stream, type StreamOptions, streamOf } from './stream.js';
import { SyncChannel } from './sync-channel.js';
import type { SyncLock } from './sync-monitor.js';
import { RollingTake } from './take.js';

export type * from './spec.js';

export interface EngineOptions {
  claim: Claim;
  inChannels: number;
  outChannels: number;
  logger: Logger;
  /** How the device is driven; 32-bit words and four periods of 256 frames when absent. */
  stream?: StreamOptions;
  /** The output and the input that are wired to each other for the stream's own use. */
  sync?: SyncWire;
  /** Loop latency as it was measured before, for a device whose directions start together. */
  loopLatencyFrames?: number;
}

/** The loop latency of a stream: how much later a sample is captured than it was played. */
export interface LoopLatency {
  frames: number;
  /** By how much it is really longer; 0 where nobody measured it so finely. */
  fraction: number;
  source: 'driver' | 'configured' | 'sync';
}

/** Between two looks at a stream in which something rolls but nothing can be done now. */
const POLL_MS = { fast: 1, realtime: 10, hardware: 30 } as const;
const LONGEST_IDLE_MS = 250;
const LONGEST_RAMP_MS = 250;
const LONGEST_MARGIN_SECONDS = 0.8;

export class Engine {
  readonly #o: EngineOptions;
  readonly #takes = new Set<RollingTake>();
  readonly #listeners = new Set<(fault: Fault) => void>();
  readonly #pacemaker = new Pacemaker(() => this.#service());
  /** What ended takes have left in this stream. */
  #aftermath = new Aftermath();
  #state: 'stopped' | 'running' | 'faulted' = 'stopped';
  #stream: Stream | null = null;
  #granted: Granted | null = null;
  #capture: CaptureReader | null = null;
  #sync: SyncChannel | null = null;
  #latency: LoopLatency | null = null;
  #removeListener: (() => void) | null = null;
  /** Faults that came while samples were being moved: they are settled before the next sample is. */
  #pendingFaults: Fault[] = [];
  #servicing = false;
  /** Between choosing a take's place and its beginning, where the stream's own margin was seen to be too short. */
  #marginFrames = 0;
  #turning: Promise<void> = Promise.resolve();

  constructor(options: EngineOptions) {
    this.#o = options;
  }

  get state(): 'stopped' | 'running' | 'faulted' {
    return this.#state;
  }

  /** What the interface granted; null when no stream runs. */
  get granted(): Granted | null {
    return this.#granted;
  }

  /** Hz; null when no stream runs. */
  get rate(): number | null {
    return this.#granted?.rate ?? null;
  }

  /** Of the stream that runs; null when none does. */
  get latency(): LoopLatency | null {
    return this.#latency;
  }

  /** What the sync channel found of its wire; null without one. */
  get syncLock(): SyncLock | null {
    return this.#sync?.lock ?? null;
  }

  /** Takes that wait or roll. */
  get takes(): number {
    return this.#takes.size;
  }

  /**
   * Starts the stream, or restarts it when it runs at another rate or has had a fault. Does nothing when it runs as asked. With a sync
   * channel it measures the loop latency first, where the driver does not know it.
   * @param o.loopLatencyFrames what the caller vouches for as the loop latency of this very stream
   * @throws OutboardError audio.format, audio.latency, audio.sync, audio.gone, audio.closed
   */
  start(o: { rate: number; loopLatencyFrames?: number }): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#state === 'running' && this.rate === o.rate) return;
      await this.#stop('the stream is started anew');
      const { claim, sync } = this.#o;
      const granted = await claim.start(requestAt(o.rate, this.#o));
      try {
        const capture = new CaptureReader(claim, this.#o.inChannels);
        const channel = sync ? new SyncChannel(claim, granted, sync) : null;
        const latency = await this.#latencyOf(granted, o.loopLatencyFrames, channel, capture);
        this.#granted = granted;
        this.#capture = capture;
        this.#sync = channel;
        this.#latency = latency;
        this.#stream = streamOf(claim, granted, latency.frames, () => channel?.provenTo ?? Number.POSITIVE_INFINITY);
        // Nobody has listened since the latency was known: a fault since then would never be told again.
        if (claim.state !== 'running') throw new OutboardError('audio.closed', 'the stream ended while it began');
      } catch (error) {
        if (claim.state === 'running' || claim.state === 'faulted') await claim.stop({ drain: false });
        throw error;
      }
      this.#removeListener = claim.onFault((fault) => this.#hear(fault));
      this.#aftermath = new Aftermath();
      this.#pendingFaults = [];
      this.#state = 'running';
      this.#pacemaker.soon();
    });
  }

  async #latencyOf(
    granted: Granted,
    vouched: number | undefined,
    sync: SyncChannel | null,
    capture: CaptureReader,
  ): Promise<LoopLatency> {
    const told = granted.loopLatencyFrames;
    if (told !== null) return { frames: told, fraction: 0, source: 'driver' };
    if (sync) {
      const { frames, fraction } = await sync.measure(capture);
      return { frames, fraction, source: 'sync' };
    }
    const { loopLatencyFrames: configured } = this.#o;
    const frames = vouched ?? (granted.startsTogether ? configured : undefined);
    if (frames !== undefined) return { frames, fraction: 0, source: 'configured' };
    throw new OutboardError(
      'audio.latency',
      configured === undefined
        ? `the loop latency at ${granted.rate} Hz is not known`
        : 'the two directions of the interface do not start together: its loop latency is another at every start',
    );
  }

  /** Ends all takes, lets their ramps be played and stops the stream. May be called twice. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#stop('the engine stops'));
  }

  /**
   * Starts a take as soon as its source has something to play.
   * @throws OutboardError audio.closed when no stream runs; RangeError for a spec that no stream can play, or that uses a channel
   * which another take holds
   */
  roll(spec: TakeSpec): Take {
    return this.#enter(spec);
  }

  /** Plays silence over an insert and measures what it still gives back, while other takes roll. Errors as those of a take. */
  async flush(spec: FlushSpec): Promise<FlushReport> {
    const { take: silence, sink } = flushTake(spec, this.#running().stream.rate);
    const take = this.#enter(silence);
    await take.done;
    return { rmsDbfs: sink.rmsDbfs };
  }

  /** Hears every fault of the stream, also while nothing rolls. Returns the function that removes the listener. */
  onFault(listener: (fault: Fault) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #enter(spec: TakeSpec): RollingTake {
    const { stream } = this.#running();
    const others = [...this.#takes].map((take) => take.spec);
    checkTake(spec, this.#o, others);
    const take = new RollingTake(spec, stream, (over) => this.#leave(over));
    if (take.over) return take;
    this.#takes.add(take);
    spec.source.ready(Math.min(stream.prefillFrames, spec.regionFrames)).then(
      () => this.#place(take),
      (error: unknown) => take.fail(error),
    );
    return take;
  }

  /** Chooses the take's place and fills the ring in the same turn, before time can pass. */
  #place(take: RollingTake): void {
    if (take.over || this.#state !== 'running') return;
    take.prepare();
    if (take.over) return;
    this.#moveSamples(() => {
      const stream = this.#stream!;
      const position = stream.claim.position();
      this.#settleFaults();
      if (take.over) return;
      this.#aftermath.forgetBefore(position.played - stream.rate * 10);
      const quiet = this.#aftermath.quietFrom(take.sends);
      const margin = Math.max(stream.marginFrames, this.#marginFrames);
      const rampFrom = Math.max(position.earliestWrite + margin, quiet);
      take.begin(rampFrom + stream.rampFrames, position.monotonicNs);
      take.play(position.earliestWrite, this.#limit(position.played));
    });
    this.#pacemaker.soon();
  }

  #leave(take: RollingTake): void {
    this.#takes.delete(take);
    if (take.beganLate) this.#widenMargin();
    this.#aftermath.add(take.sends, take.quietFrom, take.abandoned);
  }

  /** A host that was too slow to fill the beginning of a take once will be so again: the next one gets twice the time. */
  #widenMargin(): void {
    const { rate, marginFrames } = this.#stream!;
    const wider = 2 * Math.max(marginFrames, this.#marginFrames);
    this.#marginFrames = Math.min(wider, Math.round(LONGEST_MARGIN_SECONDS * rate));
    this.#o.logger.warn({ marginFrames: this.#marginFrames }, 'a take began too late; the next one gets more time');
  }

  /** How far takes may write now. A fast clock also waits for what was captured, so that no capture ring can run over. */
  #limit(played: number): number {
    const { aheadFrames, timePasses } = this.#stream!;
    return (timePasses ? played : Math.min(played, this.#capture!.at)) + aheadFrames;
  }

  #service(): void {
    if (this.#state !== 'running') return;
    let more = false;
    this.#moveSamples(() => {
      const { claim, timePasses, aheadFrames } = this.#stream!;
      const position = claim.position();
      this.#settleFaults();
      const limit = this.#limit(position.played);
      this.#playSync(position);
      let written = 0;
      for (const take of [...this.#takes]) written += take.play(position.earliestWrite, limit);
      const read = this.#distribute();
      // With a real clock all that could be done is done, unless there was more to read than one look may take.
      more = timePasses ? read >= aheadFrames : written + read > 0;
    });
    this.#schedule(more);
  }

  #distribute(): number {
    const { timePasses, aheadFrames } = this.#stream!;
    let frames = 0;
    while (frames < aheadFrames && this.#state === 'running') {
      if (!timePasses && [...this.#takes].some((take) => take.rolling && !take.room)) break;
      const read = this.#capture!.read();
      // The port tells a fault before it gives a frame past the gap.
      this.#settleFaults();
      if (read === 0 || this.#state !== 'running') break;
      this.#capture!.deliver(read, (block, first, count, at) => {
        // What proves the takes hears each block before they do.
        const slip = this.#sync?.capture(block, first, count, at);
        if (slip) this.#pendingFaults.push(slip);
        for (const take of [...this.#takes]) take.capture(block, first, count, at);
      });
      this.#settleFaults();
      frames += read;
    }
    if (frames === 0 && !timePasses) {
      const slip = this.#sync?.judgeNow();
      if (slip) this.#settle(slip);
    }
    return frames;
  }

  #playSync({ earliestWrite, played }: Position): void {
    if (!this.#sync) return;
    const { timePasses, aheadFrames, rate } = this.#stream!;
    // Further ahead than the takes: whoever holds up this process that long has spoiled them first.
    const ahead = timePasses ? Math.min(aheadFrames + rate / 2, this.#granted!.ringFrames) : aheadFrames;
    const late = this.#sync.play(earliestWrite, played + Math.floor(ahead));
    if (late) this.#settle(late);
  }

  #moveSamples(work: () => void): void {
    this.#servicing = true;
    try {
      work();
      this.#settleFaults();
    } catch (error) {
      // The port speaks of what goes wrong in faults; what it throws is a stream that does not go on.
      this.#o.logger.error({ err: error }, 'the audio stream broke off');
      this.#pendingFaults.push({ kind: 'stalled', atFrame: null, frames: null, monotonicNs: process.hrtime.bigint() });
      this.#settleFaults();
    } finally {
      this.#servicing = false;
    }
  }

  #hear(fault: Fault): void {
    this.#pendingFaults.push(fault);
    if (!this.#servicing) this.#moveSamples(() => {});
  }

  #settleFaults(): void {
    for (let fault = this.#pendingFaults.shift(); fault; fault = this.#pendingFaults.shift()) this.#settle(fault);
  }

  #settle(fault: Fault): void {
    const { kind, atFrame, frames } = fault;
    this.#o.logger.warn({ kind, atFrame, frames }, 'fault of the audio stream');
    // The count of captured frames holds only when the gap's place and length are known before it is read over.
    const counted = !isCaptureFault(fault) || (this.#capture?.skip(atFrame, frames) ?? false);
    const ended = endsStream(fault) || !counted || this.#o.claim.state !== 'running';
    this.#sync?.heed(fault);
    for (const take of [...this.#takes]) take.settle();
    const rolling = [...this.#takes].filter((take) => take.rolling);
    if (ended) this.#collapse(fault);
    else
      for (const touched of touchedBy<Exposure>(fault, [...rolling, ...this.#aftermath.abandoned]))
        if (touched instanceof RollingTake) touched.fail(spoiled([fault]));
    for (const listener of [...this.#listeners]) listener(fault);
  }

  /** The stream is no more: nothing that rolls or waits can go on. */
  #collapse(fault: Fault): void {
    if (this.#state !== 'running') return;
    this.#state = 'faulted';
    this.#pacemaker.rest();
    for (const take of [...this.#takes]) take.fail(spoiled([fault]));
  }

  /** @param more there is something to do at once */
  #schedule(more: boolean): void {
    if (this.#state !== 'running') return;
    const { timePasses, rate } = this.#stream!;
    const { clock, ringFrames } = this.#granted!;
    const idle = this.#takes.size === 0;
    // A stream that runs over while nothing rolls would lose frames; one that stands still needs no look.
    if (idle && timePasses) this.#pacemaker.after(Math.min(LONGEST_IDLE_MS, (250 * ringFrames) / rate), true);
    else if (!idle && more) this.#pacemaker.soon();
    else if (!idle) this.#pacemaker.after(POLL_MS[clock], false);
  }

  async #stop(reason: string): Promise<void> {
    if (this.#state === 'stopped') return;
    for (const take of [...this.#takes]) take.abort(reason);
    const { claim, logger } = this.#o;
    if (this.#stream?.timePasses) await played(claim, this.#aftermath.allQuietFrom, LONGEST_RAMP_MS);
    this.#pacemaker.rest();
    this.#state = 'stopped';
    this.#stream = null;
    this.#granted = null;
    this.#capture = null;
    this.#sync = null;
    this.#latency = null;
    if (claim.state === 'running' || claim.state === 'faulted') {
      const tally = await claim.stop({ drain: false });
      logger.debug({ tally }, 'the audio stream was stopped');
    }
    this.#removeListener?.();
    this.#removeListener = null;
  }

  #running(): { stream: Stream } {
    if (this.#state === 'running' && this.#stream) return { stream: this.#stream };
    throw new OutboardError('audio.closed', `no stream runs: the engine is ${this.#state}`);
  }

  /** Starting and stopping wait for each other. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turning.then(work, work);
    this.#turning = turn.catch(() => {});
    return turn;
  }
}
