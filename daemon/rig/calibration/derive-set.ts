/**
 * From measured levels to trims. The digital gain before the converter makes a full-scale sine leave every send at `alignment.fullScaleDbu`; the
 * one behind it makes that level come back as full scale. Without an alignment nothing is trimmed: what was in force stays.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type CalibratedPath,
  type CalibrationFile,
  type CalibrationSet,
  type FullScaleDbu,
  type InsertConfig,
  type InsertTrims,
  MAX_TRIM_DB,
  type RigConfig,
  type UnjudgedRun,
} from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import type { DevicePair } from '../../audio-driver.js';

export interface Derivation {
  config: Pick<RigConfig, 'inserts' | 'alignment'>;
  /** That the configuration names. */
  file: CalibrationFile | null;
  /** The one before, whatever it was derived from. */
  latest: CalibrationSet | null;
}

/**
 * The set that follows from a run of `level`; null when a channel of it gave no number.
 *
 * @throws OutboardError calibration.trim when a trim would be more than 24 dB
 */
export function deriveSet(run: UnjudgedRun, { config, file, latest }: Derivation): CalibrationSet | null {
  const channels = config.inserts[run.insert]!.sends.length;
  const measured = (name: string) =>
    Array.from({ length: channels }, (_, index) => {
      const found = run.measurements.find((m) => m.name === name && m.channel === index + 1);
      return found?.valid ? found.value : null;
    });
  const fullScaleDbu = { send: measured('full_scale_send_dbu'), return: measured('full_scale_return_dbu') };
  if ([...fullScaleDbu.send, ...fullScaleDbu.return].includes(null)) return null;
  const base = file?.version ?? null;
  const inForce = latest?.base === base ? latest : file;
  const inserts: CalibrationSet['inserts'] = {};
  for (const [name, insert] of Object.entries(config.inserts)) {
    const before = latest?.inserts[name];
    inserts[name] = {
      ...trimsOf(inForce, name, insert),
      fullScaleDbu: before?.fullScaleDbu ?? unknownLevels(insert),
      path: before?.path ?? null,
    };
  }
  const target = config.alignment?.fullScaleDbu;
  const trims = target === undefined ? inserts[run.insert]! : trimsFor(run.insert, fullScaleDbu, target);
  const path = pathOf(config.inserts[run.insert]!, run.conditions.device);
  inserts[run.insert] = { ...trims, fullScaleDbu, path };
  return { version: nextVersion(base, latest), base, run: run.run, at: run.endedAt, inserts };
}

function trimsFor(
  insert: string,
  measured: { send: (number | null)[]; return: (number | null)[] },
  targetDbu: number,
): InsertTrims {
  const trim = (side: 'send' | 'return', sign: 1 | -1) =>
    measured[side].map((dbu, index) => {
      const trimDb = sign * (targetDbu - dbu!);
      if (Math.abs(trimDb) <= MAX_TRIM_DB) return trimDb;
      throw new OutboardError(
        'calibration.trim',
        `full scale of ${side} ${index + 1} of ${insert} is ${dbu!.toFixed(2)} dBu: it would take ${trimDb.toFixed(1)} dB to ${targetDbu} dBu`,
        { details: { insert, side, channel: index + 1, measuredDbu: dbu, targetDbu, trimDb } },
      );
    });
  return { sendTrimDb: trim('send', 1), returnTrimDb: trim('return', -1) };
}

/**
 * What is left of a set where inserts hang on other wires than those that it was measured over; null where none does.
 * @returns the next version, in which these have what the file says and no known level
 */
export function withoutRewired(
  set: CalibrationSet,
  { config, file }: Pick<Derivation, 'config' | 'file'>,
  device: DevicePair,
): { set: CalibrationSet; rewired: string[] } | null {
  const base = file && file.version === set.base ? file : null;
  const inserts = { ...set.inserts };
  const rewired: string[] = [];
  for (const [name, insert] of Object.entries(config.inserts)) {
    const path = set.inserts[name]?.path;
    if (!path || isDeepStrictEqual(path, pathOf(insert, device))) continue;
    rewired.push(name);
    inserts[name] = { ...trimsOf(base, name, insert), fullScaleDbu: unknownLevels(insert), path: null };
  }
  if (rewired.length === 0) return null;
  return { set: { ...set, version: nextVersion(set.base, set), at: nowSeconds(), inserts }, rewired };
}

export function pathOf({ sends, returns, via }: InsertConfig, { playback, capture }: DevicePair): CalibratedPath {
  return { playback, capture, sends, returns, ...(via ? { via } : {}) };
}

function trimsOf(from: Pick<CalibrationFile, 'inserts'> | null, name: string, { sends }: InsertConfig): InsertTrims {
  const zeros = (): number[] => sends.map(() => 0);
  const { sendTrimDb, returnTrimDb } = from?.inserts[name] ?? { sendTrimDb: zeros(), returnTrimDb: zeros() };
  return { sendTrimDb, returnTrimDb };
}

export function unknownLevels({ sends }: Pick<InsertConfig, 'sends'>): FullScaleDbu {
  return { send: sends.map(() => null), return: sends.map(() => null) };
}

/** `BASE.N`, N rising by every set of this rig. */
function nextVersion(base: string | null, latest: CalibrationSet | null): string {
  const before = Number(/\.(\d{1,6})$/.exec(latest?.version ?? '')?.[1] ?? 0);
  return `${(base ?? 'measured').slice(0, 56)}.${before + 1}`;
}
