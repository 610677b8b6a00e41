import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { longBounce } from '../peers/long-bounce.js';
import { scratch } from '../peers/scratch.js';
import { Stack } from '../peers/stack.js';

describe('a long source', { timeout: 600_000 }, () => {
  it('of ten minutes, stereo, 96 kHz, 24 bit: every frame is right, and each process stays under 300 MB', async (t) => {
    const stack = await Stack.make(t, { diskStore: true });
    await stack.startRig();
    await stack.startCourier();
    const report = await longBounce(stack, await scratch(t), { rate: 96_000, seconds: 600 });
    t.diagnostic(JSON.stringify(report));
    assert.equal(report.differing, 0);
    assert.ok(report.peakMegabytes.rig < 300, `the rig had ${report.peakMegabytes.rig} MB`);
    assert.ok(report.peakMegabytes.courier < 300, `the courier had ${report.peakMegabytes.courier} MB`);
  });
});
