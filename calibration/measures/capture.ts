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
/** A hole has sound on both sides: so near, and so much of the RMS of everything. What fades away is often 0 at last. */
const GAP_NEAR = 32;
const GAP_SOUND = 0.05;
/** And an edge: a slow wave rests at 0 for many words, and leaves it by the smallest step that its words have. */
const GAP_EDGE_STEPS = 3;
/** Mean square under which a word of 16 or 24 bits is 0 often enough: -80 dBFS. */
const QUIET = 0.5e-8;
/** And under which noise of 16 bits is 0 that often by chance: -60 dBFS. */
const NOISE = 0.5e-6;
/** What is that quiet has a hole where it is 0 for so long. */
const LONG_RUN = 1024;

/**
 * @param o.silenceIsFine digital silence is a result and no refusal: idle noise of what is digital, a channel that hears nothing
 */
export function capturedBadly(samples: Float64Array, o: { silenceIsFine?: boolean } = {}): Refusal | null {
  let energy = 0;
  let last = 0;
  let atEnd = 0;
  let zeros = 0;
  let longestZeros = 0;
  let clippedAt = -1;
  let step = Number.POSITIVE_INFINITY;
  for (let n = 0; n < samples.length; n++) {
    const x = samples[n]!;
    energy += x * x;
    if (x === 0) {
      zeros++;
      last = 0;
      continue;
    }
    if (zeros > longestZeros) longestZeros = zeros;
    zeros = 0;
    const size = Math.abs(x);
    if (size < step) step = size;
    if (size >= TOP) {
      atEnd = x === last ? atEnd + 1 : 1;
      if (clippedAt < 0 && atEnd >= (size >= TOP_24 ? CLIPPED_RUN_AT_TOP : CLIPPED_RUN)) clippedAt = n - atEnd + 1;
    }
    last = x;
  }
  if (!Number.isFinite(energy)) return { reason: 'not-finite', message: `sample ${firstBad(samples)} is no number` };
  if (clippedAt >= 0) return { reason: 'clipped', message: `full scale from sample ${clippedAt} on` };
  if (energy === 0) return o.silenceIsFine ? null : { reason: 'silent', message: 'every sample is 0' };
  const meanSquare = energy / samples.length;
  const run = meanSquare < (o.silenceIsFine ? NOISE : QUIET) ? LONG_RUN : GAP_RUN;
  return longestZeros < run ? null : holeIn(samples, run, GAP_SOUND * Math.sqrt(meanSquare), GAP_EDGE_STEPS * step);
}

function holeIn(samples: Float64Array, run: number, sound: number, edge: number): Refusal | null {
  let zeros = 0;
  for (let n = 0; n < samples.length; n++) {
    if (samples[n] === 0) {
      zeros++;
      continue;
    }
    const from = n - zeros;
    if (
      zeros >= run &&
      loudest(samples, from - 1, from) + loudest(samples, n, n + 1) > edge &&
      loudest(samples, from - GAP_NEAR, from) > sound &&
      loudest(samples, n, n + GAP_NEAR) > sound
    )
      return { reason: 'gap', message: `${zeros} samples from sample ${from} on are exactly 0` };
    zeros = 0;
  }
  return null;
}

function loudest(samples: Float64Array, from: number, to: number): number {
  let top = 0;
  for (let n = Math.max(0, from); n < Math.min(to, samples.length); n++) top = Math.max(top, Math.abs(samples[n]!));
  return top;
}

function firstBad(samples: Float64Array): number {
  return samples.findIndex((x) => !Number.isFinite(x));
}
