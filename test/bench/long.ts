/** `npm run bench:long [-- SECONDS]`: an hour of stereo at 96 kHz and 24 bit, 2 GB, through the whole stack. Needs about 10 GB of disk. */
import { longBounce } from '../peers/long-bounce.js';
import { scratch } from '../peers/scratch.js';
import { Stack } from '../peers/stack.js';

const seconds = Number(process.argv[2] ?? 3600);
const cleanUp: (() => unknown)[] = [];
const t = { after: (fn: unknown) => void cleanUp.unshift(fn as () => unknown) };
const stack = await Stack.make(t, { diskStore: true });
try {
  await stack.startRig();
  await stack.startCourier();
  const report = await longBounce(stack, await scratch(t), { rate: 96_000, seconds, say: (line) => console.log(line) });
  console.log(JSON.stringify(report));
  const { rig, courier } = report.peakMegabytes;
  console.log(
    `resident at most: rig ${rig} MB, courier ${courier} MB (300 MB are allowed); differing frames: ${report.differing}`,
  );
} finally {
  for (const fn of cleanUp) await fn();
}
