/** What makes two readings comparable: everything about a measurement but the number itself. */
import { createHash } from 'node:crypto';
import { canonicalBytes } from '../../core/canonical.js';
import type { CalibrationRun, Measurement } from '../../core/contract/calibration.js';

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Digits that a setting has; what a level was computed to beyond them is dust of the arithmetic. */
const DIGITS = 6;
/**
 * What was found, not set: that no end was found up to the ceiling, or nothing but noise. A unit that ages finds one, and is compared with what
 * it was.
 */
const FOUND = ['limited', 'noise_limited'];

/** The conditions of a measurement are what was set, so that they are the same in every run. */
export function seriesKey(m: Measurement): string {
  const { name, channel, unit, definition, band, detector, reference } = m;
  const conditions = Object.fromEntries(
    Object.entries(m.conditions)
      .filter(([key]) => !FOUND.includes(key))
      .map(([key, value]) => [key, typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value]),
  );
  return new TextDecoder().decode(
    canonicalBytes({ name, channel: channel ?? null, unit, definition, band, detector, reference, conditions }),
  );
}

/** Another unit on the insert, or the same one set otherwise, has figures of its own. */
export function setupKey(run: Pick<CalibrationRun, 'conditions'>): string {
  const processors = run.conditions.processors.map(({ name, profile, settings }) => ({
    name,
    profile: profile.hash,
    settings,
  }));
  return digestOf(canonicalBytes({ rate: run.conditions.rate, processors }));
}
