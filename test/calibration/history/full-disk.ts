/** Keeps more runs than the small disk at argv[2] holds, and prints what happened. Run in a mount namespace by history.test.ts. */
import { join } from 'node:path';
import { History } from '../../../calibration/history/history.js';
import { asOutboardError } from '../../../core/errors.js';
import { calibrationRun, runId, unlimited } from '../../peers/calibration-runs.js';

const file = join(process.argv[2]!, 'calibration.sqlite');
const history = new History(file);
history.open();
/** The code with which writing ends. */
function fill(write: (n: number) => void): string {
  try {
    for (let n = 1; n < 1000; n++) write(n);
  } catch (error) {
    return asOutboardError(error).code;
  }
  return 'none';
}

let kept = 0;
const long = 'x'.repeat(100_000);
const codes = [
  fill((n) => {
    history.add(unlimited(calibrationRun({ n, traces: true })), 'a.b.c');
    kept = n;
  }),
  fill((n) => history.addSet({ version: `${n}`, base: long, run: runId(1), at: 0, inserts: {} })),
  fill((n) => history.claimLimits({ version: `${n}`, digest: long })),
  fill(() => history.setBaseline(runId(1), 'technician.t', long)),
];
history.close();
const again = new History(file);
again.open();
const readable = again.list().filter(({ run }) => again.get(run).token === 'a.b.c').length;
again.close();
process.stdout.write(`${codes.join(', ')}, ${readable === kept ? 'all' : 'not all'} of ${kept} runs are there\n`);
