/**
 * Code drivers: protocols that a profile's data cannot describe (binary frames with checksums, states that must be polled, select-then-act).
 * A driver knows the wire of a family of units and nothing of links, retries or time-outs; a profile names its parameters with
 * `wire: {enc: driver, name: NAME}` and gives them ranges, tapers and evidence.
 */
import type { Codec } from '../codec.js';
import type { Decimal } from '../decimal.js';
import type { Framer } from '../framer.js';
import type { ErrorMeaning } from '../profile-schema.js';

/** One parameter as a driver speaks it. */
export interface DriverParameter {
  /** Smallest and largest w that the wire can carry. */
  readonly min: number;
  readonly max: number;
  /** Indices of its axis, or undefined where it has none. */
  readonly axis: { readonly from: number; readonly to: number } | undefined;
  readonly codec: Codec;
}

/** What the simulated unit of a driver has: the present w by the driver's own parameter names. */
export interface DriverCells {
  has(parameter: string): boolean;
  get(parameter: string, index: number | null): Decimal;
  set(parameter: string, index: number | null, w: Decimal): void;
}

/** The other end of the wire, for units that exist only as their simulation. */
export interface DriverSimulation {
  /** Of what the host sends. */
  framer(): Framer;
  /** Obeys one frame. Returns the frames that the unit answers, none where it says nothing. */
  hear(frame: string, cells: DriverCells): string[];
}

export interface CodeDriver {
  readonly name: string;
  /** Of what the unit sends; `gapMs` is the longest pause inside of a frame. */
  framer(gapMs: number): Framer;
  /** The driver's parameters by name. */
  readonly parameters: ReadonlyMap<string, DriverParameter>;
  /** What a frame means that reports an error, whatever was asked. */
  error(frame: string): ErrorMeaning | undefined;
  /** What a frame means that the unit sends unasked. */
  unsolicited(frame: string): 'reboot' | 'local-change' | undefined;
  /** A unit with its power just switched on. */
  simulate(): DriverSimulation;
}
