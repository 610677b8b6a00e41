/**
 * A process, or a worker, of its own that holds a card with a stream running on it. Arguments: the tree of /proc/asound, the device. It says
 * `running`, then every fault that ends the stream, and ends when it is spoken to, with everything still in its hands.
 */
import { exit, stdin } from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { createAlsaInterface } from '../../../drivers/audio/alsa/alsa.js';
import { request } from './alsa-card.js';

const [procRoot, device] = (workerData as string[] | null) ?? process.argv.slice(2);
const claim = await createAlsaInterface({ procRoot: procRoot! }).claim({ playback: device!, capture: device! });
await claim.start(request);
claim.arm({ channels: [1], from: 0, to: 2 ** 40 });
claim.onFault(({ kind, atFrame }) => {
  if (kind !== 'starved' && kind !== 'dropped') process.stdout.write(`${kind} ${atFrame}\n`);
});
if (parentPort) {
  parentPort.postMessage('running');
  parentPort.once('message', () => exit(0));
} else {
  process.stdout.write('running\n');
  stdin.once('data', () => exit(0));
}
