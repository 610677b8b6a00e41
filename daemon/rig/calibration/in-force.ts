/**
 * The trims that bounces are made with. A set that the rig has measured itself counts from the moment in which it is kept, as long as the
 * calibration file that it was derived from is the one that is configured: whoever puts another file into the configuration means it. It counts
 * for the wires that it was measured over, and for no others.
 */
import type {
  CalibrationFile,
  CalibrationSet,
  FullScaleDbu,
  Problem,
  Severity,
  UnjudgedRun,
} from '../../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../../core/errors.js';
import type { DevicePair } from '../../audio-driver.js';
import type { CalibrationArchive } from './archive.js';
import { type Derivation, deriveSet, unknownLevels, withoutRewired } from './derive-set.js';

export interface CalibrationInForceOptions extends Omit<Derivation, 'latest'> {
  device: DevicePair;
  archive: Pick<CalibrationArchive, 'latestSet' | 'addSet'>;
  alert(severity: Severity, problem: Problem): void;
  /** Other trims count from now on. */
  onChange(): void;
}

export class CalibrationInForce {
  readonly #o: CalibrationInForceOptions;
  #latest: CalibrationSet | null = null;

  constructor(options: CalibrationInForceOptions) {
    this.#o = options;
  }

  /** Before anything else: a set that was measured over other wires counts no more where they changed. That is told, once. */
  open(): void {
    const { archive, device, alert } = this.#o;
    const latest = archive.latestSet();
    const left = latest && withoutRewired(latest, this.#o, device);
    this.#latest = left?.set ?? latest;
    if (!left) return;
    for (const insert of left.rewired) {
      const message = `insert ${insert} hangs on other wires than those over which calibration ${latest!.version} was measured`;
      const details = { insert, measured: latest!.inserts[insert]!.path, version: left.set.version };
      alert('warning', new OutboardError('calibration.path', message, { details }).toJSON());
    }
    try {
      archive.addSet(left.set);
    } catch (cause) {
      // It counts all the same; the next start tries again.
      alert('warning', asOutboardError(cause).toJSON());
    }
  }

  /** What counts for a take that begins now; null where nothing was measured. */
  get trims(): CalibrationFile | null {
    const { file } = this.#o;
    const set = this.#latest;
    return set && set.base === (file?.version ?? null) ? set : file;
  }

  /** Of the trims. */
  get version(): string | null {
    return this.trims?.version ?? null;
  }

  /** What a full-scale sine is at the channels of an insert, as it was measured last, whatever the trims are derived from. */
  fullScaleDbu(insert: string): FullScaleDbu {
    return this.#latest?.inserts[insert]?.fullScaleDbu ?? unknownLevels(this.#o.config.inserts[insert]!);
  }

  /** What a run of `level` would bring into force; null when it did not measure every channel. @throws OutboardError calibration.trim */
  derive(run: UnjudgedRun): CalibrationSet | null {
    return deriveSet(run, { ...this.#o, latest: this.#latest });
  }

  /** Brings a set into force. @throws OutboardError history.known | rig.disk-full, and then the one before stays */
  keep(set: CalibrationSet): void {
    this.#o.archive.addSet(set);
    this.#latest = set;
    this.#o.onChange();
  }
}
