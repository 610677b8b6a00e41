/**
 * A procedure plays what its measurements need over a loop and has what comes back analyzed. It knows neither the rig nor the technician's
 * terminal: both are behind this context.
 */
import type { FullScaleDbu, Measurement, Trace } from '../../core/contract/calibration.js';
import type { Loop } from '../loop.js';
import type { Analyst } from './analyst.js';

export interface Findings {
  measurements: Measurement[];
  traces: Trace[];
}

/** Something that only a person in front of the gear can see, such as a voltmeter. */
export interface Question {
  /** Whole sentences: where to look, and what for. */
  text: string;
  unit: 'V';
  /** Channel of the insert, from 1. */
  channel: number;
  /** Least and highest reading that can be; beyond is a slip of the finger, or of the meter's range. */
  allowed: [number, number];
}

export interface ProcedureContext {
  readonly loop: Loop;
  /** What it finds stands in the document, also of a run that is ended before its end. */
  readonly analyst: Analyst;
  /** What it finds only says where to look: nobody keeps it. */
  readonly scout: Analyst;
  /** As it is known now: results carry dBu where it is. */
  readonly fullScaleDbu: FullScaleDbu;
  /** What hangs on the insert is set to let nothing through: that nothing comes back is as it shall be. */
  readonly muted: boolean;
  readonly signal: AbortSignal;
  /**
   * Told as the work goes on.
   * @param label what is done now, for people
   * @param fraction of the whole procedure, 0 to 1, when this step begins
   */
  step(label: string, fraction: number): void;
  /**
   * Asks a person while a tone is played without an end, until the answer is one that can be.
   * @throws OutboardError calibration.answer when nobody can be asked; the signal's reason when the run is aborted
   */
  ask(question: Question, sends: readonly (Float64Array | null)[]): Promise<number>;
}

/**
 * @throws OutboardError of the loop, and the signal's reason when the run is aborted. A capture that gives no number is no error: its measurements
 * carry the refusal.
 */
export type Procedure = (context: ProcedureContext) => Promise<Findings>;
