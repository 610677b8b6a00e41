/**
 * Settings as a job or a profile names them, `name` or `name@axis=n`, against what a profile allows. Nothing is clamped and nothing is
 * rounded: what is not exactly a position of the unit is refused, with what would be legal.
 */
import type { Settings, SettingValue } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';
import type { Decimal } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { indicesOf, type Parameter, spelledValue } from './parameter.js';
import type { Profile } from './profile.js';

/** One setting, understood. */
export interface Target {
  readonly key: string;
  readonly parameter: Parameter;
  readonly index: number | null;
  readonly value: SettingValue;
  readonly w: Decimal;
}

export function settingKey({ name, axis }: Parameter, index: number | null): string {
  return axis === undefined ? name : `${name}@${axis.name}=${index}`;
}

type Named = { parameter: Parameter; index: number | null };

function find(params: ReadonlyMap<string, Parameter>, key: string): Named | undefined {
  const [name = '', at] = key.split('@', 2);
  const parameter = params.get(name);
  if (parameter === undefined) return undefined;
  const { axis } = parameter;
  if (axis === undefined) return at === undefined ? { parameter, index: null } : undefined;
  const index = Number(at?.split('=')[1]);
  const isOnAxis = Number.isInteger(index) && index >= axis.from && index <= axis.to;
  // Spelled in this way only: not as 07 or 7.0.
  return isOnAxis && settingKey(parameter, index) === key ? { parameter, index } : undefined;
}

function legalNames(params: ReadonlyMap<string, Parameter>): string {
  const names = [...params.values()].map(({ name, axis }) =>
    axis === undefined ? name : `${name}@${axis.name}=${axis.from}..${axis.to}`,
  );
  return names.length === 0 ? 'none' : names.join(', ');
}

/** JSON has no NaN and no infinity, and a refusal travels as JSON. */
function shown(value: unknown): SettingValue {
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0;
  if (typeof value === 'boolean') return value;
  return String(value).slice(0, 64);
}

/**
 * The settings in the profile's order (then by index), understood. Units are those of the profile; -0 is 0.
 *
 * @throws OutboardError job.setting for an unknown name, a wrong type, a value out of range or between two steps; details {path, value, range}
 */
export function resolveSettings(profile: Profile, settings: Settings, path = 'settings'): Target[] {
  const found: Target[] = [];
  for (const [key, value] of Object.entries(settings)) {
    const at = `${path}.${key}`;
    const named = find(profile.params, key);
    if (named === undefined) {
      const range = legalNames(profile.params);
      throw refusal(`${at}: ${profile.id} has no setting "${key}"; it has ${range}`, at, value, range);
    }
    const { parameter, index } = named;
    const w = parameter.taper.encode(value);
    if (w === undefined) throw illegal(at, parameter, value);
    // What w stands for is the canonical spelling of the value: 0 for -0.
    found.push({ key, parameter, index, value: parameter.taper.decode(w) as SettingValue, w });
  }
  const order = [...profile.params.keys()];
  return found.sort(
    (a, b) => order.indexOf(a.parameter.name) - order.indexOf(b.parameter.name) || (a.index ?? 0) - (b.index ?? 0),
  );
}

function illegal(at: string, parameter: Parameter, value: unknown): OutboardError {
  const { range } = parameter.taper;
  const said = typeof value === 'string' ? JSON.stringify(shown(value)) : String(shown(value));
  const inRange =
    typeof value === 'number' && parameter.min !== undefined && parameter.max !== undefined
      ? value >= parameter.min && value <= parameter.max
      : false;
  const near = inRange ? parameter.taper.neighbours(value as number) : undefined;
  const between = near === undefined ? '' : `; the nearest are ${near[0]} and ${near[1]}`;
  return refusal(`${at}: ${said} is not allowed; allowed is ${range}${between}`, at, value, range);
}

function refusal(message: string, path: string, value: unknown, range: string): OutboardError {
  return new OutboardError('job.setting', message, { details: { path, value: shown(value), range } });
}

/**
 * Refuses settings that the profile does not allow. `path` says where they stand, for instance `job.chain[0].settings`.
 *
 * @throws OutboardError job.setting; details {path, value, range}
 */
export function checkSettings(profile: Profile, settings: Settings, path = 'settings'): void {
  const named = resolveSettings(profile, settings, path);
  for (const target of named) {
    const need = companions(profile.params, target.parameter.needs, target, path).find((needed) => {
      const other = named.find(({ key }) => key === needed.key);
      return other !== undefined && other.value !== needed.value;
    });
    if (need === undefined) continue;
    const at = `${path}.${need.key}`;
    const value = settings[need.key];
    throw refusal(`${at}: ${target.key} needs it to be ${need.value}`, at, value, String(need.value));
  }
  checkLinks(resolveSettings(profile, withDefaults(profile, settings), path), named, path);
}

/** The indices that the unit moves when it moves this one, itself among them. */
function movedWith({ axis }: Parameter, index: number | null): readonly (number | null)[] {
  return axis?.link.find((indices) => index !== null && indices.includes(index)) ?? [index];
}

/** What the unit moves together is named together, or one would silently move the other. */
function checkLinks(complete: readonly Target[], named: readonly Target[], path: string): void {
  for (const { parameter, index, key, value } of named) {
    for (const other of movedWith(parameter, index)) {
      const otherKey = settingKey(parameter, other);
      if (complete.find((target) => target.key === otherKey)?.value === value) continue;
      const at = `${path}.${otherKey}`;
      throw refusal(
        `${at}: the unit moves it together with ${key}: name both, with one value`,
        at,
        complete.find((target) => target.key === otherKey)?.value ?? 'nothing',
        String(value),
      );
    }
  }
}

/**
 * The settings of a take: what is named, and the profile's default for every setting that has one and is not named, so that a take does not
 * depend on the one before it. Names and values are as in `settings`; unknown and illegal ones pass through to be refused by `checkSettings`.
 */
export function withDefaults(profile: Profile, settings: Settings): Settings {
  const complete: Settings = { ...settings };
  for (const parameter of profile.params.values())
    for (const index of parameter.default === undefined ? [] : indicesOf(parameter)) {
      const key = settingKey(parameter, index);
      if (!Object.hasOwn(settings, key)) complete[key] = parameter.default as SettingValue;
    }
  return complete;
}

/**
 * The largest gain, in dB, that a signal can meet in the unit during a take with these settings (completed by `withDefaults`). A gain that is
 * neither named nor has a default counts with its maximum, because it stays where it is; of a gain that exists per channel, the largest
 * channel counts; several gains add up.
 *
 * @throws OutboardError job.setting
 */
export function maxGainDb(profile: Profile, settings: Settings): number {
  const targets = resolveSettings(profile, withDefaults(profile, settings));
  let sumDb = 0;
  for (const parameter of profile.params.values()) {
    const { gain } = parameter;
    if (gain === undefined) continue;
    const named = targets.filter((target) => target.parameter === parameter).map(({ value }) => value);
    const complete = named.length === indicesOf(parameter).length;
    sumDb += complete ? Math.max(...named.map((value) => gain.of(value))) : gain.atMostDb;
  }
  return sumDb;
}

/**
 * True when every setting of a take with these settings (completed by `withDefaults`) can be read back from the unit (verify by readback or dump).
 *
 * @throws OutboardError job.setting
 */
export function readable(profile: Profile, settings: Settings): boolean {
  const targets = resolveSettings(profile, withDefaults(profile, settings));
  return targets.every(({ parameter: { verifyBy } }) => verifyBy === 'readback' || verifyBy === 'dump');
}

/**
 * A state as a profile spells it: a bare name of a parameter with an axis means every index, and a bool may be "on" or "off".
 *
 * @throws OutboardError profile.invalid
 */
export function profileState(
  params: ReadonlyMap<string, Parameter>,
  state: Readonly<Record<string, SettingValue>>,
  path: string,
): Map<string, SettingValue> {
  const expanded = new Map<string, SettingValue>();
  for (const [key, spelled] of Object.entries(state)) {
    const at = `${path}.${key}`;
    const whole = params.get(key);
    const named = find(params, key);
    const targets: Named[] =
      whole !== undefined
        ? indicesOf(whole).map((index) => ({ parameter: whole, index }))
        : named !== undefined
          ? [named]
          : [];
    if (targets.length === 0) throw invalidProfile(at, `there is no such setting; there is ${legalNames(params)}`);
    for (const { parameter, index } of targets) {
      const value = spelledValue(parameter.kind, spelled);
      if (parameter.taper.encode(value) === undefined)
        throw invalidProfile(at, `${JSON.stringify(spelled)} is not allowed; allowed is ${parameter.taper.range}`);
      const full = settingKey(parameter, index);
      if (expanded.has(full)) throw invalidProfile(at, `${full} is set twice`);
      expanded.set(full, value);
    }
  }
  return expanded;
}

/**
 * As `profileState`, of a state that is set by itself: what the unit moves together stands in it together.
 *
 * @throws OutboardError profile.invalid
 */
export function wholeState(
  params: ReadonlyMap<string, Parameter>,
  state: Readonly<Record<string, SettingValue>>,
  path: string,
): Map<string, SettingValue> {
  const expanded = profileState(params, state, path);
  for (const [key, value] of expanded) {
    const { parameter, index } = find(params, key) as Named;
    const parted = movedWith(parameter, index).find((other) => expanded.get(settingKey(parameter, other)) !== value);
    if (parted !== undefined)
      throw invalidProfile(
        `${path}.${key}`,
        `the unit moves ${settingKey(parameter, parted)} together with it: name both, with one value`,
      );
  }
  return expanded;
}

/**
 * What a state (`needs` of a parameter, `before` of an interlock) means for one setting: where a parameter has the same axis, the same index and
 * those that the unit moves with it, else every index.
 *
 * @throws OutboardError profile.invalid at `path`; a loaded profile has been checked for that
 */
export function companions(
  params: ReadonlyMap<string, Parameter>,
  state: Readonly<Record<string, SettingValue>>,
  { parameter, index }: { readonly parameter: Parameter; readonly index: number | null },
  path: string,
): Target[] {
  const narrowed = Object.entries(state).flatMap(([key, value]): [string, SettingValue][] => {
    const other = params.get(key);
    const same = other?.axis !== undefined && other.axis.name === parameter.axis?.name;
    return same ? movedWith(other, index).map((i) => [settingKey(other, i), value]) : [[key, value]];
  });
  const resolved = profileState(params, Object.fromEntries(narrowed), path);
  return [...resolved].map(([key, value]) => {
    const named = find(params, key) as Named;
    return { key, ...named, value, w: named.parameter.taper.encode(value) as Decimal };
  });
}
