/** What a unit has now, parameter by parameter, read from it. */
import type { RecalledSetting } from '../../core/contract/index.js';
import { indicesOf, type Parameter } from '../../drivers/processors/parameter.js';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import type { Profile } from '../../drivers/processors/profile.js';
import { settingKey } from '../../drivers/processors/settings.js';

export interface ProfileSetting {
  /** As a job would write it: `gain` or `gain@in=3`. */
  key: string;
  parameter: Parameter;
}

/** Every setting that a profile has. */
export function settingsOf(profile: Profile): ProfileSetting[] {
  return [...profile.params.values()].flatMap((parameter) =>
    indicesOf(parameter).map((index) => ({ key: settingKey(parameter, index), parameter })),
  );
}

/** By key; what cannot be read has no `readBack`. @throws OutboardError processor.* */
export async function presentSettings(unit: ProcessorUnit): Promise<Map<string, RecalledSetting>> {
  // A reading has to be asked for something: any value that the setting can have.
  const legal = settingsOf(unit.profile).map(({ key, parameter }) => [key, parameter.taper.sample(2)[0]!]);
  return new Map((await unit.readBack(Object.fromEntries(legal))).map((setting) => [setting.name, setting]));
}
