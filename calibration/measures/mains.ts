/**
 * Products of the mains (AES17-2015 6.5.1): lines at one to five times 50 or 60 Hz, each in a band of half the mains frequency at most; which of
 * the two it is, is found from the lines.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { type Lobe, lobeAt, noiseUnder, type PowerSpectrum, powerIn, SpectrumAnalyzer } from '../dsp/spectrum.js';
import { windowFor } from '../dsp/windows.js';
import { capturedBadly } from './capture.js';
import type { MeasurementName } from './definitions.js';
import { isRefusal, type MeasureOptions, meanSquareDbfs, measured, type Refusal, refused } from './measurement.js';
import { slipOfLoudest } from './slips.js';

export interface MainsAnalysis {
  mainsHz: 50 | 60;
  /** Mean squares of the lines at one to five times the mains, the noise under them taken off. */
  lines: number[];
  /** Their sum. */
  total: number;
  samples: number;
}

const ORDERS = [1, 2, 3, 4, 5] as const;

const NAMES = ['mains_hz', 'hum_dbfs', 'hum_total_dbfs'] as const satisfies readonly MeasurementName[];

/**
 * @param samples one channel of at least 2 s, linear, full scale 1, with or without a tone
 * @param rate Hz
 * @returns `hum_dbfs` once for each line, whose frequency is in its conditions
 */
export function mainsMeasurements(samples: Float64Array, rate: number, o: MeasureOptions = {}): Measurement[] {
  const mains = analyzeMains(samples, rate);
  if (isRefusal(mains)) return refused(NAMES, mains, { ...o, samples: samples.length });
  const basis = { ...o, samples: mains.samples };
  return [
    ...measured({ mains_hz: mains.mainsHz, hum_total_dbfs: meanSquareDbfs(mains.total) }, basis),
    ...mains.lines.flatMap((line, i) =>
      measured(
        { hum_dbfs: meanSquareDbfs(line) },
        { ...basis, conditions: { ...o.conditions, hz: mains.mainsHz * (i + 1) } },
      ),
    ),
  ];
}

/** At least two seconds: 50 and 60 Hz, and the lobe of 0 Hz, must lie apart. */
export function analyzeMains(samples: Float64Array, rate: number): MainsAnalysis | Refusal {
  if (samples.length < 2 * rate) return { reason: 'too-short', message: `${samples.length / rate} s; 2 s are needed` };
  const bad = capturedBadly(samples, { silenceIsFine: true });
  if (bad) return bad;
  const spectrum = new SpectrumAnalyzer(windowFor(samples.length), rate).analyze(samples);
  const [fifty, sixty] = [linesOf(spectrum, 50), linesOf(spectrum, 60)];
  const sum = (lines: number[]): number => lines.reduce((all, line) => all + line, 0);
  // 300 Hz is both: it says nothing.
  const evidence = (lines: number[], hz: number): number => sum(lines.filter((_, i) => ((i + 1) * hz) % 300 !== 0));
  const isSixty = evidence(sixty, 60) > evidence(fifty, 50);
  const lines = isSixty ? sixty : fifty;
  const slip = slipOfLoudest(samples, spectrum);
  if (slip !== null) return { reason: 'gap', message: `the loudest line jumps about sample ${slip}` };
  return { mainsHz: isSixty ? 60 : 50, lines, total: sum(lines), samples: spectrum.window.samples.length };
}

function linesOf(spectrum: PowerSpectrum, mainsHz: number): number[] {
  const lobes: Lobe[] = ORDERS.map((order) => lobeAt(spectrum, order * mainsHz));
  const removed = [lobeAt(spectrum, 0), ...lobes];
  return lobes.map((lobe) => Math.max(0, powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, removed)));
}
