/** The runs of calibration, one at a time: who begins one, who answers its questions, who hears of it, and what ends it. */
import type { Socket } from 'node:net';
import type { Procedure } from '../../../calibration/procedures/procedure.js';
import type {
  CalibrationKind,
  CalibrationNews,
  CalibrationReading,
  CalibrationRun,
  CalibrationSet,
  CalibrationWish,
  UnjudgedRun,
} from '../../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../../core/errors.js';
import type { CalibrationArchive } from './archive.js';
import { Run, type RunContext } from './run.js';

export interface CalibrationRunsOptions extends RunContext {
  archive: CalibrationArchive;
  procedures: Readonly<Record<CalibrationKind, Procedure>>;
  /** Of the stream that runs, Hz; null when there is none. */
  streamRate(): number | null;
}

export interface Initiator {
  technician: string;
  reason: string;
  /** The run ends with it. */
  connection: Socket;
}

interface Active {
  run: Run;
  over: Promise<CalibrationRun | null>;
}

export class CalibrationRuns {
  readonly #o: CalibrationRunsOptions;
  #active: Active | null = null;
  /** The one that ended last, for who comes too late to hear how. */
  #last: Run | null = null;

  constructor(options: CalibrationRunsOptions) {
    this.#o = options;
  }

  /** The run that goes on. */
  get active(): { run: string; insert: string; kind: CalibrationKind } | null {
    const run = this.#active?.run;
    return run ? { run: run.id, insert: run.wishes.insert, kind: run.wishes.kind } : null;
  }

  /** @throws OutboardError calibration.busy while a run goes on */
  requireNone(): void {
    const { active } = this;
    if (!active) return;
    throw new OutboardError('calibration.busy', `${active.kind} is measured on ${active.insert} now`, {
      details: { ...active },
    });
  }

  /** @returns the run's id @throws OutboardError calibration.insert | calibration.busy | interface.rate */
  begin({ kind, insert, rate }: CalibrationWish, { technician, reason, connection }: Initiator): string {
    const run = this.#begin(kind, insert, rate, technician, reason);
    const gone = () => run.abort('the terminal that had begun it is gone');
    connection.once('close', gone);
    void this.#active!.over.finally(() => connection.off('close', gone));
    // It may have closed while its signature was verified.
    if (connection.destroyed) gone();
    return run.id;
  }

  /** A check by the rig itself. @returns null when it could not even begin. Errors as those of `begin` */
  async selfTest(insert: string, reason: string): Promise<CalibrationRun | null> {
    this.#begin('self-test', insert, undefined, null, reason);
    return await this.#active!.over;
  }

  /** @throws OutboardError calibration.run | calibration.answer */
  answer({ run, ...reading }: CalibrationReading): void {
    if (this.#active?.run.id !== run) throw unknownRun(run);
    this.#active.run.questions.answer(reading);
  }

  /** @throws OutboardError calibration.run */
  news(run: string, signal: AbortSignal): AsyncGenerator<CalibrationNews, void, undefined> {
    const found = [this.#active?.run, this.#last].find((candidate) => candidate?.id === run);
    if (!found) throw unknownRun(run);
    return found.feed.listen(signal);
  }

  /** Resolves when nothing of a run is heard any more; at once where none goes on. */
  async silent(): Promise<void> {
    await this.#active?.run.silent;
  }

  /** Resolves when nothing is measured any more, and the gear is safe. */
  async abort(why: string): Promise<void> {
    this.#active?.run.abort(why);
    await this.#active?.over;
  }

  #begin(
    kind: CalibrationKind,
    insert: string,
    wantedRate: number | undefined,
    technician: string | null,
    reason: string,
  ): Run {
    const { config, streamRate, procedures } = this.#o;
    const inserts = Object.keys(config.inserts);
    if (!inserts.includes(insert))
      throw new OutboardError(
        'calibration.insert',
        `this rig has no insert "${insert}"; it has ${inserts.join(', ')}`,
        {
          details: { value: insert, allowed: inserts },
        },
      );
    const { rates } = config.interface;
    const rate = wantedRate ?? streamRate() ?? rates[0]!;
    if (!rates.includes(rate))
      throw new OutboardError('interface.rate', `the interface runs ${rates.join(', ')} Hz, not ${rate}`, {
        details: { value: rate, allowed: rates },
      });
    this.requireNone();
    const run = new Run({ kind, insert, rate, technician, reason, procedure: procedures[kind] }, this.#o);
    const over = this.#measure(run).finally(() => {
      this.#active = null;
      this.#last = run;
    });
    this.#active = { run, over };
    return run;
  }

  async #measure(run: Run): Promise<CalibrationRun | null> {
    const { archive, inForce, log } = this.#o;
    const { insert } = run.wishes;
    try {
      await archive.limitsOf(insert);
      const { measured, set } = this.#derived(await run.measure());
      const document = await archive.add(measured);
      // What fails its limits was measured over something that is no cable: no take is to be trimmed by it.
      if (set && document.passed !== false) inForce.keep(set);
      run.feed.tell({ news: 'over', document });
      return document;
    } catch (cause) {
      const error = asOutboardError(cause);
      log.error({ run: run.id, insert, code: error.code, err: cause }, 'a run of calibration could not be made');
      run.feed.tell({ news: 'failed', problem: error.toJSON() });
      return null;
    }
  }

  /** What a run of `level` brings into force. Trims that cannot be are a problem of the run; what it has measured stays true. */
  #derived(measured: UnjudgedRun): { measured: UnjudgedRun; set: CalibrationSet | null } {
    if (measured.kind !== 'level' || measured.problem) return { measured, set: null };
    try {
      return { measured, set: this.#o.inForce.derive(measured) };
    } catch (cause) {
      return { measured: { ...measured, problem: asOutboardError(cause).toJSON() }, set: null };
    }
  }
}

function unknownRun(run: string): OutboardError {
  return new OutboardError('calibration.run', `no run ${run} goes on`, { details: { run } });
}
