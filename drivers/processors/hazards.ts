/** What of a unit's settings must not be left as a take had it. */
import type { Settings } from '../../core/contract/primitives.js';
import type { Profile } from './profile.js';
import { resolveSettings } from './settings.js';

/**
 * Of these settings those that could erase a recording (hazard erase) and are not at their safe value, each with its safe value.
 *
 * @throws OutboardError job.setting
 */
export function leftErasing(profile: Profile, settings: Settings): Settings {
  const left = resolveSettings(profile, settings).filter(
    ({ key, parameter, value }) => parameter.hazard === 'erase' && profile.safeState[key] !== value,
  );
  return Object.fromEntries(left.map(({ key }) => [key, profile.safeState[key]!]));
}
