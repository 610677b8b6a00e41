/**
 * What must hold while something else changes: outputs muted while a route is switched, the volume down while the drive moves. It is set before
 * the change and put back after it, and only where something really changes: what others hear stays untouched.
 */
import type { Profile } from './profile.js';
import { companions, type Target } from './settings.js';

/** What has to hold while these settings change, by key; the longest pause that it needs. */
export function heldWhile(
  profile: Profile,
  changing: readonly Target[],
): { settings: Map<string, Target>; settleMs: number } {
  const settings = new Map<string, Target>();
  let settleMs = 0;
  for (const interlock of profile.interlocks)
    for (const target of changing) {
      if (!interlock.changing.has(target.parameter.name)) continue;
      settleMs = Math.max(settleMs, interlock.beforeSettleMs);
      for (const held of companions(profile.params, interlock.before, target, 'interlocks'))
        settings.set(held.key, held);
    }
  // What changes itself cannot be held meanwhile.
  for (const { key } of changing) settings.delete(key);
  return { settings, settleMs };
}
