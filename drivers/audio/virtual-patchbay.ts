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

/** What leaks, each way once, however many inserts take turns on a channel. */
export interface PatchLeaks<P> {
  sendToUnit: { send: number; to: P; gain: number }[];
  sendToReturn: { send: number; back: number; gain: number }[];
  unitToReturn: { from: P; back: number; gain: number }[];
}

/** @param leakageDb by patchbay; one that is not in it leaks nothing */
export function patchLeaks<P extends { channel: PatchedChannel }>(
  patched: readonly P[],
  leakageDb: ReadonlyMap<string, number>,
): PatchLeaks<P> {
  const leaks: PatchLeaks<P> = { sendToUnit: [], sendToReturn: [], unitToReturn: [] };
  const turns = patched.map(({ channel }) => `${channel.send} ${channel.back}`);
  for (const from of patched)
    for (const to of patched) {
      const gain = from === to ? 0 : leakBetween(from.channel, to.channel, leakageDb);
      const [{ send }, { back }] = [from.channel, to.channel];
      if (gain === 0) continue;
      if (send !== to.channel.send && !leaks.sendToUnit.some((leak) => leak.send === send && leak.to === to))
        leaks.sendToUnit.push({ send, to, gain });
      if (back !== from.channel.back && !leaks.unitToReturn.some((leak) => leak.from === from && leak.back === back))
        leaks.unitToReturn.push({ from, back, gain });
      if (turns.includes(`${send} ${back}`)) continue;
      if (!leaks.sendToReturn.some((leak) => leak.send === send && leak.back === back))
        leaks.sendToReturn.push({ send, back, gain });
    }
  return leaks;
}

/** How much of one channel's sound the patchbays that both lead through pass to the other, linear; 0 where they have none in common. */
function leakBetween(a: PatchedChannel, b: PatchedChannel, leakageDb: ReadonlyMap<string, number>): number {
  const common = a.points.filter(({ name }) => b.points.some((point) => point.name === name));
  return Math.max(0, ...common.map(({ name }) => dbToRatio(leakageDb.get(name) ?? Number.NEGATIVE_INFINITY)));
}
