/**
 * What a path answers to an exponential sweep, harmonic by harmonic (Farina 2000, Novak et al. 2015): deconvolved with the sweep's analytic inverse,
 * harmonic n stands L ln n earlier than the linear response, is cut out there, and its spectrum at n f over the linear one at f is that harmonic's
 * share at the excitation frequency f.
 */
import { Fft } from './fft.js';
import { RealFft } from './real-fft.js';
import { harmonicLeadFrames, inverseAt, type Sweep } from './sweep.js';

export interface HarmonicResponse {
  readonly order: number;
  /** Amplitude of the harmonic over that of the tone, at the excitation frequency; null where the sweep does not reach order x f. */
  at(hz: number): number | null;
}

/**
 * @param captured from the frame on at which the sweep began
 * @param delayFrames how much later it comes back
 * @param highest the highest order, from 2
 */
export function harmonicResponses(
  sweep: Sweep,
  captured: Float64Array,
  delayFrames: number,
  highest: number,
): HarmonicResponse[] {
  const { rate, from, to } = sweep;
  const size = 2 ** Math.ceil(Math.log2(captured.length + sweep.samples.length));
  const impulse = deconvolved(sweep, captured, size);
  // Neighbours lie closer the higher they are: half of the way to the next one belongs to a harmonic.
  const half = Math.floor((harmonicLeadFrames(sweep, highest + 1) - harmonicLeadFrames(sweep, highest)) / 2);
  const part = new RealFft(2 ** Math.ceil(Math.log2(2 * half)));
  const spectra = Array.from({ length: highest }, (_, i) => {
    const centre = Math.round(delayFrames - harmonicLeadFrames(sweep, i + 1));
    const cut = new Float64Array(part.size);
    for (let n = -half; n < half; n++)
      cut[n + half] = impulse[(centre + n + size) % size]! * (0.5 + 0.5 * Math.cos((Math.PI * n) / half));
    const [re, im] = [new Float64Array(part.bins), new Float64Array(part.bins)];
    part.forward(cut, null, re, im);
    return re.map((r, k) => Math.hypot(r, im[k]!));
  });
  const read = (magnitudes: Float64Array, hz: number): number => magnitudes[Math.round((hz * part.size) / rate)]!;
  return spectra.slice(1).map((magnitudes, i) => ({
    order: i + 2,
    at: (hz) => (hz < from || (i + 2) * hz > to ? null : read(magnitudes, (i + 2) * hz) / read(spectra[0]!, hz)),
  }));
}

function deconvolved(sweep: Sweep, captured: Float64Array, size: number): Float64Array {
  const padded = new Float64Array(size);
  padded.set(captured);
  const fft = new RealFft(size);
  const [xr, xi] = [new Float64Array(fft.bins), new Float64Array(fft.bins)];
  fft.forward(padded, null, xr, xi);
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  for (let k = 1; k < size / 2; k++) {
    const inverse = inverseAt(sweep, (k * sweep.rate) / size);
    re[k] = (xr[k]! * inverse.re - xi[k]! * inverse.im) / sweep.rate;
    im[k] = (xr[k]! * inverse.im + xi[k]! * inverse.re) / sweep.rate;
    re[size - k] = re[k]!;
    im[size - k] = -im[k]!;
  }
  new Fft(size).inverse(re, im);
  return re;
}
