/**
 * One parameter of a profile, compiled: its legal values, and what it is on the wire.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import type { Codec, DumpPlace, Mirror, Statement } from './codec.js';
import { type Decimal, decimalOf, toNumber } from './decimal.js';
import type { CompiledDump } from './dump.js';
import { invalidProfile } from './invalid.js';
import type { Param } from './profile-schema.js';
import { compileTaper, type Taper } from './taper.js';
import { compileWire, type WireContext } from './wire.js';

export type { Statement } from './codec.js';

export interface Axis {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Groups of indices that the unit moves together. */
  readonly link: readonly (readonly number[])[];
}

export interface Parameter {
  readonly name: string;
  readonly kind: Param['kind'];
  /** Of a number. */
  readonly unit: string | undefined;
  readonly axis: Axis | undefined;
  readonly taper: Taper;
  readonly verifyBy: 'readback' | 'dump' | 'ack' | 'none';
  readonly tolWire: Decimal;
  /** How long the unit may take to agree, ms. */
  readonly verifyWithinMs: number;
  /** It moves by itself while a take rolls: what was verified before the take says nothing of later. */
  readonly verifyOnce: boolean;
  /** Fixed part of the settling, ms. */
  readonly settleMs: number;
  /** Settling computed from the change, ms and ms per unit of the value; beside `settleMs`, the larger counts. */
  readonly settlePer: { readonly base: number; readonly perUnit: number } | undefined;
  /** A change goes in steps of at most `maxStep` (unit of the value), one every `everyMs`. */
  readonly slew: { readonly maxStep: number; readonly everyMs: number } | undefined;
  readonly hazard: 'level' | 'phantom' | 'erase' | undefined;
  /** Undefined when the parameter is no gain in the signal path. */
  readonly gain: Gain | undefined;
  /** What a take gets that does not name the setting; undefined: it stays as it is. */
  readonly default: SettingValue | undefined;
  /** Of a number or a route. */
  readonly min: number | undefined;
  readonly max: number | undefined;
  /** What has to be set before this can be, as the profile spells it; `companions` of the settings resolves it. */
  readonly needs: Readonly<Record<string, SettingValue>>;
  readonly codec: Codec;
  readonly mirror: Mirror;
  /** Where it stands in a dump, if it does. */
  readonly place: DumpPlace | undefined;
}

/** What a parameter adds in the signal path, dB. */
export interface Gain {
  /** The most that it can be. */
  readonly atMostDb: number;
  /** With this value; of an unknown law the most, whatever the value. */
  of(value: SettingValue): number;
}

/** What the parameters of one profile have in common. */
export interface ParameterContext extends WireContext {
  readonly axes: ReadonlyMap<string, Axis>;
}

/** @throws OutboardError profile.invalid */
export function compileParameter(name: string, param: Param, context: ParameterContext): Parameter {
  const path = `params.${name}`;
  const axisName = param.axis?.[0];
  const axis = axisName === undefined ? undefined : context.axes.get(axisName);
  if (axisName !== undefined && axis === undefined)
    throw invalidProfile(`${path}.axis`, `"${axisName}" is not in axes`);
  const number = param.kind === 'number' ? param : undefined;
  if (param.slew !== undefined && param.kind !== 'number')
    throw invalidProfile(`${path}.slew`, 'only a number can go in steps');
  if (param.settlePer !== undefined && param.kind !== 'number')
    throw invalidProfile(`${path}.settlePer`, 'only the change of a number can be computed with');
  const taper = compileTaper(param, path);
  const resting = param.default === undefined ? undefined : spelledValue(param.kind, param.default);
  if (resting !== undefined && taper.encode(resting) === undefined)
    throw invalidProfile(
      `${path}.default`,
      `${JSON.stringify(param.default)} is not allowed; allowed is ${taper.range}`,
    );
  const { codec, mirror, place } = compileWire(param, axis, taper, context, path);
  const { by, tolWire, withinMs, once } = param.verify;
  if (once && by !== 'readback' && by !== 'dump')
    throw invalidProfile(`${path}.verify.once`, 'what is not read back is not verified once either');
  if (by === 'readback' && codec.read?.kind !== 'ask' && codec.driver === undefined)
    throw invalidProfile(`${path}.read`, 'verify by readback needs a read command');
  if (by === 'dump' && codec.read?.kind !== 'dump')
    throw invalidProfile(`${path}.read`, 'verify by dump needs the dump that it stands in');
  if (by === 'ack' && codec.ack === undefined && codec.driver === undefined)
    throw invalidProfile(`${path}.wire.ack`, 'verify by ack needs an acknowledgement');
  checkTolerance(param, taper, path);
  const parameter: Parameter = {
    name,
    kind: param.kind,
    unit: number?.unit,
    axis,
    taper,
    verifyBy: by,
    tolWire: decimalOf(tolWire ?? 0),
    verifyWithinMs: withinMs ?? 0,
    verifyOnce: once === true,
    settleMs: param.settleMs ?? 0,
    settlePer: param.settlePer,
    slew: param.slew,
    hazard: param.hazard,
    gain: gainOf(param, taper, `${path}.gain`),
    default: resting,
    min: param.kind === 'number' || param.kind === 'route' ? param.min : undefined,
    max: param.kind === 'number' || param.kind === 'route' ? param.max : undefined,
    needs: param.needs ?? {},
    codec,
    mirror,
    place,
  };
  checkReversible(parameter, context.dumps, path);
  return parameter;
}

/** Of the numbers on the wire between the lowest and the highest value: more than this much apart is another setting, not the same one. */
const MAX_TOLERANCE = 0.05;

/** What stands for words or for inputs is right or wrong; a number may be a little off. @throws OutboardError profile.invalid */
function checkTolerance({ kind, verify: { tolWire = 0 } }: Param, taper: Taper, path: string): void {
  if (tolWire === 0) return;
  const at = `${path}.verify.tolWire`;
  if (kind !== 'number') throw invalidProfile(at, `a ${kind} is what was asked for or it is not: leave tolWire out`);
  const onWire = taper.sample(2).map((value) => toNumber(taper.encode(value) as Decimal));
  const span = Math.max(...onWire) - Math.min(...onWire);
  if (tolWire > MAX_TOLERANCE * span)
    throw invalidProfile(
      at,
      `${tolWire} of ${span} on the wire would pass other values for the one that was asked for; allowed is at most ${MAX_TOLERANCE * span}`,
    );
}

function gainOf(param: Param, taper: Taper, path: string): Gain | undefined {
  if (param.kind === 'route' || param.gain === undefined) return undefined;
  const { kind, gain } = param;
  if (kind === 'number') {
    if (gain !== true) return { atMostDb: gain.atMostDb, of: () => gain.atMostDb };
    if (param.unit !== 'dB') throw invalidProfile(path, 'a gain has the unit dB');
    return { atMostDb: param.max, of: Number };
  }
  const ofEach = new Map(Object.entries(gain.db).map(([label, db]) => [spelledValue(kind, label), db]));
  const values = taper.sample(1);
  if (ofEach.size !== values.length || !values.every((value) => ofEach.has(value)))
    throw invalidProfile(`${path}.db`, `names other values than the taper: it has ${values.join(', ')}`);
  return { atMostDb: Math.max(...ofEach.values()), of: (value) => ofEach.get(value) as number };
}

/** How long a change from one value to another takes to settle, ms; without `from`, the longest that it could. */
export function settlingMs(parameter: Parameter, from: SettingValue | undefined, to: SettingValue): number {
  const { settleMs, settlePer, min, max } = parameter;
  if (settlePer === undefined) return settleMs;
  const target = Number(to);
  const start = typeof from === 'number' ? [from] : [min ?? target, max ?? target];
  const change = Math.max(...start.map((value) => Math.abs(target - value)));
  return Math.max(settleMs, settlePer.base + settlePer.perUnit * change);
}

/** True when both numbers stand for the same value: a unit may have several for "off". At least one of them has to stand for any. */
export function sameValue({ taper }: Pick<Parameter, 'taper'>, a: Decimal, b: Decimal): boolean {
  if (a.digits === b.digits && a.places === b.places) return true;
  const value = taper.decode(a);
  return value !== undefined && value === taper.decode(b);
}

/** A value as a profile spells it: a bool may also be "on" or "off". */
export function spelledValue(kind: Param['kind'], value: SettingValue): SettingValue {
  return kind === 'bool' && (value === 'on' || value === 'off') ? value === 'on' : value;
}

/** Indices of the axis; one null where there is none. */
export function indicesOf({ axis }: Parameter): (number | null)[] {
  return axis === undefined ? [null] : Array.from({ length: axis.to - axis.from + 1 }, (_, i) => axis.from + i);
}

/** Every message has room for every value, and comes back as what was said. */
function checkReversible(parameter: Parameter, dumps: ReadonlyMap<string, CompiledDump>, path: string): void {
  const { taper, axis, codec, mirror, place } = parameter;
  if (codec.driver !== undefined) return;
  const last = taper.sample(2).at(-1) as SettingValue;
  for (const index of axis === undefined ? [null] : [axis.from, axis.to])
    for (const value of taper.sample(33)) {
      const w = taper.encode(value) as Decimal;
      const complain = (key: string, message: string): never => {
        throw invalidProfile(`${path}.${key}`, `${message} (${String(value)} is w = ${toNumber(w)})`);
      };
      let heard: Statement[] = [];
      try {
        const memory = { controllers: new Map<number, number>() };
        const other = taper.encode(last) as Decimal;
        const dump = dumpFor(parameter, index, other, dumps);
        for (const frame of codec.set(index, w, dump)) heard = mirror.heard(frame, memory, () => w);
        checkAnswers(parameter, index, w, complain);
        if (place !== undefined) checkPlace(parameter, index, w, complain);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        const at = error.message.startsWith(path) ? error.message.slice(path.length + 1).split(':')[0] : 'wire';
        complain(at ?? 'wire', error.message.replace(/^[^ ]+: /, ''));
      }
      const back = heard.find((statement) => statement.index === index);
      if (back?.w == null || taper.decode(back.w) !== value)
        complain('wire', 'the value does not come back from its own command');
    }
}

/** What a unit would answer that has this number and nothing else. */
function dumpFor(
  { codec, place }: Parameter,
  index: number | null,
  w: Decimal,
  dumps: ReadonlyMap<string, CompiledDump>,
): string | undefined {
  const name = codec.modifies?.(index);
  if (name === undefined) return undefined;
  const bytes = new Map<number, number>();
  place?.put(index, w, bytes);
  return dumps.get(name)?.make(bytes);
}

function checkPlace(
  { place, taper }: Parameter,
  index: number | null,
  w: Decimal,
  complain: (key: string, message: string) => never,
): void {
  const bytes = new Map<number, number>();
  place?.put(index, w, bytes);
  const back = place?.value(index, bytes);
  if (back === undefined || taper.decode(back) !== taper.decode(w))
    complain('read', 'the value does not come back from its dump');
}

function checkAnswers(
  { codec, mirror, taper }: Parameter,
  index: number | null,
  w: Decimal,
  complain: (key: string, message: string) => never,
): void {
  const same = (said: Statement | undefined): boolean =>
    said !== undefined &&
    (said.index === null || said.index === index) &&
    (said.w === null || taper.decode(said.w) === taper.decode(w));
  if (mirror.ack !== undefined && !same(codec.ack?.(mirror.ack(index, w))))
    complain('wire.ack', 'the acknowledgement does not come back');
  if (mirror.reply === undefined || codec.read?.kind !== 'ask') return;
  if (!same(codec.read.reply(mirror.reply(index, w)))) complain('read.reply', 'the answer does not come back');
  const asked = mirror.asked?.(codec.read.tx(index));
  if (asked === undefined || asked.index !== index) complain('read.tx', 'the question does not come back');
}
