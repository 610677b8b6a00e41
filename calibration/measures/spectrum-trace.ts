/** Spectra for people's eyes: a million bins as some hundred points over a logarithmic axis, without losing a line or inventing noise. */
import type { Measurement, Trace } from '../../core/contract/calibration.js';
import type { PowerSpectrum } from '../dsp/spectrum.js';

const FROM_HZ = 10;
const POINTS_PER_OCTAVE = 48;
/** The spectrum of digital silence has a floor too, where a curve ends. */
const LEAST_POWER = 1e-25;

export interface TraceAbout {
  channel: number;
  conditions: Measurement['conditions'];
}

/**
 * dBFS of each line: the highest bin of each step, scaled so that a tone stands at its own level. Noise stands as high as in every analyzer of this
 * bin width and window, which the conditions name; the density is in the other trace.
 */
export function spectrumTrace(spectrum: PowerSpectrum, { channel, conditions }: TraceAbout): Trace {
  const { window, binHz } = spectrum;
  const enbwBins = (window.energy * window.samples.length) / sum(window.samples) ** 2;
  const { xs, values } = steps(spectrum, (power, from, to) => {
    let highest = 0;
    for (let k = from; k <= to; k++) highest = Math.max(highest, power[k]!);
    return highest * enbwBins;
  });
  return curve(xs, values, {
    name: 'spectrum',
    channel,
    definition: 'spectrum.peak-bin/1',
    y: { name: 'level', unit: 'dBFS' },
    conditions: { ...conditions, bin_hz: binHz, window: window.shape.name },
  });
}

/** dBFS in 1 Hz: the mean of each step. It depends on no window and no length. */
export function noiseTrace(spectrum: PowerSpectrum, { channel, conditions }: TraceAbout): Trace {
  const { xs, values } = steps(spectrum, (power, from, to) => {
    let all = 0;
    for (let k = from; k <= to; k++) all += power[k]!;
    return all / ((to - from + 1) * spectrum.binHz);
  });
  return curve(xs, values, {
    name: 'noise-spectrum',
    channel,
    definition: 'noise-density/1',
    y: { name: 'noise density', unit: 'dBFS/√Hz' },
    conditions,
  });
}

/** Powers as decibels over a logarithmic axis. */
function curve(xs: number[], powers: readonly number[], about: Omit<Trace, 'x' | 'xs' | 'ys'>): Trace {
  return {
    ...about,
    x: { name: 'frequency', unit: 'Hz', scale: 'log' },
    xs,
    ys: powers.map((power) => rounded(10 * Math.log10(2 * Math.max(power, LEAST_POWER)))),
  };
}

/** One value for each step of the axis that has a bin of its own. */
function steps(
  { power, binHz }: PowerSpectrum,
  value: (power: Float64Array, from: number, to: number) => number,
): { xs: number[]; values: number[] } {
  const xs: number[] = [];
  const values: number[] = [];
  const ratio = 2 ** (1 / POINTS_PER_OCTAVE);
  let from = Math.max(1, Math.ceil(FROM_HZ / binHz));
  while (from < power.length - 1) {
    const to = Math.min(power.length - 2, Math.max(from, Math.floor(from * ratio)));
    xs.push(rounded(Math.sqrt(from * to) * binHz));
    values.push(value(power, from, to));
    from = to + 1;
  }
  return { xs, values };
}

function sum(samples: Float64Array): number {
  return samples.reduce((all, x) => all + x, 0);
}

/** Five digits: more would only make documents long. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
