/** Numbers become measurements here: each gets its definition and conditions; where a capture is no good, each gets the reason instead. */
import type { Measurement, Refusal, RefusalReason } from '../../core/contract/calibration.js';
import { DEFINITIONS, type MeasurementName } from './definitions.js';

export type { Measurement, Refusal, RefusalReason };

export interface MeasureOptions {
  /** Of the insert or of the file, from 1. */
  channel?: number;
  /** dBu that a full-scale sine is: with it, levels are told in volts too. */
  fullScaleDbu?: number | null;
  /** Told with every measurement. */
  conditions?: Measurement['conditions'];
}

/** What all measurements of one capture share. */
export interface Basis extends MeasureOptions {
  samples: number;
}

/** `null` for the level of digital silence. */
export type Values = Partial<Record<MeasurementName, number | null>>;

/** One measurement a name; what is undefined does not exist for this capture and is left out. */
export function measured(values: Values, basis: Basis): Measurement[] {
  return (Object.keys(values) as MeasurementName[])
    .filter((name) => values[name] !== undefined)
    .map((name) => ({ ...frame(name, basis), value: finite(values[name]!), valid: true }));
}

/** Marks figures that do not stand out of the noise: there is at most that. */
export function limited(basis: Basis, noiseLimited: boolean): Basis {
  return noiseLimited ? { ...basis, conditions: { ...basis.conditions, noise_limited: true } } : basis;
}

/** Every name with the same reason and no number. */
export function refused(names: readonly MeasurementName[], refusal: Refusal, basis: Basis): Measurement[] {
  return names.map((name) => ({ ...frame(name, basis), value: null, valid: false, refusal }));
}

export function isRefusal(result: object): result is Refusal {
  return 'reason' in result;
}

function frame(name: MeasurementName, basis: Basis) {
  return {
    name,
    ...(basis.channel !== undefined && { channel: basis.channel }),
    ...DEFINITIONS[name],
    samples: basis.samples,
    conditions: basis.conditions ?? {},
  };
}

/** The level of nothing is no number. */
function finite(value: number | null): number | null {
  return value === Number.NEGATIVE_INFINITY ? null : value;
}

/** Decibels of a ratio of powers. */
export function powerDb(ratio: number): number {
  return 10 * Math.log10(ratio);
}

/** dBFS of a mean square (AES17-2015 3.12: a sine of full scale is 0 dBFS). */
export function meanSquareDbfs(meanSquare: number): number {
  return powerDb(2 * meanSquare);
}

/** 0 dBu: the voltage of 1 mW into 600 ohm. */
export function dbuToVolts(levelDbu: number): number {
  return Math.sqrt(0.6) * 10 ** (levelDbu / 20);
}

/** A level in each of the units that are known. */
export function levels(levelDbfs: number, fullScaleDbu: number | null | undefined): Values {
  if (fullScaleDbu === null || fullScaleDbu === undefined) return { level_dbfs: levelDbfs };
  const levelDbu = levelDbfs + fullScaleDbu;
  const volts = dbuToVolts(levelDbu);
  return { level_dbfs: levelDbfs, level_dbu: levelDbu, level_dbv: 20 * Math.log10(volts), level_vrms: volts };
}
