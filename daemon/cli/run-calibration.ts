/**
 * One run of calibration as a technician's terminal leads it: it is asked for and followed on one connection, because the rig ends it when that
 * connection closes; the readings of the meter go over another one.
 */
import { CalibrationNews, type CalibrationRun, type CalibrationWish } from '../../core/contract/index.js';
import { isOutboardError, OutboardError } from '../../core/errors.js';
import { errorOf, type LocalClient } from '../local-client.js';
import { controlClient } from './control-client.js';
import { requestOn, requestSession, type SignedOptions } from './session-request.js';

export type Question = Extract<CalibrationNews, { news: 'question' }>;

export interface Terminal {
  show(news: CalibrationNews): void;
  /** What the person reads from the meter. @throws OutboardError calibration.answer when nobody can be asked */
  read(question: Question, signal: AbortSignal): Promise<number>;
  /** A reading that the rig does not take; it asks again. */
  refuse(error: OutboardError): void;
}

/** After the terminal has left: ramps, a safe state, and the document. */
const SAFE_MS = 60_000;

/**
 * The run's document. When `signal` ends it, this rejects with the signal's reason as soon as the rig has said that the gear is safe.
 * @throws OutboardError of the rig, calibration.answer, rig.unreachable
 */
export async function runCalibration(
  wish: CalibrationWish,
  o: SignedOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<CalibrationRun> {
  const client = await controlClient(o);
  let run: string | undefined;
  try {
    signal.throwIfAborted();
    ({ run } = await requestOn(client, { action: 'calibrate.start', calibration: wish, seconds: 1 }, o));
    if (run === undefined) throw new OutboardError('rig.answer', 'the rig does not say which run it has begun');
    return await follow(client, run, o, terminal, signal);
  } catch (error) {
    // Only a closed connection ends the run.
    client.close();
    if (run !== undefined) await untilSafe(run, o);
    throw error;
  } finally {
    client.close();
  }
}

async function follow(
  client: LocalClient,
  run: string,
  o: SignedOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<CalibrationRun> {
  const answering = new AbortController();
  const until = AbortSignal.any([signal, answering.signal]);
  try {
    for await (const news of client.lines(`/calibration/runs/${run}/live`, CalibrationNews, { signal: until })) {
      terminal.show(news);
      if (news.news === 'over') return news.document;
      if (news.news === 'failed') throw errorOf(news.problem);
      if (news.news === 'question')
        void answer(run, news, o, terminal, until).catch((error: unknown) => answering.abort(error));
    }
    throw new OutboardError('rig.answer', 'the rig has stopped telling of the run');
  } finally {
    answering.abort();
  }
}

/** Asks the person until the rig takes the reading. */
async function answer(
  run: string,
  question: Question,
  o: SignedOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const value = await terminal.read(question, signal);
    try {
      const reading = { run, question: question.question, value };
      await requestSession({ action: 'calibrate.answer', reading, seconds: 1 }, o);
      return;
    } catch (error) {
      if (!isOutboardError(error, 'calibration.answer') || signal.aborted) throw error;
      terminal.refuse(error);
    }
  }
}

/** Waits on another connection for the end of a run that was left. */
async function untilSafe(run: string, o: SignedOptions): Promise<void> {
  const client = await controlClient(o);
  const signal = AbortSignal.timeout(SAFE_MS);
  try {
    for await (const news of client.lines(`/calibration/runs/${run}/live`, CalibrationNews, { signal }))
      if (news.news === 'over' || news.news === 'failed') return;
  } catch {
    // The rig is away, or slow: the connection is closed all the same, and whoever reads the first error looks at it.
  } finally {
    client.close();
  }
}
