/**
 * The limits of measurements: a file of its own, because technicians edit it while the daemon runs. It is read anew for every run. The daemon and
 * `outboard check` read it through this one function.
 */
import { effectiveLimits } from '../calibration/limits/index.js';
import { type EffectiveLimits, LimitsFile, type RigConfig } from '../core/contract/index.js';
import { OutboardError } from '../core/errors.js';
import type { Profile } from '../drivers/processors/profile.js';
import { type LoadedConfig, loadConfig } from './config-file.js';

/**
 * What holds for each insert of the rig.
 *
 * @throws OutboardError config.unreadable | config.invalid with the limits file, the line and the path of the first fault; limits.class
 */
export async function loadMeasurementLimits(
  { config, resolve }: Pick<LoadedConfig<RigConfig>, 'config' | 'resolve'>,
  profiles: ReadonlyMap<string, Profile>,
): Promise<Map<string, EffectiveLimits>> {
  const path = config.measurementLimits;
  const file = path === undefined ? null : (await loadConfig(resolve(path), ofRig(config))).config;
  return new Map(
    Object.keys(config.inserts).map((name) => [
      name,
      effectiveLimits({ name, processors: processorsOn(config, name, profiles) }, file),
    ]),
  );
}

/** A name that the rig does not have is a mistake in spelling, and its limits would hold for nothing. */
function ofRig(config: RigConfig) {
  return LimitsFile.superRefine((limits, context) => {
    for (const part of ['inserts', 'processors'] as const)
      for (const name of Object.keys(limits[part]))
        if (!Object.hasOwn(config[part], name))
          context.addIssue({
            code: 'custom',
            path: [part, name],
            message: `this rig has no such ${part.slice(0, -1)}`,
          });
  });
}

function processorsOn(config: RigConfig, insert: string, profiles: ReadonlyMap<string, Profile>) {
  return Object.entries(config.processors)
    .filter(([, processor]) => processor.insert === insert)
    .map(([name, { profile: id }]) => {
      const profile = profiles.get(id);
      if (!profile) throw new OutboardError('profile.unknown', `processor ${name}: there is no profile ${id}`);
      return { name, classes: profile.document.device.class };
    });
}
