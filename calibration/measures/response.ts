/**
 * The transfer of a path from what was played and what came back: H = Y X* / |X|^2, at any frequency that the stimulus carries. The bulk delay
 * is taken out of the phase and told on its own; polarity is the sign of the correlation's peak.
 */
import { measureDelay } from '../dsp/delay.js';
import { RealFft } from '../dsp/real-fft.js';
import { capturedBadly, type Refusal } from './measurement.js';

export interface ResponsePoint {
  hz: number;
  gainDb: number;
  /** Degrees from -180 to 180, of what is left when the delay and an inversion are taken out. */
  phaseDeg: number;
}

export interface ResponseAnalysis {
  /** How much later the capture is, samples with fraction. */
  latencySamples: number;
  inverted: boolean;
  /** At 1 kHz, dB. */
  loopGainDb: number;
  at(hz: number): ResponsePoint | null;
}

/** A delay that is not found within a second is none of a loop. */
const MOST_DELAY_SECONDS = 1;
const LEAST_PROMINENCE = 12;
/** Bins whose stimulus is weaker than this, re its strongest, say nothing of the path. */
const LEAST_STIMULUS_DB = -80;

/**
 * @param stimulus, captured of the same rate; both begin at the same frame
 */
export function analyzeResponse(
  stimulus: Float64Array,
  captured: Float64Array,
  rate: number,
): ResponseAnalysis | Refusal {
  if (stimulus.length < 4096) return { reason: 'too-short', message: `a stimulus of ${stimulus.length} samples` };
  const bad = capturedBadly(captured);
  if (bad) return bad;
  const mostFrames = Math.min(Math.round(rate * MOST_DELAY_SECONDS), stimulus.length);
  const long = new Float64Array(stimulus.length + mostFrames);
  long.set(captured.subarray(0, long.length));
  const delay = measureDelay(stimulus, long, mostFrames);
  if (delay.prominence < LEAST_PROMINENCE)
    return { reason: 'no-tone', message: 'the stimulus is not found in the capture' };
  const latencySamples = delay.frames + delay.fraction;
  const size = 2 ** Math.ceil(Math.log2(Math.max(stimulus.length, captured.length) + mostFrames));
  const [x, y] = [transformed(stimulus, size), transformed(captured, size)];
  let strongest = 0;
  for (let k = 1; k < x.re.length; k++) strongest = Math.max(strongest, Math.hypot(x.re[k]!, x.im[k]!));
  const least = strongest * 10 ** (LEAST_STIMULUS_DB / 20);
  const at = (hz: number): ResponsePoint | null => {
    const k = Math.round((hz * size) / rate);
    if (k < 1 || k >= x.re.length) return null;
    const power = x.re[k]! ** 2 + x.im[k]! ** 2;
    if (Math.sqrt(power) < least) return null;
    const r = (y.re[k]! * x.re[k]! + y.im[k]! * x.im[k]!) / power;
    const i = (y.im[k]! * x.re[k]! - y.re[k]! * x.im[k]!) / power;
    const turns = Math.atan2(i, r) / (2 * Math.PI) + (k * latencySamples) / size + (delay.inverted ? 0.5 : 0);
    return {
      hz: (k * rate) / size,
      gainDb: 20 * Math.log10(Math.hypot(r, i)),
      phaseDeg: 360 * (turns - Math.round(turns)),
    };
  };
  return { latencySamples, inverted: delay.inverted, loopGainDb: at(1000)?.gainDb ?? Number.NaN, at };
}

function transformed(samples: Float64Array, size: number): { re: Float64Array; im: Float64Array } {
  const padded = new Float64Array(size);
  padded.set(samples);
  const fft = new RealFft(size);
  const [re, im] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(padded, null, re, im);
  return { re, im };
}
