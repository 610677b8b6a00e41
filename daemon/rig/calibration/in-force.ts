/**
 * The trims that bounces are made with. A set that the rig has measured itself counts from the moment in which it is kept, as long as the
 * calibration file that it was derived from is the one that is configured: whoever puts another file into the configuration means it.
 */
import type { CalibrationFile, CalibrationSet, FullScaleDbu, UnjudgedRun } from '../../../core/contract/index.js';
import type { CalibrationArchive } from './archive.js';
import { type Derivation, deriveSet } from './derive-set.js';

export interface CalibrationInForceOptions extends Omit<Derivation, 'latest'> {
  archive: Pick<CalibrationArchive, 'latestSet' | 'addSet'>;
  /** Other trims count from now on. */
  onChange(): void;
}

export class CalibrationInForce {
  readonly #o: CalibrationInForceOptions;
  /** Undefined before it was looked for: every job asks. */
  #latest: CalibrationSet | null | undefined;

  constructor(options: CalibrationInForceOptions) {
    this.#o = options;
  }

  /** What counts for a take that begins now; null where nothing was measured. */
  get trims(): CalibrationFile | null {
    const { file } = this.#o;
    const set = this.#set;
    return set && set.base === (file?.version ?? null) ? set : file;
  }

  /** Of the trims. */
  get version(): string | null {
    return this.trims?.version ?? null;
  }

  get #set(): CalibrationSet | null {
    this.#latest ??= this.#o.archive.latestSet();
    return this.#latest;
  }

  /** What a full-scale sine is at the channels of an insert, as it was measured last, whatever the trims are derived from. */
  fullScaleDbu(insert: string): FullScaleDbu {
    const channels = this.#o.config.inserts[insert]!.sends.length;
    const unknown = (): null[] => new Array<null>(channels).fill(null);
    const known = this.#set?.inserts[insert]?.fullScaleDbu;
    const fits = known?.send.length === channels && known.return.length === channels;
    return fits ? known : { send: unknown(), return: unknown() };
  }

  /** What a run of `level` would bring into force; null when it did not measure every channel. @throws OutboardError calibration.trim */
  derive(run: UnjudgedRun): CalibrationSet | null {
    return deriveSet(run, { ...this.#o, latest: this.#set });
  }

  /** Brings a set into force. @throws OutboardError history.known */
  keep(set: CalibrationSet): void {
    this.#o.archive.addSet(set);
    this.#latest = set;
    this.#o.onChange();
  }
}
