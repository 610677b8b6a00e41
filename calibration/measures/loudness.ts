/** Loudness and true peak of a programme (ITU-R BS.1770-5, EBU Tech 3341 and 3342), measured as it streams past. */
import type { Measurement } from '../../core/contract/calibration.js';
import { LoudnessMeter } from '../dsp/loudness.js';
import { loudnessRange } from '../dsp/loudness-range.js';
import { TruePeakMeter } from '../dsp/true-peak.js';
import { type MeasureOptions, measured, refused } from './measurement.js';

/** Steps of 100 ms. */
const MOMENTARY_STEPS = 4;
const SHORT_TERM_STEPS = 30;
/** BS.1770-5 table 3, for the usual orders: L R C Ls Rs, and L R C LFE Ls Rs. Otherwise every channel counts once. */
const SURROUND: Readonly<Record<number, readonly number[]>> = { 5: [1, 1, 1, 1.41, 1.41], 6: [1, 1, 1, 0, 1.41, 1.41] };

export class ProgrammeMeter {
  readonly #loudness: LoudnessMeter;
  readonly #truePeak: TruePeakMeter;
  #frames = 0;

  /** @param rate Hz */
  constructor(rate: number, channels: number) {
    this.#loudness = new LoudnessMeter(rate, channels, SURROUND[channels]);
    this.#truePeak = new TruePeakMeter(channels);
  }

  /** @param interleaved full scale 1 */
  add(interleaved: Float64Array, frames: number): void {
    this.#loudness.add(interleaved, frames);
    this.#truePeak.add(interleaved, frames);
    this.#frames += frames;
  }

  /** What is under the gate has no loudness (`too-short` for less than a block of 400 ms, else `silent`), but it has a peak. */
  measurements(o: MeasureOptions = {}): Measurement[] {
    const basis = { ...o, samples: this.#frames };
    const integrated = this.#loudness.integratedLufs();
    const momentary = this.#loudness.windowsLufs(MOMENTARY_STEPS);
    const shortTerm = this.#loudness.windowsLufs(SHORT_TERM_STEPS);
    const peak = Math.max(...this.#truePeak.peaks());
    const peaks = measured({ true_peak_dbtp: 20 * Math.log10(peak) }, basis);
    if (integrated === null) {
      const reason = momentary.length === 0 ? 'too-short' : 'silent';
      const message = reason === 'silent' ? 'no block is over -70 LUFS' : `${this.#frames} frames; 400 ms are needed`;
      return [...refused(['integrated_lufs'], { reason, message }, basis), ...peaks];
    }
    const range = loudnessRange(shortTerm);
    const loudness = measured(
      {
        integrated_lufs: integrated,
        momentary_max_lufs: momentary.reduce((a, b) => Math.max(a, b)),
        ...(shortTerm.length > 0 && { short_term_max_lufs: shortTerm.reduce((a, b) => Math.max(a, b)) }),
        ...(range !== null && { loudness_range_lu: range }),
      },
      basis,
    );
    return [...loudness, ...peaks];
  }
}
