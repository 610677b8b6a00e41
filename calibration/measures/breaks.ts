/**
 * A wave that is smooth for its place and breaks off: samples were lost, repeated or foreign. Each short piece is predicted from its last samples by
 * least squares; a sweep, whatever it went through, is predicted well everywhere, and a break is not.
 */
import { solveCholesky } from '../dsp/cholesky.js';

const ORDER = 4;
const PIECE_FRAMES = 256;
/** Error over what nine of ten errors of the neighbourhood stay under. Noise stays under 4. */
const RATIO = 20;
const USUAL = 0.9;
/** What breaks again and again is distortion, not a loss. */
const MOST_PLACES = 4;
/** Sound on both sides, as a part of the louder one's RMS: where a signal begins or ends nothing breaks. */
const SOUND = 0.1;

/** @returns the first sample behind a break, or null */
export function breakAt(samples: Float64Array): number | null {
  const pieces = Math.floor(samples.length / PIECE_FRAMES) - 1;
  const errors = new Float64Array(samples.length);
  const usual = new Float64Array(pieces + 1);
  const levels = new Float64Array(pieces + 1);
  for (let piece = 1; piece < pieces; piece++) {
    const from = piece * PIECE_FRAMES;
    const a = predictor(samples, from - PIECE_FRAMES / 2, from + (3 * PIECE_FRAMES) / 2);
    let energy = 0;
    for (let n = from; n < from + PIECE_FRAMES; n++) {
      let error = samples[n]!;
      for (let k = 0; k < ORDER; k++) error -= a[k]! * samples[n - 1 - k]!;
      errors[n] = Math.abs(error);
      energy += samples[n]! ** 2;
    }
    usual[piece] = errors.slice(from, from + PIECE_FRAMES).sort()[Math.floor(USUAL * PIECE_FRAMES)]!;
    levels[piece] = Math.sqrt(energy);
  }
  const places: number[] = [];
  for (let piece = 2; piece + 1 < pieces; piece++) {
    const [before, after] = [levels[piece - 1]!, levels[piece + 1]!];
    if (Math.min(before, after) < SOUND * Math.max(before, after)) continue;
    const most = RATIO * Math.max(usual[piece - 1]!, usual[piece]!, usual[piece + 1]!);
    for (let n = piece * PIECE_FRAMES; n < (piece + 1) * PIECE_FRAMES; n++)
      if (errors[n]! > most && n > (places.at(-1) ?? Number.NEGATIVE_INFINITY) + PIECE_FRAMES / 4) places.push(n);
  }
  return places.length > 0 && places.length <= MOST_PLACES ? places[0]! : null;
}

/** The coefficients that predict a sample from the ones before it, the last one first. */
function predictor(samples: Float64Array, from: number, to: number): Float64Array {
  const [normal, right] = [new Float64Array(ORDER * ORDER), new Float64Array(ORDER)];
  for (let n = from + ORDER; n < to; n++)
    for (let j = 0; j < ORDER; j++) {
      const x = samples[n - 1 - j]!;
      right[j] = right[j]! + x * samples[n]!;
      for (let k = 0; k <= j; k++) normal[j * ORDER + k] = normal[j * ORDER + k]! + x * samples[n - 1 - k]!;
    }
  // A little noise on every sample: a pure tone needs two coefficients, and has no answer for four.
  for (let j = 0; j < ORDER; j++) normal[j * ORDER + j] = normal[j * ORDER + j]! * (1 + 1e-12) + 1e-30;
  return solveCholesky(normal, right);
}
