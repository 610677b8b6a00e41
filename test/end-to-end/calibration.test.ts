/** A calibration that is in force: its trims are in the result, at their place, and its version is in the certificate. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Dispatcher } from '../../client/dispatcher.js';
import { link, offerJob, storedSource } from '../peers/jobs.js';
import { scratch } from '../peers/scratch.js';
import { channelOf, rmsDbfs, sine, writeSignal } from '../peers/signals.js';
import { Child, RIG_MAIN, Stack } from '../peers/stack.js';
import { finishedTake } from '../peers/takes.js';

const RATE = 48_000;
const VERSION = '2026-03-01.1';
const TRIMS = { sendTrimDb: [2, -1], returnTrimDb: [-5, 0.5] };

describe('a rig that was calibrated', { timeout: 120_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  let stack: Stack;
  let dispatcher: Dispatcher;
  let file: string;

  before(async () => {
    stack = await Stack.make(suite, { rigConfig: { calibration: 'calibration.yaml' } });
    file = join(dirname(stack.init.files.rig), 'calibration.yaml');
    await writeFile(file, JSON.stringify({ version: VERSION, inserts: { a: TRIMS } }));
    await stack.startRig();
    await stack.startCourier();
    dispatcher = await stack.dispatcher();
  });
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  it('trims each channel before and behind the insert, and no other insert', async () => {
    const wav = join(await scratch(suite), 'tone.wav');
    await writeSignal(wav, { rate: RATE, channels: 2, bits: 24, frames: RATE, sample: sine(997, -20, RATE) });
    const source = await storedSource(suite, stack, wav);
    for (const [processor, trimDb] of [
      ['gain-1', [-3, -0.5]],
      ['delay-1', [0, 0]],
    ] as const) {
      const job = await offerJob(stack, dispatcher, source, { chain: [link(processor, {})] });
      const { certificate, samples } = await finishedTake(suite, stack, dispatcher, job);
      for (const channel of [0, 1]) {
        const level = rmsDbfs(channelOf(samples, channel, 2));
        assert.ok(Math.abs(level - (-20 + trimDb[channel]!)) < 0.01, `${processor}, channel ${channel}: ${level} dBFS`);
      }
      assert.equal(certificate.calibration, VERSION);
    }
  });

  it('does not start with trims of another rig: 78, with the file and the path', async () => {
    await stack.rig!.end();
    await writeFile(file, JSON.stringify({ version: VERSION, inserts: { x: TRIMS } }));
    const child = new Child(process.execPath, [RIG_MAIN, '--config', stack.init.files.rig]);
    assert.equal(await child.exit(), 78, child.output);
    assert.match(child.output, /config\.invalid/);
    assert.match(child.output, /calibration\.yaml:1: inserts\.x: this rig has no such insert/);
  });
});
