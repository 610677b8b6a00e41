/** `outboard calibrate`: measures an insert of the running rig. In maintenance only, signed by a technician. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import { CALIBRATION_KINDS, type CalibrationWish, StatusAnswer } from '../../core/contract/index.js';
import type { OutboardError } from '../../core/errors.js';
import { errorOf } from '../local-client.js';
import { showRun } from './calibration-table.js';
import { CalibrationView } from './calibration-view.js';
import { controlClient, withSocketOptions } from './control-client.js';
import { interruptSignal } from './interrupt.js';
import { MeterReader } from './meter-reader.js';
import { createOutput, type Output } from './output.js';
import { runCalibration } from './run-calibration.js';
import { type SignedOptions, withSignature } from './session-request.js';

interface CalibrateOptions extends SignedOptions {
  insert?: string;
  rate?: number;
  json?: boolean;
}

/** A limit was not kept: the run itself went well. */
const LIMIT_EXIT = 1;

export function calibrateCommand(): Command {
  return withSignature(withSocketOptions(new Command('calibrate')))
    .description(
      'Measures inserts of the running rig: plays test signals over them and says what comes back. In maintenance only.',
    )
    .addArgument(new Argument('<what>', 'what is measured').choices(CALIBRATION_KINDS))
    .option('--insert <name>', 'one insert; all of them, one after the other, when absent')
    .option('--rate <hz>', 'at this rate of the interface instead of the one that runs', parseRate)
    .option('--json', 'one JSON document a run on stdout, nothing else')
    .addHelpText(
      'after',
      `
level asks for a voltmeter (true RMS) and derives dBu and trims from it; suite is everything that needs no person.
Ctrl-C ends a run at any time: outputs ramp down, processors go into their safe state.
Exit status 1 when a limit is not kept.

Examples:
  outboard maintenance enter --key technician/key.jwk --reason "monthly check"
  outboard calibrate suite --insert a --key technician/key.jwk --reason "monthly check"
  outboard calibrate thd --key technician/key.jwk --reason "new tubes in comp-1" --json | jq .document.passed
  outboard maintenance exit --key technician/key.jwk --reason "monthly check"`,
    )
    .action(async (kind: CalibrationWish['kind'], o: CalibrateOptions) => {
      const output = createOutput(o);
      const meter = new MeterReader(process.stdin, process.stderr);
      try {
        for (const insert of o.insert === undefined ? await insertsOf(o) : [o.insert])
          await measure({ kind, insert, ...(o.rate === undefined ? {} : { rate: o.rate }) }, o, output, meter);
      } finally {
        meter.close();
      }
    });
}

async function measure(wish: CalibrationWish, o: CalibrateOptions, output: Output, meter: MeterReader): Promise<void> {
  const view = new CalibrationView(`${wish.kind} on ${wish.insert}`, output, process.stderr);
  try {
    const terminal = {
      show: (news: Parameters<CalibrationView['show']>[0]) => view.show(news),
      read: (question: { channel: number; unit: string }, signal: AbortSignal) =>
        meter.read(`  channel ${question.channel}`, question.unit, signal),
      refuse: (error: OutboardError) => output.note(`  ${error.message}`),
    };
    const document = await runCalibration(wish, o, terminal, interruptSignal());
    view.end();
    output.object({ ok: document.problem === undefined, document });
    showRun(output, document);
    if (document.problem) throw errorOf(document.problem);
    if (document.passed === false) process.exitCode = LIMIT_EXIT;
  } finally {
    view.end();
  }
}

async function insertsOf(o: CalibrateOptions): Promise<string[]> {
  const client = await controlClient(o);
  try {
    return (await client.get('/status', StatusAnswer)).state.inserts.map(({ name }) => name);
  } finally {
    client.close();
  }
}

function parseRate(value: string): number {
  const rate = Number(value);
  if (!Number.isInteger(rate) || rate < 1) throw new InvalidArgumentError('Hz, such as 48000');
  return rate;
}
