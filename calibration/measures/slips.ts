/**
 * Lost and repeated samples in the record of a tone, from the tone's own phase: one sample at f is a step of 2 pi f / rate. Sees what `jumpAt` cannot:
 * a slip at the crest of a wave, or one among noise and distortion.
 */
import { band, lobeAt, type PowerSpectrum, powerIn } from '../dsp/spectrum.js';
import { AUDIO_BAND } from './definitions.js';
import { stepIn } from './phase-steps.js';
import { loudestHz } from './thdn.js';

/** Long blocks see through noise, short ones follow a wow; and there must be enough of them to say what is usual. */
const BLOCKS = 48;
const MOST_BLOCK_FRAMES = 2048;
const LEAST_BLOCK_FRAMES = 256;
const LEAST_PERIODS = 2;
/** A block in which the tone turns against itself is weak: its frequency moves too fast to be followed. */
const USUAL = 0.4;
const WEAK = 0.5;
/** Less than a part of a sample is none that was lost; of high tones, less than this is none either. */
const LEAST_SAMPLES = 0.25;
const LEAST_RADIANS = 0.1;

/**
 * @param rate Hz
 * @param hz of the tone, which may stand among others: they must be 200 Hz away, or carry little beside it
 * @returns about where, the sample; or null
 */
export function slipAt(samples: Float64Array, rate: number, hz: number): number | null {
  const period = rate / hz;
  // Whole periods: then neither 0 Hz nor the tone's own image leaks into its phase.
  const wished = Math.min(MOST_BLOCK_FRAMES, Math.max(LEAST_BLOCK_FRAMES, samples.length / BLOCKS));
  const frames = Math.round(Math.max(LEAST_PERIODS, Math.round(wished / period)) * period);
  const hop = frames >> 1;
  const count = Math.floor((samples.length - frames) / hop) + 1;
  if (count < 3) return null;
  const [re, im] = [new Float64Array(count), new Float64Array(count)];
  const [cos, sin] = [new Float64Array(frames), new Float64Array(frames)];
  for (let n = 0; n < frames; n++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / frames);
    cos[n] = window * Math.cos((2 * Math.PI * n) / period);
    sin[n] = -window * Math.sin((2 * Math.PI * n) / period);
  }
  for (let m = 0; m < count; m++) {
    const from = m * hop;
    let [r, i] = [0, 0];
    for (let n = 0; n < frames; n++) {
      r += samples[from + n]! * cos[n]!;
      i += samples[from + n]! * sin[n]!;
    }
    re[m] = r;
    im[m] = i;
  }
  const sizes = re.map((r, m) => Math.hypot(r, im[m]!)).sort();
  if (sizes[Math.floor(USUAL * count)]! < WEAK * sizes.at(-1)!) return null;
  // A block's phase is counted from its own first sample: every turn has the same constant in it, which is no step.
  const turns = {
    re: Float64Array.from({ length: count - 2 }, (_, m) => re[m + 2]! * re[m]! + im[m + 2]! * im[m]!),
    im: Float64Array.from({ length: count - 2 }, (_, m) => im[m + 2]! * re[m]! - re[m + 2]! * im[m]!),
  };
  const least = Math.min(LEAST_RADIANS, (LEAST_SAMPLES * 2 * Math.PI) / period);
  const found = stepIn(turns, () => least);
  return found === null ? null : (found + 2) * hop;
}

/** The same of noise, where a tone or a hum is most of what is heard; null where nothing is. */
export function slipOfLoudest(samples: Float64Array, spectrum: PowerSpectrum): number | null {
  const audio = band(spectrum, ...AUDIO_BAND);
  const hz = loudestHz(spectrum, audio);
  const most = powerIn(spectrum, lobeAt(spectrum, hz)) > powerIn(spectrum, audio) / 2;
  return most ? slipAt(samples, spectrum.rate, hz) : null;
}
