/** The analog gear does not wait: the next job stands ready while the present one rolls. */
import assert from 'node:assert/strict';
import { readdir, readlink } from 'node:fs/promises';
import { after, describe, it } from 'node:test';
import { gapStack, gapsOf, jobsInARow } from '../peers/gap.js';
import { until } from '../peers/stack.js';
import { streamOf } from '../peers/takes.js';

/**
 * A loaded machine is no measure of the rig's speed (`npm run bench:gap` prints the figures); this only finds what takes a network's or
 * a file's time between two takes.
 */
const BOUND_MS = 1500;

/** Files that a process holds open. */
async function openFiles(pid: number): Promise<string[]> {
  const dir = `/proc/${pid}/fd`;
  const links = (await readdir(dir)).map((fd) => readlink(`${dir}/${fd}`).catch(() => ''));
  return await Promise.all(links);
}

describe('three jobs in a row on one insert', { timeout: 120_000 }, () => {
  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
  after(async () => {
    for (const fn of cleanUp) await fn();
  });

  it('follow each other in one stream, the next source open while the take before it rolls', async () => {
    const { stack, dispatcher, sources } = await gapStack(suite);
    const jobs = await jobsInARow(stack, dispatcher, sources);
    const following = gapsOf(suite, stack, dispatcher, jobs);
    const isOpen = async (index: number) => {
      const hex = sources[index]!.source.digest.replace('sha256:', '');
      return (await openFiles(stack.rig!.pid)).some((file) => file.includes(hex));
    };
    await until(async () => (await isOpen(1)) && (await isOpen(2)), 10_000, 'a source opened ahead');
    const sealed = jobs[0]!.past.some((event) => event.payload.type === 'sealed');
    assert.ok(!sealed, 'the first take is still rolling');

    const { takes, gapsMs } = await following;
    for (const { certificate } of takes) {
      assert.equal(certificate.attempt, 1);
      assert.equal(certificate.continuity.xruns, 0);
      assert.equal(certificate.continuity.clock, 'realtime');
    }
    // Positions of one stream: a stream that was started anew would count from 0 again.
    assert.deepEqual(
      takes.map((take) => take.job),
      [...takes].sort((a, b) => streamOf(a).from - streamOf(b).from).map((take) => take.job),
      'in the order in which they were offered',
    );
    for (const gap of gapsMs) assert.ok(gap > 0 && gap < BOUND_MS, `the gaps are ${gapsMs.join(' and ')} ms`);
  });
});
