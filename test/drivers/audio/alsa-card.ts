/** A loop card with the alsa driver on it, and a pattern that is played through it and compared frame by frame. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type AlsaOptions, createAlsaInterface } from '../../../drivers/audio/alsa/alsa.js';
import type { Claim, Fault, Granted, StreamRequest } from '../../../drivers/audio/port.js';
import { LoopCard, type LoopCardOptions } from '../../peers/loop-card/loop-card.js';

export const RATE = 48_000;

/** The first frames are a tenth of a second away: a host that is busy with other tests still writes them in time. */
export const request: StreamRequest = {
  rate: RATE,
  inChannels: 4,
  outChannels: 4,
  format: 'S32_LE',
  periodFrames: 512,
  periods: 24,
};

interface Context {
  after(fn: () => Promise<void>): void;
}

export async function openCard(t: Context, o: Partial<LoopCardOptions> & Pick<AlsaOptions, 'ringSeconds'> = {}) {
  const { ringSeconds, ...options } = o;
  const card = await LoopCard.open({ in: 4, out: 4, ...options });
  t.after(() => card.close());
  // alsa-lib looks at it at every open.
  process.env['ALSA_CONFIG_PATH'] = card.env.ALSA_CONFIG_PATH;
  const audio = createAlsaInterface({ procRoot: card.procRoot, ...(ringSeconds === undefined ? {} : { ringSeconds }) });
  return { card, audio, device: { playback: card.device, capture: card.device } };
}

/** With a claim and its faults. */
export async function claimCard(t: Context, o: Parameters<typeof openCard>[1] = {}) {
  const opened = await openCard(t, o);
  const claim = await opened.audio.claim(opened.device);
  t.after(() => claim.close());
  const faults: Fault[] = [];
  claim.onFault((fault) => faults.push(fault));
  return { ...opened, claim, faults };
}

export const HOLDER = fileURLToPath(new URL('./alsa-holder.js', import.meta.url));

/**
 * Another process that holds the card with a stream on it; it runs by now. It has no stream of ours: one that outlives us, stopped perhaps, would
 * keep whoever waits for our output waiting.
 */
export async function holdElsewhere(t: Context, card: LoopCard) {
  const child = spawn(process.execPath, [HOLDER, card.procRoot, card.device], { stdio: 'pipe' });
  t.after(async () => void child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text;
    });
  await until(() => said.includes('running') || child.exitCode !== null, 30_000);
  assert.equal(child.exitCode, null, said);
  return { child, said: () => said };
}

/** @throws Error when it does not become true in time */
export async function until(holds: () => boolean, withinMs = 30_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${holds}`);
    await sleep(2);
  }
}

/** Keeps the event loop from turning. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Faults of a kind, those that follow each other with the same channels as one. */
export function runs(faults: readonly Fault[], kind: Fault['kind']) {
  const merged: { atFrame: number; frames: number; channels: number[] }[] = [];
  for (const fault of faults) {
    if (fault.kind !== kind) continue;
    const run = { atFrame: fault.atFrame!, frames: fault.frames!, channels: fault.channels ?? [] };
    const last = merged.at(-1);
    if (last && last.atFrame + last.frames === run.atFrame && last.channels.join() === run.channels.join())
      last.frames += run.frames;
    else merged.push(run);
  }
  return merged;
}

/** Never 0; exact on a device of 24 bits where `format` says so. */
export function sampleOf(format: StreamRequest['format'], frame: number, channel: number): number {
  const mixed = Math.imul(Math.imul(frame + 1, 0x9e37_79b1) ^ (channel * 0x85eb_ca6b), 0xc2b2_ae35);
  return format === 'S32_LE' ? mixed | 1 : (mixed & ~0xff) | 0x100;
}

/**
 * Plays a pattern on all outputs, of which every frame is another, and compares what comes back with it. A frame that is `starved` has to be
 * silent, one that is `dropped` is stepped over, and every other one has to be what was played, at one distance throughout.
 */
export class Pattern {
  readonly from: number;
  /** One past the last frame that was written. */
  written: number;
  /** One past the last frame that was read or is known to be lost. */
  heard = 0;
  read = 0;
  /** Frames that were heard as they were played. */
  matched = 0;
  /** Where frames are written in the very moment in which they are played: what is called starved may have been heard all the same. */
  atTheEdge = false;
  /** From playback to capture; known when the first frame is back. */
  distance: number | null = null;
  readonly #claim: Claim;
  readonly #granted: Granted;
  readonly #faults: readonly Fault[];
  readonly #into: Int32Array;

  constructor(claim: Claim, granted: Granted, faults: readonly Fault[]) {
    this.#claim = claim;
    this.#granted = granted;
    this.#faults = faults;
    // Blocks that have nothing in common with what the device gives.
    this.#into = new Int32Array(331 * granted.inChannels);
    const leadFrames = Math.min(Math.floor(granted.ringFrames / 2), granted.rate / 4);
    this.from = claim.position().earliestWrite + leadFrames;
    this.written = this.from;
  }

  /** Arms all outputs from the beginning of the pattern on. */
  arm(to: number): void {
    const channels = Array.from({ length: this.#granted.outChannels }, (_, i) => i + 1);
    this.#claim.arm({ channels, from: this.from, to });
  }

  /** Writes as far ahead as the ring takes, but not beyond frame `to`. */
  write(to = Number.POSITIVE_INFINITY, blockFrames = this.#granted.periodFrames): void {
    const { outChannels, ringFrames, format } = this.#granted;
    for (;;) {
      const room = Math.min(to, this.#claim.position().played + ringFrames) - this.written;
      const frames = Math.min(blockFrames, room);
      if (frames <= 0) return;
      const part = new Int32Array(frames * outChannels);
      for (let i = 0; i < part.length; i++) {
        part[i] = sampleOf(format, this.written + Math.floor(i / outChannels), i % outChannels);
      }
      this.#claim.write(this.written, 1, outChannels, part);
      this.written += frames;
    }
  }

  /** Reads everything that is there. @throws AssertionError at the first frame that is not what it has to be */
  listen(): void {
    for (;;) {
      const got = this.#claim.read(this.#into);
      this.#stepOverGaps();
      if (got === 0) return;
      for (let i = 0; i < got; i++) this.#compare(this.heard + i, i * this.#granted.inChannels);
      this.heard += got;
      this.read += got;
    }
  }

  /** Writes and listens until frame `to` of the stream was captured. */
  async run(to: number): Promise<void> {
    while (this.heard < to && this.#claim.state === 'running') {
      this.write();
      this.listen();
      await sleep(5);
    }
  }

  #stepOverGaps(): void {
    for (const { kind, atFrame, frames } of this.#faults) {
      if (kind === 'dropped' && atFrame === this.heard) this.heard += frames!;
    }
  }

  #compare(frame: number, index: number): void {
    const { inChannels, format } = this.#granted;
    const row = this.#into.subarray(index, index + inChannels);
    if (this.distance === null) {
      if (row.every((sample) => sample === 0)) return;
      this.distance = frame - this.from;
    }
    const played = frame - this.distance;
    const silent = played < this.from || played >= this.written || this.#isStarved(played);
    for (let channel = 0; channel < inChannels; channel++) {
      const expected = silent ? 0 : sampleOf(format, played, channel);
      if (row[channel] === expected) continue;
      if (this.atTheEdge && silent && row[channel] === sampleOf(format, played, channel)) continue;
      assert.fail(`capture ${frame}, playback ${played}, channel ${channel + 1}: ${row[channel]} for ${expected}`);
    }
    if (!silent) this.matched++;
  }

  #isStarved(frame: number): boolean {
    return this.#faults.some(
      ({ kind, atFrame, frames }) => kind === 'starved' && frame >= atFrame! && frame < atFrame! + frames!,
    );
  }
}
