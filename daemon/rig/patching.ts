/**
 * The crosspoints of the patchbays, each held by one insert at most. An insert is connected for its take or its flush and disconnected right
 * after, so that nothing stays patched that nobody uses.
 */
import type { RecalledPatchbay, RigConfig } from '../../core/contract/index.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { Logger } from '../log.js';
import { type BayRoutes, routesOf } from '../patchbay-routes.js';
import type { Rack } from './rack.js';

export interface PatchingOptions {
  config: Pick<RigConfig, 'inserts' | 'processors'>;
  profiles: ReadonlyMap<string, Profile>;
  rack: Rack;
  log: Logger;
}

export class Patching {
  readonly #o: PatchingOptions;
  /** Who holds an input or an output: `bay in 3` by insert. */
  readonly #held = new Map<string, string>();

  constructor(options: PatchingOptions) {
    this.#o = options;
  }

  /** The patchbays' settings while these inserts are connected, one entry a patchbay. */
  settingsOf(inserts: readonly string[]): { processor: string; settings: BayRoutes['closed'] }[] {
    return this.#merged(inserts, 'closed');
  }

  /**
   * Connects these inserts and verifies it, as far as the patchbay can be read back.
   *
   * @param signal ends it, behind the commands in flight
   * @throws OutboardError processor.* ; the signal's reason; what was connected of it is the caller's to disconnect
   */
  async connect(inserts: readonly string[], signal?: AbortSignal): Promise<RecalledPatchbay[]> {
    const { rack, config, profiles } = this.#o;
    for (const insert of inserts) this.#hold(insert);
    return await Promise.all(
      this.settingsOf(inserts).map(async ({ processor, settings }) => {
        const { id, version, hash } = profiles.get(config.processors[processor]!.profile)!;
        return {
          processor,
          profile: { id, version, hash },
          settings: await rack.unit(processor).recall(settings, signal),
        };
      }),
    );
  }

  /**
   * Disconnects these inserts. A patchbay that cannot owes its safe state, in which nothing is connected, and takes no job before; that is
   * logged, not thrown. Does nothing for an insert that is not connected.
   */
  async disconnect(inserts: readonly string[]): Promise<void> {
    const { rack, log } = this.#o;
    const connected = inserts.filter((insert) => [...this.#held.values()].includes(insert));
    await Promise.all(
      this.#merged(connected, 'open').map(async ({ processor, settings }) => {
        try {
          await rack.unit(processor).recall(settings);
        } catch (cause) {
          const error = asOutboardError(cause);
          log.error({ patchbay: processor, code: error.code }, `a patchbay did not let go: ${error.message}`);
          // Its safe state connects nothing: not under a take that others still play through it.
          rack.owe(processor, () => !this.#isHeld(processor));
        }
      }),
    );
    for (const [point, insert] of [...this.#held]) if (connected.includes(insert)) this.#held.delete(point);
  }

  #isHeld(patchbay: string): boolean {
    return [...this.#held.keys()].some((point) => point.startsWith(`${patchbay} `));
  }

  #hold(insert: string): void {
    const points = this.#routes(insert).flatMap(({ processor, inputs, outputs }) => [
      ...inputs.map((input) => `${processor} in ${input}`),
      ...outputs.map((output) => `${processor} out ${output}`),
    ]);
    for (const point of points) {
      const holder = this.#held.get(point);
      // The scheduler never lets it come to this.
      if (holder !== undefined && holder !== insert)
        throw new OutboardError('internal', `${point} is held by the insert ${holder}, and ${insert} wants it`);
    }
    for (const point of points) this.#held.set(point, insert);
  }

  #routes(insert: string): BayRoutes[] {
    return routesOf(this.#o.config, this.#o.profiles, insert);
  }

  #merged(inserts: readonly string[], side: 'closed' | 'open') {
    const merged = new Map<string, BayRoutes['closed']>();
    for (const insert of inserts)
      for (const routes of this.#routes(insert))
        merged.set(routes.processor, { ...merged.get(routes.processor), ...routes[side] });
    return [...merged].map(([processor, settings]) => ({ processor, settings }));
  }
}
