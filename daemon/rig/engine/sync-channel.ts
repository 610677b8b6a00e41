/**
 * The sync channel: one output that is wired to one input and carries a known sequence for as long as the stream runs (DESIGN 5). It
 * measures the loop latency when the stream begins, and proves frame by frame that nothing was lost, repeated or changed since.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncWire } from '../../../core/contract/config.js';
import { OutboardError } from '../../../core/errors.js';
import { secondsToFrames } from '../../../core/units.js';
import type { Claim, Fault, Granted } from '../../../drivers/audio/port.js';
import type { CaptureReader } from './capture-reader.js';
import { gather } from './channels.js';
import { endsStream, isCaptureFault } from './faults.js';
import { BLOCK_FRAMES } from './lane.js';
import { type SyncLock, SyncMonitor } from './sync-monitor.js';
import { SyncSequence } from './sync-sequence.js';

/** The longest loop latency that is looked for, beside what the device buffers. */
const MOST_DELAY_SECONDS = 0.25;
/** Distance to the hardware at which the sequence begins, and goes on after it was interrupted. */
const MARGIN_SECONDS = 0.05;
const LOCK_MS = 10_000;
const LOOK_MS = 5;

export class SyncChannel {
  readonly #claim: Claim;
  readonly #granted: Granted;
  readonly #wire: SyncWire;
  readonly #sequence: SyncSequence;
  readonly #block = new Int32Array(BLOCK_FRAMES);
  readonly #column = new Int32Array(BLOCK_FRAMES);
  readonly #monitor: SyncMonitor;
  #written: number;

  constructor(claim: Claim, granted: Granted, wire: SyncWire) {
    this.#claim = claim;
    this.#granted = granted;
    this.#wire = wire;
    this.#sequence = new SyncSequence(wire.levelDbfs);
    this.#written = claim.position().earliestWrite + this.#marginFrames;
    this.#monitor = new SyncMonitor({
      sequence: this.#sequence,
      mostDelayFrames: secondsToFrames(MOST_DELAY_SECONDS, granted.rate) + granted.periodFrames * granted.periods,
      from: this.#written,
      ...(granted.loopLatencyFrames === null ? {} : { knownFrames: granted.loopLatencyFrames }),
    });
  }

  get lock(): SyncLock | null {
    return this.#monitor.lock;
  }

  /** Every captured frame before this one is known to be in its place. */
  get provenTo(): number {
    return this.#monitor.provenTo;
  }

  get #marginFrames(): number {
    return this.#granted.clock === 'fast' ? 0 : secondsToFrames(MARGIN_SECONDS, this.#granted.rate);
  }

  /**
   * Writes the sequence up to frame `limit`.
   * @returns the stretch that was not written in time, as a fault, or null
   */
  play(earliestWrite: number, limit: number): Fault | null {
    const late = this.#written < earliestWrite;
    const fault: Fault = {
      kind: 'starved',
      atFrame: this.#written,
      frames: earliestWrite + this.#marginFrames - this.#written,
      monotonicNs: process.hrtime.bigint(),
      channels: [this.#wire.send],
    };
    if (late) {
      this.#written = earliestWrite + this.#marginFrames;
      this.#monitor.skip(this.#written);
    }
    while (this.#written < limit) {
      const block = this.#block.subarray(0, Math.min(BLOCK_FRAMES, limit - this.#written));
      this.#sequence.fill(this.#written, block);
      this.#claim.write(this.#written, this.#wire.send, 1, block);
      this.#written += block.length;
    }
    return late ? fault : null;
  }

  /**
   * Listens to captured frames. @returns what the sequence says happened to the stream, as a fault, or null
   * @throws OutboardError audio.sync when nothing like the sequence is heard
   */
  capture(block: Int32Array, first: number, frames: number, at: number): Fault | null {
    const column = this.#column.subarray(0, frames);
    gather(block, this.#granted.inChannels, first, frames, [this.#wire.return], column);
    if (!this.#monitor.add(column, at)) {
      const { send, return: back } = this.#wire;
      throw new OutboardError('audio.sync', `the sequence on output ${send} is not heard on input ${back}`, {
        details: { send, return: back },
      });
    }
    return this.#fault();
  }

  /** Hears of a fault of the stream: what starved on the send is not expected back. */
  heed({ kind, atFrame, frames, channels }: Fault): void {
    if (kind !== 'starved' || atFrame === null || frames === null) return;
    if (channels?.includes(this.#wire.send) ?? true) this.#monitor.skip(atFrame + frames);
  }

  /** Judges what is suspicious with what was heard so far. */
  judgeNow(): Fault | null {
    this.#monitor.judgeNow();
    return this.#fault();
  }

  /** Runs the stream until the latency is measured. @throws OutboardError audio.sync | audio.gone | audio.closed */
  async measure(reader: CaptureReader): Promise<SyncLock> {
    const faults: Fault[] = [];
    const remove = this.#claim.onFault((fault) => faults.push(fault));
    const deadline = performance.now() + LOCK_MS;
    try {
      while (this.lock === null) {
        const { ringFrames, rate } = this.#granted;
        const { earliestWrite, played, captured } = this.#claim.position();
        // A second beyond what the device has queued, which alone may be as long.
        this.play(earliestWrite, Math.min(played + ringFrames, earliestWrite + rate));
        // No further than what was there then: a host that reads slowly would hear what it has not written yet, and find no end.
        let read: number;
        do {
          read = reader.read();
          for (const fault of faults.splice(0)) {
            this.heed(fault);
            goOn(fault, reader);
          }
          reader.deliver(read, (block, first, count, at) => void this.capture(block, first, count, at));
        } while (read > 0 && reader.at < captured);
        if (performance.now() > deadline) throw new OutboardError('audio.sync', 'the interface captures nothing');
        if (this.lock === null) await sleep(LOOK_MS);
      }
      return this.lock;
    } finally {
      remove();
    }
  }

  #fault(): Fault | null {
    const { slip } = this.#monitor;
    return slip && { kind: 'slipped', ...slip, monotonicNs: process.hrtime.bigint() };
  }
}

/** @throws OutboardError for a fault after which there is nothing to measure */
function goOn(fault: Fault, reader: CaptureReader): void {
  if (fault.kind === 'starved') return;
  const counted = isCaptureFault(fault) && !endsStream(fault) && reader.skip(fault.atFrame, fault.frames);
  if (counted && fault.kind === 'dropped') return;
  throw new OutboardError(
    fault.kind === 'lost' ? 'audio.gone' : 'audio.closed',
    `the stream broke off while its latency was measured: ${fault.kind}`,
  );
}
