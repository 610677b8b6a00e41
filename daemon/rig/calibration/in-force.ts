/**
 * The trims that bounces are made with. A set that the rig has measured itself counts from the moment in which it is kept, as long as the
 * calibration file that it was derived from is the one that is configured: whoever puts another file into the configuration means it.
 */
import type { CalibrationFile, CalibrationSet, FullScaleDbu, RigConfig } from '../../../core/contract/index.js';
import type { CalibrationArchive } from './archive.js';

export interface CalibrationInForceOptions {
  config: Pick<RigConfig, 'inserts' | 'alignment'>;
  /** That the configuration names. */
  file: CalibrationFile | null;
  archive: Pick<CalibrationArchive, 'latestSet' | 'addSet'>;
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
}
