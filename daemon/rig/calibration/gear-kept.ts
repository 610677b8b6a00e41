/** Whether the gear kept what it had while it was measured: figures of two settings are no figures of either. */
import type { CalibrationRun, Settings, SettingValue } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { absolute, compare, subtract } from '../../../drivers/processors/decimal.js';
import type { Profile } from '../../../drivers/processors/profile.js';
import type { Rack } from '../rack.js';
import { present } from './conditions.js';

/**
 * Asks the units once more.
 * @param before as the run's conditions have it
 * @throws OutboardError calibration.settings for what moved; processor.* when a unit does not answer any more
 */
export async function verifyKept(rack: Rack, before: CalibrationRun['conditions']['processors']): Promise<void> {
  for (const { name, settings } of before) {
    const unit = rack.unit(name);
    const now = await present(unit);
    const moved = movedOf(unit.profile, settings, now);
    if (moved === undefined) continue;
    const [was, is] = [settings, now].map((all) => all[moved] ?? null);
    throw new OutboardError(
      'calibration.settings',
      `${name} did not keep ${moved}: ${was ?? 'unknown'} before it was measured, ${is ?? 'unknown'} after it`,
      { details: { processor: name, setting: moved, before: was, after: is } },
    );
  }
}

/** The first setting that is not what it was, within what the profile tolerates; not what moves by itself. */
function movedOf({ params }: Profile, before: Settings, now: Settings): string | undefined {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].find((key) => {
    const parameter = params.get(key.split('@')[0]!)!;
    const [was, is] = [before[key], now[key]];
    if (was === is || parameter.verifyOnce) return false;
    const wire = (value: SettingValue | undefined) => (value === undefined ? undefined : parameter.taper.encode(value));
    const [a, b] = [wire(was), wire(is)];
    return a === undefined || b === undefined || compare(absolute(subtract(a, b)), parameter.tolWire) > 0;
  });
}
