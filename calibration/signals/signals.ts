/**
 * What is played to be measured: pure samples, linear, full scale 1. Levels are those of AES17-2015 3.12: a sine of 0 dBFS has peaks of full scale.
 */
import { dbToRatio } from '../../core/units.js';

/** AES17-2015: the test frequency of level, THD+N and dynamic range. */
export const TEST_HZ = 997;

/**
 * A sine that begins at phase 0. Whole turns are taken out before the sine, so that a long one is as exact as a short one.
 * @param levelDbfs of its RMS and of its peak alike
 */
export function sine(rate: number, hz: number, levelDbfs: number, frames: number): Float64Array {
  const peak = dbToRatio(levelDbfs);
  return Float64Array.from({ length: frames }, (_, n) => peak * Math.sin(2 * Math.PI * (((hz * n) / rate) % 1)));
}

/**
 * Two sines whose peaks add up to `peakDbfs` at most.
 * @param ratio of the first one's amplitude to the second's: 4 for SMPTE, 1 for DFD
 */
export function twoTones(
  rate: number,
  [firstHz, secondHz]: readonly [number, number],
  ratio: number,
  peakDbfs: number,
  frames: number,
): Float64Array {
  const peak = dbToRatio(peakDbfs);
  const turn = (hz: number, n: number) => Math.sin(2 * Math.PI * (((hz * n) / rate) % 1));
  return Float64Array.from(
    { length: frames },
    (_, n) => (peak * (ratio * turn(firstHz, n) + turn(secondHz, n))) / (ratio + 1),
  );
}

/** A sine of peak 1 that goes evenly from one frequency to another: its spectrum between them is flat. */
export function linearSweep(rate: number, fromHz: number, toHz: number, frames: number): Float64Array {
  const perFrame = (toHz - fromHz) / (2 * frames);
  return Float64Array.from({ length: frames }, (_, n) =>
    Math.sin(2 * Math.PI * ((((fromHz + perFrame * n) * n) / rate) % 1)),
  );
}

/**
 * Noise of two values, +peak and -peak, from a shift register of 23 bits (x^23 + x^18 + 1): the most energy that a peak allows, with a
 * correlation that has one sharp peak. It repeats after 8,388,607 frames.
 */
export function binaryNoise(peakDbfs: number, frames: number): Float64Array {
  const peak = dbToRatio(peakDbfs);
  let state = 1;
  return Float64Array.from({ length: frames }, () => {
    const bit = ((state >>> 22) ^ (state >>> 17)) & 1;
    state = ((state << 1) | bit) & 0x7fffff;
    return bit ? peak : -peak;
  });
}

/** Half a cosine at either end, in place: a step would be heard as a click, and go through gear as one. */
export function fade(samples: Float64Array, fadeFrames: number): Float64Array {
  const last = samples.length - 1;
  for (let n = 0; n < Math.min(fadeFrames, samples.length / 2); n++) {
    const gain = 0.5 - 0.5 * Math.cos((Math.PI * n) / fadeFrames);
    samples[n] = samples[n]! * gain;
    samples[last - n] = samples[last - n]! * gain;
  }
  return samples;
}

/** Of the highest sample; 0 for silence. */
export function peakOf(samples: Float64Array): number {
  let peak = 0;
  for (let n = 0; n < samples.length; n++) peak = Math.max(peak, Math.abs(samples[n]!));
  return peak;
}
