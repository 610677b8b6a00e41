/**
 * One parameter of a profile, compiled: its legal values and the four kinds of line that speak of it. The unit formats commands and parses
 * answers; the simulated unit does the reverse with the same templates.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import { absolute, type Decimal, decimalOf, toNumber } from './decimal.js';
import { invalidProfile } from './invalid.js';
import type { Param } from './profile-schema.js';
import { compileTaper, type Taper } from './taper.js';
import { compileTemplate, type FieldValues, type Template } from './template.js';

export interface Axis {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What a line says: which channel (null: the line does not name it) and which number (null: likewise). */
export interface Statement {
  readonly index: number | null;
  readonly w: Decimal | null;
}

export interface Parameter {
  readonly name: string;
  readonly kind: Param['kind'];
  /** Of a number. */
  readonly unit: string | undefined;
  readonly axis: Axis | undefined;
  readonly taper: Taper;
  readonly verifyBy: 'readback' | 'ack' | 'none';
  readonly tolWire: Decimal;
  readonly settleMs: number;
  readonly hazard: boolean;
  /** True when the value is gain in the signal path, in dB. */
  readonly gain: boolean;
  /** What a take gets that does not name the setting; undefined: it stays as it is. */
  readonly default: SettingValue | undefined;
  /** Of a number. */
  readonly min: number | undefined;
  readonly max: number | undefined;
  /** The templates, for checks; use the functions to speak. */
  readonly lines: {
    readonly tx: Template;
    readonly txNeg: Template | undefined;
    readonly ack: Template | undefined;
    readonly readTx: Template | undefined;
    readonly reply: Template | undefined;
  };
}

/** @throws OutboardError profile.invalid */
export function compileParameter(
  name: string,
  param: Param,
  axes: Readonly<Record<string, { from: number; to: number }>>,
): Parameter {
  const path = `params.${name}`;
  const axisName = param.axis?.[0];
  const span = axisName !== undefined && Object.hasOwn(axes, axisName) ? axes[axisName] : undefined;
  if (axisName !== undefined && span === undefined)
    throw invalidProfile(`${path}.axis`, `"${axisName}" is not in axes`);
  const axis = axisName === undefined || span === undefined ? undefined : { name: axisName, ...span };
  const channel = axis === undefined ? [] : [axis.name];
  const line = (text: string, fields: string[], key: string, needs: string[]): Template => {
    const template = compileTemplate(text, fields, `${path}.${key}`);
    const has = new Set(template.fields.map((f) => f.name));
    const missing = needs.find((need) => !need.split('|').some((n) => has.has(n)));
    if (missing !== undefined)
      throw invalidProfile(
        `${path}.${key}`,
        `cannot be reversed: it does not carry {${missing.replace('|', '} or {')}}`,
      );
    return template;
  };
  const { wire, read, verify } = param;
  if (verify.by === 'readback' && read === undefined)
    throw invalidProfile(`${path}.read`, 'verify by readback needs a read command');
  if (verify.by === 'ack' && wire.ack === undefined)
    throw invalidProfile(`${path}.wire.ack`, 'verify by ack needs an acknowledgement');
  const gain = param.kind === 'number' && param.gain === true;
  if (gain && param.unit !== 'dB') throw invalidProfile(`${path}.gain`, 'a gain has the unit dB');
  const taper = compileTaper(param, path);
  const resting = param.default === undefined ? undefined : spelledValue(param.kind, param.default);
  if (resting !== undefined && taper.encode(resting) === undefined)
    throw invalidProfile(
      `${path}.default`,
      `${JSON.stringify(param.default)} is not allowed; allowed is ${taper.range}`,
    );
  const parameter: Parameter = {
    name,
    kind: param.kind,
    unit: param.kind === 'number' ? param.unit : undefined,
    axis,
    taper,
    verifyBy: verify.by,
    tolWire: decimalOf(verify.tolWire ?? 0),
    settleMs: param.settleMs ?? 0,
    hazard: param.hazard !== undefined,
    gain,
    default: resting,
    min: param.kind === 'number' ? param.min : undefined,
    max: param.kind === 'number' ? param.max : undefined,
    lines: {
      tx: line(wire.tx, [...channel, 'w'], 'wire.tx', [...channel, 'w']),
      txNeg:
        wire.txNeg === undefined
          ? undefined
          : line(wire.txNeg, [...channel, 'w', 'abs'], 'wire.txNeg', [...channel, 'w|abs']),
      ack:
        wire.ack === undefined
          ? undefined
          : line(wire.ack, [...channel, 'w'], 'wire.ack', verify.by === 'ack' ? ['w'] : []),
      readTx: read === undefined ? undefined : line(read.tx, channel, 'read.tx', channel),
      reply: read === undefined ? undefined : line(read.reply, [...channel, 'w'], 'read.reply', ['w']),
    },
  };
  checkReversible(parameter, path);
  return parameter;
}

/** A value as a profile spells it: a bool may also be "on" or "off". */
export function spelledValue(kind: Param['kind'], value: SettingValue): SettingValue {
  return kind === 'bool' && (value === 'on' || value === 'off') ? value === 'on' : value;
}

/** Indices of the axis; one null where there is none. */
export function indicesOf({ axis }: Parameter): (number | null)[] {
  return axis === undefined ? [null] : Array.from({ length: axis.to - axis.from + 1 }, (_, i) => axis.from + i);
}

function fieldValues({ axis }: Parameter, index: number | null, w: Decimal | null): FieldValues {
  const values = new Map<string, Decimal>();
  if (w !== null) values.set('w', w).set('abs', absolute(w));
  // After w: an axis may be called anything.
  if (axis !== undefined && index !== null) values.set(axis.name, decimalOf(index));
  return values;
}

function made(line: string | undefined, parameter: Parameter): string {
  if (line === undefined) throw new RangeError(`${parameter.name}: the value does not fit its template`);
  return line;
}

/** The command that sets w. The value is legal, so that a template that cannot show it is a fault of ours. */
export function setLine(parameter: Parameter, index: number | null, w: Decimal): string {
  const { tx, txNeg } = parameter.lines;
  return made((w.digits < 0n && txNeg !== undefined ? txNeg : tx).format(fieldValues(parameter, index, w)), parameter);
}

/** The acknowledgement of `setLine`, or undefined where the unit gives none. */
export function ackLine(parameter: Parameter, index: number | null, w: Decimal): string | undefined {
  const { ack } = parameter.lines;
  return ack === undefined ? undefined : made(ack.format(fieldValues(parameter, index, w)), parameter);
}

/** The question for the present value, or undefined where the unit has none. */
export function readLine(parameter: Parameter, index: number | null): string | undefined {
  const { readTx } = parameter.lines;
  return readTx === undefined ? undefined : made(readTx.format(fieldValues(parameter, index, null)), parameter);
}

/** The answer to `readLine`, or undefined where the unit has none. */
export function replyLine(parameter: Parameter, index: number | null, w: Decimal): string | undefined {
  const { reply } = parameter.lines;
  return reply === undefined ? undefined : made(reply.format(fieldValues(parameter, index, w)), parameter);
}

function statement({ axis }: Parameter, values: Map<string, Decimal> | undefined): Statement | undefined {
  if (values === undefined) return undefined;
  const index = axis === undefined ? undefined : values.get(axis.name);
  return { index: index === undefined ? null : toNumber(index), w: values.get('w') ?? null };
}

export function parseSet(parameter: Parameter, line: string): Statement | undefined {
  const { tx, txNeg } = parameter.lines;
  const negative = txNeg?.parse(line);
  if (negative !== undefined) {
    const magnitude = negative.get('w') ?? negative.get('abs');
    const w = magnitude === undefined ? undefined : negate(absolute(magnitude));
    const said = statement(parameter, negative);
    return said === undefined || w === undefined ? undefined : { ...said, w };
  }
  const said = statement(parameter, tx.parse(line));
  // With a command of its own for values below 0, the other one does not carry them.
  return said !== undefined && txNeg !== undefined && said.w !== null && said.w.digits < 0n ? undefined : said;
}

function negate(d: Decimal): Decimal {
  return { digits: -d.digits, places: d.places };
}

export function parseAck(parameter: Parameter, line: string): Statement | undefined {
  return statement(parameter, parameter.lines.ack?.parse(line));
}

export function parseRead(parameter: Parameter, line: string): Statement | undefined {
  return statement(parameter, parameter.lines.readTx?.parse(line));
}

export function parseReply(parameter: Parameter, line: string): Statement | undefined {
  return statement(parameter, parameter.lines.reply?.parse(line));
}

/** Every line has room for every value, and comes back as what was said. */
function checkReversible(parameter: Parameter, path: string): void {
  const { taper, axis, lines } = parameter;
  const templates = {
    'wire.tx': lines.tx,
    'wire.txNeg': lines.txNeg,
    'wire.ack': lines.ack,
    'read.reply': lines.reply,
  };
  for (const [key, template] of Object.entries(templates))
    for (const field of template?.fields ?? [])
      if (field.name !== axis?.name && field.places < taper.wirePlaces)
        throw invalidProfile(
          `${path}.${key}`,
          `{${field.name}} shows ${field.places} places, the wire needs ${taper.wirePlaces}`,
        );
  const indices = axis === undefined ? [null] : [axis.from, axis.to];
  for (const index of indices)
    for (const value of taper.sample(33)) {
      const w = taper.encode(value) as Decimal;
      const values = fieldValues(parameter, index, w);
      const negative = w.digits < 0n && lines.txNeg !== undefined;
      const used = { ...templates, [negative ? 'wire.tx' : 'wire.txNeg']: undefined };
      for (const [key, template] of Object.entries(used))
        if (template !== undefined && template.format(values) === undefined)
          throw invalidProfile(
            `${path}.${key}`,
            `"${template.text}" has no room for ${value} (w = ${toNumber(w)}${index === null ? '' : `, ${axis?.name} = ${index}`})`,
          );
      const back = parseSet(parameter, setLine(parameter, index, w));
      if (back?.w == null || back.index !== index || taper.decode(back.w) !== value)
        throw invalidProfile(`${path}.wire`, `${value} does not come back from "${setLine(parameter, index, w)}"`);
    }
}
