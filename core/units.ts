/**
 * Quantities of the field and the conversions between them.
 *
 * Levels follow AES17-2020 3.12: 0 dBFS is the RMS of a full-scale sine; a *peak* is given against digital full scale (1.0).
 */

/** Amplitude ratio of a gain in decibels. */
export function dbToRatio(gainDb: number): number {
  return 10 ** (gainDb / 20);
}

/** Decibels of an amplitude ratio; `-Infinity` for 0. */
export function ratioToDb(ratio: number): number {
  return 20 * Math.log10(Math.abs(ratio));
}

/** Full scale of the interface's samples: left-justified int32, of which the top 24 bits are exact. */
export const FULL_SCALE_INT32 = 2 ** 31;

/** One step of a 24-bit converter in left-justified int32. */
export const LSB24_IN_INT32 = 256;

/** Frames of a duration, rounded to the nearest frame (DESIGN: result frames = region frames + round(tail x rate)). */
export function secondsToFrames(seconds: number, rateHz: number): number {
  return Math.round(seconds * rateHz);
}

/** Seconds since the Unix epoch, as JWT's NumericDate without a fraction (RFC 7519 section 2). */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
