/** alsa-utils on a loop card: the programs that everybody knows, as witnesses of what the card does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratch } from '../scratch.js';
import { writeSignal } from '../signals.js';
import { until } from '../stack.js';
import type { LoopCard } from './loop-card.js';

export interface Running {
  child: ChildProcess;
  /** What it has said so far. */
  said(): string;
  ended: Promise<{ code: number | null; said: string }>;
}

/** Starts a program that sees the card. It is killed with the test. */
export function start(t: Pick<TestContext, 'after'>, card: LoopCard, program: string, ...args: string[]): Running {
  const child = spawn(program, args, {
    env: { ...process.env, ...card.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (said += data.toString()));
  const ended = new Promise<{ code: number | null; said: string }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, said }));
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  return { child, said: () => said, ended };
}

export interface Shape {
  channels: number;
  rate: number;
  format: 'S32_LE' | 'S24_3LE';
}

/** As alsa-utils want it. */
export function shape(card: LoopCard, o: Shape, device = card.device): string[] {
  return ['-q', '-D', device, '-c', `${o.channels}`, '-r', `${o.rate}`, '-f', o.format];
}

export interface Captured {
  /** Left-justified sample of a capture frame and a channel, both from 0. */
  at(frame: number, channel: number): number;
  frames: number;
  /** The capture frame of playback frame 0. */
  first: number;
}

/**
 * Records with arecord while aplay plays a file, and somewhat longer.
 * @param o.sample of a frame and a channel (from 0), full scale 1: played as a 24-bit WAV, or as 32-bit where the card takes that only
 * @param o.meanwhile runs when both roll
 */
export async function playAndRecord(
  t: Pick<TestContext, 'after'>,
  card: LoopCard,
  o: Shape & {
    frames: number;
    sample(frame: number, channel: number): number;
    captureFormat?: Shape['format'];
    captureChannels?: number;
    meanwhile?: () => Promise<void> | void;
  },
): Promise<Captured> {
  const dir = await scratch(t);
  const bits = o.format === 'S24_3LE' ? 24 : 32;
  const file = await writeSignal(join(dir, 'play.wav'), { ...o, bits, sample: (f, c) => whole24(o.sample(f, c)) });
  const back = join(dir, 'captured.raw');
  const format = o.captureFormat ?? o.format;
  const channels = o.captureChannels ?? o.channels;
  const frames = o.frames + o.rate;
  const recorder = start(
    t,
    card,
    'arecord',
    ...shape(card, { ...o, format, channels }),
    '-t',
    'raw',
    '-s',
    `${frames}`,
    back,
  );
  await until(() => card.counters().captured > 0 || recorder.child.exitCode !== null);
  const player = start(t, card, 'aplay', '-q', '-D', card.device, file);
  await until(() => card.counters().played > 0 || player.child.exitCode !== null);
  const first = card.loopFrames();
  await o.meanwhile?.();
  for (const { code, said } of [await player.ended, await recorder.ended]) {
    if (code !== 0 || said !== '') throw new Error(`ended with ${code}: ${said}`);
  }
  if (first === null) throw new Error('the two directions had no clock in common');
  const bytes = await readFile(back);
  const width = format === 'S24_3LE' ? 3 : 4;
  return {
    first,
    frames: bytes.length / width / channels,
    at: (frame, channel) => bytes.readIntLE((frame * channels + channel) * width, width) * (width === 3 ? 256 : 1),
  };
}

/** A sample of which 24 bits are exact. */
function whole24(sample: number): number {
  return Math.round(sample * 2 ** 23) / 2 ** 23;
}
