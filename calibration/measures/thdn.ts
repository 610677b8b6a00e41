/** THD+N alone (AES17-2015 6.3.1), from a spectrum that is there: little enough to be shown live. */
import {
  band,
  centreOf,
  type Lobe,
  lobeAt,
  noiseUnder,
  type PowerSpectrum,
  powerIn,
  residualIn,
} from '../dsp/spectrum.js';
import { AUDIO_BAND } from './definitions.js';

export interface Thdn {
  hz: number;
  /** Mean squares, linear, full scale 1: of the tone, and of all else in the audio band. */
  power: number;
  residual: number;
}

/** The loudest tone of the audio band and what is beside it; of noise and silence it is whatever is loudest. */
export function thdnOf(spectrum: PowerSpectrum): Thdn {
  const audio = band(spectrum, ...AUDIO_BAND);
  const hz = loudestHz(spectrum, audio);
  const lobe = lobeAt(spectrum, hz);
  const removed = [lobeAt(spectrum, 0), lobe];
  return {
    hz,
    power: powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, removed),
    residual: residualIn(spectrum, audio, removed),
  };
}

/** The centre of the highest lobe in a band. */
export function loudestHz(spectrum: PowerSpectrum, { from, to }: Lobe): number {
  const { power, binHz } = spectrum;
  const first = Math.max(from, lobeAt(spectrum, 0).to + 1);
  let peak = Math.min(first, to);
  let top = power[peak]!;
  for (let k = first; k <= to; k++)
    if (power[k]! > top) {
      top = power[k]!;
      peak = k;
    }
  return centreOf(spectrum, lobeAt(spectrum, peak * binHz)) ?? peak * binHz;
}
