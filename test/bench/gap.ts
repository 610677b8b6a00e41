/**
 * `npm run bench:gap [-- ROUNDS]`: jobs in a row on one insert, with a clock that does not wait. Prints the time from the last sample of one
 * take to the first of the next, recall and settling included, and its ratio to the 250 ms that are allowed beyond those.
 */
import { GAP_LIMIT_MS, gapStack, gapsOf, jobsInARow } from '../peers/gap.js';

const rounds = Number(process.argv[2] ?? 4);
const cleanUp: (() => unknown)[] = [];
const suite = { after: (fn: () => unknown) => void cleanUp.unshift(fn) };
try {
  const { stack, dispatcher, sources } = await gapStack(suite);
  const all: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const { gapsMs } = await gapsOf(suite, stack, dispatcher, await jobsInARow(stack, dispatcher, sources));
    for (const gap of gapsMs)
      console.log(`round ${round}: ${gap.toFixed(1)} ms, ${(gap / GAP_LIMIT_MS).toFixed(2)} of the limit`);
    all.push(...gapsMs);
  }
  const sorted = [...all].sort((a, b) => a - b);
  const figures = {
    gaps: all.length,
    limitMs: GAP_LIMIT_MS,
    medianMs: sorted[sorted.length >> 1],
    maxMs: sorted.at(-1),
  };
  console.log(JSON.stringify(figures));
} finally {
  for (const fn of cleanUp) await fn();
}
