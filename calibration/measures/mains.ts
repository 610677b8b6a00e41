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
  /** Null where no line stands out of the noise. */
  mainsHz: 50 | 60 | null;
  /** Mean squares of the lines at one to five times the mains, the noise under them taken off; none where there is no mains. */
  lines: number[];
  /** Their sum. */
  total: number;
  samples: number;
}

const ORDERS = [1, 2, 3, 4, 5] as const;
/** How far the mains may be off. */
const OFF = 0.01;
/** A line over the noise under it, as powers: noise alone stays under 5. */
const LEAST_OVER_NOISE = 5;

const NAMES = ['mains_hz', 'hum_dbfs', 'hum_total_dbfs'] as const satisfies readonly MeasurementName[];

/**
 * @param samples one channel of at least 2 s, linear, full scale 1, with or without a tone
 * @param rate Hz
 * @returns `hum_dbfs` once for each line, whose nominal frequency is in its conditions; where no line stands out of the noise, none, and the others null
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
        { ...basis, conditions: { ...o.conditions, hz: mains.mainsHz! * (i + 1) } },
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
  const sum = (lines: readonly Line[]): number => lines.reduce((all, { power }) => all + power, 0);
  // 300 Hz is both: it says nothing.
  const evidence = (lines: readonly Line[], hz: number): number =>
    sum(lines.filter(({ stands }, i) => stands && ((i + 1) * hz) % 300 !== 0));
  const [of50, of60] = [evidence(fifty, 50), evidence(sixty, 60)];
  const lines = of60 > of50 ? sixty : of50 > 0 ? fifty : [];
  const slip = slipOfLoudest(samples, spectrum);
  if (slip !== null) return { reason: 'gap', message: `the loudest line jumps about sample ${slip}` };
  return {
    mainsHz: lines === sixty ? 60 : lines === fifty ? 50 : null,
    lines: lines.map(({ power }) => power),
    total: sum(lines),
    samples: spectrum.window.samples.length,
  };
}

interface Line {
  power: number;
  stands: boolean;
}

/** At the multiples of what the mains really have: in a long record a hundredth of a hertz is seen. */
function linesOf(spectrum: PowerSpectrum, mainsHz: number): Line[] {
  const lobesOf = (hz: number): Lobe[] => ORDERS.map((order) => lobeAt(spectrum, order * hz));
  const powerOf = (hz: number): number => lobesOf(hz).reduce((sum, lobe) => sum + powerIn(spectrum, lobe), 0);
  let found = mainsHz;
  let most = 0;
  // A quarter of a bin at the highest line.
  const step = spectrum.binHz / (4 * ORDERS.length);
  for (let hz = mainsHz * (1 - OFF); hz <= mainsHz * (1 + OFF); hz += step)
    if (powerOf(hz) > most) {
      most = powerOf(hz);
      found = hz;
    }
  const lobes = lobesOf(found);
  const removed = [lobeAt(spectrum, 0), ...lobes];
  return lobes.map((lobe) => {
    const under = noiseUnder(spectrum, lobe, removed);
    const heard = powerIn(spectrum, lobe);
    return { power: Math.max(0, heard - under), stands: heard > LEAST_OVER_NOISE * under };
  });
}
