/** The code drivers by name. */
import type { CodeDriver } from './code-driver.js';
import { sixtyFour } from './sixtyfour.js';
import { sony9pin } from './sony9pin.js';

export type { CodeDriver, DriverCells, DriverParameter, DriverSimulation } from './code-driver.js';

const DRIVERS: Readonly<Record<string, (vars: Readonly<Record<string, number>>) => CodeDriver>> = {
  sony9pin: () => sony9pin,
  sixtyfour: ({ ch = 1 }) => sixtyFour(ch),
};

export const CODE_DRIVERS: readonly string[] = Object.keys(DRIVERS);

/** The driver of that name for a profile's bound variables (`ch`: MIDI channel, 1..16), or undefined where there is none. */
export function codeDriver(name: string, vars: Readonly<Record<string, number>>): CodeDriver | undefined {
  return Object.hasOwn(DRIVERS, name) ? DRIVERS[name]?.(vars) : undefined;
}
