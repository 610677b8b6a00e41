/** Keeps more runs than the small disk at argv[2] holds, and prints what happened. Run in a mount namespace by history.test.ts. */
import { join } from 'node:path';
import { History } from '../../../calibration/history/history.js';
import { asOutboardError } from '../../../core/errors.js';
import { calibrationRun, unlimited } from '../../peers/calibration-runs.js';

const file = join(process.argv[2]!, 'calibration.sqlite');
const history = new History(file);
history.open();
let kept = 0;
let code = 'none';
try {
  for (; kept < 1000; kept++) history.add(unlimited(calibrationRun({ n: kept + 1, traces: true })), 'a.b.c');
} catch (error) {
  ({ code } = asOutboardError(error));
}
history.close();
const again = new History(file);
again.open();
const readable = again.list().filter(({ run }) => again.get(run).token === 'a.b.c').length;
again.close();
process.stdout.write(`${code}, ${readable === kept ? 'all' : 'not all'} of ${kept} runs are there\n`);
