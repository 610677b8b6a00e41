/** What every measurement shares: its audio band, and what makes a capture useless whatever is to be measured. */
import type { Measurement, Refusal, RefusalReason } from '../../core/contract/calibration.js';

export type { Measurement, Refusal, RefusalReason };

/** The audio band of AES17-2015 5.2.5. */
export const AUDIO_BAND = [20, 20_000] as const;

/** A float32 sample of full scale, or the highest of 24 bits. */
const CLIP = 1 - 2 ** -23;
/** A converter at its end gives the same value again. */
const CLIPPED_RUN = 2;
/** In a signal: so many samples that are all exactly 0 are a hole, not a zero crossing. */
const GAP_RUN = 8;

/**
 * What makes a capture useless whatever is to be measured.
 * @param o.silenceIsFine for idle noise: digital silence is a result there
 */
export function capturedBadly(samples: Float64Array, o: { silenceIsFine?: boolean } = {}): Refusal | null {
  let energy = 0;
  let atEnd = 0;
  let zeros = 0;
  let hasBegun = false;
  let longestZeros = 0;
  let clippedAt = -1;
  let gapAt = -1;
  for (let n = 0; n < samples.length; n++) {
    const x = samples[n]!;
    if (!Number.isFinite(x)) return { reason: 'not-finite', message: `sample ${n} is no number` };
    energy += x * x;
    atEnd = Math.abs(x) >= CLIP ? atEnd + 1 : 0;
    if (atEnd === CLIPPED_RUN && clippedAt < 0) clippedAt = n - 1;
    if (x === 0) {
      zeros++;
      continue;
    }
    // Before the first sound and after the last there may be silence.
    if (hasBegun && zeros > longestZeros) {
      longestZeros = zeros;
      gapAt = n - zeros;
    }
    hasBegun = true;
    zeros = 0;
  }
  if (clippedAt >= 0) return { reason: 'clipped', message: `full scale from sample ${clippedAt} on` };
  if (energy === 0) return o.silenceIsFine ? null : { reason: 'silent', message: 'every sample is 0' };
  if (longestZeros >= GAP_RUN && !o.silenceIsFine && isLoud(energy / samples.length))
    return { reason: 'gap', message: `${longestZeros} samples from sample ${gapAt} on are exactly 0` };
  return null;
}

/** Quieter than -80 dBFS a word of 16 or 24 bits is 0 often enough. */
function isLoud(meanSquare: number): boolean {
  return meanSquare > 0.5e-8;
}
