/**
 * Lines beside a tone that are no harmonics of it: the sidebands of jitter (a sinusoid of peak J seconds gives two, each 20 log10(pi f0 J) dBc), of
 * amplitude modulation (half its depth), of the mains, and whatever whistles.
 */
import { band, centreOf, type Lobe, lobeAt, merged, noiseUnder, powerIn } from '../dsp/spectrum.js';
import { AUDIO_BAND } from './definitions.js';
import { powerDb } from './measurement.js';
import type { ToneAnalysis } from './tone.js';

export interface Sideband {
  hz: number;
  dbc: number;
}

/** The strongest ones. */
const MOST = 20;
/** A line over the noise around it, as powers: noise alone does not get there in a million bins. */
const LEAST_OVER_NOISE = 40;
/** Below this is what the window leaves of the tone. */
const LEAST_DBC = -155;
const BLOCK = 128;

/** In order of frequency. */
export function findSidebands({ spectrum, hz, power: carrier }: ToneAnalysis): Sideband[] {
  const { power, binHz, rate } = spectrum;
  const own: Lobe[] = [lobeAt(spectrum, 0)];
  for (let k = 1; k * hz < rate / 2; k++) own.push(lobeAt(spectrum, k * hz));
  const taken = merged(own);
  const audio = band(spectrum, ...AUDIO_BAND);
  const floor = floors(power);
  const least = carrier * 10 ** (LEAST_DBC / 10);
  const peaks: number[] = [];
  let next = 0;
  for (let k = Math.max(1, audio.from); k <= audio.to; k++) {
    while (next < taken.length && taken[next]!.to < k) next++;
    const lobe = taken[next];
    if (lobe && k >= lobe.from) {
      k = lobe.to;
      continue;
    }
    const p = power[k]!;
    if (
      p < least ||
      p < power[k - 1]! ||
      p < (power[k + 1] ?? 0) ||
      p < LEAST_OVER_NOISE * floor[Math.floor(k / BLOCK)]!
    )
      continue;
    peaks.push(k);
  }
  const found: (Sideband & { lobe: Lobe })[] = [];
  for (const k of peaks.sort((a, b) => power[b]! - power[a]!)) {
    const lobe = lobeAt(spectrum, k * binHz);
    // What stands in the lobe of a stronger line is part of it.
    if (found.some((one) => k >= one.lobe.from && k <= one.lobe.to)) continue;
    const line = powerIn(spectrum, lobe) - noiseUnder(spectrum, lobe, [...taken, lobe]);
    if (line > 0) found.push({ hz: centreOf(spectrum, lobe) ?? k * binHz, dbc: powerDb(line / carrier), lobe });
    if (found.length === MOST) break;
  }
  return found.map(({ hz: at, dbc }) => ({ hz: at, dbc })).sort((a, b) => a.hz - b.hz);
}

/** The median of each block of bins, made a mean of noise: lines do not move it. */
function floors(power: Float64Array): Float64Array {
  const scratch = new Float64Array(BLOCK);
  return Float64Array.from({ length: Math.ceil(power.length / BLOCK) }, (_, block) => {
    const from = Math.max(0, Math.min(block * BLOCK, power.length - BLOCK));
    const part = power.subarray(from, from + BLOCK);
    scratch.set(part);
    return scratch.subarray(0, part.length).sort()[part.length >> 1]! / Math.LN2;
  });
}
