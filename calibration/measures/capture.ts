/** What makes a capture useless, whatever is to be measured. */
import type { Refusal } from '../../core/contract/calibration.js';

/** The highest code of 16 bits: what a converter gives at its end is this or higher. */
const TOP = 1 - 2 ** -15;
/** The highest code of 24 bits. */
const TOP_24 = 1 - 2 ** -23;
/** A converter at its end gives the same value again. Two samples beside a crest can be equal too, but only a little under the top. */
const CLIPPED_RUN = 3;
const CLIPPED_RUN_AT_TOP = 2;
/** In a signal: so many samples that are all exactly 0 are a hole, not a zero crossing. */
const GAP_RUN = 8;
/** Mean square under which a word of 16 or 24 bits is 0 often enough: -80 dBFS. */
const QUIET = 0.5e-8;

/**
 * @param o.silenceIsFine digital silence is a result and no refusal: idle noise of what is digital, a channel that hears nothing
 */
export function capturedBadly(samples: Float64Array, o: { silenceIsFine?: boolean } = {}): Refusal | null {
  let energy = 0;
  let last = 0;
  let atEnd = 0;
  let zeros = 0;
  let hasBegun = false;
  let longestZeros = 0;
  let clippedAt = -1;
  let gapAt = -1;
  for (let n = 0; n < samples.length; n++) {
    const x = samples[n]!;
    energy += x * x;
    if (x === 0) {
      zeros++;
      last = 0;
      continue;
    }
    const size = Math.abs(x);
    if (size >= TOP) {
      atEnd = x === last ? atEnd + 1 : 1;
      if (clippedAt < 0 && atEnd >= (size >= TOP_24 ? CLIPPED_RUN_AT_TOP : CLIPPED_RUN)) clippedAt = n - atEnd + 1;
    }
    last = x;
    // Before the first sound and after the last there may be silence.
    if (hasBegun && zeros > longestZeros) {
      longestZeros = zeros;
      gapAt = n - zeros;
    }
    hasBegun = true;
    zeros = 0;
  }
  if (!Number.isFinite(energy)) return { reason: 'not-finite', message: `sample ${firstBad(samples)} is no number` };
  if (clippedAt >= 0) return { reason: 'clipped', message: `full scale from sample ${clippedAt} on` };
  if (energy === 0) return o.silenceIsFine ? null : { reason: 'silent', message: 'every sample is 0' };
  if (longestZeros >= GAP_RUN && !o.silenceIsFine && energy / samples.length > QUIET)
    return { reason: 'gap', message: `${longestZeros} samples from sample ${gapAt} on are exactly 0` };
  return null;
}

function firstBad(samples: Float64Array): number {
  return samples.findIndex((x) => !Number.isFinite(x));
}
