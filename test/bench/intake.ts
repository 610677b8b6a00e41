/** `npm run bench:intake [-- COUNT]`: a burst of valid offers through mosquitto. Prints offers a second, and both processes' memory. */
import { burst } from '../peers/burst.js';
import { Stack } from '../peers/stack.js';

const count = Number(process.argv[2] ?? 10_000);
const cleanUp: (() => unknown)[] = [];
const stack = await Stack.make({ after: (fn) => void cleanUp.unshift(fn as () => unknown) });
try {
  await stack.startRig();
  await stack.startCourier();
  const report = await burst(stack, count, (line) => console.log(line));
  console.log(JSON.stringify(report));
} finally {
  for (const fn of cleanUp) await fn();
}
