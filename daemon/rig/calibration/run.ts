/** One run on one insert, from the first look at the gear to the document. */
import { randomUUID } from 'node:crypto';
import type { Analyst } from '../../../calibration/procedures/analyst.js';
import { startAnalystThread } from '../../../calibration/procedures/analyst-thread.js';
import { spread } from '../../../calibration/procedures/findings.js';
import type { Findings, Procedure, Question } from '../../../calibration/procedures/procedure.js';
import type { CalibrationKind, CalibrationRun, Problem, UnjudgedRun } from '../../../core/contract/index.js';
import { unlessAborted } from '../../../core/duration.js';
import { asOutboardError, OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import type { Logger } from '../../log.js';
import type { Engine } from '../engine/engine.js';
import { CALIBRATION_TENANT, type InsertMemory } from '../insert-memory.js';
import type { Journal } from '../journal/journal.js';
import type { Patching } from '../patching.js';
import { conditionsOf, processorsOn, type RunPlace } from './conditions.js';
import { verifyKept } from './gear-kept.js';
import { LiveView } from './live-view.js';
import { NewsFeed } from './news-feed.js';
import { Questions } from './questions.js';
import { RigLoop } from './rig-loop.js';

export interface RunWishes {
  kind: CalibrationKind;
  insert: string;
  rate: number;
  /** Null for the rig itself: then nobody can be asked. */
  technician: string | null;
  reason: string;
  procedure: Procedure;
}

export interface RunContext extends RunPlace {
  version: string;
  journal: Journal;
  memory: InsertMemory;
  patching: Patching;
  log: Logger;
  /** @throws OutboardError audio.* */
  engineAt(rate: number): Promise<Engine>;
}

export class Run {
  readonly id = randomUUID();
  readonly feed = new NewsFeed();
  readonly questions = new Questions(this.feed);
  readonly wishes: RunWishes;
  readonly #c: RunContext;
  readonly #abort = new AbortController();
  readonly #startedAt = nowSeconds();
  #silent: Promise<void> = Promise.resolve();

  constructor(wishes: RunWishes, context: RunContext) {
    this.wishes = wishes;
    this.#c = context;
  }

  /** Resolves when nothing of it is played: after `abort`, as soon as the outputs have ramped down. */
  get silent(): Promise<void> {
    return this.#silent;
  }

  /** Ends it: the outputs ramp down, the gear goes into its safe state. `measure` still gives what was measured until then. */
  abort(why: string): void {
    this.#abort.abort(new OutboardError('calibration.aborted', `the run was ended: ${why}`));
  }

  /**
   * The document but for the judgement. It has a `problem` where the run did not come to its end.
   * @throws OutboardError when not even its circumstances could be known
   */
  async measure(): Promise<UnjudgedRun> {
    const { insert, rate, technician } = this.wishes;
    const { config, engineAt, memory, patching, rack, log } = this.#c;
    const { signal } = this.#abort;
    const processors = processorsOn(config, insert);
    const analyst = startAnalystThread();
    let unsafe = true;
    try {
      await this.#forget(insert);
      await patching.connect([insert]);
      const conditions = await this.#conditions(processors, await engineAt(rate));
      signal.throwIfAborted();
      const view = new LiveView(conditions.channels, rate, (live) => this.feed.tell(live));
      const loop = new RigLoop({
        insert,
        rate,
        config,
        engineAt,
        patching,
        quiet: (name) => !memory.holdingOthers(CALIBRATION_TENANT).includes(name),
        view,
      });
      let findings: Findings | null = null;
      const found: Findings[] = [];
      let problem: Problem | undefined;
      let hush = (): void => undefined;
      this.#silent = new Promise((resolve) => {
        hush = resolve;
      });
      const scout: Analyst = { analyze: (kind, input) => unlessAborted(analyst.analyze(kind, input), signal) };
      try {
        findings = await this.wishes.procedure({
          loop,
          analyst: {
            analyze: async (kind, input) => {
              const one = await scout.analyze(kind, input);
              found.push(one);
              return one;
            },
          },
          scout,
          fullScaleDbu: conditions.fullScaleDbu,
          muted: technician === null && processors.some((name) => rack.unit(name).profile.silentWhenSafe),
          signal,
          step: (label, fraction) => this.feed.tell({ news: 'step', label, fraction }),
          ask: (question, sends) => this.#ask(question, (until) => loop.hold(sends, until)),
        });
        signal.throwIfAborted();
        unsafe = false;
        // A self-test is made in the safe state, which was verified; and nothing of it may keep a job waiting.
        if (technician !== null) await unlessAborted(verifyKept(rack, conditions.processors), signal);
      } catch (cause) {
        const error = asOutboardError(signal.aborted ? signal.reason : cause);
        log.warn(
          { run: this.id, insert, code: error.code, err: cause },
          'a run of calibration did not come to its end',
        );
        problem = error.toJSON();
      } finally {
        hush();
      }
      // A run that was ended before its end tells what it had found.
      return this.#document(conditions, findings ?? spread(found), loop.analogSeconds, problem);
    } finally {
      await analyst.stop();
      await patching.disconnect([insert]);
      // Who has broken off, or was broken off, must find nothing that still amplifies.
      if (unsafe && technician !== null) await rack.safe(processors);
    }
  }

  /** The rig's own checks are to be compared with each other: they are made in the safe state. A technician measures what there is. */
  async #conditions(processors: string[], engine: Engine): Promise<CalibrationRun['conditions']> {
    const { rack } = this.#c;
    const { insert, technician } = this.wishes;
    if (technician !== null) return await conditionsOf(this.#c, insert, engine);
    await rack.rest(processors, this.#abort.signal);
    return await conditionsOf(this.#c, insert, engine, (name) => ({ ...rack.unit(name).profile.safeState }));
  }

  /** Technicians hear no client's sound, and no client hears theirs. */
  async #forget(insert: string): Promise<void> {
    const { memory, journal, engineAt } = this.#c;
    if (memory.holdingOthers(CALIBRATION_TENANT).includes(insert))
      await memory.flush(insert, await engineAt(this.wishes.rate), this.#abort.signal);
    journal.db.commit('calibration.owns', () => memory.own(insert, CALIBRATION_TENANT));
  }

  async #ask(question: Question, play: (signal: AbortSignal) => Promise<void>): Promise<number> {
    if (this.wishes.technician === null)
      throw new OutboardError('calibration.answer', 'nobody is there who could read a meter');
    return await this.questions.ask(question, play, this.#abort.signal);
  }

  #document(
    conditions: CalibrationRun['conditions'],
    findings: Findings,
    analogSeconds: number,
    problem: Problem | undefined,
  ): UnjudgedRun {
    const { config, version } = this.#c;
    const { insert, kind, technician, reason } = this.wishes;
    return {
      run: this.id,
      rig: config.rig,
      virtual: config.interface.driver === 'virtual',
      insert,
      kind,
      technician,
      reason,
      startedAt: this.#startedAt,
      endedAt: nowSeconds(),
      analogSeconds,
      software: version,
      conditions,
      ...findings,
      ...(problem ? { problem } : {}),
    };
  }
}
