/** A loop card with the portaudio driver on it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Claim, Fault, StreamRequest } from '../../../drivers/audio/port.js';
import { createPortaudioInterface, portaudioMissing } from '../../../drivers/audio/portaudio/portaudio.js';
import { LoopCard, type LoopCardOptions } from '../../peers/loop-card/loop-card.js';
import type { ContractSetup } from './contract.js';

export const CHANNELS = 4;
export const RATE = 48_000;
/** Twice the least: a buffer of 340 ms, because a machine that runs tests is busy and PortAudio has no real-time priority. */
const PERIOD_FRAMES = 8192;
/** PortAudio has a buffer of two periods, and the card waits 64 frames; one more for the start. */
export const LONGEST_LOOP_FRAMES = 2 * PERIOD_FRAMES + 64 + 1;

const TRIES = 4;
/** Longer than a test blocks it on purpose and expects nothing to happen. */
const HELD_UP_MS = 600;

/** For tests that cannot run without it. */
export const missing: string | false = portaudioMissing() ?? false;

export const request: StreamRequest = {
  rate: RATE,
  inChannels: CHANNELS,
  outChannels: CHANNELS,
  format: 'S32_LE',
  periodFrames: PERIOD_FRAMES,
  periods: 2,
};

export async function openCard(o: Partial<LoopCardOptions> & { ringSeconds?: number } = {}) {
  const { ringSeconds = 0.5, ...options } = o;
  const card = await LoopCard.open({ in: CHANNELS, out: CHANNELS, historyFrames: 2 ** 20, ...options });
  // The child processes read it; each of them once.
  process.env['ALSA_CONFIG_PATH'] = card.env.ALSA_CONFIG_PATH;
  const audio = createPortaudioInterface({ procRoot: card.procRoot, ringSeconds });
  return { card, audio, device: { playback: card.device, capture: card.device } };
}

/** With a claim and its faults. */
export async function claimCard(o: Parameters<typeof openCard>[0] = {}, faults: Fault[] = []) {
  const opened = await openCard(o);
  const claim = await opened.audio.claim(opened.device);
  claim.onFault((fault) => faults.push(fault));
  const setup: ContractSetup = {
    interface: opened.audio,
    device: opened.device,
    request,
    otherRate: 96_000,
    loop: { firstSend: 1, channels: CHANNELS, returns: [1, 2, 3, 4], delayFrames: 64 },
    longestLoopFrames: LONGEST_LOOP_FRAMES,
    pass,
    loseCapture: async (claim, granted) => {
      await until(() => claim.position().captured > granted.ringFrames || claim.state !== 'running', 30_000);
    },
    disturbed,
    cleanup: () => opened.card.close(),
  };
  const close = async () => {
    await claim.close();
    await opened.card.close();
  };
  return { ...opened, claim, faults, setup, close };
}

/** The device's own time: there is nothing else to wait for. */
export function pass(frames: number): Promise<void> {
  return sleep((1000 * frames) / RATE);
}

/** @throws Error when it does not become true in time */
export async function until(holds: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${holds}`);
    await sleep(2);
  }
}

/** The process that holds the card. */
export function holder(card: LoopCard): number {
  const status = readFileSync(join(card.procRoot, 'card0/pcm0p/sub0/status'), 'utf8');
  return Number(/^owner_pid\s*:\s*(\d+)/m.exec(status)![1]);
}

/** Reads until frame `end` has come. @returns the next frame */
export async function readTo(
  claim: Claim,
  faults: Fault[],
  from: number,
  end: number,
  into: Map<number, Int32Array>,
): Promise<number> {
  let next = readAll(claim, faults, from, into);
  while (next < end) {
    assert.equal(claim.state, 'running', JSON.stringify(faults.map(({ kind }) => kind)));
    await pass(1024);
    next = readAll(claim, faults, next, into);
  }
  return next;
}

/** A machine that stands still for half a second makes an xrun that is nobody's fault, and the driver says so. */
function disturbed(faults: readonly Fault[]): boolean {
  return faults.some(({ kind }) => kind === 'xrun-in' || kind === 'xrun-out' || kind === 'stalled');
}

/** What has to be shown without a fault of the machine's is tried again after one, or after its event loop was held up, and only then. */
export async function undisturbed(attempt: (faults: Fault[]) => Promise<void>): Promise<void> {
  for (let left = TRIES - 1; ; left--) {
    const faults: Fault[] = [];
    const delay = monitorEventLoopDelay();
    delay.enable();
    try {
      return await attempt(faults);
    } catch (error) {
      if (left === 0 || !(disturbed(faults) || delay.max / 1e6 > HELD_UP_MS)) throw error;
    } finally {
      delay.disable();
    }
  }
}

/** Keeps the event loop from turning. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Reads what there is, frame numbers counted over the gaps that the faults tell of. @returns the next frame */
export function readAll(claim: Claim, faults: Fault[], from: number, into: Map<number, Int32Array>): number {
  const buffer = new Int32Array(4096 * CHANNELS);
  let frame = from;
  for (;;) {
    for (const { kind, atFrame, frames } of faults) if (kind === 'dropped' && atFrame === frame) frame += frames!;
    const got = claim.read(buffer);
    if (got === 0) return frame;
    for (let i = 0; i < got; i++) into.set(frame + i, buffer.slice(i * CHANNELS, (i + 1) * CHANNELS));
    frame += got;
  }
}
