/** One long bounce through the whole stack, with the memory of both processes at its highest and every sample of the result compared. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runBounce } from '../../daemon/cli/run-bounce.js';
import { openWav } from '../../drivers/audio/wav-reader.js';
import { link } from './jobs.js';
import { sampleAt, writeLongWav } from './long-source.js';
import type { Stack } from './stack.js';

export interface LongReport {
  seconds: { audio: number; seal: number; bounce: number };
  sourceBytes: number;
  resultBytes: number;
  /** Highest resident size of each process, MB of 2^20 bytes. */
  peakMegabytes: { rig: number; courier: number };
  frames: number;
  differing: number;
}

export async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024);
}

export async function longBounce(
  stack: Stack,
  dir: string,
  o: { rate: number; seconds: number; say?: (line: string) => void },
): Promise<LongReport> {
  const say = o.say ?? (() => undefined);
  const wav = join(dir, 'long.wav');
  say('writing the source');
  const { frames } = await writeLongWav(wav, o);
  const began = performance.now();
  let offered = began;
  let last = 0;
  const outcome = await runBounce(
    stack.parties,
    {
      wav,
      chain: [link('gain-1', { gain: 0 })],
      tailSeconds: 0,
      encoding: 'pcm24',
      maxAttempts: 1,
      out: join(dir, 'result.wav'),
      workDir: dir,
      verdictSeconds: 120,
    },
    {
      onStep: (step) => {
        if (step.step === 'offered') offered = performance.now();
        if (step.step === 'progress' && performance.now() - last > 5000) {
          last = performance.now();
          say(`${step.phase} ${step.percent} %`);
        }
      },
    },
  );
  const over = performance.now();
  say('comparing');
  return {
    seconds: { audio: o.seconds, seal: round((offered - began) / 1000), bounce: round((over - offered) / 1000) },
    sourceBytes: (await stat(outcome.files.source)).size,
    resultBytes: outcome.certificate.result.bytes,
    peakMegabytes: { rig: await peakMegabytes(stack.rig!.pid), courier: await peakMegabytes(stack.courier!.pid) },
    frames,
    differing: await countDiffering(outcome.files.opened, frames),
  };
}

/** Frames of the result that are not what the source had there; a wrong length counts as all of them. */
async function countDiffering(file: string, frames: number): Promise<number> {
  const reader = await openWav(createReadStream(file, { highWaterMark: 1 << 20 }));
  if (reader.format.frames !== frames) return frames;
  let at = 0;
  let differing = 0;
  for (let block = await reader.read(1 << 15); block; block = await reader.read(1 << 15)) {
    for (let i = 0; i < block.length; i += 2, at++) {
      const sample = sampleAt(at);
      if (block[i]! * 0x800000 !== sample || block[i + 1]! * 0x800000 !== -sample - 1) differing++;
    }
  }
  await reader.close();
  return at === frames ? differing : frames;
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
