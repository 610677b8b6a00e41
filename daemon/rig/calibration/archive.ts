/** What the rig needs of the history of its calibration. */
import type { CalibrationRun, CalibrationSet, EffectiveLimits, UnjudgedRun } from '../../../core/contract/index.js';

export interface CalibrationArchive {
  /** Asked before anything is played. @throws OutboardError config.* | limits.* when a run on the insert could not be judged */
  limitsOf(insert: string): Promise<EffectiveLimits>;
  /** Judges a run against the limits in force and its baseline, signs and keeps it. @returns the run as it is kept */
  add(run: UnjudgedRun): Promise<CalibrationRun>;
  /** The newest one; null before the first. */
  latestSet(): CalibrationSet | null;
  /** In force from now on. */
  addSet(set: CalibrationSet): void;
}
