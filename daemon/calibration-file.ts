/**
 * The trims of the inserts, as calibration measured them: a file of its own, because it is measured and not written by hand. The daemon and
 * `outboard check` read it through this one function.
 */
import { CalibrationFile, type RigConfig } from '../core/contract/config.js';
import { type LoadedConfig, loadConfig } from './config-file.js';

/**
 * The calibration that a rig's configuration names; null when it names none.
 *
 * @throws OutboardError config.unreadable | config.invalid, with the calibration file, the line and the path of the first fault
 */
export async function loadCalibration({ config, resolve }: LoadedConfig<RigConfig>): Promise<CalibrationFile | null> {
  if (config.calibration === undefined) return null;
  const schema = CalibrationFile.superRefine((calibration, context) => {
    for (const [name, trims] of Object.entries(calibration.inserts)) {
      const insert = Object.hasOwn(config.inserts, name) ? config.inserts[name] : undefined;
      if (!insert) {
        context.addIssue({ code: 'custom', path: ['inserts', name], message: 'this rig has no such insert' });
        continue;
      }
      for (const [side, channels] of [
        ['sendTrimDb', insert.sends.length],
        ['returnTrimDb', insert.returns.length],
      ] as const)
        if (trims[side].length !== channels)
          context.addIssue({
            code: 'custom',
            path: ['inserts', name, side],
            message: `${trims[side].length} trims for an insert of ${channels} channels: give one for each, in order`,
          });
    }
  });
  return (await loadConfig(resolve(config.calibration), schema)).config;
}

/** Trims of one insert per channel, dB: zeros where nothing was measured. */
export function trimsOf(
  calibration: CalibrationFile | null,
  insert: string,
  channels: number,
): { sendTrimDb: number[]; returnTrimDb: number[] } {
  const measured = calibration && Object.hasOwn(calibration.inserts, insert) ? calibration.inserts[insert] : undefined;
  const none = (): number[] => new Array<number>(channels).fill(0);
  return { sendTrimDb: measured?.sendTrimDb ?? none(), returnTrimDb: measured?.returnTrimDb ?? none() };
}
