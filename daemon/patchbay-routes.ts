/**
 * What a configuration means for its patchbays: which setting of which unit connects an insert, derived from the crosspoints (`via`) and the
 * profile's one route parameter. What the profile says lets sound through beside it (`with`: a mute off, a level of 0 dB) is set with the
 * crosspoint whose input or output it belongs to, and goes back to its safe value with it.
 */
import type { RigConfig, Settings } from '../core/contract/index.js';
import { asOutboardError, OutboardError } from '../core/errors.js';
import { indicesOf, type Parameter, spelledValue } from '../drivers/processors/parameter.js';
import type { Profile } from '../drivers/processors/profile.js';
import { checkSettings, settingKey } from '../drivers/processors/settings.js';

export interface BayRoutes {
  processor: string;
  /** Connects. */
  closed: Settings;
  /** Disconnects: every route to nothing, and what belongs to it to its safe value. */
  open: Settings;
  outputs: number[];
  inputs: number[];
}

type Wiring = Pick<RigConfig, 'inserts' | 'processors'>;

/** Names of the patchbays that these inserts lead through, each once. */
export function patchbaysOf({ inserts }: Pick<RigConfig, 'inserts'>, names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => Object.keys(inserts[name]?.via ?? {})))];
}

/** The settings of the patchbays that connect an insert and disconnect it again. @throws OutboardError config.invalid */
export function routesOf(config: Wiring, profiles: ReadonlyMap<string, Profile>, insert: string): BayRoutes[] {
  return Object.entries(config.inserts[insert]?.via ?? {}).map(([bay, crosspoints]) => {
    const profile = profiles.get(config.processors[bay]!.profile)!;
    const route = routeOf(profile, bay);
    const closed: Settings = {};
    const open: Settings = {};
    for (const [index, { in: input, out: output }] of crosspoints.entries()) {
      const path = `inserts.${insert}.via.${bay}[${index}]`;
      const key = settingKey(route, output);
      if (!indicesOf(route).includes(output)) throw invalid(`${path}.out`, `${bay} has no output ${output}`);
      if (route.taper.encode(input) === undefined) throw invalid(`${path}.in`, `${bay} has no input ${input}`);
      for (const beside of besides(profile, route, input, output)) {
        closed[beside.key] = beside.value;
        const safe = profile.safeState[beside.key];
        if (safe !== undefined) open[beside.key] = safe;
      }
      closed[key] = input;
      open[key] = 0;
    }
    checkLinked(profile, closed, `inserts.${insert}.via.${bay}`);
    const outputs = crosspoints.map((point) => point.out);
    const inputs = crosspoints.map((point) => point.in);
    return { processor: bay, closed, open, outputs, inputs };
  });
}

/** Every output of a patchbay to nothing. @throws OutboardError config.invalid */
export function allOpen(profile: Profile, processor: string): Settings {
  const route = routeOf(profile, processor);
  return Object.fromEntries(indicesOf(route).map((output) => [settingKey(route, output), 0]));
}

/** True when the routes of a patchbay can be read back. */
export function routesReadable(profile: Profile): boolean {
  return ['readback', 'dump'].includes(routeOf(profile, profile.id).verifyBy);
}

/**
 * Looks at every patchbay and every crosspoint of a configuration.
 *
 * @throws OutboardError config.invalid, naming the path, for a profile that is no patchbay's or a crosspoint that it does not have
 */
export function checkPatchbays(config: Wiring, profiles: ReadonlyMap<string, Profile>): void {
  for (const [name, { patchbay, profile }] of Object.entries(config.processors))
    if (patchbay) routeOf(profiles.get(profile)!, name);
  for (const insert of Object.keys(config.inserts)) routesOf(config, profiles, insert);
}

/** The one parameter that says which input an output hears. */
function routeOf(profile: Profile, processor: string): Parameter {
  const routes = [...profile.params.values()].filter(({ kind }) => kind === 'route');
  if (routes.length !== 1 || routes[0]!.axis === undefined)
    throw invalid(
      `processors.${processor}.patchbay`,
      `${profile.id} has ${routes.length} parameters of kind route; a patchbay has one, with an axis of its outputs`,
    );
  return routes[0]!;
}

function besides(profile: Profile, route: Parameter, input: number, output: number) {
  const param = profile.document.params[route.name]!;
  return Object.entries((param.kind === 'route' && param.with) || {}).flatMap(([name, value]) => {
    const parameter = profile.params.get(name)!;
    const index = parameter.axis!.name === route.axis!.name ? output : input;
    if (!indicesOf(parameter).includes(index)) return [];
    return [{ key: settingKey(parameter, index), value: spelledValue(parameter.kind, value) }];
  });
}

/** Where the unit moves outputs together, no insert has one of them for itself. */
function checkLinked(profile: Profile, closed: Settings, path: string): void {
  try {
    checkSettings(profile, closed, path);
  } catch (cause) {
    throw invalid(path, asOutboardError(cause).message);
  }
}

function invalid(path: string, message: string): OutboardError {
  return new OutboardError('config.invalid', `${path}: ${message}`, { details: { path } });
}
