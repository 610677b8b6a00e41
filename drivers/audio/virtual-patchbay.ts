/**
 * The simulated patchbays between the interface and the inserts. A channel of an insert is connected while all of its crosspoints are closed.
 * What leaks in a patchbay reaches everything else that leads through it, connected or not: the sends reach the units' inputs and the returns,
 * and the units' outputs the returns.
 */
import type { Crosspoint, InsertConfig } from '../../core/contract/config.js';
import { OutboardError } from '../../core/errors.js';
import { dbToRatio } from '../../core/units.js';
import type { PathModifier } from '../processors/path-modifier.js';

/** One simulated matrix; its unit writes the routes. */
export class VirtualPatchbay implements PathModifier {
  gainDb = 0;
  muted = false;
  delaySeconds = 0;
  readonly #before: () => void;
  #routes: ReadonlyMap<number, number> = new Map();

  constructor(before: () => void) {
    this.#before = before;
  }

  get routes(): ReadonlyMap<number, number> {
    return this.#routes;
  }

  set routes(value: ReadonlyMap<number, number>) {
    this.#before();
    this.#routes = value;
  }

  closed(points: readonly Crosspoint[]): boolean {
    return !this.muted && points.every((point) => this.#routes.get(point.out) === point.in);
  }
}

/** What leads through the patchbays for one channel of an insert. */
export interface PatchedChannel {
  /** Indices from 0. */
  send: number;
  back: number;
  points: { bay: VirtualPatchbay; name: string; crosspoints: readonly Crosspoint[] }[];
}

/**
 * The crosspoints of an insert by channel: those of the first channel first, and as many of each.
 *
 * @throws OutboardError config.invalid where they do not divide by the channels
 */
export function patchedChannels(
  name: string,
  { sends, returns, via = {} }: Pick<InsertConfig, 'sends' | 'returns' | 'via'>,
  bayOf: (name: string) => VirtualPatchbay,
): PatchedChannel[] {
  return sends.map((send, channel) => ({
    send: send - 1,
    back: returns[channel]! - 1,
    points: Object.entries(via).map(([bay, crosspoints]) => {
      const each = crosspoints.length / sends.length;
      if (!Number.isInteger(each))
        throw new OutboardError(
          'config.invalid',
          `inserts.${name}.via.${bay}: ${crosspoints.length} crosspoints for ${sends.length} channels; the simulated patchbay needs as many for each, the first channel's first.`,
        );
      return { bay: bayOf(bay), name: bay, crosspoints: crosspoints.slice(channel * each, (channel + 1) * each) };
    }),
  }));
}

export function isConnected({ points }: PatchedChannel): boolean {
  return points.every(({ bay, crosspoints }) => bay.closed(crosspoints));
}

/** How much of one channel's sound the patchbays that both lead through pass to the other, linear; 0 where they have none in common. */
export function leakBetween(a: PatchedChannel, b: PatchedChannel, leakageDb: ReadonlyMap<string, number>): number {
  let gain = 0;
  for (const { name } of a.points) {
    const db = leakageDb.get(name);
    if (db !== undefined && b.points.some((point) => point.name === name)) gain = Math.max(gain, dbToRatio(db));
  }
  return gain;
}
